/* SPDX-License-Identifier: Apache-2.0
 *
 * The merge of what is sorted by time: a heap of things, each with the time stamp of its next
 * packet. Equal times go by rank (which session, which node), then by number, so that the order is
 * the same whenever it is asked for. Drivers: a scan over frames (shared/store/scan), a merge of
 * nodes (shared/merge). Inline, because it is most of what a merge does for a packet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"

struct time_node {
    uint64_t time_ns;
    uint64_t number;
    uint32_t rank;
    uint32_t index; /* the owner's; as item */
    void *item;     /* the owner's */
};

/* All zero is an empty one. */
struct time_heap {
    struct time_node *nodes; /* owned; the earliest first */
    size_t n;
    size_t cap;
};

static inline void time_heap_deinit(struct time_heap *heap)
{
    mem_free(heap->nodes);
    *heap = (struct time_heap){0};
}

static inline bool time_node_before(const struct time_node *a, const struct time_node *b)
{
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns;
    }
    return a->rank != b->rank ? a->rank < b->rank : a->number < b->number;
}

/* After the first one got another time. */
static inline void time_heap_settle(struct time_heap *heap)
{
    struct time_node moving = heap->nodes[0];
    size_t at = 0;

    for (size_t child = 1; child < heap->n; child = 2 * at + 1) {
        if (child + 1 < heap->n && time_node_before(&heap->nodes[child + 1], &heap->nodes[child])) {
            child++;
        }
        if (!time_node_before(&heap->nodes[child], &moving)) {
            break;
        }
        heap->nodes[at] = heap->nodes[child];
        at = child;
    }
    heap->nodes[at] = moving;
}

/* After the one at `at` got an earlier time. */
static inline void time_heap_raise(struct time_heap *heap, size_t at)
{
    struct time_node moving = heap->nodes[at];

    while (at > 0 && time_node_before(&moving, &heap->nodes[(at - 1) / 2])) {
        heap->nodes[at] = heap->nodes[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->nodes[at] = moving;
}

static inline void time_heap_push(struct time_heap *heap, const struct time_node *node)
{
    if (heap->n == heap->cap) {
        heap->cap = heap->cap == 0 ? 16 : heap->cap * 2;
        heap->nodes = x_realloc(heap->nodes, heap->cap * sizeof *heap->nodes);
    }
    heap->nodes[heap->n++] = *node;
    time_heap_raise(heap, heap->n - 1);
}

/* Takes the first one off; the heap is not empty. */
static inline void time_heap_pop(struct time_heap *heap)
{
    heap->nodes[0] = heap->nodes[--heap->n];
    if (heap->n > 1) {
        time_heap_settle(heap);
    }
}
