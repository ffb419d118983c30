/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_stories.h"

#include <inttypes.h>

#include "tests/sim/sim_byzantine.h"
#include "tests/sim/sim_internal.h"

#define AGREE_MS  30000u /* from nothing; the figures are in the tables, this is a deadline */
#define HEAL_MS   10000u /* L6 */
#define LEAVE_MS  1000u  /* L7 */
#define SPREAD_MS 2000u

uint64_t sim_detect_most_ms(const struct swim_sim *sim)
{
    const struct swim_rules *rules = sim->opts.rules;
    struct swim_bounds bounds = rules->suspicion(rules, sim->n_running);

    /* A probe and its verdict may both have to happen twice: the first was under way. */
    return 2 * (uint64_t)(rules->probe_interval_ms + rules->verdict_ms) + bounds.max_ms + SPREAD_MS;
}

static bool all_agree_within(struct swim_sim *sim, const char *property, uint64_t ms)
{
    return swim_sim_run_until(sim, swim_sim_all_agree, 0, ms) ||
           swim_sim_fail(sim, property, "not all agree after %" PRIu64 " ms", ms);
}

static bool begin(struct swim_sim *sim)
{
    swim_sim_start_all(sim);
    return all_agree_within(sim, "L5", AGREE_MS) && swim_sim_run_for(sim, 3000);
}

/* ---- coming and going ---- */

static bool cold_start(struct swim_sim *sim)
{
    return begin(sim);
}

static bool one_by_one(struct swim_sim *sim)
{
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        swim_sim_start(sim, i);
        if (!swim_sim_run_for(sim, 200)) {
            return false;
        }
    }
    return all_agree_within(sim, "L5", AGREE_MS);
}

static bool kill_one(struct swim_sim *sim)
{
    uint32_t node = sim->opts.n_nodes / 2;
    uint64_t most_ms;

    if (!begin(sim)) {
        return false;
    }
    most_ms = sim_detect_most_ms(sim);
    swim_sim_kill(sim, node);
    return swim_sim_run_until(sim, swim_sim_all_know_gone, node, most_ms) ||
           swim_sim_fail(sim, "L1", "not all know after %" PRIu64 " ms", most_ms);
}

static bool half_killed(struct swim_sim *sim)
{
    const struct swim_rules *rules = sim->opts.rules;
    uint64_t most_ms;

    if (!begin(sim)) {
        return false;
    }
    for (uint32_t i = 1; i < sim->opts.n_nodes; i += 2) {
        swim_sim_kill(sim, i);
    }
    most_ms = 4 * sim_detect_most_ms(sim);
    if (sim->opts.n_nodes > 400 && rules->unwell_restarts > 0) {
        /* All are unwell, and among so many pairs are some that nobody confirms: all their looks.
         */
        most_ms += (uint64_t)rules->unwell_restarts * rules->max_ms;
    }
    return all_agree_within(sim, "L1", most_ms);
}

static bool leave_one(struct swim_sim *sim)
{
    uint32_t node = sim->opts.n_nodes / 2;

    if (!begin(sim)) {
        return false;
    }
    swim_sim_watch(sim, node);
    swim_sim_leave(sim, node);
    if (!swim_sim_run_until(sim, swim_sim_has_left, node, LEAVE_MS + 500)) {
        return swim_sim_fail(sim, "L7", "n%" PRIu32 " is not done with leaving", node);
    }
    if (!swim_sim_run_until(sim, swim_sim_all_know_gone, node, LEAVE_MS)) {
        return swim_sim_fail(sim, "L7", "not all know that n%" PRIu32 " left", node);
    }
    return swim_sim_seen(sim, node)->n_down == 0 ||
           swim_sim_fail(sim, "L7", "n%" PRIu32 " left and was shown as dead", node);
}

/* Back before anybody missed it: the new life replaces the old one, and only once. */
static bool restart_at_once(struct swim_sim *sim)
{
    uint32_t node = sim->opts.n_nodes / 2;

    if (!begin(sim)) {
        return false;
    }
    swim_sim_watch(sim, node);
    swim_sim_restart(sim, node);
    if (!all_agree_within(sim, "L8", HEAL_MS)) {
        return false;
    }
    if (swim_sim_seen(sim, node)->n_up != sim->n_running - 1) {
        return swim_sim_fail(sim, "L8", "%" PRIu32 " times up for one restart",
                             swim_sim_seen(sim, node)->n_up);
    }
    return true;
}

static bool restart_afresh(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_restart_afresh(sim, sim->opts.n_nodes / 2);
    return all_agree_within(sim, "L1", sim_detect_most_ms(sim));
}

