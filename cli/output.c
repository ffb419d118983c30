/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"

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

/* Bytes of the UTF-8 sequence at p (RFC 3629), 0 when it is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80                    ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0  ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0  ? 3
               : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                              : 0;

    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates and what lies above U+10FFFF. */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static char *mend_utf8(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *mended = x_alloc(strlen(text) * (sizeof replacement - 1) + 1);
    char *out = mended;

    while (*text != '\0') {
        size_t n = utf8_length((const unsigned char *)text);
        const char *from = n == 0 ? replacement : text;
        size_t take = n == 0 ? sizeof replacement - 1 : n;
        memcpy(out, from, take);
        out += take;
        text += n == 0 ? 1 : n;
    }
    return mended;
}

json_t *output_json_text(const char *text)
{
    if (text == NULL || *text == '\0') {
        return json_null();
    }
    json_t *value = json_string(text);
    if (value == NULL) {
        char *mended = mend_utf8(text);
        value = json_string(mended);
        mem_free(mended);
    }
    REQUIRE(value != NULL);
    return value;
}

json_t *output_json_count(uint64_t count)
{
    if (count == UINT64_MAX) {
        return json_null();
    }
    return count > INT64_MAX ? json_real((double)count) : json_integer((json_int_t)count);
}

json_t *output_json_time(uint64_t ns)
{
    char text[TEXT_NUMBER_MAX];

    if (ns == UINT64_MAX) {
        return json_null();
    }
    text_format_time(ns, text);
    return json_string(text);
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
