/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets in flight, from pools by size, so that a simulation of millions of datagrams allocates
 * only as much as are under way at once. A packet is a datagram, or one message of a stream.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/sim_events.h"

#define SIM_POOLS 4

struct sim_packet {
    struct sim_event event;
    struct sim_packet *next; /* in a queue or a pool */
    uint32_t from;           /* node; UINT32_MAX: an attacker */
    uint32_t to;
    uint32_t from_slot; /* the address it comes from */
    uint32_t stream;    /* SIM_STREAM: which, and its generation */
    uint32_t generation;
    uint32_t tries; /* SIM_STREAM: retransmissions so far, and how long */
    uint64_t waited_ms;
    uint64_t number;     /* SIM_STREAM: in its direction */
    uint8_t side;        /* SIM_STREAM: of whom it is */
    bool is_lost;        /* SIM_STREAM: never gets through; the event is when that is known */
    uint64_t arrived_ns; /* when the kernel got it */
    uint64_t from_sid;   /* SIM_DATAGRAM: of the sender */
    uint64_t from_boot;
    uint32_t to_life; /* recorded: of the one that got it */
    uint32_t link_ns; /* SIM_DATAGRAM: what it waits for its sender's link */
    uint32_t n;
    bool computed; /* a shared core has had the time for it */
    uint8_t what;  /* SIM_STREAM: enum sim_stream_what */
    uint8_t pool;
    bool inert;       /* a replay or damage: it must change nothing (I11) */
    bool of_stranger; /* the receiver knew no record of the sender's life: no window */
    uint8_t bytes[];
};

struct sim_packets {
    struct sim_packet *pools[SIM_POOLS];
    uint64_t n_live;
};

void sim_packets_deinit(struct sim_packets *packets);
/* A copy of the bytes; everything else is zero. */
struct sim_packet *sim_packet_new(struct sim_packets *packets, const void *bytes, size_t n);
void sim_packet_free(struct sim_packets *packets, struct sim_packet *packet);

/* First in, first out; bounded by whoever puts. */
struct sim_queue {
    struct sim_packet *first, *last;
    size_t n_bytes; /* with what a kernel adds for each */
};

/* What a socket buffer counts beside the payload of each datagram (sk_buff and its head). */
#define SIM_PACKET_OVERHEAD 768u

void sim_queue_put(struct sim_queue *queue, struct sim_packet *packet);
struct sim_packet *sim_queue_take(struct sim_queue *queue); /* NULL: empty */
void sim_queue_clear(struct sim_queue *queue, struct sim_packets *packets);
