/* SPDX-License-Identifier: Apache-2.0
 *
 * One who looks at a live stream: a cursor into its backlog, the format, and a peer that bytes go
 * to, which is a WebSocket or a plain TCP connection and known by a table of functions alone. What
 * is on its way to the peer is bounded (--viewer-queue); beyond that the viewer waits, the stream
 * goes on, and what it misses is counted and told. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "node/relay_internal_uv.h"

struct viewer_deflate;
struct viewer_history;
struct viewer_zstd;

/* The peer's side, as in node/ws_conn.h and node/stream_uv.h. */
struct viewer_peer_ops {
    bool (*has_room)(void *peer);
    void (*write)(void *peer, const struct iovec *iov, unsigned n, void (*release)(void *arg),
                  void *arg);
    void (*close)(void *peer, uint16_t code, const char *reason);
    /* `close` will come soon, though the node ends: nobody else shall close it meanwhile.
     * NULL: nobody would. */
    void (*hold)(void *peer);
};

struct viewer_opts {
    enum viewer_kind kind;
    bool zstd;
    uint64_t history_ns;      /* 0 = from now on */
    uint64_t history_from_ns; /* in place of it, since 1970; 0 = none */
    const char *resume;       /* "ID:N" of a stream that this viewer saw before, or NULL */
};

struct viewer {
    struct viewer *next; /* of its stream */
    struct relay_stream *stream;
    enum viewer_kind kind;
    const struct viewer_peer_ops *ops; /* NULL until viewer_start, and when the peer is gone */
    void *peer;
    bool is_closing;
    uint16_t end_code; /* with its reason: close when what is being compressed is out; 0 = no */
    const char *end_reason;
    struct relay_cursor cursor;
    size_t room;      /* VIEWER_RPC: bytes that the peer takes at once; 0 = as they come */
    size_t in_flight; /* memory that is held for the peer */
    uint32_t n_writes;

    uint64_t n_packets; /* sent, of the stream and of the history */
    uint64_t lost;
    uint64_t lost_untold; /* pcapng: goes into the next statistics */
    uint64_t lost_event;  /* not yet in an event */
    bool has_jumped;      /* packets were left out that are no loss: tell the position */
    uint32_t note_number; /* of the stream's note that was told */
    char note[256];       /* of its own, for the next statistics; "" = none */
    uint64_t told_ms;     /* the last statistics */
    uint64_t told_packets;
    struct buf pending; /* blocks that go out before the next packets: head, statistics */

    struct viewer_zstd *zstd;
    struct viewer_deflate *deflate;
    struct viewer_history *history; /* while it is being read; no live packets until then */
    uint64_t live_from_ns; /* live packets before it came before the viewer; 0 = all are wanted */
    uint64_t joined_ms;
};

/* Where it will begin is settled here: `position` is the number of the first live packet. The
 * stream must be one that relay_join gave just now. Never NULL. */
struct viewer *viewer_new(struct relay_stream *stream, const struct viewer_opts *opts);
uint64_t viewer_position(const struct viewer *viewer);
const char *viewer_stream_id(const struct viewer *viewer);

/* Begins to send; deflates: its WebSocket agreed to permessage-deflate. Without a peer (the upgrade
 * failed): viewer_gone. */
void viewer_start(struct viewer *viewer, const struct viewer_peer_ops *ops, void *peer,
                  bool deflates);
/* The peer has room again. */
void viewer_pump(struct viewer *viewer);
/* The peer is gone: nothing is sent any more; the viewer goes when its writes are released. */
void viewer_gone(struct viewer *viewer);
/* Last statistics, then the peer is closed; at once, but for what is being compressed. `reason` is
 * kept, not copied. Again: nothing. */
void viewer_end(struct viewer *viewer, uint16_t code, const char *reason);
/* Once a second. */
void viewer_tick(struct viewer *viewer, uint64_t now_ms);

/* For the files of the viewer. ---------------------------------------------------------------- */

/* Bytes that belong together on their way out: references to segments, and a buffer of ours. */
#define VIEWER_RUNS_MAX 7

struct viewer_write {
    struct viewer *viewer;
    struct block *blocks[VIEWER_RUNS_MAX];
    const uint8_t *data[VIEWER_RUNS_MAX];
    uint32_t n_bytes[VIEWER_RUNS_MAX];
    unsigned n;
    struct buf own; /* goes first */
    uint8_t headers[VIEWER_RUNS_MAX + 1][16];
    bool is_framed; /* own is whole frames */
    size_t held;    /* what it adds to in_flight once it is sent */
    bool is_sent;
    uint32_t n_packets;
};

struct viewer_write *viewer_write_new(struct viewer *viewer);
/* Compresses it where that was agreed, maybe on a worker, and sends it; moved. */
void viewer_write_send(struct viewer_write *write);
/* Sends each part as one message (TCP: as it is); moved. */
void viewer_write_go(struct viewer_write *write);
/* Sends bytes that were made of it in its place; both are moved. */
void viewer_write_go_as(struct viewer_write *write, struct buf *bytes, bool is_framed);
/* The same when a worker made them, and what waited for it. A cancelled one is given up. */
void viewer_write_back(struct viewer_write *write, struct buf *bytes, bool is_framed,
                       bool cancelled);
bool viewer_is_compressing(const struct viewer *viewer);
/* Gives up what was not sent. */
void viewer_write_free(struct viewer_write *write);
/* One write less (n_writes): frees a viewer that is gone and has no more. */
void viewer_write_done(struct viewer *viewer);
bool viewer_can_send(const struct viewer *viewer);
void viewer_count_lost(struct viewer *viewer, uint64_t n);
/* What viewer_end put off. */
void viewer_end_late(struct viewer *viewer);
/* What is due to be told, into viewer->pending. */
void viewer_tell(struct viewer *viewer, bool at_end);
/* Fills `write` from the backlog; false when nothing is there. Raw: from viewer_raw_uv.c. */
bool viewer_take_runs(struct viewer *viewer, struct viewer_write *write);
bool viewer_send_raw(struct viewer *viewer, size_t *n_bytes);
/* Packets that are not from the backlog; the block is moved. */
void viewer_send_run(struct viewer *viewer, struct block *block);

/* viewer_zstd.c: what goes out is compressed first, on a worker when it is much. */
struct viewer_zstd *viewer_zstd_new(void);
void viewer_zstd_free(struct viewer_zstd *zstd);
bool viewer_zstd_is_busy(const struct viewer_zstd *zstd);
void viewer_zstd_go(struct viewer_write *write); /* moved */

/* viewer_deflate.c: each message is compressed for itself; the same way. */
struct viewer_deflate *viewer_deflate_new(void);
void viewer_deflate_free(struct viewer_deflate *deflate);
bool viewer_deflate_is_busy(const struct viewer_deflate *deflate);
void viewer_deflate_go(struct viewer_write *write); /* moved */

/* viewer_history_uv.c */
/* From a time of the packets on, at most RELAY_HISTORY_MAX_NS ago. */
void viewer_history_begin(struct viewer *viewer, uint64_t from_ns);
void viewer_history_step(struct viewer *viewer); /* the peer has room */
void viewer_history_drop(struct viewer *viewer); /* the viewer is gone; frees later */