static bool restart_all(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        swim_sim_restart(sim, i);
    }
    return all_agree_within(sim, "L8", AGREE_MS);
}

static bool clocks_step(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    sim->opts.accurate = true;
    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        swim_sim_step_clock(sim, i, i % 2 == 0 ? 3600000 : -3600000);
        if (!swim_sim_run_for(sim, 500)) {
            return false;
        }
    }
    return all_agree_within(sim, "L5", HEAL_MS);
}

/* Bursts all the time, over a bad network and from nodes whose clocks are set: bounds hold, and
 * nobody is better or worse off for being measured. */
static bool measured(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    sim->opts.accurate = true;
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t n = sim->opts.n_nodes;
        uint32_t node = i % n;
        uint64_t sids[8];
        for (uint32_t k = 0; k < ARRAY_LEN(sids); k++) {
            sids[k] = swim_self(swim_sim_core(sim, (node + 1 + k * i) % n));
        }
        (void)swim_burst(swim_sim_core(sim, node), swim_sim_time_of(sim, node), sids,
                         ARRAY_LEN(sids));
        swim_sim_drain(sim, node);
        if (i % 10 == 0) {
            swim_sim_step_clock(sim, (node + 3) % n, i % 20 == 0 ? 1700 : -400);
        }
        if (!swim_sim_run_for(sim, 100)) {
            return false;
        }
    }
    return all_agree_within(sim, "L5", HEAL_MS);
}

/* Its clock is an hour behind and its persisted boot is there: the restart wins all the same. */
static bool restart_in_the_past(struct swim_sim *sim)
{
    uint32_t node = sim->opts.n_nodes / 2;

    if (!begin(sim)) {
        return false;
    }
    swim_sim_step_clock(sim, node, -3600000);
    swim_sim_restart(sim, node);
    return all_agree_within(sim, "L8", HEAL_MS);
}

/* What it should have persisted is lost, its clock goes back an hour, and it comes back as its own
 * past. Then there is room again, and the next start is one of many. */
static bool disk_full(struct swim_sim *sim)
{
    uint32_t node = sim->opts.n_nodes / 2;

    if (!begin(sim)) {
        return false;
    }
    swim_sim_fill_disk(sim, node, true);
    for (unsigned i = 0; i < 3; i++) {
        swim_sim_restart(sim, node);
        if (!all_agree_within(sim, "L8", HEAL_MS) || !swim_sim_run_for(sim, 1000)) {
            return false;
        }
        if (i == 1) {
            swim_sim_step_clock(sim, node, -3600000);
        }
    }
    swim_sim_fill_disk(sim, node, false);
    swim_sim_restart(sim, node);
    return all_agree_within(sim, "L8", HEAL_MS);
}

/* Nothing is said in a life that is not on the disk, however long that takes. */
static bool disk_slow(struct swim_sim *sim)
{
    uint32_t node = sim->opts.n_nodes / 2;

    if (!begin(sim)) {
        return false;
    }
    swim_sim_slow_disk(sim, node, 1500);
    swim_sim_watch(sim, node);
    swim_sim_restart(sim, node);
    if (!swim_sim_run_for(sim, 1499)) {
        return false;
    }
    if (swim_sim_seen(sim, node)->n_up > 0) {
        return swim_sim_fail(sim, "persist", "n%" PRIu32 " was seen before it was done", node);
    }
    return all_agree_within(sim, "L8", HEAL_MS);
}

static bool addresses_swapped(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_swap_addresses(sim, sim->opts.n_nodes / 2, sim->opts.n_nodes / 2 + 1);
    return all_agree_within(sim, "L8", HEAL_MS);
}

static bool anybody_saw_clone(struct swim_sim *sim, uint32_t node)
{
    (void)node;
    return sim->totals.n_clone > 0;
}

/* The older of the two, and the younger behind it. */
static bool both_saw_clone(struct swim_sim *sim, uint32_t node)
{
    return swim_get_counters(swim_sim_core(sim, node))->clones > 0 &&
           swim_get_counters(swim_sim_core(sim, node + 1))->clones > 0;
}

static bool cloned(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_clone(sim, sim->opts.n_nodes / 2, sim->opts.n_nodes / 2 + 1);
    if (!swim_sim_run_until(sim, anybody_saw_clone, 0, HEAL_MS)) {
        return swim_sim_fail(sim, "clone", "nobody saw that there are two");
    }
    if (!swim_sim_run_until(sim, both_saw_clone, sim->opts.n_nodes / 2, HEAL_MS)) {
        return swim_sim_fail(sim, "clone", "only one of the two saw it");
    }
    return swim_sim_run_for(sim, 20000);
}

