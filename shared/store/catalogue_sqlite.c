/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/catalogue_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/store/seal.h"

#define BUSY_MS 10000
/* A reader that is busy for longer keeps its pages in the log; they go with the next checkpoint. */
#define CHECKPOINT_BUSY_MS 200

static const char schema[] =
    "CREATE TABLE session(row INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, name TEXT, node TEXT,"
    " filter TEXT, tags TEXT, state INTEGER NOT NULL, started INTEGER, ended INTEGER,"
    " captured INTEGER, received INTEGER, kernel INTEGER, interface INTEGER, over_limit INTEGER,"
    " store INTEGER, excluded TEXT, error TEXT, clock TEXT);"
    "CREATE TABLE interface(session INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT,"
    " description TEXT, filter TEXT, os TEXT, mac BLOB, link_type INTEGER, snaplen INTEGER,"
    " speed INTEGER, digits INTEGER, PRIMARY KEY(session, number)) WITHOUT ROWID;"
    "CREATE TABLE segment(row INTEGER PRIMARY KEY, session INTEGER NOT NULL, sequence INTEGER,"
    " id BLOB, file TEXT UNIQUE, bytes INTEGER, closed INTEGER, first_number INTEGER,"
    " packets INTEGER, packet_bytes INTEGER, min_time INTEGER, max_time INTEGER);"
    "CREATE INDEX segment_of_session ON segment(session, sequence);"
    /* id = segment << 32 | number: one range scan a segment; the filter last, so that reading the
       rest skips it */
    "CREATE TABLE frame(id INTEGER PRIMARY KEY, offset INTEGER, stored INTEGER, raw INTEGER,"
    " packets INTEGER, first_number INTEGER, packet_bytes INTEGER, min_time INTEGER,"
    " max_time INTEGER, bloom BLOB);"
    /* Files whose rows are gone already and which are about to go: retention_finish. */
    "CREATE TABLE doomed(file TEXT PRIMARY KEY) WITHOUT ROWID;";

/* The file, with its whole path: several stores may be at work. */
static const char *path_of(const struct catalogue *c)
{
    const char *path = sqlite3_db_filename(c->db, "main");

    return path == NULL ? "" : path;
}

static int database_failed(struct catalogue *c, struct err *err, const char *doing)
{
    return err_set(err, ERR_DATABASE, "%s: %s", doing, sqlite3_errmsg(c->db));
}

static int catalogue_damaged(struct catalogue *c, struct err *err)
{
    return err_set(err, ERR_DAMAGED,
                   "the catalogue '%s' is damaged (%s); packetrecorder verify rebuilds it from the "
                   "segments",
                   path_of(c), sqlite3_errmsg(c->db));
}

static int log_unreadable(const struct catalogue *c, struct err *err)
{
    return err_set(err, ERR_PERMISSION,
                   "the catalogue '%s' was not closed and its log cannot be read without the "
                   "right to write beside it: open the store once as its owner, or copy it",
                   path_of(c));
}

static int sql_failed(struct catalogue *c, struct err *err, const char *doing)
{
    int code = sqlite3_extended_errcode(c->db);
    bool full = code == SQLITE_IOERR_SHMSIZE || sqlite3_system_errno(c->db) == ENOSPC;

    if (code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_CORRUPTFS) {
        code = SQLITE_CORRUPT;
    }
    switch (code & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (!full) {
            return c->read_only && (code & 0xff) == SQLITE_CANTOPEN
                       ? log_unreadable(c, err)
                       : database_failed(c, err, doing);
        }
        __attribute__((fallthrough));
    case SQLITE_FULL:
        return err_set(err, ERR_FULL, "the catalogue '%s' cannot be written: the disk is full",
                       path_of(c));
    case SQLITE_READONLY:
        return err_set(err, ERR_PERMISSION,
                       "the catalogue '%s' cannot be written: no right to write to it", path_of(c));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return catalogue_damaged(c, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_IN_USE, "the catalogue '%s' is busy: another program holds it",
                       path_of(c));
    default:
        return database_failed(c, err, doing);
    }
}

