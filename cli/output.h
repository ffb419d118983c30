/* SPDX-License-Identifier: Apache-2.0
 *
 * How answers look on stdout: JSON by contract.md (one array or one object, unknown values null,
 * keys in the order they were set) and aligned tables. The values are made by shared/base/to_json.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

struct json_t; /* jansson's json_t */

/* Prints one value, indented, with a newline, and releases it. Characters that would steer a
 * terminal are escaped. ERR_IO when stdout takes no more. */
int output_json(FILE *out, struct json_t *value, struct err *err);

/* The same on one line, for "one object a line". */
int output_json_line(FILE *out, struct json_t *value, struct err *err);

/* Text of others on a terminal: what would steer it (control characters of ASCII and of Unicode's
 * second block, marks that turn the direction of writing) becomes '?', byte for byte. */
void output_clean(char *text);
/* The same, appended; "" becomes '-'. */
void output_put_name(struct buf *out, const char *name);

struct output_column {
    const char *title;
    int right; /* numbers: aligned to the right */
};

struct output_table;

/* The columns are borrowed until output_table_free. */
struct output_table *output_table_new(const struct output_column *columns, size_t n_columns);
void output_table_free(struct output_table *table);

/* One row, as many cells as columns, copied; NULL shows as "-", text is cleaned. */
void output_table_add(struct output_table *table, const char *const *cells);

/* Title line and rows, columns two blanks apart, no blanks at line ends. Nothing for no rows. */
void output_table_print(const struct output_table *table, FILE *out);
