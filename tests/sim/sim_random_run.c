/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_random_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "tests/sim/sim_byzantine.h"
#include "tests/sim/sim_ending.h"

/* Of so many seeds one has all its datagrams read. */
#define READ_ALL 16u

typedef void (*fault_cb)(struct swim_sim *sim, uint32_t node);

static uint32_t draw(struct swim_sim *sim, uint32_t least, uint32_t most)
{
    return sim_random_between(swim_sim_random(sim), least, most);
}

static uint32_t any_node(struct swim_sim *sim)
{
    return draw(sim, 0, swim_sim_n_nodes(sim) - 1);
}

/* ---- faults of one node ---- */

static void kill_it(struct swim_sim *sim, uint32_t node)
{
    swim_sim_kill(sim, node);
    swim_sim_after(sim, draw(sim, 0, 40000), swim_sim_start, node);
}

static void power_off(struct swim_sim *sim, uint32_t node)
{
    swim_sim_power_off(sim, node);
    swim_sim_after(sim, draw(sim, 1000, 40000), swim_sim_start, node);
}

static void leave(struct swim_sim *sim, uint32_t node)
{
    swim_sim_leave(sim, node);
    swim_sim_after(sim, draw(sim, 3000, 30000), swim_sim_start, node);
}

static void stall(struct swim_sim *sim, uint32_t node)
{
    swim_sim_stall(sim, node);
    swim_sim_after(sim, draw(sim, 50, 15000), swim_sim_resume, node);
}

static void duty_ends(struct swim_sim *sim, uint32_t node)
{
    swim_sim_duty_cycle(sim, node, 0, 0);
}

static void duty(struct swim_sim *sim, uint32_t node)
{
    swim_sim_duty_cycle(sim, node, draw(sim, 100, 500), draw(sim, 300, 900));
    swim_sim_after(sim, draw(sim, 2000, 30000), duty_ends, node);
}

static void light(struct swim_sim *sim, uint32_t node)
{
    swim_sim_blackout(sim, node, false);
}

static void dark(struct swim_sim *sim, uint32_t node)
{
    swim_sim_blackout(sim, node, true);
    swim_sim_after(sim, draw(sim, 100, 20000), light, node);
}

static void clear_loss(struct swim_sim *sim, uint32_t node)
{
    swim_sim_lossy(sim, node, 0, 0);
}

static void lossy(struct swim_sim *sim, uint32_t node)
{
    uint32_t most = draw(sim, 0, 3) == 0 ? SIM_PPM : 800000;

    swim_sim_lossy(sim, node, draw(sim, 0, 1) * most, draw(sim, 0, 1) * most);
    swim_sim_after(sim, draw(sim, 1000, 30000), clear_loss, node);
}

static void clear_slow(struct swim_sim *sim, uint32_t node)
{
    swim_sim_slow(sim, node, 0);
}

static void slow(struct swim_sim *sim, uint32_t node)
{
    swim_sim_slow(sim, node, draw(sim, 1000, 400000));
    swim_sim_after(sim, draw(sim, 1000, 30000), clear_slow, node);
}

static void step_clock(struct swim_sim *sim, uint32_t node)
{
    swim_sim_step_clock(sim, node, (int64_t)draw(sim, 0, 7200000) - 3600000);
}

static void room(struct swim_sim *sim, uint32_t node)
{
    swim_sim_fill_disk(sim, node, false);
    swim_sim_slow_disk(sim, node, 0);
}

static void full(struct swim_sim *sim, uint32_t node)
{
    swim_sim_fill_disk(sim, node, draw(sim, 0, 1) == 0);
    swim_sim_slow_disk(sim, node, draw(sim, 0, 1) * draw(sim, 1, 3000));
    swim_sim_after(sim, draw(sim, 1000, 40000), room, node);
}

static void restart(struct swim_sim *sim, uint32_t node)
{
    swim_sim_restart(sim, node);
}

static void restart_afresh(struct swim_sim *sim, uint32_t node)
{
    swim_sim_restart_afresh(sim, node);
}

static void swap(struct swim_sim *sim, uint32_t node)
{
    uint32_t other = any_node(sim);

    if (node != other) {
        swim_sim_swap_addresses(sim, node, other);
    }
}

static void cut_one(struct swim_sim *sim, uint32_t node)
{
    swim_sim_cut(sim, node, any_node(sim));
}

static void garbage(struct swim_sim *sim, uint32_t node)
{
    swim_sim_garbage(sim, node, 50);
}

static void replay(struct swim_sim *sim, uint32_t node)
{
    (void)node;
    swim_sim_replay(sim, 200);
}

