/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a stream share: stream_uv (reading, the end, deadlines), stream_write_uv (the
 * write path and TLS) and streams_uv (what all streams of a server have together).
 */
#pragma once

#include "node/stream_uv.h"

struct stream {
    uv_tcp_t tcp;
    struct streams *streams;
    LIST_ENTRY(stream) link;
    struct stream *next_woken;
    const struct stream_ops *ops;
    void *arg;
    struct tls *tls; /* NULL = plain */
    uint64_t handshake_until_ms;
    uint64_t linger_until_ms; /* 0 = not lingering */
    uint64_t progress_ms;     /* when the kernel last took something, or nothing waited */
    size_t queued_seen;       /* by the last sweep */
    int unacked_seen;         /* what the kernel had of it then */
    size_t queued;            /* bytes in write requests */
    size_t discarded;
    const char *why;
    uv_shutdown_t shutdown;
    struct sockaddr_storage peer;
    char peer_text[STREAM_PEER_MAX];
    bool is_ready; /* TLS: handshake done */
    bool was_fed;  /* TLS: something came */
    bool reading;
    bool is_woken;
    bool was_full; /* more than the high mark waited: `drained` is owed */
    bool peer_ended;
    bool finishing;
    bool shutdown_done;
    bool closing;
};

/* A write that the kernel did not take at once. */
struct stream_write {
    uv_write_t request;
    struct stream *stream;
    struct stream_write *next; /* in the pool */
    size_t n_bytes;
    struct buf owned; /* freed when it is written */
    void (*release)(void *arg);
    void *arg;
};

/* streams_uv.c */
void streams_remember(struct streams *streams, struct stream *stream);
void streams_forget(struct streams *streams, struct stream *stream);
void streams_dispose(struct stream *stream); /* one that never was remembered */
void streams_start_turn(struct streams *streams);
struct stream_write *streams_take_write(struct streams *streams);
void streams_give_write(struct streams *streams, struct stream_write *write);

/* stream_uv.c */
void stream_deliver(struct stream *stream, const uint8_t *data, size_t n);
void stream_peer_end(struct stream *stream);
void stream_tick(struct stream *stream, uint64_t at_ms);

/* stream_write_uv.c */
void stream_feed_tls(struct stream *stream, const uint8_t *data, size_t n);
void stream_close_tls(struct stream *stream);
