/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the simulator share: the simulation itself.
 */
#pragma once

#include "shared/base/mem.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_check_queues.h"
#include "tests/sim/sim_cost.h"
#include "tests/sim/sim_events.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_packets.h"
#include "tests/sim/sim_streams.h"
#include "tests/sim/sim_trace.h"

#define SIM_CORES         8
#define SIM_RECORDED      4096
#define SIM_FAILURE_BYTES 400

struct sim_link {
    struct sim_link *previous, *next;
};

/* Something that is to be done later. */
struct sim_control {
    struct sim_event event;
    struct sim_link link; /* in the list of all of them */
    void (*act)(struct swim_sim *, uint32_t);
    uint32_t node;
};

struct swim_sim {
    struct swim_sim_opts opts;
    uint64_t now_ns;
    struct sim_random random; /* the story's */
    struct sim_random jitter; /* of wake-ups */
    struct sim_events events;
    struct sim_packets packets;
    struct sim_link plans; /* the head of the list */
    struct sim_net net;
    struct sim_streams streams;
    struct sim_node *nodes; /* owned, opts.n_nodes of them */
    uint32_t *node_of_slot; /* owned */
    uint32_t n_running;
    uint64_t core_free_ns[SIM_CORES]; /* of shared ones */
    uint32_t witness;                 /* whose view was the last that was seen to differ */
    struct sim_check check;
    struct sim_told told;
    struct sim_packet **recorded; /* owned; NULL: nothing is recorded */
    uint32_t record_every;
    uint64_t n_recorded, n_delivered;
    struct swim_sim_totals totals;
    uint64_t counted_ns; /* node_ns is right up to here */
    char failure[SIM_FAILURE_BYTES];
    struct swim_scratch scratch;
    struct sim_trace trace;
};

/* Mixes into the digest of the run. */
static inline void sim_digest(struct swim_sim *sim, uint64_t value)
{
    uint64_t z = sim->totals.digest ^ value;

    z = (z ^ z >> 32) * 0xd6e8feb86659fd93u;
    sim->totals.digest = z ^ z >> 29;
}

static inline void sim_tell(struct swim_sim *sim, enum sim_trace_what what, uint32_t node,
                            uint32_t other)
{
    sim_trace_add(&sim->trace, (struct sim_trace_line){
                                   .now_ns = sim->now_ns,
                                   .node = node,
                                   .other = other,
                                   .what = (uint8_t)what,
                               });
}

/* False: a property failed. */
bool sim_run_ns(struct swim_sim *sim, uint64_t ns);
/* node_ns up to now; before the number of running nodes changes. */
void sim_count_time(struct swim_sim *sim);
/* Sends a datagram on its way. */
void sim_send(struct swim_sim *sim, uint32_t node, const struct swim_addr *addr, const void *bytes,
              size_t n);
void sim_put_on_way(struct swim_sim *sim, struct sim_packet *packet);
/* A datagram has reached its node: remember it for replays. */
void sim_remember(struct swim_sim *sim, const struct sim_packet *packet);
