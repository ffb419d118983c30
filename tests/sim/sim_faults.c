/* SPDX-License-Identifier: Apache-2.0
 *
 * What can go wrong, as the verbs of a story.
 */
#include "tests/sim/sim_internal.h"

/* ---- processes ---- */

void swim_sim_start(struct swim_sim *sim, uint32_t node)
{
    if (sim->nodes[node].swim == NULL) {
        sim_node_start(sim, node);
    }
}

void swim_sim_start_all(struct swim_sim *sim)
{
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        swim_sim_start(sim, i);
        (void)sim_run_ns(sim, (uint64_t)sim->opts.start_gap_us * 1000);
    }
}

static void stop(struct swim_sim *sim, uint32_t node, bool silent)
{
    if (sim->nodes[node].swim != NULL) {
        sim_tell(sim, SIM_TRACE_KILL, node, SIM_NOBODY);
        sim_node_stop(sim, node, silent);
    }
}

void swim_sim_kill(struct swim_sim *sim, uint32_t node)
{
    stop(sim, node, false);
}

void swim_sim_power_off(struct swim_sim *sim, uint32_t node)
{
    stop(sim, node, true);
}

void swim_sim_leave(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (n->swim == NULL || n->leaving) {
        return;
    }
    sim_tell(sim, SIM_TRACE_LEAVE, node, SIM_NOBODY);
    n->leaving = true;
    swim_leave(n->swim, sim_node_now(sim, node));
    if (!n->stalled) {
        sim_node_drain(sim, node);
    }
}

void swim_sim_restart(struct swim_sim *sim, uint32_t node)
{
    swim_sim_kill(sim, node);
    sim_node_start(sim, node);
}

void swim_sim_restart_afresh(struct swim_sim *sim, uint32_t node)
{
    swim_sim_kill(sim, node);
    sim_tell(sim, SIM_TRACE_FRESH, node, SIM_NOBODY);
    sim->nodes[node].n_fresh++;
    sim_node_make_keys(sim, node);
    sim_node_start(sim, node);
}

void swim_sim_forget_boot(struct swim_sim *sim, uint32_t node)
{
    sim_tell(sim, SIM_TRACE_FORGET, node, SIM_NOBODY);
    sim->nodes[node].persisted_boot = 0;
}

void swim_sim_fill_disk(struct swim_sim *sim, uint32_t node, bool full)
{
    sim_tell(sim, full ? SIM_TRACE_FULL : SIM_TRACE_ROOM, node, SIM_NOBODY);
    sim->nodes[node].disk_is_full = full;
}

void swim_sim_slow_disk(struct swim_sim *sim, uint32_t node, uint32_t ms)
{
    sim_tell(sim, SIM_TRACE_DISK, node, SIM_NOBODY);
    sim->nodes[node].disk_ms = ms;
}

void swim_sim_clone(struct swim_sim *sim, uint32_t node, uint32_t of)
{
    struct sim_node *to = &sim->nodes[node];
    const struct sim_node *from = &sim->nodes[of];

    swim_sim_kill(sim, node);
    sim_tell(sim, SIM_TRACE_CLONE_OF, node, of);
    memcpy(to->public_key, from->public_key, sizeof to->public_key);
    memcpy(to->secret_key, from->secret_key, sizeof to->secret_key);
    to->sid = from->sid;
    to->persisted_boot = from->persisted_boot;
    sim_node_start(sim, node);
}

void swim_sim_swap_addresses(struct swim_sim *sim, uint32_t a, uint32_t b)
{
    uint32_t slot = sim->nodes[a].slot;

    swim_sim_kill(sim, a);
    swim_sim_kill(sim, b);
    sim_tell(sim, SIM_TRACE_SWAP, a, b);
    sim->nodes[a].slot = sim->nodes[b].slot;
    sim->nodes[b].slot = slot;
    sim->node_of_slot[sim->nodes[a].slot] = a;
    sim->node_of_slot[sim->nodes[b].slot] = b;
    sim_node_start(sim, a);
    sim_node_start(sim, b);
}

void swim_sim_set_sick(struct swim_sim *sim, uint32_t node, bool sick)
{
    sim->nodes[node].sick = sick;
}

void swim_sim_stall(struct swim_sim *sim, uint32_t node)
{
    sim_tell(sim, SIM_TRACE_STALL, node, SIM_NOBODY);
    sim->nodes[node].sick = true;
    sim_node_stall(sim, node);
}

void swim_sim_resume(struct swim_sim *sim, uint32_t node)
{
    sim_tell(sim, SIM_TRACE_RESUME, node, SIM_NOBODY);
    sim_node_resume(sim, node);
}

/* One half of a cycle after the other. */
static void turn(struct swim_sim *sim, uint32_t node)
{
    struct sim_node *n = &sim->nodes[node];

    if (--n->duty_token != 0) {
        return; /* a newer cycle has its own turns */
    }
    if (n->duty_on_ms == 0) {
        sim_node_resume(sim, node);
        return;
    }
    n->duty_token++;
    if (n->stalled) {
        sim_node_resume(sim, node);
    } else {
        sim_node_stall(sim, node);
    }
    swim_sim_after(sim, n->stalled ? n->duty_off_ms : n->duty_on_ms, turn, node);
}