/* ---- the network ---- */

static bool parted(struct swim_sim *sim, uint64_t ms)
{
    if (!swim_sim_run_for(sim, ms)) {
        return false;
    }
    swim_sim_heal(sim);
    return all_agree_within(sim, "L6", HEAL_MS);
}

static bool half_and_half(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_partition(sim, swim_sim_halves);
    if (!swim_sim_run_until(sim, swim_sim_sides_agree, 0, 3 * sim_detect_most_ms(sim))) {
        return swim_sim_fail(sim, "L1", "the halves do not know that they are halves");
    }
    return parted(sim, 60000);
}

static bool bridge(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_partition(sim, swim_sim_bridge);
    return parted(sim, 30000);
}

static bool ring(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_ring_of_majorities(sim);
    return parted(sim, 30000);
}

static bool alone(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_isolate(sim, sim->opts.n_nodes - 1);
    return parted(sim, 45000);
}

/* Whoever is not sick must not be declared dead, whatever the sick ones say. */
static bool no_healthy_dead(struct swim_sim *sim, uint64_t ms)
{
    sim->opts.accurate = true;
    if (!swim_sim_run_for(sim, ms)) {
        return false;
    }
    swim_sim_heal(sim);
    return all_agree_within(sim, "L6", HEAL_MS);
}

static bool lossy(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    for (uint32_t i = 0; i <= sim->opts.n_nodes / 100; i++) {
        swim_sim_lossy(sim, sim->opts.n_nodes - 1 - i, 800000, 800000);
    }
    return no_healthy_dead(sim, 60000);
}

static bool deaf(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_lossy(sim, sim->opts.n_nodes - 1, SIM_PPM, 0);
    return no_healthy_dead(sim, 60000);
}

static bool mute(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    swim_sim_lossy(sim, sim->opts.n_nodes - 1, 0, SIM_PPM);
    return no_healthy_dead(sim, 60000);
}

static bool flip_flop(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        swim_sim_lossy(sim, sim->opts.n_nodes - 1, i % 2 == 0 ? SIM_PPM : 0, 0);
        sim->opts.accurate = true;
        if (!swim_sim_run_for(sim, 20000)) {
            return false;
        }
    }
    return no_healthy_dead(sim, 0);
}

static bool rough(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    sim->net.duplicate_ppm = 50000;
    sim->net.reorder_ppm = 100000;
    sim->net.damage_ppm = 1000;
    sim->net.loss_ppm = 50000;
    return no_healthy_dead(sim, 60000);
}

/* ---- sick processes ---- */

static bool blackouts(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    sim->opts.accurate = true;
    for (unsigned i = 0; i < 4; i++) {
        for (uint32_t j = 0; j <= sim->opts.n_nodes / 8; j++) {
            swim_sim_blackout(sim, j, i % 2 == 0);
        }
        if (!swim_sim_run_for(sim, 16400)) {
            return false;
        }
    }
    return no_healthy_dead(sim, 0);
}

static bool stopped(struct swim_sim *sim)
{
    uint32_t node = sim->opts.n_nodes / 2;

    if (!begin(sim)) {
        return false;
    }
    sim->opts.accurate = true;
    swim_sim_stall(sim, node);
    if (!swim_sim_run_for(sim, 30000)) {
        return false;
    }
    swim_sim_resume(sim, node);
    return no_healthy_dead(sim, 0);
}

static bool duty_cycles(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    for (uint32_t i = 0; i < sim->opts.n_nodes / 4; i++) {
        swim_sim_duty_cycle(sim, i, 300, 700);
    }
    return no_healthy_dead(sim, 60000);
}

/* ---- keys and attacks ---- */

static struct swim_keyring ring_of(const struct swim_sim *sim, enum swim_key_state old,
                                   enum swim_key_state new)
{
    struct swim_keyring ring = *swim_sim_keyring(sim, 0);

    ring.keys[0] = swim_sim_key(sim, 0, old);
    ring.keys[1] = swim_sim_key(sim, 1, new);
    ring.n = 2;
    return ring;
}

static bool install(struct swim_sim *sim, enum swim_key_state old, enum swim_key_state new)
{
    struct swim_keyring both = ring_of(sim, old, new);

    for (uint32_t i = 0; i < sim->opts.n_nodes; i++) {
        swim_sim_set_keyring(sim, i, &both);
        if (!swim_sim_run_for(sim, 100)) {
            return false;
        }
    }
    return true;
}

