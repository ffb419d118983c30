/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/interface_table.h"

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/output.h"
#include "shared/base/buf.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

static const char *item(const json_t *object, const char *name, size_t i)
{
    return json_string_value(json_array_get(json_object_get(object, name), i));
}

/* Flags with commas; NULL for none. */
static const char *format_flags(const json_t *interface, struct buf *out)
{
    const json_t *flags = json_object_get(interface, "flags");

    buf_reset(out);
    for (size_t i = 0; i < json_array_size(flags); i++) {
        const char *flag = json_string_value(json_array_get(flags, i));
        buf_put_str(out, out->len > 0 && flag != NULL ? "," : "");
        buf_put_str(out, flag == NULL ? "" : flag);
    }
    if (out->len == 0) {
        return NULL;
    }
    buf_put_u8(out, '\0');
    return (const char *)out->data;
}

/* An interface takes a line, each further address one of its own. */
static void add_rows(struct output_table *table, const json_t *interface, bool with_node,
                     struct buf *flags)
{
    char mtu[TEXT_NUMBER_MAX];
    size_t n = json_array_size(json_object_get(interface, "addresses"));
    const char *row[] = {
        field_text(interface, "node"),           field_text(interface, "name"),
        format_flags(interface, flags),          item(interface, "link_types", 0),
        field_count_cell(interface, "mtu", mtu), field_text(interface, "mac"),
        item(interface, "addresses", 0),         field_text(interface, "description"),
    };

    output_table_add(table, row + !with_node);
    for (size_t i = 1; i < n; i++) {
        const char *more[] = {"", "", "", "", "", "", item(interface, "addresses", i), ""};
        output_table_add(table, more + !with_node);
    }
}

static void warn(const json_t *interface)
{
    const char *name = field_text(interface, "name");
    size_t n = json_array_size(json_object_get(interface, "warnings"));

    for (size_t i = 0; i < n; i++) {
        struct buf line = {0};
        const char *warning = item(interface, "warnings", i);
        buf_put_u8(&line, '\'');
        output_put_name(&line, name == NULL ? "" : name);
        buf_put_str(&line, "': ");
        output_put_name(&line, warning == NULL ? "" : warning);
        buf_put_u8(&line, '\0');
        log_warn("%s", (const char *)line.data);
        buf_deinit(&line);
    }
}

void interface_table_print(const json_t *interfaces, bool with_node, FILE *out)
{
    static const struct output_column columns[] = {
        {"NODE", 0}, {"NAME", 0}, {"FLAGS", 0},     {"LINK TYPE", 0},
        {"MTU", 1},  {"MAC", 0},  {"ADDRESSES", 0}, {"DESCRIPTION", 0},
    };
    struct output_table *table =
        output_table_new(columns + !with_node, ARRAY_LEN(columns) - !with_node);
    struct buf flags = {0};
    size_t n = json_array_size(interfaces);

    for (size_t i = 0; i < n; i++) {
        add_rows(table, json_array_get(interfaces, i), with_node, &flags);
    }
    output_table_print(table, out);
    output_table_free(table);
    buf_deinit(&flags);
    fflush(out);
    for (size_t i = 0; i < n; i++) {
        warn(json_array_get(interfaces, i));
    }
}
