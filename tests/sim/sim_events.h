/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to happen: one heap for the whole simulation. Its records are embedded in their owners (a
 * packet in flight, the wake-up of a node, a stream's next message, a fault that ends) and can be
 * moved or taken out. At equal times the order is: what arrives, then timers ("inputs before
 * timers", swim.h), and among equals the order in which they were put.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_event_kind {
    SIM_DATAGRAM, /* of a struct sim_packet */
    SIM_STREAM,   /* the same, on a stream */
    SIM_CONTROL,  /* a fault begins or ends */
    SIM_READY,    /* a node can take what waits */
    SIM_WAKE,     /* of a node */
};

struct sim_event {
    uint64_t due_ns; /* virtual time */
    uint64_t order;
    uint32_t at; /* place in the heap + 1; 0: not in it */
    uint8_t kind;
};

struct sim_events {
    struct sim_slot *heap; /* owned; the records are borrowed */
    uint32_t n;
    uint32_t cap;
    uint64_t n_put; /* ever */
};

void sim_events_deinit(struct sim_events *events);
/* Puts it in, or moves it when it is in. */
void sim_events_put(struct sim_events *events, struct sim_event *event, uint64_t due_ns);
void sim_events_remove(struct sim_events *events, struct sim_event *event);
/* The next one, or NULL. */
struct sim_event *sim_events_first(const struct sim_events *events);
struct sim_event *sim_events_pop(struct sim_events *events);
