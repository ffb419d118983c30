/* SPDX-License-Identifier: Apache-2.0
 *
 * Worker threads that turn runs of packets into frames: index, compress, seal. A ring of jobs keeps
 * their order: the store writer fills the next slot, starts it, and takes the oldest when it is
 * done. The ring is the bound: when it is full the writer waits for the oldest. Private to the
 * store.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/block.h"
#include "shared/packet/iface.h"
#include "shared/store/index.h"
#include "shared/store/segment.h"

/* The index of a frame is at most this share of its packet bytes (the contract is 1 %), and never
 * below the floor. */
#define INDEX_SHARE 110u
#define INDEX_FLOOR 48u

struct frame_job {
    /* Set by the writer before start. raw points into block or gathered. */
    enum frame_kind kind;
    struct block *block; /* owned reference, or NULL */
    uint8_t *gathered;   /* owned, FRAME_RAW_BYTES, made when first needed */
    const uint8_t *raw;
    uint32_t raw_len;
    uint32_t n_packets;
    uint32_t segment; /* sequence of the segment that number and seal are of; 0 = none yet */
    uint32_t number;  /* of the frame in its segment */
    uint64_t packet_bytes;
    uint64_t min_ns;
    uint64_t max_ns;
    uint64_t sealed_ns; /* when its first block was sealed; monotonic */
    bool compress;
    const struct seal *seal;

    /* Set by the worker. */
    uint8_t *out; /* owned */
    size_t out_cap;
    size_t out_len;      /* bytes in out; 0: no memory */
    const uint8_t *body; /* raw, when it is stored as it is, behind out; else NULL */
    uint8_t *bloom;      /* owned */
    size_t bloom_cap;
    size_t bloom_n;
    struct protocol_tally tally;
    bool done;
};

struct frame_pool;

/* link_types: IFACES_MAX entries, by interface number; may be filled further between jobs. workers
 * >= 1. */
struct frame_pool *frame_pool_new(uint32_t workers, const uint32_t *link_types);
/* Waits for what was started. Takes NULL. */
void frame_pool_free(struct frame_pool *pool);
/* The next free slot, empty but for its buffers, or NULL when the ring is full. */
struct frame_job *frame_pool_next(struct frame_pool *pool);
void frame_pool_start(struct frame_pool *pool, struct frame_job *job);
/* The oldest started job when it is done (wait: or as soon as it is); NULL when none is started or
 * done. */
struct frame_job *frame_pool_oldest(struct frame_pool *pool, bool wait);
/* The oldest job's slot is free again; its block is let go. */
void frame_pool_release(struct frame_pool *pool, struct frame_job *job);
/* Waits until every started job is done: nothing uses a segment's seal any more. */
void frame_pool_settle(struct frame_pool *pool);
/* Makes the frame of a done job again, for another number and seal, on the caller's thread. */
void frame_pool_redo(struct frame_pool *pool, struct frame_job *job);
