/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch_summary.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/output.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"

static void print_table(const struct watch *watch)
{
    static const struct output_column columns[] = {{"NODE", 0},  {"PACKETS", 1}, {"BYTES", 1},
                                                   {"LOST", 1},  {"DROPPED", 1}, {"LATE", 1},
                                                   {"EARLY", 1}, {"GAPS", 1},    {"NOTE", 0}};
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));

    for (uint32_t i = 0; i < watch_n_nodes(watch); i++) {
        struct watch_told told = watch_told(watch, i);
        const uint64_t counts[] = {told.packets, told.lost, told.dropped, told.late, told.early};
        char texts[ARRAY_LEN(counts)][24];
        char bytes[TEXT_NUMBER_MAX];
        char gaps[16];

        for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
            (void)snprintf(texts[k], sizeof texts[k], "%" PRIu64, counts[k]);
        }
        text_format_size(told.bytes, bytes);
        (void)snprintf(gaps, sizeof gaps, "%" PRIu32, told.n_gaps);
        output_table_add(table,
                         (const char *const[]){told.node, texts[0], bytes, texts[1], texts[2],
                                               texts[3], texts[4], gaps, told.why});
    }
    output_table_print(table, stderr);
    output_table_free(table);
}

static json_t *to_json(const struct watch *watch)
{
    json_t *nodes = json_array();
    json_t *object = json_object();

    for (uint32_t i = 0; i < watch_n_nodes(watch); i++) {
        struct watch_told told = watch_told(watch, i);
        json_t *one = json_object();
        json_object_set_new(one, "node", to_json_text(told.node));
        json_object_set_new(one, "id", to_json_text(told.id[0] == '\0' ? NULL : told.id));
        json_object_set_new(one, "packets", to_json_count(told.packets));
        json_object_set_new(one, "bytes", to_json_count(told.bytes));
        json_object_set_new(one, "lost", to_json_count(told.lost));
        json_object_set_new(one, "dropped", to_json_count(told.dropped));
        json_object_set_new(one, "late", to_json_count(told.late));
        json_object_set_new(one, "early", to_json_count(told.early));
        json_object_set_new(one, "gaps", to_json_count(told.n_gaps));
        json_object_set_new(one, "whole", json_boolean(told.is_whole));
        json_object_set_new(one, "why", to_json_text(told.why[0] == '\0' ? NULL : told.why));
        json_array_append_new(nodes, one);
    }
    json_object_set_new(object, "packets", to_json_count(watch_sum(watch).packets));
    json_object_set_new(object, "nodes", nodes);
    return object;
}

void watch_summary(struct command_context *ctx, const struct watch *watch)
{
    if (ctx->global.json) {
        (void)output_json(stdout, to_json(watch), NULL);
    } else if (!ctx->global.quiet) {
        print_table(watch);
    }
}
