/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_table.h"

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/output.h"
#include "shared/base/mem.h"

void key_table_print(const json_t *keys, bool with_node, FILE *out)
{
    static const struct output_column columns[] = {
        {"NODE", 0},    {"ID", 0},      {"NAME", 0},  {"ROLE", 0},
        {"CREATED", 0}, {"EXPIRES", 0}, {"STATE", 0},
    };
    struct output_table *table =
        output_table_new(columns + !with_node, ARRAY_LEN(columns) - !with_node);

    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *expires = field_text(key, "expires");
        const char *cells[] = {field_text(key, "node"),    field_text(key, "id"),
                               field_text(key, "name"),    field_text(key, "role"),
                               field_text(key, "created"), expires == NULL ? "never" : expires,
                               field_text(key, "state")};
        output_table_add(table, cells + !with_node);
    }
    output_table_print(table, out);
    output_table_free(table);
}