static int bind_all(sqlite3_stmt *stmt, const char *format, va_list ap)
{
    int at = 1;
    int r = SQLITE_OK;

    for (const char *f = format; *f != '\0' && r == SQLITE_OK; f++, at++) {
        if (*f == 'i') {
            r = sqlite3_bind_int64(stmt, at, va_arg(ap, int64_t));
        } else if (*f == 'u') {
            uint64_t v = va_arg(ap, uint64_t);
            r = v == LEDGER_UNKNOWN ? sqlite3_bind_null(stmt, at)
                                    : sqlite3_bind_int64(stmt, at, (sqlite3_int64)v);
        } else if (*f == 't') {
            r = sqlite3_bind_int64(stmt, at, CATALOGUE_TIME(va_arg(ap, uint64_t)));
        } else if (*f == 's') {
            r = sqlite3_bind_text(stmt, at, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
        } else {
            const void *p = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            r = sqlite3_bind_blob64(stmt, at, p, n, SQLITE_TRANSIENT);
        }
    }
    return r;
}

static int query_v(struct catalogue *c, sqlite3_stmt **out, struct err *err, const char *sql,
                   const char *format, va_list ap)
{
    sqlite3_stmt *stmt = NULL;

    int code = sqlite3_prepare_v2(c->db, sql, -1, &stmt, NULL);
    if (code == SQLITE_ERROR) {
        /* Our words do not change: it is the tables that are not as we made them. */
        return catalogue_damaged(c, err);
    }
    if (code != SQLITE_OK || bind_all(stmt, format, ap) != SQLITE_OK) {
        int r = sql_failed(c, err, "asking the catalogue");
        sqlite3_finalize(stmt);
        return r;
    }
    *out = stmt;
    return 0;
}

int catalogue_query(struct catalogue *c, sqlite3_stmt **out, struct err *err, const char *sql,
                    const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int r = query_v(c, out, err, sql, format, ap);
    va_end(ap);
    return r;
}

int catalogue_step(struct catalogue *c, sqlite3_stmt *stmt, struct err *err)
{
    int r = sqlite3_step(stmt);

    if (r == SQLITE_ROW) {
        return 1;
    }
    return r == SQLITE_DONE ? 0 : sql_failed(c, err, "using the catalogue");
}

int catalogue_run(struct catalogue *c, struct err *err, const char *sql, const char *format, ...)
{
    sqlite3_stmt *stmt = NULL;
    va_list ap;

    va_start(ap, format);
    int r = query_v(c, &stmt, err, sql, format, ap);
    va_end(ap);
    if (r < 0) {
        return r;
    }
    do {
        r = catalogue_step(c, stmt, err);
    } while (r > 0);
    sqlite3_finalize(stmt);
    return r;
}

int catalogue_begin(struct catalogue *c, struct err *err)
{
    return catalogue_run(c, err, "BEGIN IMMEDIATE", "");
}

int catalogue_commit(struct catalogue *c, struct err *err)
{
    return catalogue_run(c, err, "COMMIT", "");
}

void catalogue_rollback(struct catalogue *c)
{
    if (!sqlite3_get_autocommit(c->db)) {
        catalogue_run(c, NULL, "ROLLBACK", "");
    }
}

#if PR_SQLCIPHER && !defined(PR_SQLITE_EXTENSION)
static void key_text(const uint8_t *key, char *text)
{
    memcpy(text, "x'", 2);
    for (int i = 0; i < CATALOGUE_KEY_BYTES; i++) {
        snprintf(text + 2 + i * 2, 3, "%02x", key[i]);
    }
    memcpy(text + 2 + CATALOGUE_KEY_BYTES * 2, "'", 2);
}

#define KEY_TEXT_BYTES (CATALOGUE_KEY_BYTES * 2 + 4)

static int give_key(struct catalogue *c, const uint8_t *key, bool change)
{
    /* The raw form: SQLCipher derives nothing, our Argon2id already did. */
    char *text = (char *)seal_alloc(KEY_TEXT_BYTES);

    key_text(key, text);
    int n = (int)strlen(text);
    int r = change ? sqlite3_rekey(c->db, text, n) : sqlite3_key(c->db, text, n);
    seal_free(text);
    /* What does not decrypt is our error to tell, not the library's on stderr. Giving a key resets
     * the level. */
    sqlite3_exec(c->db, "PRAGMA cipher_log_level=NONE", NULL, NULL, NULL);
    return r;
}
#else
static int give_key(struct catalogue *c, const uint8_t *key, bool change)
{
    (void)c;
    (void)key;
    (void)change;
    return SQLITE_ERROR;
}
#endif

static int set_up(struct catalogue *c, bool writes, struct err *err)
{
    static const char *const pragmas[] = {
        "PRAGMA synchronous=FULL",           "PRAGMA secure_delete=ON",
        "PRAGMA temp_store=MEMORY",          "PRAGMA wal_autocheckpoint=256",
        "PRAGMA journal_size_limit=1048576",
    };
    /* A reader leaves the mode alone: a rekey may have changed it for a while. */
    int r = writes ? catalogue_run(c, err, "PRAGMA journal_mode=WAL", "") : 0;

    for (size_t i = 0; i < ARRAY_LEN(pragmas) && !c->read_only && r == 0; i++) {
        r = catalogue_run(c, err, pragmas[i], "");
    }
    return r;
}

static int64_t pragma_int(struct catalogue *c, const char *sql, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(c, &stmt, err, sql, "");

    if (r < 0) {
        return r;
    }
    r = catalogue_step(c, stmt, err);
    int64_t v = r > 0 ? sqlite3_column_int64(stmt, 0) : r;
    sqlite3_finalize(stmt);
    return v;
}

static int create_schema(struct catalogue *c, struct err *err)
{
    char mark[160];

    snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d",
             CATALOGUE_APPLICATION_ID, CATALOGUE_VERSION);
    /* Only an empty file takes this; it lets catalogue_shrink give pages back. */
    int r = catalogue_run(c, err, "PRAGMA auto_vacuum=INCREMENTAL", "");
    r = r < 0 ? r : catalogue_begin(c, err);
    if (r == 0 && (sqlite3_exec(c->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
                   sqlite3_exec(c->db, mark, NULL, NULL, NULL) != SQLITE_OK)) {
        r = sql_failed(c, err, "making the catalogue");
    }
    if (r == 0) {
        r = catalogue_commit(c, err);
    }
    if (r < 0) {
        catalogue_rollback(c);
    }
    return r;
}

/* The first read tells whether the key fits and whose file it is. */
static int identify(struct catalogue *c, const char *path, bool create, struct err *err)
{
    struct err why = {0};
    int64_t version = pragma_int(c, "PRAGMA user_version", &why);

    if (version < 0 && why.code != 0) {
        if (why.code == ERR_DAMAGED && c->encrypted) {
            return err_set(err, ERR_KEY, "the key does not open the catalogue '%s'", path);
        }
        return why.code == ERR_DAMAGED
                   ? err_set(err, ERR_NOT_A_STORE, "'%s' is not a packetrecorder store", path)
                   : err_set(err, why.code, "%s", why.text);
    }
    if (version == 0 && create && pragma_int(c, "SELECT count(*) FROM sqlite_master", err) == 0) {
        return create_schema(c, err);
    }
    if (pragma_int(c, "PRAGMA application_id", err) != CATALOGUE_APPLICATION_ID) {
        return err_set(err, ERR_NOT_A_STORE, "'%s' is a database, but not a packetrecorder store",
                       path);
    }
    if (version <= 0 || version % 0x10001 != 0) {
        return err_set(err, ERR_DAMAGED, "the first page of the catalogue '%s' is damaged", path);
    }
    if (version > CATALOGUE_VERSION) {
        return err_set(err, ERR_VERSION,
                       "'%s' has store format %" PRId64
                       "; this program reads up to %d: use a newer "
                       "packetrecorder",
                       path, version / 0x10001, CATALOGUE_FORMAT);
    }
    return 0;
}

/* SQLite would make the file readable by everybody; its log and shared memory take over the mode.
 * One that is there is not touched: closing it would let go of all locks that other connections of
 * this process have on it (fcntl(2)), and another program would then throw their log away. */
static void make_private(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0) {
        close(fd);
    }
}

