/* SPDX-License-Identifier: Apache-2.0
 *
 * The network between the nodes: for each datagram, whether it arrives, how often and when. It
 * moves nothing itself. Nodes are numbers from 0; everything drawn comes from its own stream of
 * randomness. What can be wrong: loss (everywhere, at a node, in one direction), duplicates,
 * reordering, spikes, damage, and cuts: two nodes reach each other when they share a set (halves:
 * two sets; a bridge: a node in both), and, in a ring of majorities, when they are near enough;
 * single directed links can be cut besides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/sim_random.h"

/* Uniform between least and most; a spike adds up to spike_us more. */
struct sim_latency {
    uint32_t least_us, most_us;
    uint32_t spike_ppm, spike_us;
};

extern const struct sim_latency sim_latency_loopback; /* 50 – 200 µs, as memberlist was measured */
extern const struct sim_latency sim_latency_lan;      /* 0.2 – 1 ms */
extern const struct sim_latency sim_latency_wan;      /* 10 – 80 ms, with spikes */

struct sim_net_node {
    uint32_t sets; /* bits; all: reached by everybody */
    uint32_t loss_in_ppm, loss_out_ppm;
    uint32_t slow_us; /* more on each way */
};

struct sim_net {
    struct sim_random random;
    struct sim_latency latency;
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm, damage_ppm;
    uint32_t n_nodes;
    struct sim_net_node *nodes; /* owned */
    uint32_t ring_reach;        /* 0: no ring; else the most steps around it */
    uint64_t *cut_links;        /* owned, n_nodes² bits; NULL: none cut */
    uint64_t n_sent, n_lost, n_cut, n_duplicated, n_damaged;
};

void sim_net_init(struct sim_net *net, uint32_t n_nodes, uint64_t seed);
void sim_net_deinit(struct sim_net *net);

/* One direction of one link; `cut` false mends it. */
void sim_net_cut_link(struct sim_net *net, uint32_t from, uint32_t to, bool cut);
/* All cuts, sets, the ring, and what single nodes suffer; loss_ppm and its like stay. */
void sim_net_heal(struct sim_net *net);
bool sim_net_is_cut(const struct sim_net *net, uint32_t from, uint32_t to);

#define SIM_COPIES_MAX 2
struct sim_fate {
    uint32_t n_copies; /* 0: it is lost */
    uint64_t delay_ns[SIM_COPIES_MAX];
    bool damaged[SIM_COPIES_MAX];
};
struct sim_fate sim_net_fate(struct sim_net *net, uint32_t from, uint32_t to);

/* One way, and whether one packet is lost on it: what streams are made of. */
uint64_t sim_net_delay_ns(struct sim_net *net, uint32_t from, uint32_t to);
bool sim_net_loses(struct sim_net *net, uint32_t from, uint32_t to);
