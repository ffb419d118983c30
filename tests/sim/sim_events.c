/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_events.h"

#include "shared/base/mem.h"

/* Four children a node: half as deep as two, and a step compares what lies in two cache lines. */
#define SIM_ARITY 4u

struct sim_slot {
    uint64_t due_ns;
    uint64_t order;
    struct sim_event *event;
};

void sim_events_deinit(struct sim_events *events)
{
    mem_free(events->heap);
    *events = (struct sim_events){0};
}

static bool is_before(const struct sim_slot *a, const struct sim_slot *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void place(struct sim_events *events, uint32_t at, struct sim_slot slot)
{
    events->heap[at] = slot;
    slot.event->at = at + 1;
}

static void rise(struct sim_events *events, uint32_t at, struct sim_slot slot)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / SIM_ARITY;

        if (!is_before(&slot, &events->heap[parent])) {
            break;
        }
        place(events, at, events->heap[parent]);
        at = parent;
    }
    place(events, at, slot);
}

static uint32_t least_child(const struct sim_events *events, uint32_t at)
{
    uint32_t first = at * SIM_ARITY + 1;
    uint32_t end = first + SIM_ARITY < events->n ? first + SIM_ARITY : events->n;
    uint32_t least = first;

    for (uint32_t i = first + 1; i < end; i++) {
        if (is_before(&events->heap[i], &events->heap[least])) {
            least = i;
        }
    }
    return least;
}

static void sink(struct sim_events *events, uint32_t at, struct sim_slot slot)
{
    while (at * SIM_ARITY + 1 < events->n) {
        uint32_t child = least_child(events, at);

        if (!is_before(&events->heap[child], &slot)) {
            break;
        }
        place(events, at, events->heap[child]);
        at = child;
    }
    place(events, at, slot);
}

void sim_events_put(struct sim_events *events, struct sim_event *event, uint64_t due_ns)
{
    struct sim_slot slot = {
        .due_ns = due_ns,
        .order = (uint64_t)(event->kind == SIM_WAKE) << 63 | ++events->n_put,
        .event = event,
    };

    event->due_ns = due_ns;
    event->order = slot.order;
    if (event->at != 0) {
        uint32_t at = event->at - 1;

        if (is_before(&slot, &events->heap[at])) {
            rise(events, at, slot);
        } else {
            sink(events, at, slot);
        }
        return;
    }
    if (events->n == events->cap) {
        events->cap = events->cap == 0 ? 1024 : events->cap * 2;
        events->heap = x_realloc(events->heap, events->cap * sizeof *events->heap);
    }
    rise(events, events->n++, slot);
}

void sim_events_remove(struct sim_events *events, struct sim_event *event)
{
    uint32_t at = event->at - 1;
    struct sim_slot last;

    if (event->at == 0) {
        return;
    }
    event->at = 0;
    last = events->heap[--events->n];
    if (at == events->n) {
        return;
    }
    if (at > 0 && is_before(&last, &events->heap[(at - 1) / SIM_ARITY])) {
        rise(events, at, last);
    } else {
        sink(events, at, last);
    }
}

struct sim_event *sim_events_first(const struct sim_events *events)
{
    return events->n == 0 ? NULL : events->heap[0].event;
}

struct sim_event *sim_events_pop(struct sim_events *events)
{
    struct sim_event *first = sim_events_first(events);

    if (first != NULL) {
        sim_events_remove(events, first);
    }
    return first;
}
