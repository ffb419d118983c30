/* SPDX-License-Identifier: Apache-2.0
 *
 * What a store writer is, shared by its two halves: store_writer_posix.c gathers blocks into jobs,
 * and store_append_posix.c appends finished frames to segments and lives with a full disk. Private
 * to the store.
 */
#pragma once

#include <stdatomic.h>

#include "shared/store/commit.h"
#include "shared/store/frame_pool.h"
#include "shared/store/store_writer.h"

struct store_writer {
    struct consumer base;
    struct store *store;
    struct store_session session;
    enum store_compression compression;
    enum store_full_rule full_rule;
    uint64_t quota_bytes;
    uint32_t (*clock)(void *arg, bool is_last, struct clock_sample out[STORE_CLOCK_MOST]);
    void *clock_arg;
    uint64_t segment_bytes;
    uint8_t *data_key; /* locked memory; NULL when unencrypted */
    struct commit *commit;
    struct frame_pool *pool;
    uint32_t *link_types; /* by interface; read by the pool */

    struct open_segment *segment; /* NULL: none open */
    uint32_t sequence;            /* of the last segment */
    uint32_t next_frame;          /* number for the next job */
    uint64_t submitted_bytes;     /* bound of what the open segment will hold */
    uint64_t next_packet;         /* number of the next packet to be appended, from 1 */

    struct frame_job *gathering; /* the slot being filled, or NULL */
    uint64_t gathering_since_ns;
    bool may_wait;        /* as the last block said */
    bool full;            /* nothing can be written; what comes is counted as lost */
    uint64_t retry_at_ns; /* UINT64_MAX: never */
    bool finished;
    bool resumed;
    enum store_state state_before; /* of the session that was resumed, and what it had lost */
    uint64_t ended_before_ns;
    struct ledger loss_before;

    /* Under a quota: bytes of the store on disk when they were last measured, and w->stored then.
     */
    uint64_t disk_bytes;
    uint64_t disk_at_stored;

    atomic_uint_fast64_t lost;
    atomic_uint_fast64_t packets;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t stored;
    /* Written once a frame, read by whoever asks. */
    atomic_uint_fast64_t proto_packets[PROTOCOLS];
    atomic_uint_fast64_t proto_bytes[PROTOCOLS];
    atomic_uint_fast64_t delays[STORE_DELAY_BUCKETS];
    atomic_uint_fast64_t delay_count;
    atomic_uint_fast64_t delay_sum_ns;
    atomic_int state;
};

/* Appends the oldest finished job; *any tells whether there was one (wait: it is waited for). */
int store_writer_append_oldest(struct store_writer *w, bool wait, bool *any, struct err *err);
/* Appends what is done, or waits for and appends all that was started; after an error the rest is
 * counted as lost. The first error. */
int store_writer_collect(struct store_writer *w, bool all, struct err *err);
/* Makes sure of a segment for a run of this length; rolls it when the run might not fit. Everything
 * in flight is appended before that, so the old segment stays whole. */
int store_writer_place(struct store_writer *w, uint32_t raw_len, struct err *err);
/* The session's description once more, with what changed. */
int store_writer_describe(struct store_writer *w, struct err *err);
/* New samples of the clock, without the rest. */
int store_writer_tell_clock(struct store_writer *w, const struct clock_samples *samples,
                            struct err *err);
void store_writer_close_segment(struct store_writer *w);
/* 1 when the disk is not full (any more). */
int store_writer_try_again(struct store_writer *w);
