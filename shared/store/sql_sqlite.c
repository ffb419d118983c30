/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/sql_sqlite.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/packets_vtab_sqlite.h"

/* What is shown of a statement behind the place of an error. */
#define QUOTE_MAX 30

/* Pragmas that only tell something. SQLCipher has others that write files. */
static const char *const pragmas[] = {"table_info",    "table_xinfo",   "table_list",
                                      "function_list", "module_list",   "compile_options",
                                      "database_list", "collation_list"};

static int authorize(void *arg, int action, const char *first, const char *second,
                     const char *schema, const char *trigger)
{
    (void)arg;
    (void)schema;
    (void)trigger;
    if (action == SQLITE_ATTACH || action == SQLITE_DETACH) {
        return SQLITE_DENY;
    }
    if (action == SQLITE_FUNCTION) {
        return sqlite3_stricmp(second, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    }
    if (action != SQLITE_PRAGMA) {
        return SQLITE_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(pragmas); i++) {
        if (sqlite3_stricmp(first, pragmas[i]) == 0) {
            return SQLITE_OK;
        }
    }
    return SQLITE_DENY;
}

static int open_memory(struct store *store, struct packets_vtab_stats *stats, sqlite3 **out,
                       struct err *err)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK) {
        sqlite3_close(db);
        return err_set(err, ERR_DATABASE, "cannot open a database in memory");
    }
    int r = packets_vtab_register(db, store, stats, err);
    if (r < 0) {
        sqlite3_close(db);
        return r;
    }
    sqlite3_set_authorizer(db, authorize, NULL);
    *out = db;
    return 0;
}

/* The sentence of an error in `statement`, which begins at `at` of the whole text. */
static int prepare_failed(sqlite3 *db, const char *text, const char *statement, struct err *err)
{
    int offset = sqlite3_error_offset(db);
    int code = sqlite3_errcode(db);

    if (code == SQLITE_AUTH) {
        return err_set(err, ERR_USAGE,
                       "%s: statements read the store and work in memory, they cannot open files "
                       "or change settings",
                       sqlite3_errmsg(db));
    }
    if (offset < 0) {
        return err_set(err, ERR_USAGE, "%s", sqlite3_errmsg(db));
    }
    const char *place = statement + offset;
    size_t n = strcspn(place, "\n");
    return err_set(err, ERR_USAGE, "%s, at character %zu: '%.*s%s'", sqlite3_errmsg(db),
                   (size_t)(place - text) + 1, n > QUOTE_MAX ? QUOTE_MAX : (int)n, place,
                   n > QUOTE_MAX ? "…" : "");
}

static void read_value(sqlite3_stmt *stmt, int column, struct sql_value *out)
{
    *out = (struct sql_value){.type = SQL_NULL};
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        out->type = SQL_INTEGER;
        out->integer = sqlite3_column_int64(stmt, column);
        return;
    case SQLITE_FLOAT:
        out->type = SQL_REAL;
        out->real = sqlite3_column_double(stmt, column);
        return;
    case SQLITE_TEXT:
        out->type = SQL_TEXT;
        out->bytes = sqlite3_column_text(stmt, column);
        break;
    case SQLITE_BLOB:
        out->type = SQL_BLOB;
        out->bytes = sqlite3_column_blob(stmt, column);
        break;
    default:
        return;
    }
    out->n = (size_t)sqlite3_column_bytes(stmt, column);
    out->bytes = out->bytes == NULL ? "" : out->bytes;
}

static int step_all(sqlite3 *db, sqlite3_stmt *stmt, size_t n, struct sql_value *values,
                    struct sql_output *output, struct err *err)
{
    int code;
    int r = 0;

    while (r == 0 && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (size_t i = 0; i < n; i++) {
            read_value(stmt, (int)i, &values[i]);
        }
        r = output->row(output, values, n, err);
    }
    if (r == 0 && code != SQLITE_DONE) {
        r = err_set(err, ERR_DATABASE, "%s", sqlite3_errmsg(db));
    }
    return r;
}

static int run_statement(sqlite3 *db, sqlite3_stmt *stmt, struct sql_output *output,
                         struct err *err)
{
    size_t n = (size_t)sqlite3_column_count(stmt);
    struct sql_value *values = x_alloc(n * sizeof *values);
    const char **names = x_alloc(n * sizeof *names);
    int r = 0;

    for (size_t i = 0; i < n; i++) {
        const char *name = sqlite3_column_name(stmt, (int)i);
        names[i] = name == NULL ? "" : name;
    }
    if (n > 0) {
        r = output->begin(output, names, n, err);
    }
    if (r == 0) {
        r = step_all(db, stmt, n, values, output, err);
    }
    if (n > 0 && r == 0) {
        r = output->end(output, err);
    }
    mem_free(values);
    mem_free(names);
    return r;
}

int sql_run(struct store *store, const char *text, struct sql_output *output,
            struct scan_damage *damage, struct err *err)
{
    struct packets_vtab_stats stats = {0};
    const char *at = text;
    sqlite3 *db = NULL;
    int r = open_memory(store, &stats, &db, err);

    while (r == 0 && *at != '\0') {
        sqlite3_stmt *stmt = NULL;
        const char *rest = NULL;
        if (sqlite3_prepare_v2(db, at, -1, &stmt, &rest) != SQLITE_OK) {
            r = prepare_failed(db, text, at, err);
            break;
        }
        if (stmt != NULL) { /* else blanks and comments */
            r = run_statement(db, stmt, output, err);
        }
        sqlite3_finalize(stmt);
        at = rest;
    }
    sqlite3_close(db);
    *damage = stats.damage;
    return r;
}
