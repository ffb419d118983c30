/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"

#define COLUMN_GAP 2

struct output_table {
    const struct output_column *columns;
    size_t n_columns;
    char **cells; /* row after row */
    size_t n_cells;
    size_t room;
};

static int dump(FILE *out, json_t *value, size_t flags, struct err *err)
{
    int rc = json_dumpf(value, out, flags | JSON_ENCODE_ANY);

    json_decref(value);
    if (rc < 0 || fputc('\n', out) == EOF) {
        return err_errno(err, errno, "writing to standard output");
    }
    return 0;
}

int output_json(FILE *out, json_t *value, struct err *err)
{
    return dump(out, value, JSON_INDENT(2), err);
}

int output_json_line(FILE *out, json_t *value, struct err *err)
{
    return dump(out, value, JSON_COMPACT, err);
}

void output_put_name(struct buf *out, const char *name)
{
    for (name = *name == '\0' ? "-" : name; *name != '\0'; name++) {
        uint8_t c = (uint8_t)*name;
        buf_put_u8(out, c < 0x20 || c == 0x7F ? '?' : c);
    }
}

struct output_table *output_table_new(const struct output_column *columns, size_t n_columns)
{
    struct output_table *table = x_alloc(sizeof *table);

    table->columns = columns;
    table->n_columns = n_columns;
    return table;
}

void output_table_free(struct output_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        mem_free(table->cells[i]);
    }
    mem_free(table->cells);
    mem_free(table);
}

void output_table_add(struct output_table *table, const char *const *cells)
{
    if (table->room - table->n_cells < table->n_columns) {
        table->room = table->room * 2 + table->n_columns * 16;
        table->cells = x_realloc(table->cells, table->room * sizeof *table->cells);
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        char *cell = x_strdup(cells[i] == NULL ? "-" : cells[i]);
        for (char *p = cell; *p != '\0'; p++) {
            *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
        }
        table->cells[table->n_cells++] = cell;
    }
}

/* Characters, not bytes; wide ones count as one. */
static size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += (*text & 0xc0) != 0x80;
    }
    return width;
}

static size_t column_width(const struct output_table *table, size_t column)
{
    size_t width = text_width(table->columns[column].title);

    for (size_t i = column; i < table->n_cells; i += table->n_columns) {
        size_t n = text_width(table->cells[i]);
        width = n > width ? n : width;
    }
    return width;
}

/* Blanks are only written when text follows them, so no line ends with any. */
static void print_row(const struct output_table *table, const size_t *widths,
                      const char *const *cells, FILE *out)
{
    size_t blanks = 0;

    for (size_t i = 0; i < table->n_columns; i++) {
        size_t pad = widths[i] - text_width(cells[i]);
        bool right = table->columns[i].right;
        if (*cells[i] != '\0') {
            fprintf(out, "%*s%s", (int)(blanks + (right ? pad : 0)), "", cells[i]);
            blanks = right ? 0 : pad;
        } else {
            blanks += pad;
        }
        blanks += COLUMN_GAP;
    }
    fputc('\n', out);
}

void output_table_print(const struct output_table *table, FILE *out)
{
    size_t n = table->n_columns;

    if (table->n_cells == 0) {
        return;
    }
    size_t *widths = x_alloc(n * sizeof *widths);
    const char **titles = x_alloc(n * sizeof *titles);
    for (size_t i = 0; i < n; i++) {
        widths[i] = column_width(table, i);
        titles[i] = table->columns[i].title;
    }
    print_row(table, widths, titles, out);
    for (size_t i = 0; i < table->n_cells; i += n) {
        print_row(table, widths, (const char *const *)table->cells + i, out);
    }
    mem_free(titles);
    mem_free(widths);
}
