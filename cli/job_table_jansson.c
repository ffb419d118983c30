/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/job_table.h"

#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/output.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

static const json_t *nodes_of(const json_t *job)
{
    return json_object_get(job, "nodes");
}

static bool is_state(const json_t *node, const char *word)
{
    const char *state = field_text(node, "state");

    return state != NULL && strcmp(state, word) == 0;
}

/* ---- tables ---- */

static uint64_t lost_of(const json_t *node)
{
    static const char *const stages[] = {"kernel", "interface", "store"};
    const json_t *loss = json_object_get(node, "loss");
    uint64_t sum = UINT64_MAX;

    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        uint64_t one = field_count(loss, stages[i]);
        if (one != UINT64_MAX) {
            sum = sum == UINT64_MAX ? one : sum + one;
        }
    }
    return sum;
}

static void put_note(const json_t *node, struct buf *note)
{
    const char *reason = field_text(node, "reason");
    uint64_t late_ns = field_count(node, "late_ns");
    char text[TEXT_NUMBER_MAX];

    if (late_ns != UINT64_MAX && late_ns > 0) {
        text_format_duration(late_ns, text);
        buf_printf(note, "%s late%s", text, reason == NULL ? "" : "; ");
    }
    buf_printf(note, "%s", reason == NULL ? "" : reason);
}

void job_table_print(const json_t *job, FILE *out)
{
    static const struct output_column columns[] = {
        {"NODE", 0}, {"STATE", 0}, {"SESSION", 0}, {"PACKETS", 1},
        {"SIZE", 1}, {"LOST", 1},  {"NOTE", 0},
    };
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));

    for (size_t i = 0; i < json_array_size(nodes_of(job)); i++) {
        const json_t *node = json_array_get(nodes_of(job), i);
        char packets[TEXT_NUMBER_MAX], size[TEXT_NUMBER_MAX], lost[TEXT_NUMBER_MAX];
        struct buf note = {0};
        uint64_t n_lost = lost_of(node);
        put_note(node, &note);
        (void)snprintf(lost, sizeof lost, "%llu", (unsigned long long)n_lost);
        const char *cells[] = {field_text(node, "node"),
                               field_text(node, "state"),
                               field_text(node, "session"),
                               field_count_cell(node, "packets", packets),
                               field_size_cell(node, "bytes", size),
                               n_lost == UINT64_MAX ? NULL : lost,
                               note.len == 0 ? NULL : (const char *)note.data};
        output_table_add(table, cells);
        buf_deinit(&note);
    }
    output_table_print(table, out);
    output_table_free(table);
}

void job_list_print(const json_t *jobs, FILE *out)
{
    static const struct output_column columns[] = {
        {"JOB", 0}, {"NAME", 0}, {"STATE", 0}, {"START", 0}, {"INTERFACE", 0}, {"NODES", 1},
    };
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));

    for (size_t i = 0; i < json_array_size(jobs); i++) {
        const json_t *job = json_array_get(jobs, i);
        char nodes[TEXT_NUMBER_MAX];
        (void)snprintf(nodes, sizeof nodes, "%zu", json_array_size(nodes_of(job)));
        const char *cells[] = {field_text(job, "id"),        field_text(job, "name"),
                               field_text(job, "state"),     field_text(job, "start_at"),
                               field_text(job, "interface"), nodes};
        output_table_add(table, cells);
    }
    output_table_print(table, out);
    output_table_free(table);
}

/* ---- what it came to ---- */

bool job_has_ended(const json_t *job, uint64_t now_ns)
{
    uint64_t end_ns = field_time_ns(job, "end_at");
    bool is_past = end_ns != 0 && now_ns > end_ns + UINT64_C(3000000000);
    bool is_stopped = field_is_true(job, "stopped"); /* who does not answer is not waited for */

    for (size_t i = 0; i < json_array_size(nodes_of(job)); i++) {
        const json_t *node = json_array_get(nodes_of(job), i);
        bool goes_on = is_state(node, "arming") || is_state(node, "armed") ||
                       is_state(node, "running") || (is_state(node, "unreached") && !is_stopped);
        if (goes_on && !is_past) {
            return false;
        }
    }
    return true;
}

int job_outcome(const json_t *job, struct err *err)
{
    size_t n = json_array_size(nodes_of(job));
    size_t good = 0;

    for (size_t i = 0; i < n; i++) {
        const json_t *node = json_array_get(nodes_of(job), i);
        good += is_state(node, "armed") || is_state(node, "running") || is_state(node, "done");
    }
    if (good == n && n > 0) {
        return 0;
    }
    return good > 0 ? err_set(err, ERR_PARTLY, "%zu of %zu nodes do or have done it", good, n)
                    : err_set(err, ERR_CAPTURE, "none of %zu nodes does or has done it", n);
}

/* ---- one node's capture ---- */

json_t *job_of_session(const json_t *session)
{
    static const char *const same[] = {"packets", "bytes", "loss", "node"};
    const char *state = field_text(session, "state");
    bool is_running = state != NULL && strcmp(state, "running") == 0;
    const char *error = field_text(session, "error");
    json_t *node = json_object();
    json_t *job = json_object();

    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        json_t *value = json_object_get(session, same[i]);
        json_object_set_new(node, same[i], value == NULL ? json_null() : json_incref(value));
    }
    const char *word = is_running ? "running" : error != NULL ? "failed" : "done";
    json_object_set_new(node, "state", json_string(word));
    json_object_set(node, "session", json_object_get(session, "id"));
    json_object_set_new(node, "reason", error == NULL ? json_null() : json_string(error));
    json_object_set_new(node, "late_ns", json_null());
    json_object_set(job, "id", json_object_get(session, "id"));
    json_object_set(job, "name", json_object_get(session, "name"));
    json_object_set_new(job, "state", json_string(word));
    json_object_set(job, "start_at", json_object_get(session, "started"));
    json_object_set_new(job, "nodes", json_pack("[o]", node));
    return job;
}
