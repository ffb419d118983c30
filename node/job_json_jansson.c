/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/text_clean.h"
#include "shared/base/to_json.h"

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : to_json_text(text);
}

static json_t *count_or_null(uint64_t count)
{
    return count == UINT64_MAX ? json_null() : to_json_count(count);
}

static bool has_run(const struct job_row *row)
{
    return row->state == JOB_RUNNING || row->state == JOB_DONE ||
           (row->state == JOB_FAILED && row->session[0] != '\0');
}

json_t *job_row_json(const struct job_row *row)
{
    const struct job_tally *tally = &row->tally;
    enum job_state state = row->state;
    char reason[JOB_REASON_MAX + 64];
    char sid[17];
    bool ran = has_run(row);

    snprintf(reason, sizeof reason, "%s", row->reason);
    if (row->is_unheard && !job_state_is_final(row->state)) { /* who knows what it does now */
        if (row->state != JOB_UNREACHED) {
            snprintf(reason, sizeof reason, "it was %s when it was last heard of%s%s",
                     job_state_words[row->state], row->reason[0] == '\0' ? "" : ": ", row->reason);
        }
        state = JOB_UNREACHED;
    }
    snprintf(sid, sizeof sid, "%016" PRIx64, row->sid);
    json_t *loss = json_object();
    json_object_set_new(loss, "kernel", ran ? count_or_null(tally->lost_kernel) : json_null());
    json_object_set_new(loss, "interface",
                        ran ? count_or_null(tally->lost_interface) : json_null());
    json_object_set_new(loss, "store", ran ? count_or_null(tally->lost_store) : json_null());
    json_object_set_new(loss, "limit", ran ? count_or_null(tally->limit) : json_null());
    json_t *object = json_object();
    json_object_set_new(object, "node", to_json_text(row->node));
    json_object_set_new(object, "id", row->sid == 0 ? json_null() : json_string(sid));
    json_object_set_new(object, "state", json_string(job_state_words[state]));
    json_object_set_new(object, "session", text_or_null(row->session));
    json_object_set_new(object, "reason", text_or_null(reason));
    json_object_set_new(object, "late_ns",
                        ran ? json_integer((json_int_t)row->late_ns) : json_null());
    json_object_set_new(object, "packets", ran ? to_json_count(tally->packets) : json_null());
    json_object_set_new(object, "bytes", ran ? to_json_count(tally->bytes) : json_null());
    json_object_set_new(object, "loss", loss);
    return object;
}

static json_t *time_json(int64_t swarm_ns, int64_t offset_ns)
{
    char text[TEXT_NUMBER_MAX];

    text_format_time((uint64_t)(swarm_ns + offset_ns), text);
    return json_string(text);
}

json_t *job_json(const struct job *job, const struct job_rows *rows, int64_t offset_ns)
{
    const struct job_spec *spec = &job->spec;
    json_t *nodes = json_array();
    json_t *object = json_object();
    char id[ID_TEXT_MAX];

    for (uint32_t i = 0; i < rows->n; i++) {
        json_array_append_new(nodes, job_row_json(&rows->rows[i]));
    }
    id_format(&spec->id, id);
    json_object_set_new(object, "id", json_string(id));
    json_object_set_new(object, "name", text_or_null(spec->name));
    json_object_set_new(object, "state", json_string(job_state_words[job_rows_state(rows)]));
    json_object_set_new(object, "start_at", time_json(spec->start_ns, offset_ns));
    json_object_set_new(object, "end_at", time_json(spec->end_ns, offset_ns));
    json_object_set_new(object, "interface", to_json_text(spec->interface));
    json_object_set_new(object, "filter", text_or_null(spec->filter));
    json_object_set_new(object, "late", json_string(job_late_words[spec->late]));
    json_object_set_new(object, "policy", json_string(job_policy_words[spec->policy]));
    json_object_set_new(object, "stopped", json_boolean(job->flags != 0));
    json_object_set_new(object, "nodes", nodes);
    return object;
}

/* ---- of others ---- */

static bool take_text(const json_t *json, const char *name, char *out, size_t max)
{
    const char *text = json_string_value(json_object_get(json, name));

    snprintf(out, max + 1, "%s", text == NULL ? "" : text);
    text_clean(out); /* it reaches terminals */
    return text == NULL || strlen(text) <= max;
}

static uint64_t take_count(const json_t *json, const char *name, uint64_t otherwise)
{
    const json_t *value = json_object_get(json, name);

    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : otherwise;
}

bool job_row_of_json(const json_t *json, struct job_row *row)
{
    const char *state = json_string_value(json_object_get(json, "state"));
    const json_t *loss = json_object_get(json, "loss");
    const json_t *late = json_object_get(json, "late_ns");

    if (!json_is_object(json) || state == NULL) {
        return false;
    }
    for (int i = JOB_ARMING; i <= JOB_DONE; i++) {
        if (strcmp(job_state_words[i], state) == 0) {
            row->state = (enum job_state)i;
            row->late_ns = json_is_integer(late) ? json_integer_value(late) : 0;
            row->tally = (struct job_tally){
                .packets = take_count(json, "packets", 0),
                .bytes = take_count(json, "bytes", 0),
                .lost_kernel = take_count(loss, "kernel", UINT64_MAX),
                .lost_interface = take_count(loss, "interface", UINT64_MAX),
                .lost_store = take_count(loss, "store", UINT64_MAX),
                .limit = take_count(loss, "limit", UINT64_MAX),
            };
            return take_text(json, "session", row->session, ID_TEXT_MAX - 1) &&
                   take_text(json, "reason", row->reason, JOB_REASON_MAX);
        }
    }
    return false;
}
