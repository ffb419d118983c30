/* SPDX-License-Identifier: Apache-2.0
 *
 * A plain SQLite file, also where the program is built with SQLCipher: it is opened without a key.
 * One transaction, no journal: the file has a hidden name until it is complete.
 */
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/export_writer.h"
#include "shared/store/packet_row.h"
#include "shared/store/sqlite.h"

#define INSERT_MAX 512

struct sqlite_writer {
    struct export_writer base;
    sqlite3 *db;
    sqlite3_stmt *insert;
    struct packet_row row;
};

/* packets(time_ns) is an integer up to 2262, where 63 bits end, and a real number beyond. */
static const char schema[] =
    "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
    "PRAGMA locking_mode = EXCLUSIVE; BEGIN;"
    "CREATE TABLE sessions(id TEXT PRIMARY KEY, name TEXT, node TEXT, state TEXT, filter TEXT,"
    " tags TEXT, started TEXT, ended TEXT, packets INTEGER, bytes INTEGER, loss_kernel INTEGER,"
    " loss_interface INTEGER, loss_limit INTEGER, loss_store INTEGER);"
    "CREATE TABLE packets(session TEXT REFERENCES sessions(id), number INTEGER, time TEXT,"
    " time_ns INTEGER, interface TEXT, caplen INTEGER, len INTEGER, link_type TEXT, src TEXT,"
    " dst TEXT, sport INTEGER, dport INTEGER, proto TEXT, flags TEXT, info TEXT, data BLOB);";

static int fail(const struct sqlite_writer *w, struct err *err)
{
    int code = sqlite3_errcode(w->db) & 0xff;

    return err_set(err, code == SQLITE_FULL ? ERR_FULL : ERR_DATABASE,
                   "cannot write the SQLite file '%s': %s", w->base.job.spec->path,
                   sqlite3_errmsg(w->db));
}

static int execute(const struct sqlite_writer *w, const char *sql, struct err *err)
{
    return sqlite3_exec(w->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(w, err);
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    if (text[0] != '\0') {
        sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(stmt, at);
    }
}

static void bind_count(sqlite3_stmt *stmt, int at, uint64_t count)
{
    if (count == UINT64_MAX) {
        sqlite3_bind_null(stmt, at);
    } else if (count > INT64_MAX) {
        sqlite3_bind_double(stmt, at, (double)count);
    } else {
        sqlite3_bind_int64(stmt, at, (sqlite3_int64)count);
    }
}

static void bind_time(sqlite3_stmt *stmt, int at, uint64_t ns)
{
    char text[TEXT_NUMBER_MAX];

    if (ns != 0) {
        text_format_time(ns, text);
        sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT);
    }
}

static int run(const struct sqlite_writer *w, sqlite3_stmt *stmt, struct err *err)
{
    int code = sqlite3_step(stmt);

    sqlite3_reset(stmt);
    return code == SQLITE_DONE ? 0 : fail(w, err);
}

static int put_session(const struct sqlite_writer *w, sqlite3_stmt *stmt,
                       const struct store_session *session, struct err *err)
{
    bind_text(stmt, 1, session->id);
    bind_text(stmt, 2, session->name);
    bind_text(stmt, 3, session->node);
    bind_text(stmt, 4, store_state_name(session->state));
    bind_text(stmt, 5, session->filter);
    bind_text(stmt, 6, session->tags);
    bind_time(stmt, 7, session->started_ns);
    bind_time(stmt, 8, session->ended_ns);
    bind_count(stmt, 9, session->packets);
    bind_count(stmt, 10, session->bytes);
    bind_count(stmt, 11, session->loss.kernel);
    bind_count(stmt, 12, session->loss.interface);
    bind_count(stmt, 13, session->loss.limit);
    bind_count(stmt, 14, session->loss.store);
    return run(w, stmt, err);
}

