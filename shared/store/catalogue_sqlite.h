/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalogue: sessions, their interfaces, segments and frames in one SQLite file, WAL,
 * secure_delete, every transaction durable when it returns. What a session holds is the sum of its
 * segments, never kept twice. Times are stored with the top bit flipped (CATALOGUE_TIME), so that
 * SQLite's signed order is ours from 1970 to 2554. Private to the store.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/store/sqlite.h"
#include "shared/store/store.h"

#define CATALOGUE_FORMAT 1
/* As user_version, the format twice: a flipped bit is not taken for a newer format. */
#define CATALOGUE_VERSION (CATALOGUE_FORMAT * 0x10001)
/* "PRec" in the SQLite header of unencrypted catalogues. */
#define CATALOGUE_APPLICATION_ID 0x50526563

#define CATALOGUE_TIME(ns)  ((sqlite3_int64)((uint64_t)(ns) ^ (UINT64_C(1) << 63)))
#define CATALOGUE_UNTIME(v) ((uint64_t)(v) ^ (UINT64_C(1) << 63))
#define CATALOGUE_KEY_BYTES 32
#define SEGMENT_FILE_MAX    80

struct catalogue {
    sqlite3 *db;
    bool read_only;
    bool encrypted;
    bool has_excluded; /* the column session.excluded, which the first stores lack */
    bool has_error;    /* session.error, the same */
    bool has_clock;    /* session.clock, the same */
};

/* Whoever may write gives CATALOGUE_CREATE. Without it a full disk does not matter. */
enum catalogue_open_flags { CATALOGUE_CREATE = 1 };

/* key: CATALOGUE_KEY_BYTES or NULL. ERR_KEY when it does not open, ERR_NOT_A_STORE, ERR_VERSION,
 * ERR_DAMAGED. */
int catalogue_open(const char *path, const uint8_t *key, unsigned flags, struct catalogue *out,
                   struct err *err);
void catalogue_close(struct catalogue *c);
int catalogue_rekey(struct catalogue *c, const uint8_t *key, struct err *err);
/* SQLite's own check; ERR_DAMAGED with its first words. */
int catalogue_check(struct catalogue *c, struct err *err);
/* Everything into the main file, the log emptied. Readers that hold it back are not waited for. */
int catalogue_checkpoint(struct catalogue *c, struct err *err);
/* Gives the pages of deleted rows back to the disk, then a checkpoint. */
int catalogue_shrink(struct catalogue *c, struct err *err);

int catalogue_begin(struct catalogue *c, struct err *err);
int catalogue_commit(struct catalogue *c, struct err *err);
void catalogue_rollback(struct catalogue *c);

/* A statement with its parameters bound from the format, one letter each: i int64, u uint64 counter
 * (LEDGER_UNKNOWN is NULL), t time, s text (copied), b blob (pointer, then size_t). ERR_DATABASE or
 * ERR_FULL. */
int catalogue_query(struct catalogue *c, sqlite3_stmt **out, struct err *err, const char *sql,
                    const char *format, ...);
/* The same, run to its end. */
int catalogue_run(struct catalogue *c, struct err *err, const char *sql, const char *format, ...);
/* SQLITE_ROW → 1, done → 0, else an error. */
int catalogue_step(struct catalogue *c, sqlite3_stmt *stmt, struct err *err);

struct catalogue_segment {
    int64_t row;
    int64_t session;
    uint32_t sequence;
    uint8_t id[16];
    char file[SEGMENT_FILE_MAX];
    uint64_t bytes;
    bool closed;
    uint64_t first_number;
    uint64_t packets;
    uint64_t packet_bytes;
    uint64_t min_ns; /* UINT64_MAX when empty */
    uint64_t max_ns;
};

struct catalogue_frame {
    uint32_t number;
    uint64_t offset;
    uint32_t stored_len; /* with the frame header */
    uint32_t raw_len;
    uint32_t n_packets;
    uint64_t first_number; /* of its first packet, in the session, from 1 */
    uint64_t packet_bytes;
    uint64_t min_ns;
    uint64_t max_ns;
    const uint8_t *bloom;
    size_t bloom_n;
};

/* Adds a frame to what its segment's row says. Computes only. */
void catalogue_count_frame(struct catalogue_segment *row, const struct catalogue_frame *frame);

/* Inserts the row; session->row is filled in. Interfaces follow with catalogue_put_ifaces. */
int catalogue_put_session(struct catalogue *c, struct store_session *session, struct err *err);
/* Writes state, ended and loss of session->row. */
int catalogue_update_session(struct catalogue *c, const struct store_session *session,
                             struct err *err);
/* Writes session->excluded of session->row, when there is something to say and a place for it. */
int catalogue_put_excluded(struct catalogue *c, const struct store_session *session,
                           struct err *err);
/* Writes session.error of the session with this id, where there is a place for it. */
int catalogue_put_error(struct catalogue *c, const char *id, const char *why, struct err *err);
/* The same of session.clock; and what is there, added to *out. */
int catalogue_put_clock(struct catalogue *c, int64_t session, const struct clock_samples *clock,
                        struct err *err);
int catalogue_get_clock(struct catalogue *c, int64_t session, struct clock_samples *out,
                        struct err *err);
/* ifaces[0..n-1] have the numbers first.. */
int catalogue_put_ifaces(struct catalogue *c, int64_t session, const struct iface *ifaces,
                         uint32_t first, uint32_t n, struct err *err);
/* All sessions, or the one with this row when row > 0. */
int catalogue_sessions(struct catalogue *c, int64_t row, struct store_session **out, size_t *n,
                       struct err *err);
/* True for NAME.seg without a path: the catalogue may come from elsewhere, and what it names is
 * deleted. */
bool catalogue_is_file_name(const char *file);
int catalogue_put_segment(struct catalogue *c, struct catalogue_segment *g, struct err *err);
int catalogue_update_segment(struct catalogue *c, const struct catalogue_segment *g,
                             struct err *err);
/* Segments of a session in order (session 0: of all, oldest first). *out owned by the caller
 * (mem_free). */
int catalogue_segments(struct catalogue *c, int64_t session, struct catalogue_segment **out,
                       size_t *n, struct err *err);
int catalogue_delete_segment(struct catalogue *c, int64_t segment, struct err *err);
int catalogue_put_frame(struct catalogue *c, int64_t segment, const struct catalogue_frame *frame,
                        struct err *err);
int catalogue_delete_frame(struct catalogue *c, int64_t segment, uint32_t number, struct err *err);
/* Steps through the frames of a segment in order; bloom is borrowed until the next step, absent
 * without with_bloom. */
int catalogue_frames(struct catalogue *c, int64_t segment, bool with_bloom, sqlite3_stmt **out,
                     struct err *err);
int catalogue_next_frame(struct catalogue *c, sqlite3_stmt *stmt, struct catalogue_frame *frame,
                         struct err *err);
