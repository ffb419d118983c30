/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/replay_json.h"

#include <jansson.h>

#include "shared/base/to_json.h"

#define MEDIAN 0.5
#define P99    0.99

uint64_t replay_elapsed_ns(const struct replay_report *report)
{
    return report->done > 0 ? report->ended_ns - report->started_ns : 0;
}

uint64_t replay_count_not_sent(const struct replay_report *report)
{
    uint64_t n = 0;

    for (int i = SENDABLE_YES + 1; i < SENDABLE_REASONS; i++) {
        n += report->not_sent[i];
    }
    return n;
}

static json_t *json_errors(const struct pacing_errors *errors)
{
    bool none = errors->n == 0;

    return json_pack("{s:o, s:o, s:o}", "median_ns",
                     to_json_count(none ? UINT64_MAX : pacing_errors_percentile(errors, MEDIAN)),
                     "p99_ns",
                     to_json_count(none ? UINT64_MAX : pacing_errors_percentile(errors, P99)),
                     "max_ns", to_json_count(none ? UINT64_MAX : errors->max_ns));
}

json_t *replay_interface_json(const char *name, uint64_t waits, uint64_t dropped)
{
    return json_pack("{s:o, s:o, s:o}", "name", to_json_text(name), "waits", to_json_count(waits),
                     "dropped", to_json_count(dropped));
}

json_t *replay_report_json(const struct replay_report *report, double speed, const char *done)
{
    json_t *object = json_object();
    json_t *not_sent = json_object();

    for (int i = SENDABLE_YES + 1; i < SENDABLE_REASONS; i++) {
        json_object_set_new(not_sent, sendable_reason_name((enum sendable_reason)i),
                            to_json_count(report->not_sent[i]));
    }
    json_object_set_new(object, done, to_json_count(report->done));
    json_object_set_new(object, "bytes", to_json_count(report->bytes));
    json_object_set_new(object, "duration_ns", to_json_count(replay_elapsed_ns(report)));
    json_object_set_new(object, "speed", json_real(speed));
    json_object_set_new(object, "not_sent", not_sent);
    json_object_set_new(object, "gap_error", json_errors(&report->gaps));
    json_object_set_new(object, "lateness", json_errors(&report->late));
    json_object_set_new(object, "earlier", to_json_count(report->pacing.n_earlier));
    json_object_set_new(object, "clock_steps", to_json_count(report->pacing.n_steps));
    json_object_set_new(object, "schedule_moved_ns", to_json_count(report->pacing.moved_ns));
    return object;
}