static void lie(struct swim_sim *sim, uint32_t node)
{
    swim_sim_lie(sim, node, any_node(sim), (enum sim_lie)draw(sim, 0, SIM_N_LIES - 1));
}

static void speak(struct swim_sim *sim, uint32_t node)
{
    uint8_t meta[SWIM_META_MAX];
    uint32_t n = draw(sim, 0, sizeof meta);

    memset(meta, (int)n, sizeof meta);
    if (swim_sim_is_running(sim, node)) {
        (void)swim_set_meta(swim_sim_core(sim, node), swim_sim_time_of(sim, node), meta, n);
        swim_sim_drain(sim, node);
    }
}

/* ---- faults of the network ---- */

static void split(struct swim_sim *sim, uint32_t node)
{
    static const swim_sim_sets_cb sets[] = {swim_sim_halves, swim_sim_bridge, swim_sim_minority};

    (void)node;
    swim_sim_partition(sim, sets[draw(sim, 0, ARRAY_LEN(sets) - 1)]);
}

static void ring(struct swim_sim *sim, uint32_t node)
{
    (void)node;
    swim_sim_ring_of_majorities(sim);
}

static void heal(struct swim_sim *sim, uint32_t node)
{
    (void)node;
    swim_sim_heal(sim);
}

static void weather(struct swim_sim *sim, uint32_t node)
{
    struct sim_net *net = swim_sim_net(sim);

    (void)node;
    net->loss_ppm = draw(sim, 0, 2) == 0 ? 0 : draw(sim, 0, 100000);
    net->duplicate_ppm = draw(sim, 0, 2) == 0 ? 0 : draw(sim, 0, 100000);
    net->reorder_ppm = draw(sim, 0, 2) == 0 ? 0 : draw(sim, 0, 200000);
    net->damage_ppm = draw(sim, 0, 2) == 0 ? 0 : draw(sim, 0, 10000);
    net->latency.spike_ppm = draw(sim, 0, 2) == 0 ? 0 : draw(sim, 0, 50000);
    net->latency.spike_us = 300000;
}

/* All again when half of them are killed at once. */
static void half_killed(struct swim_sim *sim, uint32_t node)
{
    (void)node;
    for (uint32_t i = 0; i < swim_sim_n_nodes(sim); i++) {
        if (draw(sim, 0, 1) == 0) {
            kill_it(sim, i);
        }
    }
}

static const struct {
    fault_cb act;
    uint32_t weight;
} faults[] = {
    {lie, 6},     {restart_afresh, 4}, {swap, 3},    {kill_it, 10}, {power_off, 4},
    {leave, 4},   {stall, 10},         {duty, 4},    {dark, 6},     {lossy, 6},
    {slow, 4},    {step_clock, 6},     {restart, 6}, {cut_one, 6},  {garbage, 6},
    {replay, 8},  {speak, 8},          {split, 3},   {ring, 1},     {heal, 12},
    {weather, 6}, {half_killed, 1},    {full, 6},
};

static void one_fault(struct swim_sim *sim)
{
    uint32_t sum = 0;
    uint32_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        sum += faults[i].weight;
    }
    for (sum = draw(sim, 0, sum - 1); sum >= faults[at].weight; at++) {
        sum -= faults[at].weight;
    }
    faults[at].act(sim, any_node(sim));
}

static bool tell_story(struct swim_sim *sim, const struct sim_random_run *run,
                       struct sim_random_result *result)
{
    uint64_t end_ns = (uint64_t)run->seconds * 1000 * SWIM_MS;

    swim_sim_record(sim, 1 + draw(sim, 0, 20));
    swim_sim_start_all(sim);
    while (swim_sim_now_ns(sim) < end_ns) {
        if (!swim_sim_run_for(sim, draw(sim, 0, 4000))) {
            return false;
        }
        one_fault(sim);
    }
    return sim_ending(sim, run->settle_ms, &result->settled_s);
}

void sim_random_run(const struct sim_random_run *run, struct sim_random_result *result)
{
    struct swim_sim_opts opts = *run->opts;
    struct swim_sim *sim;

    opts.every_datagram = opts.every_datagram || opts.seed % READ_ALL == 0;
    sim = swim_sim_new(&opts);
    *result = (struct sim_random_result){0};
    result->passed = tell_story(sim, run, result);
    result->totals = *swim_sim_totals(sim);
    if (swim_sim_failure(sim) != NULL) {
        (void)snprintf(result->failure, sizeof result->failure, "%s", swim_sim_failure(sim));
    }
    swim_sim_free(sim);
}
