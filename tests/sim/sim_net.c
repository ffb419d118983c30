/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_net.h"

#include <string.h>

#include "shared/base/mem.h"

#define SIM_US 1000u /* ns */
/* What is reordered comes this much later: behind several gossip rounds, before a time-out. */
#define SIM_REORDER_MOST_US 20000u

const struct sim_latency sim_latency_loopback = {.least_us = 50, .most_us = 200};
const struct sim_latency sim_latency_lan = {.least_us = 200, .most_us = 1000};
const struct sim_latency sim_latency_wan = {
    .least_us = 10000, .most_us = 80000, .spike_ppm = 10000, .spike_us = 200000};

static void make_whole(struct sim_net *net)
{
    for (uint32_t i = 0; i < net->n_nodes; i++) {
        net->nodes[i] = (struct sim_net_node){.sets = UINT32_MAX};
    }
}

void sim_net_init(struct sim_net *net, uint32_t n_nodes, uint64_t seed)
{
    *net = (struct sim_net){
        .random = sim_random_stream(seed, 'n', 0),
        .latency = sim_latency_lan,
        .n_nodes = n_nodes,
        .nodes = x_alloc(n_nodes * sizeof *net->nodes),
    };
    make_whole(net);
}

void sim_net_deinit(struct sim_net *net)
{
    mem_free(net->nodes);
    mem_free(net->cut_links);
    *net = (struct sim_net){0};
}

void sim_net_cut_link(struct sim_net *net, uint32_t from, uint32_t to, bool cut)
{
    size_t bit = (size_t)from * net->n_nodes + to;

    if (net->cut_links == NULL) {
        net->cut_links = x_alloc(((size_t)net->n_nodes * net->n_nodes + 63) / 64 * 8);
    }
    if (cut) {
        net->cut_links[bit / 64] |= UINT64_C(1) << bit % 64;
    } else {
        net->cut_links[bit / 64] &= ~(UINT64_C(1) << bit % 64);
    }
}

void sim_net_heal(struct sim_net *net)
{
    mem_free(net->cut_links);
    net->cut_links = NULL;
    net->ring_reach = 0;
    make_whole(net);
}

static bool is_ring_apart(const struct sim_net *net, uint32_t a, uint32_t b)
{
    uint32_t d = a > b ? a - b : b - a;

    return (d < net->n_nodes - d ? d : net->n_nodes - d) > net->ring_reach;
}

bool sim_net_is_cut(const struct sim_net *net, uint32_t from, uint32_t to)
{
    size_t bit = (size_t)from * net->n_nodes + to;

    if ((net->nodes[from].sets & net->nodes[to].sets) == 0) {
        return true;
    }
    if (net->ring_reach != 0 && is_ring_apart(net, from, to)) {
        return true;
    }
    return net->cut_links != NULL && (net->cut_links[bit / 64] >> bit % 64 & 1) != 0;
}

bool sim_net_loses(struct sim_net *net, uint32_t from, uint32_t to)
{
    return sim_random_chance(&net->random, net->loss_ppm) ||
           sim_random_chance(&net->random, net->nodes[from].loss_out_ppm) ||
           sim_random_chance(&net->random, net->nodes[to].loss_in_ppm);
}

uint64_t sim_net_delay_ns(struct sim_net *net, uint32_t from, uint32_t to)
{
    const struct sim_latency *l = &net->latency;
    uint64_t delay_ns = (uint64_t)l->least_us * SIM_US +
                        sim_random_below(&net->random, (l->most_us - l->least_us) * SIM_US + 1);

    if (sim_random_chance(&net->random, l->spike_ppm)) {
        delay_ns += (uint64_t)sim_random_below(&net->random, l->spike_us) * SIM_US;
    }
    return delay_ns + (uint64_t)(net->nodes[from].slow_us + net->nodes[to].slow_us) * SIM_US;
}

static void add_copy(struct sim_net *net, uint32_t from, uint32_t to, struct sim_fate *fate)
{
    uint32_t i = fate->n_copies++;

    fate->delay_ns[i] = sim_net_delay_ns(net, from, to);
    if (sim_random_chance(&net->random, net->reorder_ppm)) {
        fate->delay_ns[i] += (uint64_t)sim_random_below(&net->random, SIM_REORDER_MOST_US) * SIM_US;
    }
    fate->damaged[i] = sim_random_chance(&net->random, net->damage_ppm);
    net->n_damaged += fate->damaged[i];
}

struct sim_fate sim_net_fate(struct sim_net *net, uint32_t from, uint32_t to)
{
    struct sim_fate fate = {0};

    net->n_sent++;
    if (sim_net_is_cut(net, from, to)) {
        net->n_cut++;
        return fate;
    }
    if (sim_net_loses(net, from, to)) {
        net->n_lost++;
        return fate;
    }
    add_copy(net, from, to, &fate);
    if (sim_random_chance(&net->random, net->duplicate_ppm)) {
        net->n_duplicated++;
        add_copy(net, from, to, &fate);
    }
    return fate;
}
