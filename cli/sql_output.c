/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sql_output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/output.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

/* Rows that are gathered to be aligned; then they are printed and the next ones begin a new table.
 */
#define TABLE_ROWS 500

struct printer {
    struct sql_output output;
    enum sql_style style;
    size_t n;
    char **names; /* owned copies */
    struct output_table *table;
    struct output_column *columns;
    size_t n_rows; /* of the statement, or of the table */
    struct buf *cells;
};

static struct printer *printer_of(struct sql_output *output)
{
    return container_of(output, struct printer, output);
}

static int check_stdout(struct err *err)
{
    return ferror(stdout) ? err_errno(err, errno, "writing to standard output") : 0;
}

static void put_hex(struct buf *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        buf_put_u8(out, (uint8_t)digits[bytes[i] >> 4]);
        buf_put_u8(out, (uint8_t)digits[bytes[i] & 15]);
    }
}

/* On one line and in one cell: what would break either is written as in C. */
static void put_text(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c == '\t' || c == '\n' || c == '\r') {
            buf_put_str(out, c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r");
        } else {
            buf_put_u8(out, c < 0x20 || c == 0x7F ? '?' : c);
        }
    }
}

static void put_value(struct buf *out, const struct sql_value *value)
{
    switch (value->type) {
    case SQL_INTEGER:
        buf_printf(out, "%" PRId64, value->integer);
        break;
    case SQL_REAL:
        buf_printf(out, "%.15g", value->real);
        break;
    case SQL_TEXT:
        put_text(out, value->bytes, value->n);
        break;
    case SQL_BLOB:
        put_hex(out, value->bytes, value->n);
        break;
    default:
        break;
    }
}

static json_t *json_value(const struct sql_value *value)
{
    struct buf hex = {0};
    json_t *out;

    switch (value->type) {
    case SQL_INTEGER:
        return json_integer(value->integer);
    case SQL_REAL:
        out = json_real(value->real);
        return out == NULL ? json_null() : out; /* infinite */
    case SQL_TEXT:
        return value->n == 0 ? json_string("") : to_json_text(value->bytes);
    case SQL_BLOB:
        put_hex(&hex, value->bytes, value->n);
        out = json_stringn(hex.len > 0 ? (const char *)hex.data : "", hex.len);
        buf_deinit(&hex);
        return out;
    default:
        return json_null();
    }
}

static void forget(struct printer *p)
{
    for (size_t i = 0; i < p->n; i++) {
        mem_free(p->names[i]);
        buf_deinit(&p->cells[i]);
    }
    mem_free(p->names);
    mem_free(p->cells);
    mem_free(p->columns);
    p->names = NULL;
    p->cells = NULL;
    p->columns = NULL;
    p->n = 0;
}

static void print_table(struct printer *p)
{
    if (p->table != NULL) {
        output_table_print(p->table, stdout);
        output_table_free(p->table);
        p->table = NULL;
    }
}

static void tabs_line(const struct printer *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (i > 0) {
            putchar('\t');
        }
        fwrite(p->cells[i].data, 1, p->cells[i].len, stdout);
    }
    putchar('\n');
}

static int printer_begin(struct sql_output *output, const char *const *names, size_t n,
                         struct err *err)
{
    struct printer *p = printer_of(output);

    forget(p);
    p->n = n;
    p->n_rows = 0;
    p->names = x_alloc(n * sizeof *p->names);
    p->cells = x_alloc(n * sizeof *p->cells);
    p->columns = x_alloc(n * sizeof *p->columns);
    for (size_t i = 0; i < n; i++) {
        p->names[i] = x_strdup(names[i]);
        p->columns[i].title = p->names[i];
        put_text(&p->cells[i], names[i], strlen(names[i]));
    }
    if (p->style == SQL_STYLE_TABS) {
        tabs_line(p);
    } else if (p->style == SQL_STYLE_JSON) {
        putchar('[');
    }
    return check_stdout(err);
}

static void json_row(struct printer *p, const struct sql_value *values)
{
    json_t *object = json_object();

    for (size_t i = 0; i < p->n; i++) {
        json_object_set_new(object, p->names[i], json_value(&values[i]));
    }
    fputs(p->n_rows > 1 ? ",\n" : "\n", stdout);
    json_dumpf(object, stdout, JSON_COMPACT);
    json_decref(object);
}

static void table_row(struct printer *p, const struct sql_value *values)
{
    const char **cells = x_alloc(p->n * sizeof *cells);

    if (p->n_rows > TABLE_ROWS) {
        print_table(p);
        putchar('\n');
        p->n_rows = 1;
    }
    if (p->table == NULL) {
        for (size_t i = 0; i < p->n; i++) {
            p->columns[i].right = values[i].type == SQL_INTEGER || values[i].type == SQL_REAL;
        }
        p->table = output_table_new(p->columns, p->n);
    }
    for (size_t i = 0; i < p->n; i++) {
        buf_put_u8(&p->cells[i], '\0');
        cells[i] = values[i].type == SQL_NULL ? NULL : (const char *)p->cells[i].data;
    }
    output_table_add(p->table, cells);
    mem_free(cells);
}

static int printer_row(struct sql_output *output, const struct sql_value *values, size_t n,
                       struct err *err)
{
    struct printer *p = printer_of(output);

    (void)n;
    p->n_rows++;
    if (p->style == SQL_STYLE_JSON) {
        json_row(p, values);
        return check_stdout(err);
    }
    for (size_t i = 0; i < p->n; i++) {
        buf_reset(&p->cells[i]);
        put_value(&p->cells[i], &values[i]);
    }
    if (p->style == SQL_STYLE_TABS) {
        tabs_line(p);
    } else {
        table_row(p, values);
    }
    return check_stdout(err);
}

static int printer_end(struct sql_output *output, struct err *err)
{
    struct printer *p = printer_of(output);

    if (p->style == SQL_STYLE_JSON) {
        fputs(p->n_rows > 0 ? "\n]\n" : "]\n", stdout);
    }
    print_table(p);
    return check_stdout(err);
}

struct sql_output *sql_output_new(enum sql_style style)
{
    struct printer *p = x_alloc(sizeof *p);

    p->style = style;
    p->output = (struct sql_output){.begin = printer_begin, .row = printer_row, .end = printer_end};
    return &p->output;
}

void sql_output_free(struct sql_output *output)
{
    if (output != NULL) {
        struct printer *p = printer_of(output);
        print_table(p);
        forget(p);
        mem_free(p);
    }
}
