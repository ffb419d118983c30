/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/store_handle.h"

#include <string.h>

#include "shared/base/mem.h"

#define PREFIX_MIN 8

/* Rows that fit; *row is the first. By id first, then prefix, then name, so that a name cannot hide
 * an id. */
static int count_rows(struct store *store, const char *sql, const char *text, int64_t *row,
                      struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int n = 0;
    int r = catalogue_query(&store->catalogue, &stmt, err, sql, "s", text);

    if (r < 0) {
        return r;
    }
    while ((r = catalogue_step(&store->catalogue, stmt, err)) > 0) {
        if (n++ == 0) {
            *row = sqlite3_column_int64(stmt, 0);
        }
    }
    sqlite3_finalize(stmt);
    return r < 0 ? r : n;
}

int store_session_find(struct store *store, const char *text, struct store_session **out,
                       struct err *err)
{
    static const char *const by[] = {
        "SELECT row FROM session WHERE id = lower(?)",
        "SELECT row FROM session WHERE substr(id, 1, length(?1)) = lower(?1) LIMIT 2",
        "SELECT row FROM session WHERE name = ? LIMIT 2",
    };
    bool last = strcmp(text, "last") == 0;
    int64_t row = 0;
    int n = 0;

    if (last) {
        n = count_rows(store,
                       "SELECT row FROM session WHERE ? IS NOT NULL"
                       " ORDER BY started DESC, row DESC LIMIT 1",
                       text, &row, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(by) && n == 0; i++) {
        if (i != 1 || strlen(text) >= PREFIX_MIN) {
            n = count_rows(store, by[i], text, &row, err);
        }
    }
    if (n < 0) {
        return n;
    }
    if (n == 0) {
        return err_set(err, ERR_NOT_FOUND,
                       last ? "the store '%s' holds no session"
                            : "the store '%s' holds no session '%s': 'sessions' lists "
                              "them (an id needs at least 8 characters)",
                       store->path, text);
    }
    if (n > 1) {
        return err_set(err, ERR_AMBIGUOUS,
                       "'%s' fits several sessions: give more of the id (packetrecorder sessions)",
                       text);
    }
    size_t count = 0;
    int r = catalogue_sessions(&store->catalogue, row, out, &count, err);
    return r < 0 || count == 1 ? r : err_set(err, ERR_NOT_FOUND, "session '%s' is gone", text);
}

int store_count_sessions(struct store *store, uint64_t *n, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(&store->catalogue, &stmt, err, "SELECT count(*) FROM session", "");

    if (r < 0) {
        return r;
    }
    r = catalogue_step(&store->catalogue, stmt, err);
    if (r > 0) {
        *n = (uint64_t)sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return r < 0 ? r : 0;
}