static bool has_log(const char *path)
{
    char *log = x_sprintf("%s-wal", path);
    struct stat st;
    bool has = stat(log, &st) == 0 && st.st_size > 0;

    mem_free(log);
    return has;
}

/* "file:" with what means something in a URI escaped. */
static char *immutable_uri(const char *path)
{
    char *uri = x_alloc(strlen(path) * 3 + 32);
    /* Two slashes at the start would name a host. */
    size_t n = (size_t)snprintf(uri, 8, path[0] == '/' ? "file://" : "file:");

    for (const char *p = path; *p != '\0'; p++) {
        if (strchr("%?#", *p) != NULL) {
            n += (size_t)snprintf(uri + n, 4, "%%%02x", (unsigned)(unsigned char)*p);
        } else {
            uri[n++] = *p;
        }
    }
    memcpy(uri + n, "?immutable=1", sizeof "?immutable=1");
    return uri;
}

static int open_file(const char *path, bool create, struct catalogue *c)
{
    if (create) {
        make_private(path);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    /* A file is meant, also by the names that mean something else to SQLite: ":memory:", "file:".
     */
    char *file = x_sprintf("%s%s", path[0] == '/' ? "" : "./", path);
    int r = sqlite3_open_v2(file, &c->db, flags, NULL);

    mem_free(file);
    c->read_only = r == SQLITE_OK && sqlite3_db_readonly(c->db, "main") == 1;
    if (c->read_only && !has_log(path)) {
        /* Without the right to write, WAL's shared memory cannot be made; without a log it is not
         * needed. With one, somebody writes and has made it. */
        char *uri = immutable_uri(path);
        sqlite3_close(c->db);
        r = sqlite3_open_v2(uri, &c->db,
                            SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
        mem_free(uri);
    }
    if (r == SQLITE_OK) {
        /* The file may come from elsewhere: its schema runs nothing. */
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    }
    return r;
}

/* The changes that the tables have seen are columns; programs from before them ask for columns by
 * name and do not mind. What does not succeed (a full disk) is tried again at the next opening. */
static bool add_column(struct catalogue *c, bool create, const char *name, const char *sql)
{
    bool has = sqlite3_table_column_metadata(c->db, "main", "session", name, NULL, NULL, NULL, NULL,
                                             NULL) == SQLITE_OK;

    return has || (create && !c->read_only && catalogue_run(c, NULL, sql, "") == 0);
}

static void add_columns(struct catalogue *c, bool create)
{
    c->has_excluded =
        add_column(c, create, "excluded", "ALTER TABLE session ADD COLUMN excluded TEXT");
    c->has_error = add_column(c, create, "error", "ALTER TABLE session ADD COLUMN error TEXT");
    c->has_clock = add_column(c, create, "clock", "ALTER TABLE session ADD COLUMN clock TEXT");
}

/* Whole: the log's index in this process's memory, in place of a file that a full disk has no room
 * for. Fails when another process uses the log; then the file is there. */
static int try_open(const char *path, const uint8_t *key, bool create, bool whole,
                    struct catalogue *out, struct err *err)
{
    struct catalogue c = {.encrypted = key != NULL};
    int r = open_file(path, create, &c);

    if (r != SQLITE_OK) {
        r = err_set(err, ERR_IO, "cannot open the catalogue '%s': %s", path,
                    c.db == NULL ? "out of memory" : sqlite3_errmsg(c.db));
        sqlite3_close(c.db);
        return r;
    }
    sqlite3_busy_timeout(c.db, BUSY_MS);
    sqlite3_extended_result_codes(c.db, 1);
    if (key != NULL && give_key(&c, key, false) != SQLITE_OK) {
        r = err_set(err, ERR_UNSUPPORTED,
                    "this packetrecorder was built without SQLCipher and cannot open the encrypted "
                    "store '%s'",
                    path);
    } else {
        r = whole ? catalogue_run(&c, err, "PRAGMA locking_mode=EXCLUSIVE", "") : 0;
        r = r < 0 ? r : identify(&c, path, create, err);
        r = r < 0 ? r : set_up(&c, create, err);
        if (r == 0) {
            add_columns(&c, create);
        }
        if (r == 0 && !create && key == NULL) {
            /* A reader of a large index saves a system call and a page fault for each of its pages.
             */
            r = catalogue_run(&c, err, "PRAGMA mmap_size=1073741824", "");
        }
    }
    if (r < 0) {
        sqlite3_close(c.db);
        return r;
    }
    *out = c;
    return 0;
}

int catalogue_open(const char *path, const uint8_t *key, unsigned flags, struct catalogue *out,
                   struct err *err)
{
    bool create = (flags & CATALOGUE_CREATE) != 0;
    int r = try_open(path, key, create, false, out, err);

    return r == ERR_FULL && !create ? try_open(path, key, create, true, out, err) : r;
}

void catalogue_close(struct catalogue *c)
{
    if (c->db != NULL) {
        sqlite3_close_v2(c->db);
        c->db = NULL;
    }
}

int catalogue_rekey(struct catalogue *c, const uint8_t *key, struct err *err)
{
    /* SQLCipher re-encrypts in one transaction of the rollback journal. */
    int r = catalogue_run(c, err, "PRAGMA journal_mode=DELETE", "");

    if (r == 0 && give_key(c, key, true) != SQLITE_OK) {
        r = sql_failed(c, err, "giving the catalogue its new key");
    }
    if (r == 0) {
        r = catalogue_run(c, err, "PRAGMA journal_mode=WAL", "");
    }
    return r;
}

int catalogue_check(struct catalogue *c, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(c, &stmt, err, "PRAGMA integrity_check(1)", "");

    if (r < 0) {
        return r;
    }
    r = catalogue_step(c, stmt, err);
    if (r > 0) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        bool ok = text != NULL && strcmp(text, "ok") == 0;
        r = ok ? 0 : err_set(err, ERR_DAMAGED, "the catalogue is damaged: %s", text ? text : "?");
    }
    sqlite3_finalize(stmt);
    return r;
}

int catalogue_checkpoint(struct catalogue *c, struct err *err)
{
    sqlite3_busy_timeout(c->db, CHECKPOINT_BUSY_MS);
    int r = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(c->db, BUSY_MS);

    return r == SQLITE_OK || (r & 0xff) == SQLITE_BUSY ? 0 : sql_failed(c, err, "checkpoint");
}

int catalogue_shrink(struct catalogue *c, struct err *err)
{
    int r = catalogue_run(c, err, "PRAGMA incremental_vacuum", "");

    return r < 0 ? r : catalogue_checkpoint(c, err);
}
