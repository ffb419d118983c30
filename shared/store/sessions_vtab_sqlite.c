/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables sessions and interfaces. Both hold little: a cursor reads them whole.
 *
 *   sessions(id, name, node, state, filter, started, ended, packets, bytes, stored_bytes,
 *            first_time, last_time, tags, loss_kernel, loss_interface, loss_limit, loss_store)
 *   interfaces(session, number, name, link_type, snaplen, description, mac, filter, speed_bps, os)
 */
#include <stdio.h>

#include "shared/base/addr.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/link_type.h"
#include "shared/store/store_vtab_sqlite.h"

#define SESSIONS_SCHEMA                                                                            \
    "CREATE TABLE sessions(id TEXT, name TEXT, node TEXT, state TEXT, \"filter\" TEXT,"            \
    " started TEXT, ended TEXT, packets INTEGER, bytes INTEGER, stored_bytes INTEGER,"             \
    " first_time TEXT, last_time TEXT, tags TEXT, loss_kernel INTEGER, loss_interface INTEGER,"    \
    " loss_limit INTEGER, loss_store INTEGER)"
#define INTERFACES_SCHEMA                                                                          \
    "CREATE TABLE interfaces(session TEXT, number INTEGER, name TEXT, link_type TEXT,"             \
    " snaplen INTEGER, description TEXT, mac TEXT, \"filter\" TEXT, speed_bps INTEGER, os TEXT)"

struct rows_cursor {
    sqlite3_vtab_cursor base;
    struct store_session *sessions; /* owned */
    size_t n;
    size_t at;
    uint32_t iface;
    bool by_iface; /* rows are interfaces */
    sqlite3_int64 row;
};

static struct rows_cursor *cursor_of(sqlite3_vtab_cursor *base)
{
    return (struct rows_cursor *)base;
}

static int sessions_connect(sqlite3 *db, void *module, int argc, const char *const *argv,
                            sqlite3_vtab **out, char **error)
{
    return store_vtab_connect(db, module, argc, argv, SESSIONS_SCHEMA, out, error);
}

static int interfaces_connect(sqlite3 *db, void *module, int argc, const char *const *argv,
                              sqlite3_vtab **out, char **error)
{
    return store_vtab_connect(db, module, argc, argv, INTERFACES_SCHEMA, out, error);
}

static int rows_best(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    (void)vtab;
    info->estimatedCost = 100;
    info->estimatedRows = 100;
    return SQLITE_OK;
}

static int open_cursor(bool by_iface, sqlite3_vtab_cursor **out)
{
    struct rows_cursor *cursor = x_alloc(sizeof *cursor);

    cursor->by_iface = by_iface;
    *out = &cursor->base;
    return SQLITE_OK;
}

static int sessions_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    (void)vtab;
    return open_cursor(false, out);
}

static int interfaces_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    (void)vtab;
    return open_cursor(true, out);
}

static void clear(struct rows_cursor *cursor)
{
    store_sessions_free(cursor->sessions, cursor->n);
    cursor->sessions = NULL;
    cursor->n = 0;
}

static int rows_close(sqlite3_vtab_cursor *base)
{
    clear(cursor_of(base));
    mem_free(base);
    return SQLITE_OK;
}

/* Over sessions without interfaces. */
static void settle(struct rows_cursor *cursor)
{
    while (cursor->by_iface && cursor->at < cursor->n &&
           cursor->iface >= cursor->sessions[cursor->at].n_ifaces) {
        cursor->at++;
        cursor->iface = 0;
    }
}

static int rows_filter(sqlite3_vtab_cursor *base, int flags, const char *constraints, int n,
                       sqlite3_value **values)
{
    struct rows_cursor *cursor = cursor_of(base);
    struct store_vtab *vtab = (struct store_vtab *)base->pVtab;
    struct err err = {0};

    (void)flags;
    (void)constraints;
    (void)n;
    (void)values;
    clear(cursor);
    cursor->at = 0;
    cursor->iface = 0;
    cursor->row = 1;
    int r = store_sessions(vtab->store, &cursor->sessions, &cursor->n, &err);
    if (r < 0) {
        return store_vtab_fail(base->pVtab, &err);
    }
    settle(cursor);
    return SQLITE_OK;
}

