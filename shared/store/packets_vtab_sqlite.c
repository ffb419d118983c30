/* SPDX-License-Identifier: Apache-2.0
 *
 * The table packets: a cursor is a scan. A row is decoded at most once, and only when a column or a
 * condition asks for it.
 */
#include "shared/store/packets_vtab_sqlite.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/link_type.h"
#include "shared/packet/summary.h"
#include "shared/store/packets_constraints_sqlite.h"
#include "shared/store/store_vtab_sqlite.h"

/* A row id is the session's row in the catalogue and the packet's number in it: OR conditions that
 * SQLite answers with several scans are put together by it. */
#define NUMBER_BITS 40

#define SHORT_TEXT_MAX 64

struct packets_cursor {
    sqlite3_vtab_cursor base;
    struct store_session *sessions; /* owned */
    size_t n_sessions;
    struct scan *scan;
    struct packets_want want;
    sqlite3_value *hidden[PACKETS_SQL_COLUMNS]; /* owned copies */
    struct scan_packet packet;
    struct decoded decoded;
    bool is_decoded;
    bool at_end;
};

static struct packets_cursor *cursor_of(sqlite3_vtab_cursor *base)
{
    return (struct packets_cursor *)base;
}

static struct store_vtab *vtab_of(struct packets_cursor *cursor)
{
    return (struct store_vtab *)cursor->base.pVtab;
}

static int packets_connect(sqlite3 *db, void *module, int argc, const char *const *argv,
                           sqlite3_vtab **out, char **error)
{
    return store_vtab_connect(db, module, argc, argv, PACKETS_SCHEMA, out, error);
}

static int packets_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    struct packets_cursor *cursor = x_alloc(sizeof *cursor);

    (void)vtab;
    cursor->at_end = true;
    *out = &cursor->base;
    return SQLITE_OK;
}

/* Damage met by a scan is never silent: the driver tells it at the end, or the statement fails,
 * when it read so far. */
static int end_scan(struct packets_cursor *cursor, bool was_read)
{
    struct store_vtab *vtab = vtab_of(cursor);
    const struct scan_damage *damage = cursor->scan == NULL ? NULL : scan_damage(cursor->scan);
    struct err err = {0};
    int code = SQLITE_OK;

    if (damage != NULL && vtab->stats != NULL) {
        struct scan_damage *all = &vtab->stats->damage;
        if (all->frames == 0 && damage->text[0] != '\0') {
            memcpy(all->text, damage->text, sizeof all->text);
        }
        all->frames += damage->frames;
        all->packets += damage->packets;
        all->gone_packets += damage->gone_packets;
        all->sessions += damage->sessions;
    } else if (damage != NULL && damage->frames > 0 && was_read && !vtab->skips_damage) {
        err_set(&err, ERR_DAMAGED,
                "%llu packets could not be read (%s): see packetrecorder verify, or leave them out "
                "with USING packets('…', skip-damaged)",
                (unsigned long long)damage->packets, damage->text);
        code = store_vtab_fail(&vtab->base, &err);
    }
    scan_free(cursor->scan);
    cursor->scan = NULL;
    return code;
}

static void reset(struct packets_cursor *cursor)
{
    end_scan(cursor, false);
    store_sessions_free(cursor->sessions, cursor->n_sessions);
    cursor->sessions = NULL;
    cursor->n_sessions = 0;
    for (int i = 0; i < PACKETS_SQL_COLUMNS; i++) {
        sqlite3_value_free(cursor->hidden[i]);
        cursor->hidden[i] = NULL;
    }
    cursor->at_end = true;
}

static int packets_close(sqlite3_vtab_cursor *base)
{
    struct packets_cursor *cursor = cursor_of(base);

    reset(cursor);
    mem_free(cursor);
    return SQLITE_OK;
}

/* The one session that every word of the query stands for; none is no error, as it is with any
 * other value that does not occur. */
