/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte streams: TCP connections, with TLS or without, that the layer above reads and writes and
 * knows nothing else about. All streams of a server share one read buffer, one pool of write
 * requests and one sweep a second that looks at deadlines, so that an idle connection costs little
 * more than its socket. Loop thread.
 *
 * A stream lives until `closed` was called, whoever ended it. After stream_abort nothing else is
 * called; what was queued is released on the way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <uv.h>

#include "shared/base/buf.h"
#include "shared/wire/tls.h"

#define STREAM_IOV_MAX    16
#define STREAM_PEER_MAX   64             /* "[ADDR]:PORT" */
#define STREAM_READ_BYTES (64u * 1024u)  /* at most what one `data` brings without TLS */
#define STREAM_TLS_PIECE  (256u * 1024u) /* plaintext that is encrypted at once */

struct stream;

struct stream_ops {
    /* The TLS handshake is done; not called without TLS. May be NULL. */
    void (*ready)(struct stream *stream, void *arg);
    /* What came, borrowed. Also called with what was on its way after stream_pause. */
    void (*data)(struct stream *stream, void *arg, const uint8_t *data, size_t n);
    /* The peer will send no more. */
    void (*ended)(struct stream *stream, void *arg);
    /* What was queued went below half of the high mark after it had been above, or is out. */
    void (*drained)(struct stream *stream, void *arg);
    /* In the next turn of the loop after stream_wake. */
    void (*woken)(struct stream *stream, void *arg);
    /* Once a sweep: for deadlines. Monotonic. */
    void (*tick)(struct stream *stream, void *arg, uint64_t now_ms);
    /* The end. `why` is a few words for the log; the stream is gone after this call. */
    void (*closed)(struct stream *stream, void *arg, const char *why);
};

struct streams_opts {
    uint32_t handshake_ms;
    uint32_t stall_ms;
    uint32_t linger_ms;
    uint32_t sweep_ms;
    size_t max_queued;
    size_t high_mark;
    const char *plain_answer; /* to who speaks HTTP without TLS where TLS is spoken; NULL = none */
};

/* All count from the start. */
struct streams_counters {
    uint64_t bytes_in; /* on the wire, TLS and all */
    uint64_t bytes_out;
    uint64_t handshakes;        /* done */
    uint64_t handshakes_failed; /* refused, broken or too slow */
    uint64_t stalled;           /* ended because the peer took nothing */
    uint64_t overfull;          /* ended because more than max_queued waited */
};

struct stream_write;

/* What the streams of one server share. */
struct streams {
    uv_loop_t *loop;
    struct streams_opts opts;
    struct streams_counters counters;
    LIST_HEAD(, stream) all; /* that are not closed yet */
    struct stream *woken;    /* those of stream_wake */
    size_t n;
    size_t queued;              /* bytes that wait, of all */
    struct stream_write *spare; /* write requests to use again */
    size_t n_spare;
    struct buf plain;  /* decrypted, of the read that is being worked on */
    struct buf cipher; /* encrypted, about to be written */
    uint8_t *read_buffer;
    uv_timer_t sweep;
    uv_idle_t turn;
    unsigned n_handles; /* of the two above that are open */
    void (*closed)(struct streams *streams);
};

void streams_open(struct streams *streams, uv_loop_t *loop, const struct streams_opts *opts);
/* All streams must be gone. */
void streams_close(struct streams *streams, void (*closed)(struct streams *streams));

/* Takes the descriptor of an accepted connection (moved) and begins to read. tls: NULL = plain
 * (borrowed; the session keeps its own count). NULL when the kernel refuses; the descriptor is
 * closed then. */
struct stream *stream_accept(struct streams *streams, int fd, struct tls_context *tls,
                             const struct sockaddr_storage *peer, const struct stream_ops *ops,
                             void *arg);
/* Another layer takes over, from the next event on. */
void stream_set_ops(struct stream *stream, const struct stream_ops *ops, void *arg);

/* The next of all that a server has. */
struct stream *stream_next(const struct stream *stream);

bool stream_is_ready(const struct stream *stream); /* always, without TLS */
bool stream_is_tls(const struct stream *stream);
/* It takes nothing any more either (a UNIX socket that was closed, a connection that was reset);
 * one on TCP that closed is told from one that only sends no more when something is written. */
bool stream_peer_is_gone(const struct stream *stream);
/* Aborted or finished: what is written now goes nowhere. */
bool stream_is_ending(const struct stream *stream);
const char *stream_peer(const struct stream *stream);
const struct sockaddr_storage *stream_peer_address(const struct stream *stream);
/* Our end's address, as text without a port. */
void stream_local_address(const struct stream *stream, char out[STREAM_PEER_MAX]);
/* Address as text without port; an IPv4 address mapped into IPv6 as IPv4. */
void stream_address_text(const struct sockaddr_storage *address, char out[STREAM_PEER_MAX]);

void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
void stream_wake(struct stream *stream);

/* Bytes of ours that wait for the kernel. */
size_t stream_queued(const struct stream *stream);
/* At most the high mark waits. */
bool stream_has_room(const struct stream *stream);

/* Writes bytes from where they lie; release(arg), once, when they are not needed any more, which
 * may be before this returns. n ≤ STREAM_IOV_MAX. release may be NULL. */
void stream_write(struct stream *stream, const struct iovec *iov, unsigned n,
                  void (*release)(void *arg), void *arg);
/* The same with a copy of what the kernel does not take at once. */
void stream_write_copy(struct stream *stream, const void *data, size_t n);

/* Sends what is queued, then the end, and waits a little for the peer's so that it reads our last
 * bytes in peace; `data` is not called any more. Again: nothing. */
void stream_finish(struct stream *stream);
/* At once. why: a literal. */
void stream_abort(struct stream *stream, const char *why);
