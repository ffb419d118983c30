/* SPDX-License-Identifier: Apache-2.0 */
#include "node/relay_ring.h"

#include "shared/base/mem.h"

static struct relay_segment *at(const struct relay_ring *ring, uint64_t segment)
{
    return &ring->segments[segment & (ring->size - 1)];
}

void relay_ring_init(struct relay_ring *ring, uint64_t limit_bytes, uint32_t segment_bytes)
{
    uint32_t size = 4;

    while (size < limit_bytes / segment_bytes + 2) {
        size *= 2;
    }
    *ring = (struct relay_ring){
        .segments = x_alloc(size * sizeof *ring->segments), .size = size, .limit = limit_bytes};
}

void relay_ring_deinit(struct relay_ring *ring)
{
    for (uint32_t i = 0; i < ring->n; i++) {
        block_unref(at(ring, ring->oldest + i)->block);
    }
    mem_free(ring->segments);
    *ring = (struct relay_ring){0};
}

static struct block *take_oldest(struct relay_ring *ring)
{
    struct block *block = at(ring, ring->oldest)->block;

    ring->bytes -= block->cap;
    ring->oldest++;
    ring->n--;
    return block;
}

struct block *relay_ring_push(struct relay_ring *ring, struct block *segment)
{
    struct block *gone = NULL;

    while (ring->n > 0 && (ring->n == ring->size || ring->bytes + segment->cap > ring->limit)) {
        struct block *block = take_oldest(ring);
        block->next = gone;
        gone = block;
    }
    *at(ring, ring->oldest + ring->n) =
        (struct relay_segment){.block = segment, .first = ring->packets};
    ring->n++;
    ring->bytes += segment->cap;
    return gone;
}

struct block *relay_ring_last(const struct relay_ring *ring)
{
    return ring->n == 0 ? NULL : at(ring, ring->oldest + ring->n - 1)->block;
}

void relay_ring_publish(struct relay_ring *ring, uint32_t n_bytes, uint32_t n_packets)
{
    struct relay_segment *last = at(ring, ring->oldest + ring->n - 1);

    last->len += n_bytes;
    last->n += n_packets;
    ring->packets += n_packets;
}

struct relay_cursor relay_ring_end(const struct relay_ring *ring)
{
    if (ring->n == 0) {
        return (struct relay_cursor){.segment = ring->oldest, .number = ring->packets};
    }
    uint64_t last = ring->oldest + ring->n - 1;
    return (struct relay_cursor){
        .segment = last, .offset = at(ring, last)->len, .number = ring->packets};
}

/* The offset of the packet that comes `skip` packets behind the start; our own bytes. */
static uint32_t offset_of(const struct relay_segment *segment, uint64_t skip)
{
    uint32_t offset = 0;

    for (uint64_t i = 0; i < skip; i++) {
        offset += get_le32(segment->block->data + offset + 4);
    }
    return offset;
}

bool relay_ring_seek(const struct relay_ring *ring, uint64_t number, struct relay_cursor *out)
{
    if (number > ring->packets) {
        return false;
    }
    if (ring->n == 0 || number == ring->packets) {
        *out = relay_ring_end(ring);
        out->number = number;
        return true;
    }
    if (number < at(ring, ring->oldest)->first) {
        /* oldest is at least 1 here: something was dropped */
        *out = (struct relay_cursor){.segment = ring->oldest - 1, .number = number};
        return true;
    }
    uint64_t segment = ring->oldest;
    while (number >= at(ring, segment)->first + at(ring, segment)->n) {
        segment++;
    }
    *out = (struct relay_cursor){
        .segment = segment,
        .offset = offset_of(at(ring, segment), number - at(ring, segment)->first),
        .number = number};
    return true;
}

uint64_t relay_ring_skip(const struct relay_ring *ring, struct relay_cursor *cursor)
{
    if (cursor->segment >= ring->oldest) {
        return 0;
    }
    uint64_t first = ring->n == 0 ? ring->packets : at(ring, ring->oldest)->first;
    uint64_t lost = first - cursor->number;
    *cursor = (struct relay_cursor){.segment = ring->oldest, .number = first};
    return lost;
}

bool relay_ring_peek(const struct relay_ring *ring, struct relay_cursor *cursor,
                     struct relay_run *out)
{
    uint64_t end = ring->oldest + ring->n;

    REQUIRE(cursor->segment >= ring->oldest);
    while (cursor->segment < end && cursor->offset == at(ring, cursor->segment)->len) {
        if (cursor->segment + 1 >= end) {
            return false;
        }
        cursor->segment++;
        cursor->offset = 0;
    }
    if (cursor->segment >= end) {
        return false;
    }
    const struct relay_segment *segment = at(ring, cursor->segment);
    *out = (struct relay_run){
        .block = block_ref(segment->block),
        .data = segment->block->data + cursor->offset,
        .n_bytes = segment->len - cursor->offset,
        .n_packets = (uint32_t)(segment->first + segment->n - cursor->number),
        .first = cursor->number,
    };
    return true;
}
