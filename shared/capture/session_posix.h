/* SPDX-License-Identifier: Apache-2.0
 *
 * One capture session: the one packet loop that there is. A capture thread reads all sources, live
 * interfaces or files, into blocks and offers each sealed block to every consumer, which has a
 * bounded queue and a thread of its own (lane_posix.h).
 *
 * When a queue is full: files wait. Live, the kernel's ring is the second queue: the session waits
 * until the ring overflows (the kernel's drop counter rises), then gives up the block for that
 * consumer and counts its packets as lost there, until the queue is half empty again.
 *
 * The end: a limit, the end of the input, session_request_stop, or an error. A live source is
 * halted first, then what the kernel already had is read, so that the counters add up: received =
 * captured + limit + kernel. What is started here is driven from outside by session_wait or the
 * descriptor of session_done_fd; the requests may come from any thread or signal handler.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/capture/intake.h"
#include "shared/capture/source.h"
#include "shared/packet/consumer.h"

#define SESSION_MAX_SOURCES   64
#define SESSION_MAX_CONSUMERS 8

/* How long a packet may stay in the open block of a live session where nothing else is said. */
#define SESSION_SEAL_MS 10
/* Seals as soon as there is nothing more to read: for those who watch. What comes together is then
 * decided by the kernel's block timeout, and in a flood by how long the session naps. */
#define SESSION_SEAL_AT_ONCE UINT32_MAX
/* Queue of a consumer where nothing else is said, in bytes of block capacity. */
#define SESSION_QUEUE_BYTES (24u * 1024u * 1024u)

struct session_consumer {
    struct consumer *consumer; /* borrowed until session_free */
    uint32_t queue_bytes;      /* 0 = SESSION_QUEUE_BYTES */
};

struct session_spec {
    struct source *const *sources; /* borrowed until session_free; all live, or all files */
    uint32_t n_sources;
    const struct session_consumer *consumers;
    uint32_t n_consumers;
    uint64_t max_packets; /* 0 = no limit, as for the next two */
    uint64_t max_bytes;   /* captured bytes */
    uint64_t duration_ns; /* live: of the clock; files: of packet time, from the first one */
    /* Live: packets stamped before from_ns (wall clock) are thrown away as if the capture had not
     * been open: they count nowhere. It ends at until_ns, and packets stamped then or later are
     * counted as limit. So captures on several hosts begin and end at one instant, by the kernels'
     * stamps and not by when a thread ran. 0 = at once, and no such end. */
    uint64_t from_ns;
    uint64_t until_ns;
    struct filter_set *filters;    /* files only: live sources filter in the kernel; NULL = none */
    uint32_t snaplen;              /* files only: cut packets to this; 0 = as they are */
    uint32_t block_bytes;          /* 0 = BLOCK_BYTES_DEFAULT */
    uint32_t seal_ms;              /* live only; 0 = SESSION_SEAL_MS, or SESSION_SEAL_AT_ONCE */
    intake_unmatched_cb unmatched; /* called from session_start or the capture thread */
    void *arg;
};

enum session_end {
    SESSION_END_INPUT,   /* files read to their end */
    SESSION_END_LIMIT,   /* count, bytes or duration */
    SESSION_END_STOPPED, /* session_request_stop */
    SESSION_END_ABORTED, /* session_request_abort: queued packets were given up */
    SESSION_END_FAILED,  /* see code and err */
};

struct session_loss {
    const char *stage; /* the consumer's name */
    uint64_t packets;
};

/* The counters at one moment. */
struct session_counters {
    struct ledger total; /* store: the sum of all stages below */
    struct session_loss stages[SESSION_MAX_CONSUMERS];
    uint32_t n_stages;
    uint64_t queue_bytes; /* what waits for the consumers, of all stages */
    uint64_t queue_limit;
};

struct session_result {
    enum session_end end;
    int code; /* 0, or the first error, with its words in err */
    struct err err;
    struct session_counters counters;
    const struct iface *ifaces; /* borrowed from the session */
    const struct ledger *ledgers;
    uint32_t n_ifaces;
    uint64_t started_ns; /* wall time */
    uint64_t ended_ns;
};

struct session;

/* Starts everything. The consumers' begin has run when this returns 0. */
int session_start(const struct session_spec *spec, struct session **out, struct err *err);

/* End as if a limit were reached, with everything flushed. Async-signal-safe, as is abort. A
 * capture thread that is about to block in the read of a pipe may miss it: ask again until the
 * session has ended. Must not come after session_result. Uses SIGURG for sources that are files. */
void session_request_stop(struct session *session);
/* End at once: what is queued is given up and counted, every file is closed in a valid state. */
void session_request_abort(struct session *session);

/* Readable once the session has ended. Borrowed. */
int session_done_fd(const struct session *session);
/* True when it has ended, waiting at most so long. */
bool session_wait(struct session *session, uint32_t timeout_ms);

/* Asks the capture thread for fresh counters; the last known ones when it does not answer within
 * half a second. Not from a signal handler. */
void session_snapshot(struct session *session, struct session_counters *out);

/* Live: a time of the clock that stamps the packets; those stamped before are with the consumers,
 * who are done with them, or lost, and none will follow. 0 = not known at the moment. Any thread;
 * what follows may be newer than what the last call said, and never older. */
uint64_t session_settled_ns(struct session *session);

/* After the end; joins the threads at the first call. Valid until session_free. */
const struct session_result *session_result(struct session *session);
void session_free(struct session *session); /* ended, or NULL */
