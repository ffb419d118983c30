/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the relay share: relay_uv.c (the table of streams), relay_stream_uv.c (the life
 * of one), relay_lane_uv.c (what its capture's thread does) and viewer_*.c (who looks at it).
 */
#pragma once

#include <stdatomic.h>

#include <uv.h>

#include "node/relay.h"
#include "node/relay_ring.h"
#include "shared/base/backoff.h"
#include "shared/capture/block_pool_posix.h"
#include "shared/capture/session_posix.h"
#include "shared/packet/consumer.h"

#define RELAY_ID_TEXT 17

struct viewer;
struct viewer_write;
struct relay_stream;

/* The first two by WebSocket. */
enum viewer_kind { VIEWER_RAW, VIEWER_PCAPNG, VIEWER_TCP, VIEWER_RPC, N_VIEWER_KINDS };

/* All count from the start of the node. */
struct relay_counters {
    uint64_t joined;
    uint64_t packets;
    uint64_t bytes; /* of messages, before TLS */
    uint64_t lost;  /* packets that a viewer did not get because it was too slow */
};

struct relay {
    struct node *node;
    struct relay_stream *streams; /* list; those that can be joined, and those that end */
    uint32_t n_streams;           /* all of it */
    uint32_t n_viewers[N_VIEWER_KINDS];
    struct relay_counters counters[N_VIEWER_KINDS];
    uint64_t lost_captured;     /* of streams that are gone: between capture and viewers */
    uint64_t refused;           /* for want of --max-captures */
    uint32_t n_histories;       /* being read, or not yet back with their reader */
    uint64_t history_job_ns;    /* of a worker at a time; tests say otherwise */
    struct block_pool *buffers; /* raw frames on their way */
    struct block *scratch;
    uv_timer_t sweep;
    uv_timer_t deadline; /* of a drain */
    unsigned n_handles;
    int stamp_fd; /* makes the kernel stamp each packet once (0004) */
    bool ending;
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
};

enum stream_state {
    STREAM_OPENING, /* on a worker */
    STREAM_RUNNING,
    STREAM_CLOSING, /* the capture has ended or is being ended; on a worker */
    STREAM_DOWN,    /* the interface went away; waits for the next try */
    STREAM_DEAD,    /* only its handles and viewers are left */
};

struct stream_waiter {
    struct stream_waiter *next;
    void (*done)(void *arg, struct relay_stream *stream, const struct err *err);
    void *arg;
};

struct relay_stream {
    struct relay *relay;
    struct relay_stream *next;
    char id[RELAY_ID_TEXT];
    char *interface;
    char *filter; /* the user's, "" = none */
    uint32_t snaplen;

    /* loop thread */
    enum stream_state state;
    bool has_run;
    bool ending; /* nobody may join any more */
    struct stream_waiter *waiters;
    struct viewer *viewers;
    uint32_t n_viewers;
    uint64_t idle_since_ms;
    uv_async_t wake; /* from the lane: packets, or the end */
    uv_timer_t retry;
    uv_timer_t pace;
    unsigned n_handles;
    bool is_paced;       /* a round is due when `pace` fires */
    struct viewer *turn; /* who is next in a round that was too long; NULL: the first */
    struct backoff backoff;
    char *note; /* the last event, for viewers; NULL = none */
    uint32_t note_number;
    struct err down; /* why it is away */

    /* between worker jobs the loop thread's; during one the job's */
    struct source *source;
    char *excluded;
    struct iface iface;
    uint64_t started_ns; /* wall time, of the first capture */

    /* the lane's */
    struct consumer consumer;
    struct block_pool *pool;
    uint64_t looked_at_ns;
    _Atomic(struct session *) session;
    atomic_bool finished;
    atomic_uint_fast64_t lost; /* no memory; of the running capture */

    uv_mutex_t mutex; /* guards what follows */
    struct relay_ring ring;
    uint64_t newest_ns;    /* time stamp in what was published; 0 = none */
    uint64_t newest_at_ns; /* monotonic, when */
    struct ledger ledger;  /* of the running capture */
    struct ledger before;  /* of those before it, added up */
};

/* relay_uv.c */
struct relay_request {
    const char *interface;
    const char *filter; /* NULL or "" = all */
    uint32_t snaplen;   /* 0 = all */
};
/* Finds the stream or makes it. done, now or later on the loop, with the stream, of which the
 * viewer has to be made at once (viewer_new), or the error: ERR_IN_USE = too many captures. */
void relay_join(struct relay *relay, const struct relay_request *request,
                void (*done)(void *arg, struct relay_stream *stream, const struct err *err),
                void *arg);
void relay_forget_stream(struct relay_stream *stream);
/* A capture has ended, or a stream is gone: is that what drain or close wait for? */
void relay_check_end(struct relay *relay);
uint64_t relay_now_ms(const struct relay *relay);

/* relay_stream_uv.c */
struct relay_stream *relay_stream_new(struct relay *relay, const struct relay_request *request);
void relay_stream_wait(struct relay_stream *stream, const struct stream_waiter *waiter);
/* Ends it: nobody joins any more, viewers may still leave. */
void relay_stream_end(struct relay_stream *stream);
/* Another round of its viewers, in the next turn of the loop. */
void relay_stream_poke(struct relay_stream *stream);
/* Another in a few milliseconds. */
void relay_stream_pause(struct relay_stream *stream);
void relay_stream_add_viewer(struct relay_stream *stream, struct viewer *viewer);
void relay_stream_remove_viewer(struct relay_stream *stream, struct viewer *viewer);
/* The ledger of all its captures so far. */
struct ledger relay_stream_ledger(struct relay_stream *stream);
/* Tells viewers when another part of the host's traffic is left out than was told before. */
void relay_stream_check_excluded(struct relay_stream *stream);
void relay_stream_event(struct relay_stream *stream, const char *type, const char *text);

/* relay_watermark_uv.c: a time of the clock that stamps the stream's packets; none that is older
 * will come behind the cursor. 0 = not known. */
uint64_t relay_stream_watermark(struct relay_stream *stream, struct relay_cursor cursor);

/* relay_lane_uv.c */
void relay_lane_init(struct relay_stream *stream);
void relay_lane_deinit(struct relay_stream *stream);
