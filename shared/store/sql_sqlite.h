/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs SQL over an open store: a database in memory that holds nothing but the tables of
 * packets_vtab_sqlite. The statements are a user's and may do what they like to that database; no
 * file can be reached from it and the store is not written. Driver: `packetrecorder sql`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/store/scan.h"

enum sql_type { SQL_NULL, SQL_INTEGER, SQL_REAL, SQL_TEXT, SQL_BLOB };

/* Borrowed until the next row. */
struct sql_value {
    enum sql_type type;
    int64_t integer;
    double real;
    const void *bytes; /* text, with a terminator behind it, or blob */
    size_t n;
};

/* Takes results. A negative code ends the run with it. */
struct sql_output {
    /* A statement that gives rows begins. */
    int (*begin)(struct sql_output *output, const char *const *names, size_t n, struct err *err);
    int (*row)(struct sql_output *output, const struct sql_value *values, size_t n,
               struct err *err);
    int (*end)(struct sql_output *output, struct err *err);
};

/* All statements of the text, in order, up to the first error: ERR_USAGE for what SQLite does not
 * understand, with its words and the place, ERR_DATABASE for what goes wrong while it runs. What
 * could not be read of the store is in *damage. */
int sql_run(struct store *store, const char *text, struct sql_output *output,
            struct scan_damage *damage, struct err *err);