static int find_sessions(struct packets_cursor *cursor, struct packets_query *q, struct err *err)
{
    struct store *store = vtab_of(cursor)->store;
    int64_t row = 0;

    if (q->n_sessions == 0) {
        return store_sessions(store, &cursor->sessions, &cursor->n_sessions, err);
    }
    for (size_t i = 0; i < q->n_sessions && !q->nothing; i++) {
        struct store_session *found = NULL;
        int r = store_session_find(store, q->sessions[i], &found, err);
        if (r < 0 && r != ERR_NOT_FOUND) {
            return r;
        }
        q->nothing |= r < 0 || (i > 0 && found->row != row);
        row = r < 0 ? 0 : found->row;
        store_sessions_free(cursor->sessions, cursor->n_sessions);
        cursor->sessions = found;
        cursor->n_sessions = found == NULL ? 0 : 1;
    }
    return 0;
}

static int start_scan(struct packets_cursor *cursor, const struct packets_query *q, struct err *err)
{
    struct store_vtab *vtab = vtab_of(cursor);
    struct index_fields fields;
    uint64_t all, candidates;

    packets_want_fields(&q->want, &fields);
    struct index_query *query = index_query_of_fields(&fields);
    const struct scan_spec spec = {
        .sessions = cursor->sessions,
        .n = cursor->n_sessions,
        .from_ns = q->from_ns,
        .to_ns = q->to_ns,
        .filter = q->filter,
        .time_order = q->time_order,
        .fields = index_query_is_open(query) ? NULL : query,
    };
    int r = scan_new(vtab->store, &spec, &cursor->scan, err);
    index_query_free(query);
    if (r == 0 && vtab->stats != NULL) {
        scan_frames(cursor->scan, &all, &candidates);
        vtab->stats->frames += all;
        vtab->stats->candidates += candidates;
    }
    return r;
}

static int packets_next(sqlite3_vtab_cursor *base)
{
    struct packets_cursor *cursor = cursor_of(base);
    bool is_open = packets_want_is_open(&cursor->want);
    struct err err = {0};
    int r;

    while ((r = scan_next(cursor->scan, &cursor->packet, &err)) > 0) {
        cursor->is_decoded = !is_open;
        if (is_open) {
            return SQLITE_OK;
        }
        decode_packet(&cursor->packet.view, cursor->packet.iface->link_type, &cursor->decoded);
        if (packets_want_matches(&cursor->want, &cursor->decoded)) {
            return SQLITE_OK;
        }
    }
    cursor->at_end = true;
    return r < 0 ? store_vtab_fail(base->pVtab, &err) : end_scan(cursor, true);
}

static int packets_filter(sqlite3_vtab_cursor *base, int flags, const char *constraints, int n,
                          sqlite3_value **values)
{
    struct packets_cursor *cursor = cursor_of(base);
    struct packets_query q;
    struct err err = {0};

    reset(cursor);
    int r = packets_query_read(&q, flags, constraints, values, n, clock_wall_ns(), &err);
    if (r == 0 && !q.nothing) {
        r = find_sessions(cursor, &q, &err);
    }
    if (r == 0 && !q.nothing) {
        r = start_scan(cursor, &q, &err);
    }
    if (r < 0) {
        return store_vtab_fail(base->pVtab, &err);
    }
    if (q.nothing) {
        return SQLITE_OK;
    }
    cursor->want = q.want;
    for (int i = 0; i < PACKETS_SQL_COLUMNS; i++) {
        cursor->hidden[i] = q.hidden[i] == NULL ? NULL : sqlite3_value_dup(q.hidden[i]);
    }
    cursor->at_end = false;
    return packets_next(base);
}

static int packets_eof(sqlite3_vtab_cursor *base)
{
    return cursor_of(base)->at_end;
}

static int packets_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    const struct scan_packet *packet = &cursor_of(base)->packet;

    *out = (sqlite3_int64)((uint64_t)packet->session->row << NUMBER_BITS | packet->number);
    return SQLITE_OK;
}

/* Unknown is NULL, never "". */
static void give_text(sqlite3_context *context, const char *text)
{
    if (text[0] == '\0') {
        sqlite3_result_null(context);
    } else {
        sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
    }
}

/* Past 2262 nanoseconds are more than SQLite's integers hold. */
static void give_ns(sqlite3_context *context, uint64_t ns)
{
    if (ns <= INT64_MAX) {
        sqlite3_result_int64(context, (sqlite3_int64)ns);
    } else {
        sqlite3_result_double(context, (double)ns);
    }
}

