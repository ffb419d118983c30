/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/audit.h"

#include <stdio.h>

#include "shared/base/mem.h"
#include "shared/store/store_handle.h"

/* Made with the first entry: older stores have none, and programs from before it do not mind. */
static const char make_table[] =
    "CREATE TABLE IF NOT EXISTS audit(row INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER,"
    " who TEXT, peer TEXT, method TEXT, target TEXT, outcome TEXT)";

static int add_all(struct catalogue *c, const struct store_audit_entry *entries, size_t n,
                   struct err *err)
{
    int r = catalogue_run(c, err, make_table, "");

    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct store_audit_entry *e = &entries[i];
        r = catalogue_run(c, err,
                          "INSERT INTO audit(time, who, peer, method, target, outcome)"
                          " VALUES(?,?,?,?,?,?)",
                          "tsssss", e->time_ns, e->who, e->peer, e->method, e->target, e->outcome);
    }
    if (r == 0) {
        r = catalogue_run(c, err, "DELETE FROM audit WHERE row <= (SELECT max(row) FROM audit) - ?",
                          "i", (int64_t)STORE_AUDIT_KEPT);
    }
    return r;
}

int store_audit_add(struct store *store, const struct store_audit_entry *entries, size_t n,
                    struct err *err)
{
    struct catalogue *c = &store->catalogue;
    int r = catalogue_begin(c, err);

    if (r < 0) {
        return r;
    }
    r = add_all(c, entries, n, err);
    if (r == 0) {
        r = catalogue_commit(c, err);
    }
    if (r < 0) {
        catalogue_rollback(c);
    }
    return r;
}

static void read_text(sqlite3_stmt *stmt, int column, char out[STORE_AUDIT_TEXT])
{
    const unsigned char *text = sqlite3_column_text(stmt, column);

    snprintf(out, STORE_AUDIT_TEXT, "%s", text == NULL ? "" : (const char *)text);
}

static void read_entry(sqlite3_stmt *stmt, struct store_audit_entry *out)
{
    out->time_ns = CATALOGUE_UNTIME(sqlite3_column_int64(stmt, 0));
    read_text(stmt, 1, out->who);
    read_text(stmt, 2, out->peer);
    read_text(stmt, 3, out->method);
    read_text(stmt, 4, out->target);
    read_text(stmt, 5, out->outcome);
}

/* 1, 0 or negative. Asked as a statement: what the connection remembers of the tables may be older
 * than the first entry, which another one made. */
static int has_table(struct catalogue *c, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(
        c, &stmt, err, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'audit'", "");

    if (r == 0) {
        r = catalogue_step(c, stmt, err);
        sqlite3_finalize(stmt);
    }
    return r;
}

int store_audit_list(struct store *store, size_t limit, struct store_audit_entry **out, size_t *n,
                     struct err *err)
{
    struct catalogue *c = &store->catalogue;
    sqlite3_stmt *stmt = NULL;
    size_t count = 0;

    *out = NULL;
    *n = 0;
    int r = has_table(c, err);
    if (r <= 0) {
        return r; /* 0: nothing was ever changed */
    }
    limit = limit < STORE_AUDIT_KEPT ? limit : (size_t)STORE_AUDIT_KEPT;
    r = catalogue_query(c, &stmt, err,
                        "SELECT time, who, peer, method, target, outcome FROM (SELECT * FROM"
                        " audit ORDER BY row DESC LIMIT ?) ORDER BY row",
                        "i", (int64_t)limit);
    if (r < 0) {
        return r;
    }
    struct store_audit_entry *list = x_alloc(limit * sizeof *list);
    while (count < limit && (r = catalogue_step(c, stmt, err)) > 0) {
        read_entry(stmt, &list[count++]);
    }
    sqlite3_finalize(stmt);
    if (r < 0) {
        mem_free(list);
        return r;
    }
    *out = list;
    *n = count;
    return 0;
}
