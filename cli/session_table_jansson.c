/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session_table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/output.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

/* Of the names in a cell; what does not fit is counted. */
#define INTERFACES_MAX 40

static void say_interfaces(const json_t *session, struct buf *out)
{
    const json_t *interfaces = json_object_get(session, "interfaces");
    size_t n = json_array_size(interfaces);

    buf_reset(out);
    for (size_t i = 0; i < n; i++) {
        const char *name = field_text(json_array_get(interfaces, i), "name");
        name = name == NULL ? "-" : name;
        if (i > 0 && out->len + strlen(name) + 1 > INTERFACES_MAX) {
            buf_printf(out, " +%zu", n - i);
            break;
        }
        buf_put_str(out, i > 0 ? "," : "");
        buf_put_str(out, name);
    }
    buf_put_u8(out, '\0');
}

/* Packets lost on the way into the store. What a platform does not count makes the sum a lower
 * bound. */
static void say_loss(const json_t *session, char *out)
{
    static const char *const stages[] = {"kernel", "interface", "store"};
    const json_t *loss = json_object_get(session, "loss");
    uint64_t sum = 0;
    bool all_known = true;

    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        uint64_t count = field_count(loss, stages[i]);
        all_known = all_known && count != UINT64_MAX;
        sum += count != UINT64_MAX ? count : 0;
    }
    if (all_known) {
        snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64, sum);
    } else if (sum > 0) {
        snprintf(out, TEXT_NUMBER_MAX, ">=%" PRIu64, sum);
    } else {
        snprintf(out, TEXT_NUMBER_MAX, "n/a");
    }
}

static const char *state_of(const json_t *session)
{
    const char *state = field_text(session, "state");
    bool is_cut =
        state != NULL && strcmp(state, "complete") == 0 && field_text(session, "error") != NULL;

    return is_cut ? "cut short" : state;
}

static const char *duration_of(const json_t *session, uint64_t now_ns, char *out)
{
    uint64_t started_ns = field_time_ns(session, "started");
    uint64_t ended_ns = field_time_ns(session, "ended");
    const char *state = field_text(session, "state");

    if (ended_ns == 0 && state != NULL && strcmp(state, "running") == 0) {
        ended_ns = now_ns;
    }
    if (started_ns == 0 || ended_ns < started_ns) {
        return NULL;
    }
    text_format_duration(ended_ns - started_ns, out);
    return out;
}

static void add_row(struct output_table *table, const json_t *session, bool with_node,
                    uint64_t now_ns, struct buf *interfaces)
{
    char started[TEXT_NUMBER_MAX];
    char duration[TEXT_NUMBER_MAX];
    char packets[TEXT_NUMBER_MAX];
    char bytes[TEXT_NUMBER_MAX];
    char stored[TEXT_NUMBER_MAX];
    char loss[TEXT_NUMBER_MAX];
    uint64_t started_ns = field_time_ns(session, "started");

    text_format_time(started_ns, started);
    say_interfaces(session, interfaces);
    say_loss(session, loss);
    const char *cells[] = {
        field_text(session, "node"),
        field_text(session, "id"),
        field_text(session, "name"),
        state_of(session),
        started_ns == 0 ? NULL : started,
        duration_of(session, now_ns, duration),
        field_count_cell(session, "packets", packets),
        field_size_cell(session, "bytes", bytes),
        field_size_cell(session, "stored_bytes", stored),
        loss,
        (const char *)interfaces->data,
    };
    output_table_add(table, cells + !with_node);
}

void session_table_print(const json_t *sessions, bool with_node, uint64_t now_ns, FILE *out)
{
    static const struct output_column columns[] = {
        {"NODE", 0},    {"ID", 0},       {"NAME", 0},       {"STATE", 0},
        {"STARTED", 0}, {"DURATION", 1}, {"PACKETS", 1},    {"BYTES", 1},
        {"STORED", 1},  {"LOST", 1},     {"INTERFACES", 0},
    };
    struct output_table *table =
        output_table_new(columns + !with_node, ARRAY_LEN(columns) - !with_node);
    struct buf interfaces = {0};

    for (size_t i = 0; i < json_array_size(sessions); i++) {
        add_row(table, json_array_get(sessions, i), with_node, now_ns, &interfaces);
    }
    output_table_print(table, out);
    output_table_free(table);
    buf_deinit(&interfaces);
}
