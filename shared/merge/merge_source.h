/* SPDX-License-Identifier: Apache-2.0
 *
 * One source of a merge: its bytes, the packets in them that wait, in order, and what it told.
 * Private to shared/merge.
 *
 * Bytes lie in chunks; a packet waits as an entry that points into one, and a chunk goes when its
 * last packet was written. Most packets come in order and stand in a ring; those that do not are
 * strays and stand in a heap beside it; the next one is the earlier of both.
 *
 * A packet is late when its time is before the source's own watermark: the largest time seen minus
 * window_ns, or what was the largest time reorder_bytes of packets ago, whichever is more. It then
 * goes where the watermark is. So the order in which a source gives its packets is its own, however
 * its bytes came.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/merge/merge.h"
#include "shared/packet/pcapng_read.h"
#include "shared/packet/time_heap.h"

/* How finely the bytes are told after which a packet is late. */
#define MERGE_PAST 16u
/* Bytes in a row without a packet after which a source is given up. */
#define MERGE_IDLE_BYTES_MAX (256ULL * 1024u * 1024u)
/* Of a stream's sections and interfaces, as they stand in it, kept for merge_save. */
#define MERGE_HEAD_MAX (1024u * 1024u)
/* Numbers of an interface in the output that are remembered: one an era. */
#define MERGE_ERAS_KEPT 4u

/* Bytes that were rebuilt from what does not stand as our own blocks do. */
struct merge_side {
    struct merge_side *next;
    size_t len;
    size_t cap;
    uint8_t bytes[];
};

/* What decides over the order from some point of the stream on. */
struct merge_mark {
    uint64_t number;           /* packets before it */
    uint64_t max_ns;           /* the largest time */
    uint64_t wm_ns;            /* the watermark */
    uint64_t past_left;        /* bytes until the next step of past */
    uint64_t past[MERGE_PAST]; /* the largest times, one each reorder_bytes / MERGE_PAST */
    uint32_t past_at;
    uint64_t options; /* left out */
    size_t head_len;  /* of the source's head, what came before it */
};

struct merge_chunk {
    struct merge_chunk *next; /* newer */
    struct merge_chunk *prev;
    struct merge_side *sides;
    uint64_t n_pending;
    uint64_t piece; /* the feed that its first new bytes came with */
    size_t n_carry; /* bytes of a block that the chunk before began */
    struct merge_mark mark;
    size_t len;
    size_t cap;
    uint8_t *bytes;
};

struct merge_entry {
    uint64_t key; /* where it stands; its time, if it is neither late nor early */
    uint64_t time_ns;
    uint64_t number;
    const uint8_t *epb;
    struct merge_chunk *chunk;
    uint32_t iface;
    uint32_t era;
};

struct merge_iface {
    struct {
        uint32_t era;
        uint32_t out;
    } ids[MERGE_ERAS_KEPT];
    uint32_t n_ids;
    uint32_t last_out;
    bool has_told;
    struct pcapng_told_statistics told;
};

struct merge_source {
    struct merge *merge;
    uint32_t rank;
    char node[MERGE_NAME_MAX];
    char id[MERGE_ID_MAX];
    struct merge_clock clock;
    struct pcapng_reader reader;
    struct merge_iface *ifaces;
    uint32_t n_ifaces;
    uint32_t cap_ifaces;

    struct merge_chunk *oldest;
    struct merge_chunk *chunk; /* the newest: where bytes go */
    size_t parsed;             /* of its bytes */
    uint64_t n_feeds;
    size_t held_bytes;
    uint64_t idle_bytes;
    struct merge_mark now;
    struct buf head;
    bool cannot_save; /* the head was too large */

    struct merge_entry *ring; /* cap is a power of two */
    uint64_t ring_first;
    uint64_t ring_end;
    uint64_t ring_cap;
    struct time_heap strays; /* index: of stray_entries */
    struct merge_entry *stray_entries;
    uint32_t *stray_free;
    uint32_t n_stray_free;
    uint32_t stray_cap;

    uint64_t lost; /* between its capture and here */
    bool is_ended;
    int failed;
    char why[256];
    struct merge_told told;
};

void merge_source_init(struct merge_source *s, struct merge *merge, uint32_t rank,
                       const struct merge_who *who);
void merge_source_deinit(struct merge_source *s);
int merge_source_feed(struct merge_source *s, const uint8_t *bytes, size_t n, struct err *err);
/* Reads the head again that another one had, before anything else. */
int merge_source_take_head(struct merge_source *s, const uint8_t *bytes, size_t n, struct err *err);
/* Bytes at the end of the newest chunk that are no whole block yet. */
size_t merge_source_rest(const struct merge_source *s, const uint8_t **bytes);
/* The record of an interface, made when it is new. */
struct merge_iface *merge_source_iface(struct merge_source *s, uint32_t iface);

static inline bool merge_source_is_empty(const struct merge_source *s)
{
    return s->ring_first == s->ring_end && s->strays.n == 0;
}

/* The next one, NULL when there is none. */
static inline const struct merge_entry *merge_source_first(const struct merge_source *s)
{
    const struct merge_entry *run =
        s->ring_first == s->ring_end ? NULL : &s->ring[s->ring_first & (s->ring_cap - 1)];

    if (__builtin_expect(s->strays.n == 0, 1)) {
        return run;
    }
    const struct time_node *stray = &s->strays.nodes[0];
    if (run != NULL && (run->key < stray->time_ns ||
                        (run->key == stray->time_ns && run->number < stray->number))) {
        return run;
    }
    return &s->stray_entries[stray->index];
}

/* Takes off the one that merge_source_first gave; its bytes may be gone then. */
void merge_source_drop(struct merge_source *s, const struct merge_entry *first);
