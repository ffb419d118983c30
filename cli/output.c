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

/* How many bytes of a character that would steer a terminal begin here; 0: none. The controls of
 * ASCII, U+0080 to U+009F, and the marks of writing direction U+200E, U+200F, U+202A to U+202E and
 * U+2066 to U+2069. Looks at no byte behind the end of the text. */
static size_t steering(const uint8_t *p)
{
    if (*p < 0x20 || *p == 0x7F) {
        return 1;
    }
    if (p[0] == 0xC2) {
        return p[1] >= 0x80 && p[1] <= 0x9F ? 2 : 0;
    }
    if (p[0] != 0xE2) {
        return 0;
    }
    bool marks = p[1] == 0x80 && (p[2] == 0x8E || p[2] == 0x8F || (p[2] >= 0xAA && p[2] <= 0xAE));
    return marks || (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9) ? 3 : 0;
}

void output_clean(char *text)
{
    for (uint8_t *p = (uint8_t *)text; *p != '\0'; p++) {
        for (size_t n = steering(p); n > 0; n--) {
            p[n - 1] = '?';
        }
    }
}

/* jansson escapes the controls of ASCII alone. A character that steers is in a string, or nowhere.
 * The text comes in pieces that end between characters. */
static int write_escaped(const char *text, size_t n, void *arg)
{
    FILE *out = arg;
    size_t from = 0;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = (const uint8_t *)text + i;
        size_t length = *p == 0xC2 ? 2 : 3;
        if ((*p != 0xC2 && *p != 0xE2) || n - i < length || steering(p) != length) {
            continue;
        }
        unsigned point = length == 2 ? p[1] : 0x2000u | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        fwrite(text + from, 1, i - from, out);
        fprintf(out, "\\u%04x", point);
        i += length - 1;
        from = i + 1;
    }
    fwrite(text + from, 1, n - from, out);
    return ferror(out) ? -1 : 0;
}

static int dump(FILE *out, json_t *value, size_t flags, struct err *err)
{
    int rc = json_dump_callback(value, write_escaped, out, flags | JSON_ENCODE_ANY);

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
    size_t at = out->len;

    buf_put_str(out, *name == '\0' ? "-" : name);
    buf_put_u8(out, '\0');
    output_clean((char *)out->data + at);
    out->len--;
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
        output_clean(cell);
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
