/* SPDX-License-Identifier: Apache-2.0
 *
 * The backlog of one live stream: the packets of the last moments, in order, in at most so many
 * bytes. One writer appends runs of packets to the last segment and adds segments; each viewer is a
 * cursor. When the limit is reached the oldest segment goes, whoever still wanted it: its cursors
 * then find themselves overtaken and learn exactly how many packets they have lost. Bytes that were
 * published never change, so a reader that holds a reference may use them without a lock.
 *
 *   segments   [s0 ........][s1 ........][s2 .....      ]     each a struct block (packet/block.h)
 *   packets    first of s0  first of s1   ...   ^ published  ^ capacity
 *   cursors         ^ slow                  ^ fast
 *
 * Packets of a stream are numbered from 0. Pure; whoever drives it from two threads has the lock
 * (node/relay_stream_uv).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/block.h"

/* Room of a segment; larger packets get one of their own. */
#define RELAY_SEGMENT_BYTES BLOCK_BYTES_MIN

struct relay_segment {
    struct block *block; /* a reference of the ring's */
    uint64_t first;      /* number of its first packet */
    uint32_t len;        /* published bytes and packets */
    uint32_t n;
};

struct relay_ring {
    struct relay_segment *segments; /* owned; circular, a power of two */
    uint32_t size;
    uint32_t n;
    uint64_t oldest; /* sequence number of the oldest segment; it is at oldest % size */
    uint64_t limit;  /* bytes of capacity */
    uint64_t bytes;
    uint64_t packets; /* published since the start: the number of the next one */
};

struct relay_cursor {
    uint64_t segment; /* sequence number */
    uint32_t offset;  /* in it */
    uint64_t number;  /* of the packet there */
};

/* What a cursor finds. */
struct relay_run {
    struct block *block; /* a reference of the reader's: block_unref */
    const uint8_t *data; /* whole packets */
    uint32_t n_bytes;
    uint32_t n_packets;
    uint64_t first; /* number of the first of them */
};

/* limit: of the capacity of all segments; segment: usual capacity of one. */
void relay_ring_init(struct relay_ring *ring, uint64_t limit_bytes, uint32_t segment_bytes);
void relay_ring_deinit(struct relay_ring *ring);

/* Adds an empty segment (moved) behind the others. What has to go for it comes back as a list
 * (block->next), references to be released by the caller, outside of its lock. */
struct block *relay_ring_push(struct relay_ring *ring, struct block *segment);
/* The last segment, for the writer to copy into behind what is published; NULL = none yet. */
struct block *relay_ring_last(const struct relay_ring *ring);
/* Bytes and packets that were copied behind the published part of the last segment. */
void relay_ring_publish(struct relay_ring *ring, uint32_t n_bytes, uint32_t n_packets);

/* Behind all that is there. */
struct relay_cursor relay_ring_end(const struct relay_ring *ring);
/* At packet `number`, or at the oldest one, where `number` is older: the loss comes out of the
 * first relay_ring_skip. False: that packet is not there yet. */
bool relay_ring_seek(const struct relay_ring *ring, uint64_t number, struct relay_cursor *out);

/* Moves a cursor that was overtaken to the oldest packet; how many it has lost. */
uint64_t relay_ring_skip(const struct relay_ring *ring, struct relay_cursor *cursor);
/* The run at the cursor, which must not be overtaken; false = nothing there. Moves it over the end
 * of a segment, not over packets. */
bool relay_ring_peek(const struct relay_ring *ring, struct relay_cursor *cursor,
                     struct relay_run *out);
/* The cursor behind n_packets in n_bytes of what it found. Needs no lock. */
static inline void relay_cursor_advance(struct relay_cursor *cursor, uint32_t n_bytes,
                                        uint32_t n_packets)
{
    cursor->offset += n_bytes;
    cursor->number += n_packets;
}