static void give_session_column(sqlite3_context *context, const struct scan_packet *packet,
                                int column)
{
    char text[SHORT_TEXT_MAX];

    switch (column) {
    case PACKETS_SESSION:
        give_text(context, packet->session->id);
        break;
    case PACKETS_IFACE:
        give_text(context, packet->iface->name);
        break;
    case PACKETS_LINK_TYPE:
        text[0] = '\0';
        if (packet->iface->link_type != UINT32_MAX) { /* the interface is known */
            link_type_text(packet->iface->link_type, text);
        }
        give_text(context, text);
        break;
    default:
        text_format_time(packet->view.time_ns, text);
        give_text(context, text);
    }
}

static void give_decoded_column(sqlite3_context *context, const struct packets_cursor *cursor,
                                int column)
{
    const struct decoded *d = &cursor->decoded;
    char text[SUMMARY_MAX];

    switch (column) {
    case PACKETS_SPORT:
    case PACKETS_DPORT:
        if (d->has_ports) {
            sqlite3_result_int(context, column == PACKETS_SPORT ? d->sport : d->dport);
        }
        return;
    case PACKETS_SRC_COLUMN:
        decode_src(d, text, sizeof text);
        break;
    case PACKETS_DST_COLUMN:
        decode_dst(d, text, sizeof text);
        break;
    case PACKETS_PROTO:
        decode_proto_name(d, text, sizeof text);
        break;
    case PACKETS_FLAGS:
        decode_tcp_flags(d, text, sizeof text);
        break;
    default:
        summary_info(&cursor->packet.view, d, text, sizeof text);
    }
    give_text(context, text);
}

/* Without a constraint there is no value, and NULL would make conditions false in silence. */
static void give_hidden_column(sqlite3_context *context, const struct packets_cursor *cursor,
                               int column)
{
    if (cursor->hidden[column] != NULL) {
        sqlite3_result_value(context, cursor->hidden[column]);
        return;
    }
    sqlite3_result_error(context,
                         "host, port and filter have no value of their own: compare them with =, "
                         "joined by AND; src, dst, sport and dport can be used everywhere",
                         -1);
}

static int packets_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    struct packets_cursor *cursor = cursor_of(base);
    const struct scan_packet *packet = &cursor->packet;

    switch (column) {
    case PACKETS_NUMBER:
        sqlite3_result_int64(context, (sqlite3_int64)packet->number);
        break;
    case PACKETS_TIME_NS:
        give_ns(context, packet->view.time_ns);
        break;
    case PACKETS_CAPLEN:
        sqlite3_result_int64(context, packet->view.caplen);
        break;
    case PACKETS_LEN:
        sqlite3_result_int64(context, packet->view.len);
        break;
    case PACKETS_DATA:
        sqlite3_result_blob64(context, packet->view.data, packet->view.caplen, SQLITE_TRANSIENT);
        break;
    case PACKETS_HOST:
    case PACKETS_PORT:
    case PACKETS_FILTER:
        give_hidden_column(context, cursor, column);
        break;
    case PACKETS_SESSION:
    case PACKETS_TIME:
    case PACKETS_IFACE:
    case PACKETS_LINK_TYPE:
        give_session_column(context, packet, column);
        break;
    default:
        if (!cursor->is_decoded) {
            decode_packet(&packet->view, packet->iface->link_type, &cursor->decoded);
            cursor->is_decoded = true;
        }
        give_decoded_column(context, cursor, column);
    }
    return SQLITE_OK;
}

static int packets_best(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    (void)vtab;
    return packets_best_index(info);
}

const sqlite3_module packets_module = {
    .iVersion = 1,
    .xCreate = packets_connect,
    .xConnect = packets_connect,
    .xBestIndex = packets_best,
    .xDisconnect = store_vtab_disconnect,
    .xDestroy = store_vtab_disconnect,
    .xOpen = packets_open,
    .xClose = packets_close,
    .xFilter = packets_filter,
    .xNext = packets_next,
    .xEof = packets_eof,
    .xColumn = packets_column,
    .xRowid = packets_rowid,
};
