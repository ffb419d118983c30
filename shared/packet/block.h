/* SPDX-License-Identifier: Apache-2.0
 *
 * The unit of everything: a batch of captured packets. One capture thread fills a block, seals it,
 * and from then on it is immutable and reference counted; every consumer takes a reference. Its
 * bytes are a run of pcapng Enhanced Packet Blocks (draft-ietf-opsawg-pcapng §4.3), little-endian,
 * nanosecond time stamps, 4-byte aligned, so the same bytes are stored, exported and streamed:
 *
 *   0   u32 type = 6          4   u32 total length      8   u32 interface id
 *   12  u32 time stamp, high  16  u32 time stamp, low   20  u32 captured length (caplen)
 *   24  u32 original length   28  packet bytes, padded to 4 with zeros
 *   ..  options, if any       ..  u32 total length again
 *
 * Pure: no thread is started here; the reference count is atomic because several threads hold one
 * block. The pool that recycles blocks belongs to whoever captures (capture/session).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/bytes.h"

/* Fixed bytes of an Enhanced Packet Block without packet, padding and options. */
#define EPB_OVERHEAD 32u
#define EPB_TYPE     6u

/* A block's default capacity, and what a caller may choose. A packet that does not fit an empty
 * block of default capacity gets a block of its own size, so the upper bound is on one packet:
 * PACKET_MAX_BYTES. */
#define BLOCK_BYTES_DEFAULT (1024u * 1024u)
#define BLOCK_BYTES_MIN     (256u * 1024u)

/* The largest packet that any source delivers; larger ones in files are refused by name. */
#define PACKET_MAX_BYTES   (16u * 1024u * 1024u)
#define PACKET_MAX_OPTIONS (64u * 1024u)

/* One packet as every part of the program sees it. `data` and `options` are borrowed: valid while
 * the block is. */
struct packet_view {
    uint64_t time_ns;     /* since 1970-01-01T00:00:00Z, unsigned: good until 2554 */
    uint32_t iface;       /* index into the session's interfaces */
    uint32_t caplen;      /* bytes at data */
    uint32_t len;         /* bytes on the wire; may be less than caplen only in hostile files */
    uint32_t options_len; /* multiple of 4; 0 = none */
    const uint8_t *data;
    const uint8_t *options; /* pcapng options as in the EPB, little-endian, with end of options;
                               NULL when none */
};

struct block {
    uint8_t *data; /* owned */
    uint32_t len;
    uint32_t cap;
    uint32_t n_packets;
    uint64_t min_ns; /* of the time stamps inside; UINT64_MAX when empty */
    uint64_t max_ns;
    uint64_t packet_bytes; /* sum of caplen */
    uint64_t sealed_ns;    /* when a capture gave it to its consumers, monotonic; 0 = not by one */
    atomic_uint refs;
    void (*release)(struct block *block,
                    void *arg); /* called when the last reference goes; NULL = block_free */
    void *release_arg;
    struct block *next; /* for whoever owns it: a queue or a free list */
};

/* An empty block with one reference. cap in bytes. NULL when there is no memory. */
struct block *block_new(uint32_t cap);
void block_free(struct block *block);
struct block *block_ref(struct block *block);
void block_unref(struct block *block); /* takes NULL */
void block_reset(struct block *block); /* empty again; the caller holds the only reference */

/* Bytes that a packet takes in a block. */
static inline uint32_t block_packet_bytes(uint32_t caplen, uint32_t options_len)
{
    return EPB_OVERHEAD + ((caplen + 3u) & ~3u) + options_len;
}

/* Copies one packet behind the others: the one copy of the way of a packet. False when it does not
 * fit. caplen must be at most PACKET_MAX_BYTES, options_len a multiple of 4 and at most
 * PACKET_MAX_OPTIONS. Inline: it is most of
 * what a capture does for a packet (docs/decisions/0003-the-capture-path.md).
 * The first takes interface and caplen from beside the view, so that nobody copies a view: a copy
 * by wide loads right after narrow stores stalls the processor. */
static inline __attribute__((always_inline)) bool block_append_as(struct block *block,
                                                                  const struct packet_view *packet,
                                                                  uint32_t iface, uint32_t caplen)
{
    uint32_t need = block_packet_bytes(caplen, packet->options_len);
    uint64_t time_ns = packet->time_ns;

    if (need > block->cap - block->len) {
        return false;
    }
    uint8_t *at = block->data + block->len;
    uint32_t padded = (caplen + 3u) & ~3u;

    put_le32(at, EPB_TYPE);
    put_le32(at + 4, need);
    put_le32(at + 8, iface);
    put_le32(at + 12, (uint32_t)(time_ns >> 32));
    put_le32(at + 16, (uint32_t)time_ns);
    put_le32(at + 20, caplen);
    put_le32(at + 24, packet->len);
    if (padded > 0) {
        put_le32(at + 28 + padded - 4, 0); /* the padding; the packet overwrites what is not */
        memcpy(at + 28, packet->data, caplen);
    }
    if (packet->options_len > 0) {
        memcpy(at + 28 + padded, packet->options, packet->options_len);
    }
    put_le32(at + need - 4, need);

    block->len += need;
    block->n_packets++;
    block->packet_bytes += caplen;
    block->min_ns = time_ns < block->min_ns ? time_ns : block->min_ns;
    block->max_ns = time_ns > block->max_ns ? time_ns : block->max_ns;
    return true;
}

static inline bool block_append(struct block *block, const struct packet_view *packet)
{
    return block_append_as(block, packet, packet->iface, packet->caplen);
}

/* The only reader of packets out of a run of Enhanced Packet Blocks. The run may be hostile (from a
 * file). */
struct block_cursor {
    const uint8_t *p;
    const uint8_t *end;
};

static inline struct block_cursor block_cursor(const void *data, size_t n)
{
    return (struct block_cursor){.p = data, .end = (const uint8_t *)data + n};
}

/* 1 with *out set, 0 at the end, ERR_DAMAGED when the bytes are not a run of Enhanced Packet
 * Blocks. */
int block_next(struct block_cursor *cursor, struct packet_view *out);