static int rows_next(sqlite3_vtab_cursor *base)
{
    struct rows_cursor *cursor = cursor_of(base);

    cursor->row++;
    if (cursor->by_iface) {
        cursor->iface++;
        settle(cursor);
    } else {
        cursor->at++;
    }
    return SQLITE_OK;
}

static int rows_eof(sqlite3_vtab_cursor *base)
{
    return cursor_of(base)->at >= cursor_of(base)->n;
}

static int rows_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = cursor_of(base)->row;
    return SQLITE_OK;
}

static void give_text(sqlite3_context *context, const char *text)
{
    if (text[0] != '\0') {
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    }
}

static void give_time(sqlite3_context *context, uint64_t ns, uint64_t unknown)
{
    char text[TEXT_NUMBER_MAX];

    if (ns != unknown) {
        text_format_time(ns, text);
        give_text(context, text);
    }
}

static void give_count(sqlite3_context *context, uint64_t count)
{
    if (count <= INT64_MAX) {
        sqlite3_result_int64(context, (sqlite3_int64)count);
    }
}

static int sessions_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    const struct rows_cursor *cursor = cursor_of(base);
    const struct store_session *s = &cursor->sessions[cursor->at];
    const char *const texts[] = {s->id, s->name, s->node, store_state_name(s->state), s->filter};
    const uint64_t sizes[] = {s->packets, s->bytes, s->stored_bytes};
    const uint64_t losses[] = {s->loss.kernel, s->loss.interface, s->loss.limit, s->loss.store};

    if (column < 5) {
        give_text(context, texts[column]);
    } else if (column < 7) {
        give_time(context, column == 5 ? s->started_ns : s->ended_ns, 0);
    } else if (column < 10) {
        give_count(context, sizes[column - 7]);
    } else if (column < 12) {
        if (s->packets > 0) {
            give_time(context, column == 10 ? s->first_ns : s->last_ns, UINT64_MAX);
        }
    } else if (column == 12) {
        give_text(context, s->tags);
    } else if (column < 17) {
        give_count(context, losses[column - 13]);
    }
    return SQLITE_OK;
}

static int interfaces_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    const struct rows_cursor *cursor = cursor_of(base);
    const struct store_session *s = &cursor->sessions[cursor->at];
    const struct iface *iface = &s->ifaces[cursor->iface];
    char mac[ADDR_TEXT_MAX] = "";
    char link_type[LINK_TYPE_TEXT_MAX];

    if (iface->has_mac) {
        addr_mac_text(iface->mac, mac);
    }
    link_type_text(iface->link_type, link_type);
    const char *const texts[] = {
        s->id, NULL,          iface->name, link_type, NULL, iface->description,
        mac,   iface->filter, NULL,        iface->os};
    if (column == 1) {
        give_count(context, cursor->iface);
    } else if (column == 4) {
        give_count(context, iface->snaplen == 0 ? UINT64_MAX : iface->snaplen);
    } else if (column == 8) {
        give_count(context, iface->speed_bps == 0 ? UINT64_MAX : iface->speed_bps);
    } else if (column >= 0 && column < (int)ARRAY_LEN(texts)) {
        give_text(context, texts[column]);
    }
    return SQLITE_OK;
}

#define ROWS_MODULE(connect, open, column)                                                         \
    {                                                                                              \
        .iVersion = 1, .xCreate = (connect), .xConnect = (connect), .xBestIndex = rows_best,       \
        .xDisconnect = store_vtab_disconnect, .xDestroy = store_vtab_disconnect, .xOpen = (open),  \
        .xClose = rows_close, .xFilter = rows_filter, .xNext = rows_next, .xEof = rows_eof,        \
        .xColumn = (column), .xRowid = rows_rowid                                                  \
    }

const sqlite3_module sessions_module =
    ROWS_MODULE(sessions_connect, sessions_open, sessions_column);
const sqlite3_module interfaces_module =
    ROWS_MODULE(interfaces_connect, interfaces_open, interfaces_column);