void swim_sim_duty_cycle(struct swim_sim *sim, uint32_t node, uint32_t on_ms, uint32_t off_ms)
{
    struct sim_node *n = &sim->nodes[node];

    n->duty_on_ms = on_ms;
    n->duty_off_ms = off_ms;
    n->sick = true;
    n->duty_token++;
    swim_sim_after(sim, on_ms == 0 ? 0 : sim_random_below(&sim->random, on_ms + off_ms), turn,
                   node);
}

void swim_sim_step_clock(struct swim_sim *sim, uint32_t node, int64_t ms)
{
    sim_tell(sim, SIM_TRACE_STEP, node, SIM_NOBODY);
    sim->nodes[node].clock.off_ns += ms * 1000000;
}

void swim_sim_set_keyring(struct swim_sim *sim, uint32_t node, const struct swim_keyring *ring)
{
    struct sim_node *n = &sim->nodes[node];

    sim_tell(sim, SIM_TRACE_KEYS, node, SIM_NOBODY);
    n->keyring = *ring;
    if (n->swim != NULL) {
        swim_set_keyring(n->swim, ring);
        if (!n->stalled) {
            sim_node_drain(sim, node);
        }
    }
}

/* ---- the network ---- */

uint32_t swim_sim_halves(uint32_t node, uint32_t n_nodes)
{
    return node < n_nodes / 2 ? 1 : 2;
}

uint32_t swim_sim_bridge(uint32_t node, uint32_t n_nodes)
{
    return node == 0 ? 3 : swim_sim_halves(node, n_nodes);
}

uint32_t swim_sim_minority(uint32_t node, uint32_t n_nodes)
{
    return node >= n_nodes - 1 - (n_nodes - 1) / 10 ? 2 : 1;
}

void swim_sim_partition(struct swim_sim *sim, swim_sim_sets_cb sets)
{
    sim_tell(sim, SIM_TRACE_PARTITION, SIM_NOBODY, SIM_NOBODY);
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        sim->net.nodes[i].sets = sets(i, sim->opts.n_nodes);
        sim->nodes[i].sick = true;
    }
}

void swim_sim_ring_of_majorities(struct swim_sim *sim)
{
    sim_tell(sim, SIM_TRACE_RING, SIM_NOBODY, SIM_NOBODY);
    sim->net.ring_reach = sim->opts.n_nodes / 4 + 1;
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        sim->nodes[i].sick = true;
    }
}

void swim_sim_cut(struct swim_sim *sim, uint32_t from, uint32_t to)
{
    sim_tell(sim, SIM_TRACE_CUT, from, to);
    sim_net_cut_link(&sim->net, from, to, true);
}

void swim_sim_mend(struct swim_sim *sim, uint32_t from, uint32_t to)
{
    sim_tell(sim, SIM_TRACE_MEND, from, to);
    sim_net_cut_link(&sim->net, from, to, false);
}

void swim_sim_isolate(struct swim_sim *sim, uint32_t node)
{
    sim_tell(sim, SIM_TRACE_CUT, node, SIM_NOBODY);
    sim->net.nodes[node].sets = 0;
    sim->nodes[node].sick = true;
}

void swim_sim_lossy(struct swim_sim *sim, uint32_t node, uint32_t in_ppm, uint32_t out_ppm)
{
    sim_tell(sim, SIM_TRACE_LOSSY, node, SIM_NOBODY);
    sim->net.nodes[node].loss_in_ppm = in_ppm;
    sim->net.nodes[node].loss_out_ppm = out_ppm;
    sim->nodes[node].sick = true;
}

void swim_sim_slow(struct swim_sim *sim, uint32_t node, uint32_t us)
{
    sim_tell(sim, SIM_TRACE_SLOW, node, SIM_NOBODY);
    sim->net.nodes[node].slow_us = us;
    sim->nodes[node].sick = true;
}

void swim_sim_blackout(struct swim_sim *sim, uint32_t node, bool on)
{
    sim_tell(sim, on ? SIM_TRACE_DARK : SIM_TRACE_LIGHT, node, SIM_NOBODY);
    sim->nodes[node].sick = true;
    sim_node_blackout(sim, node, on);
}

void swim_sim_heal(struct swim_sim *sim)
{
    sim_tell(sim, SIM_TRACE_HEAL, SIM_NOBODY, SIM_NOBODY);
    sim_net_heal(&sim->net);
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        sim->nodes[i].duty_on_ms = 0;
        sim->nodes[i].disk_is_full = false;
        sim->nodes[i].disk_ms = 0;
        sim_node_blackout(sim, i, false);
        sim_node_resume(sim, i);
        sim->nodes[i].sick = false;
    }
}
