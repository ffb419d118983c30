/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_ending.h"

#include <inttypes.h>

#include "tests/sim/sim_internal.h"

#define HEAL_MS    10000u /* L6 */
#define ALONE_MS   60000u /* who found nobody tries its seeds again after 45 s at the latest */
#define RESTART_MS 10000u
/* L7 is a second for 999 of 1000 observers. Gossip may miss the last of them; then the next probe
 * finds that views differ, and they are compared. */
#define LEAVE_MS  3000u
#define SPREAD_MS 2000u
/* Local health is well again, and what was under way is over. */
#define REST_MS 10000u

static void calm(struct swim_sim *sim)
{
    struct sim_net *net = swim_sim_net(sim);

    swim_sim_forget_plans(sim);
    swim_sim_heal(sim);
    net->loss_ppm = net->duplicate_ppm = net->reorder_ppm = net->damage_ppm = 0;
    net->latency.spike_ppm = 0;
}

/* Who has its address now: nodes swap theirs. */
static uint32_t seed_of(const struct swim_sim *sim)
{
    return sim->node_of_slot[0];
}

/* Knows nobody that runs; of the gone it may know some. */
static bool is_alone(const struct swim_sim *sim, uint32_t node)
{
    struct swim_view view;

    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        const struct sim_node *other = &sim->nodes[i];
        if (i != node && other->swim != NULL &&
            swim_member_get(sim->nodes[node].swim, other->sid, &view) &&
            (view.state == SWIM_ALIVE || view.state == SWIM_SUSPECT)) {
            return false;
        }
    }
    return true;
}

static bool is_anybody_alone(const struct swim_sim *sim)
{
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        if (sim->nodes[i].swim != NULL && is_alone(sim, i)) {
            return true;
        }
    }
    return false;
}

/* Who flapped has 16 times the least, and who was slow six times the time-outs. */
static uint32_t detect_most_ms(const struct swim_sim *sim)
{
    const struct swim_rules *rules = sim->opts.rules;
    struct swim_bounds bounds = rules->suspicion(rules, sim->n_running);
    uint32_t verdict_ms =
        rules->adaptive ? rules->timeout_ms * rules->slow_factor * 32 / 10 : rules->verdict_ms;
    uint32_t damped_ms = rules->damping ? bounds.min_ms * 16 : 0;

    return 2 * (rules->probe_interval_ms + verdict_ms) +
           (damped_ms > bounds.max_ms ? damped_ms : bounds.max_ms) + SPREAD_MS;
}

/* Everybody that runs is up at everybody; of the gone something may still be. */
static bool all_meet(struct swim_sim *sim, uint32_t unused)
{
    (void)unused;
    return sim->check.n_pairs_up - sim->check.n_up_of_gone ==
           (uint64_t)sim->n_running * (sim->n_running - 1);
}

static bool settle(struct swim_sim *sim, uint32_t settle_ms)
{
    uint32_t heal_ms = settle_ms;
    bool seed_starts;

    calm(sim);
    /* The only seed may be on its way out: who starts at that moment would find nobody, ever. */
    (void)swim_sim_run_for(sim, SWIM_LEAVE_MS + 500);
    /* The seed has nobody to ask, and is alone until the others try their seeds again. */
    seed_starts = sim->nodes[seed_of(sim)].swim == NULL;
    if (heal_ms == 0) {
        heal_ms = seed_starts || is_anybody_alone(sim) ? ALONE_MS : HEAL_MS;
    }
    swim_sim_start_all(sim);
    if (!swim_sim_run_until(sim, all_meet, 0, heal_ms)) {
        return swim_sim_fail(sim, "L6", "not all have met %" PRIu32 " ms after the last fault",
                             heal_ms);
    }
    return swim_sim_run_until(sim, swim_sim_all_agree, 0, detect_most_ms(sim)) ||
           swim_sim_fail(sim, "L5", "no agreement %" PRIu32 " ms after all met",
                         detect_most_ms(sim));
}

/* Anybody but the seed, which has nobody to ask. */
static uint32_t somebody(struct swim_sim *sim)
{
    return sim->node_of_slot[sim_random_between(&sim->random, 1, sim->opts.n_nodes - 1)];
}

static bool restart_one(struct swim_sim *sim)
{
    uint32_t node = somebody(sim);
    uint64_t boot = sim->nodes[node].own.boot;
    const struct swim_sim_seen *seen;
    uint32_t n_wanted;

    swim_sim_watch(sim, node);
    swim_sim_restart(sim, node);
    if (!swim_sim_run_until(sim, swim_sim_all_agree, 0, RESTART_MS)) {
        return swim_sim_fail(sim, "L8", "n%" PRIu32 " was restarted and not all agree", node);
    }
    seen = swim_sim_seen(sim, node);
    /* The same again when its disk was full and its clock went back: then nothing was to be seen.
     */
    n_wanted = sim->nodes[node].own.boot == boot ? 0 : sim->n_running - 1;
    return (seen->n_up == n_wanted && seen->n_down == n_wanted) ||
           swim_sim_fail(sim, "L8", "one restart of n%" PRIu32 ": %" PRIu32 " down, %" PRIu32 " up",
                         node, seen->n_down, seen->n_up);
}

static bool leave_one(struct swim_sim *sim)
{
    uint32_t node = somebody(sim);

    swim_sim_watch(sim, node);
    swim_sim_leave(sim, node);
    if (!swim_sim_run_until(sim, swim_sim_has_left, node, SWIM_LEAVE_MS + 500) ||
        !swim_sim_run_until(sim, swim_sim_all_know_gone, node, LEAVE_MS)) {
        return swim_sim_fail(sim, "L7", "not all know that n%" PRIu32 " left", node);
    }
    if (swim_sim_seen(sim, node)->n_down > 0) {
        return swim_sim_fail(sim, "L7", "n%" PRIu32 " left and was shown as dead", node);
    }
    swim_sim_start(sim, node);
    return swim_sim_run_until(sim, swim_sim_all_agree, 0, RESTART_MS) ||
           swim_sim_fail(sim, "L8", "n%" PRIu32 " is back and not all agree", node);
}

static bool kill_one(struct swim_sim *sim)
{
    uint32_t node = somebody(sim);
    uint32_t most_ms = detect_most_ms(sim);

    swim_sim_kill(sim, node);
    return swim_sim_run_until(sim, swim_sim_all_know_gone, node, most_ms) ||
           swim_sim_fail(sim, "L1", "not all know after %" PRIu32 " ms that n%" PRIu32 " is dead",
                         most_ms, node);
}

bool sim_ending(struct swim_sim *sim, uint32_t settle_ms, double *settled_s)
{
    double healed_s = swim_sim_now_s(sim);

    if (!settle(sim, settle_ms)) {
        return false;
    }
    *settled_s = swim_sim_now_s(sim) - healed_s;
    if (sim->opts.n_nodes < 3) {
        return true;
    }
    sim->opts.accurate = true; /* L3, L4: what was suspected before must be cleared */
    return swim_sim_run_for(sim, REST_MS) && restart_one(sim) && swim_sim_run_for(sim, REST_MS) &&
           leave_one(sim) && swim_sim_run_for(sim, REST_MS) && kill_one(sim);
}