/* L9: nobody that is up is lost, while the two halves do not hear each other rotate. */
static bool rotation(struct swim_sim *sim)
{
    if (!begin(sim)) {
        return false;
    }
    sim->opts.accurate = true;
    if (!install(sim, SWIM_KEY_ACTIVE, SWIM_KEY_INSTALLED) || !swim_sim_run_for(sim, 5000)) {
        return false;
    }
    swim_sim_partition(sim, swim_sim_halves);
    if (!install(sim, SWIM_KEY_RETIRING, SWIM_KEY_ACTIVE)) {
        return false;
    }
    return parted(sim, 30000);
}

static bool replayed(struct swim_sim *sim)
{
    swim_sim_record(sim, 3);
    if (!begin(sim)) {
        return false;
    }
    sim->opts.accurate = true;
    for (unsigned i = 0; i < 20; i++) {
        swim_sim_replay(sim, 500);
        swim_sim_garbage(sim, i % sim->opts.n_nodes, 100);
        if (!swim_sim_run_for(sim, 2000)) {
            return false;
        }
        if (i % 4 == 3) {
            swim_sim_restart(sim, i % sim->opts.n_nodes);
        }
    }
    return all_agree_within(sim, "L5", HEAL_MS);
}

/* S6: whatever one member says, nobody who lives is evicted. */
static bool lied_about(struct swim_sim *sim)
{
    uint32_t victim = sim->opts.n_nodes / 2;

    if (!begin(sim)) {
        return false;
    }
    sim->opts.accurate = true;
    for (unsigned i = 0; i < 100; i++) {
        swim_sim_lie(sim, 0, victim, (enum sim_lie)(i / 2 % SIM_N_LIES));
        swim_sim_lie(sim, 0, victim, SIM_LIE_SUSPECT_MANY);
        swim_sim_lie(sim, 0, victim, SIM_LIE_DEAD);
        if (!swim_sim_run_for(sim, 50 + 20 * (uint64_t)i)) {
            return false;
        }
    }
    return all_agree_within(sim, "L5", HEAL_MS);
}

const struct sim_story sim_stories[] = {
    {"cold-start", "all start at once and agree", 1, cold_start},
    {"one-by-one", "one starts after the other", 2, one_by_one},
    {"kill", "one is killed and all know", 3, kill_one},
    {"half-killed", "every other one is killed at once", 4, half_killed},
    {"leave", "one leaves and is never shown as dead", 3, leave_one},
    {"restart", "one is back before it is missed", 3, restart_at_once},
    {"restart-afresh", "one is back without its state directory", 3, restart_afresh},
    {"restart-all", "all are restarted at once", 2, restart_all},
    {"restart-in-the-past", "one is back with its clock an hour behind", 3, restart_in_the_past},
    {"disk-full", "one cannot persist its boots, and its clock goes back", 3, disk_full},
    {"disk-slow", "one is back, and persisting takes 1.5 s", 3, disk_slow},
    {"addresses-swapped", "two nodes are back with each other's address", 4, addresses_swapped},
    {"cloned", "one is back with the keys of another", 4, cloned},
    {"clocks-step", "clocks jump by an hour", 2, clocks_step},
    {"measured", "clocks are measured all the time, and set", 2, measured},
    {"half-and-half", "two halves for a minute", 4, half_and_half},
    {"bridge", "two halves and one that reaches both", 5, bridge},
    {"ring", "each reaches another majority", 5, ring},
    {"alone", "one reaches nobody", 3, alone},
    {"lossy", "some lose four of five datagrams", 8, lossy},
    {"deaf", "one hears nothing", 8, deaf},
    {"mute", "one is not heard", 8, mute},
    {"flip-flop", "one is deaf for every other 20 s", 8, flip_flop},
    {"rough", "duplicates, reordering, damage and loss for all", 3, rough},
    {"blackouts", "an eighth hold their datagrams for 16.4 s", 8, blackouts},
    {"stopped", "one is stopped for 30 s", 4, stopped},
    {"duty-cycles", "a quarter sleep for 700 ms of each second", 8, duty_cycles},
    {"rotation", "a key is rotated in two halves", 4, rotation},
    {"lied-about", "a member says of another whatever harms it", 4, lied_about},
    {"replayed", "what was recorded comes again, with garbage", 3, replayed},
};
const size_t sim_n_stories = ARRAY_LEN(sim_stories);

const struct sim_story *sim_story_find(const char *name)
{
    for (size_t i = 0; i < sim_n_stories; i++) {
        if (strcmp(sim_stories[i].name, name) == 0) {
            return &sim_stories[i];
        }
    }
    return NULL;
}