static int put_sessions(const struct sqlite_writer *w, struct err *err)
{
    const struct export_spec *spec = w->base.job.spec;
    sqlite3_stmt *stmt = NULL;
    int r = 0;

    if (sqlite3_prepare_v2(w->db, "INSERT INTO sessions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1,
                           &stmt, NULL) != SQLITE_OK) {
        return fail(w, err);
    }
    for (size_t i = 0; i < spec->n && r == 0; i++) {
        r = put_session(w, stmt, &spec->sessions[i], err);
        sqlite3_clear_bindings(stmt);
    }
    sqlite3_finalize(stmt);
    return r;
}

/* Parameters in the order of packet_columns, then time_ns and data. */
static int prepare_insert(struct sqlite_writer *w, struct err *err)
{
    char sql[INSERT_MAX] = "INSERT INTO packets(";
    size_t used = strlen(sql);

    for (int i = 0; i < PACKET_COLUMNS; i++) {
        used += (size_t)snprintf(sql + used, sizeof sql - used, "%s, ", packet_columns[i].name);
    }
    used += (size_t)snprintf(sql + used, sizeof sql - used, "time_ns, data) VALUES (?,?");
    for (int i = 0; i < PACKET_COLUMNS; i++) {
        used += (size_t)snprintf(sql + used, sizeof sql - used, ",?");
    }
    snprintf(sql + used, sizeof sql - used, ")");
    REQUIRE(used + 2 < sizeof sql);
    return sqlite3_prepare_v2(w->db, sql, -1, &w->insert, NULL) == SQLITE_OK ? 0 : fail(w, err);
}

static void free_sqlite(struct export_writer *base)
{
    if (base != NULL) {
        struct sqlite_writer *w = container_of(base, struct sqlite_writer, base);
        sqlite3_finalize(w->insert);
        sqlite3_close(w->db);
        mem_free(w);
    }
}

static int open_sqlite(const struct export_job *job, struct export_writer **out, struct err *err)
{
    struct sqlite_writer *w = x_alloc(sizeof *w);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;

    w->base.job = *job;
    int r = sqlite3_open_v2(job->path, &w->db, flags, NULL) == SQLITE_OK ? 0 : fail(w, err);
    r = r < 0 ? r : execute(w, schema, err);
    r = r < 0 ? r : put_sessions(w, err);
    r = r < 0 ? r : prepare_insert(w, err);
    if (r < 0) {
        free_sqlite(&w->base);
        return r;
    }
    *out = &w->base;
    return 0;
}

static int packet_sqlite(struct export_writer *base, const struct scan_packet *packet,
                         struct err *err)
{
    struct sqlite_writer *w = container_of(base, struct sqlite_writer, base);

    packet_row_make(&w->row, packet);
    for (int i = 0; i < PACKET_COLUMNS; i++) {
        if (packet_columns[i].is_number) {
            bind_count(w->insert, i + 1, w->row.cells[i].number);
        } else {
            bind_text(w->insert, i + 1, w->row.cells[i].text);
        }
    }
    bind_count(w->insert, PACKET_COLUMNS + 1, packet->view.time_ns);
    sqlite3_bind_blob(w->insert, PACKET_COLUMNS + 2, packet->view.data, (int)packet->view.caplen,
                      SQLITE_STATIC);
    return run(w, w->insert, err);
}

static int finish_sqlite(struct export_writer *base, const struct scan_damage *damage,
                         struct err *err)
{
    struct sqlite_writer *w = container_of(base, struct sqlite_writer, base);

    (void)damage;
    sqlite3_finalize(w->insert);
    w->insert = NULL;
    int r = execute(w, "COMMIT", err);
    if (r == 0 && sqlite3_close(w->db) != SQLITE_OK) {
        return fail(w, err);
    }
    w->db = r == 0 ? NULL : w->db;
    return r;
}

const struct export_writer_ops export_sqlite = {
    .name = "sqlite",
    .suffixes = {"sqlite", "sqlite3", "db"},
    .own_file = true,
    .open = open_sqlite,
    .packet = packet_sqlite,
    .finish = finish_sqlite,
    .free = free_sqlite,
};
