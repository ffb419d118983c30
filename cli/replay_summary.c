/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/output.h"
#include "cli/replay_args.h"
#include "shared/base/text.h"
#include "shared/capture/replay_json.h"

#define MEDIAN 0.5
#define P99    0.99

static json_t *json_interfaces(const struct replay_targets *targets)
{
    json_t *array = json_array();

    for (size_t i = 0; i < targets->n; i++) {
        const struct inject *inject = targets->items[i].inject;
        json_array_append_new(array, replay_interface_json(inject_name(inject),
                                                           inject_stats(inject)->waits,
                                                           inject_dropped(inject)));
    }
    return array;
}

static int print_json(FILE *out, const struct replay_args *args,
                      const struct replay_targets *targets, const struct replay_report *report,
                      struct err *err)
{
    json_t *object = replay_report_json(report, args->speed, args->display_only ? "shown" : "sent");

    json_object_set_new(object, "interfaces", json_interfaces(targets));
    return output_json(out, object, err);
}

static void print_errors(FILE *out, const char *what, const struct pacing_errors *errors)
{
    char median[TEXT_NUMBER_MAX], p99[TEXT_NUMBER_MAX], max[TEXT_NUMBER_MAX];

    if (errors->n > 0) {
        text_format_duration(pacing_errors_percentile(errors, MEDIAN), median);
        text_format_duration(pacing_errors_percentile(errors, P99), p99);
        text_format_duration(errors->max_ns, max);
        fprintf(out, "%s: median %s, p99 %s, maximum %s\n", what, median, p99, max);
    }
}

static void print_clock(FILE *out, const struct pacing *pacing)
{
    char moved[TEXT_NUMBER_MAX];

    if (pacing->n_steps > 0) {
        fprintf(out, "the recorded clock was set back %" PRIu64 " times: no gap is kept there\n",
                pacing->n_steps);
    }
    if (pacing->n_earlier > 0) {
        fprintf(out,
                "%" PRIu64 " packets are recorded earlier than the one before: no gap is kept\n",
                pacing->n_earlier);
    }
    if (pacing->n_moved > 0) {
        text_format_duration(pacing->moved_ns, moved);
        fprintf(out, "the schedule moved by %s, since sending was too late to catch up\n", moved);
    }
}

static void print_interfaces(FILE *out, const struct replay_targets *targets)
{
    for (size_t i = 0; i < targets->n; i++) {
        const struct inject *inject = targets->items[i].inject;
        uint64_t dropped = inject_dropped(inject);
        if (inject_stats(inject)->waits > 0) {
            fprintf(out, "'%s' was full %" PRIu64 " times and was waited for\n",
                    inject_name(inject), inject_stats(inject)->waits);
        }
        if (dropped != 0 && dropped != UINT64_MAX) {
            fprintf(out, "'%s' itself dropped %" PRIu64 " packets in this time\n",
                    inject_name(inject), dropped);
        }
    }
}

static void print_text(FILE *out, const struct replay_args *args,
                       const struct replay_targets *targets, const struct replay_report *report)
{
    char duration[TEXT_NUMBER_MAX];
    uint64_t ns = replay_elapsed_ns(report);

    text_format_duration(ns, duration);
    fprintf(out, "%" PRIu64 " packets %s, %" PRIu64 " bytes in %s", report->done,
            args->display_only ? "shown" : "sent", report->bytes, duration);
    if (ns > 0) {
        fprintf(out, ", %.0f packets/s", (double)report->done * 1e9 / (double)ns);
    }
    fputc('\n', out);
    for (int i = SENDABLE_YES + 1; i < SENDABLE_REASONS; i++) {
        if (report->not_sent[i] > 0) {
            fprintf(out, "%" PRIu64 " packets not sent: %s\n", report->not_sent[i],
                    sendable_reason_text((enum sendable_reason)i));
        }
    }
    print_errors(out, "timing error of the gaps", &report->gaps);
    print_errors(out, "behind the schedule", &report->late);
    print_clock(out, &report->pacing);
    print_interfaces(out, targets);
}

int replay_summary(FILE *out, bool json, const struct replay_args *args,
                   const struct replay_targets *targets, const struct replay_report *report,
                   struct err *err)
{
    uint64_t not_sent = replay_count_not_sent(report);
    int r = 0;

    if (json) {
        r = print_json(out, args, targets, report, err);
    } else {
        print_text(out, args, targets, report);
    }
    if (r == 0 && not_sent > 0) {
        r = err_set(err, ERR_PARTLY, "%" PRIu64 " packets were not sent", not_sent);
    }
    return r;
}
