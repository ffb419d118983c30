/* SPDX-License-Identifier: Apache-2.0
 *
 * The ablation table, as the Lifeguard paper has one: memberlist's rules with one addition of ours
 * each, ours without one each, and both as they are. Additions are fields of the rules, so nothing
 * of the core is switched for it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "shared/base/mem.h"
#include "tests/sim/sim_stats.h"
#include "tests/sim/sim_tables.h"

#define ABLATION_NODES 128
#define ABLATION_KILLS 10
#define ABLATION_SICK  16

/* Takes one addition over from one set of rules to the other. */
typedef void (*addition_cb)(struct swim_rules *to, const struct swim_rules *from);

static void schedule(struct swim_rules *to, const struct swim_rules *from)
{
    to->schedule = from->schedule;
}

static void adaptive(struct swim_rules *to, const struct swim_rules *from)
{
    to->adaptive = from->adaptive;
    to->timeout_least_ms = from->timeout_least_ms;
    to->verdict_ms = from->verdict_ms;
    to->slow_factor = from->slow_factor;
}

static void floor_of_suspicion(struct swim_rules *to, const struct swim_rules *from)
{
    to->suspicion = from->suspicion;
    to->min_ms = from->min_ms;
    to->max_ms = from->max_ms;
    to->confirmations = from->confirmations;
    to->few_confirm = from->few_confirm;
    to->dead_doubt_ms = from->dead_doubt_ms;
}

static void witnesses(struct swim_rules *to, const struct swim_rules *from)
{
    to->witnesses = from->witnesses;
    to->witness_spread_ms = from->witness_spread_ms;
}

static void weighted(struct swim_rules *to, const struct swim_rules *from)
{
    to->healthy_most = from->healthy_most;
    to->measured_health = from->measured_health;
}

static void freeze(struct swim_rules *to, const struct swim_rules *from)
{
    to->isolation = from->isolation;
    to->isolated_after_ms = from->isolated_after_ms;
    to->stall_ms = from->stall_ms;
}

static void damping(struct swim_rules *to, const struct swim_rules *from)
{
    to->damping = from->damping;
    to->new_suspects_a_second = from->new_suspects_a_second;
}

static void view_hash(struct swim_rules *to, const struct swim_rules *from)
{
    to->view_hash = from->view_hash;
    to->differs_ms = from->differs_ms;
    to->sync_gap_ms = from->sync_gap_ms;
    to->digest_ms = from->digest_ms;
    to->join_syncs = from->join_syncs;
    to->join_sync_gap_ms = from->join_sync_gap_ms;
    to->push_pull_ms = from->push_pull_ms;
    to->gossip_synced = from->gossip_synced;
    to->gossip_interval_ms = from->gossip_interval_ms;
    to->transmissions = from->transmissions;
}

static const struct {
    const char *name;
    addition_cb take;
} additions[] = {
    {"scheduled probing", schedule},
    {"adaptive time-outs", adaptive},
    {"a floor of 2 s", floor_of_suspicion},
    {"witnesses", witnesses},
    {"health-weighted confirmations", weighted},
    {"isolation and stall freeze", freeze},
    {"flap damping", damping},
    {"view hash", view_hash},
};

struct ablation {
    struct sim_stats known, cold;
    double bytes; /* a second and node at rest, streams included */
    uint64_t n_false, n_false_at_healthy;
};

static void cold_start(const struct swim_sim_opts *opts, struct ablation *a)
{
    struct swim_sim *sim = swim_sim_new(opts);

    swim_sim_start_all(sim);
    if (swim_sim_run_until(sim, swim_sim_all_agree, 0, 600000)) {
        sim_stats_add(&a->cold, swim_sim_now_s(sim));
    }
    swim_sim_free(sim);
}

static void rest_and_kill(struct swim_sim *sim, struct ablation *a)
{
    struct swim_sim_totals before = *swim_sim_totals(sim);
    const struct swim_sim_totals *after;

    (void)swim_sim_run_for(sim, 60000);
    after = swim_sim_totals(sim);
    a->bytes = (double)(after->datagram_bytes + after->stream_bytes - before.datagram_bytes -
                        before.stream_bytes) /
               ((double)(after->node_ns - before.node_ns) / 1e9);
    for (uint32_t i = 0; i < ABLATION_KILLS; i++) {
        uint64_t began_ns = swim_sim_now_ns(sim);

        swim_sim_kill(sim, ABLATION_NODES - 1 - i);
        if (swim_sim_run_until(sim, swim_sim_all_know_gone, ABLATION_NODES - 1 - i, 120000)) {
            sim_stats_add(&a->known, (double)(swim_sim_now_ns(sim) - began_ns) / 1e9);
        }
        (void)swim_sim_run_for(sim, 2000 + sim_random_below(swim_sim_random(sim), 1000));
    }
}

/* One cell of Lifeguard's grid, in which much goes wrong: C = 16, D = 16.4 s, I = 1 s. */
static void blackouts(struct swim_sim *sim, struct ablation *a)
{
    struct swim_sim_totals before = *swim_sim_totals(sim);

    for (unsigned turn = 0; turn < 7; turn++) {
        for (unsigned on = 2; on-- > 0;) {
            for (uint32_t i = 0; i < ABLATION_SICK; i++) {
                swim_sim_blackout(sim, 1 + i * 7, on != 0);
            }
            (void)swim_sim_run_for(sim, on != 0 ? 16400 : 1000);
        }
    }
    a->n_false += swim_sim_totals(sim)->n_down_false - before.n_down_false;
    a->n_false_at_healthy +=
        swim_sim_totals(sim)->n_down_false_at_healthy - before.n_down_false_at_healthy;
}

static void ablation_row(const struct sim_table_opts *opts, const char *sign, const char *name,
                         const struct swim_rules *rules)
{
    uint32_t n_seeds = sim_table_seeds(opts, 2);
    struct ablation a = {0};

    for (uint32_t s = 0; s < n_seeds; s++) {
        struct swim_sim_opts o = {
            .seed = opts->sim.seed + s, .n_nodes = ABLATION_NODES, .rules = rules};
        struct swim_sim *sim;

        cold_start(&o, &a);
        sim = sim_table_swarm(&o);
        if (sim != NULL) {
            rest_and_kill(sim, &a);
            swim_sim_free(sim);
        }
        sim = sim_table_swarm(&o);
        if (sim != NULL) {
            blackouts(sim, &a);
            swim_sim_free(sim);
        }
    }
    printf("| %s%s | %.2f / %.2f | %.2f | %.0f | %" PRIu64 " | %" PRIu64 " |\n", sign, name,
           sim_stats_median(&a.known), sim_stats_percentile(&a.known, 99),
           sim_stats_median(&a.cold), a.bytes, a.n_false, a.n_false_at_healthy);
    sim_stats_deinit(&a.known);
    sim_stats_deinit(&a.cold);
}

bool sim_table_ablation(const struct sim_table_opts *opts)
{
    printf("| rules, N=%d | all know of a kill p50 / p99 s | cold start s | B/s/node at rest | FP "
           "of a grid cell | FP- |\n|---|---|---|---|---|---|\n",
           ABLATION_NODES);
    ablation_row(opts, "", "memberlist", &swim_rules_memberlist);
    for (size_t i = 0; i < ARRAY_LEN(additions); i++) {
        struct swim_rules rules = swim_rules_memberlist;

        additions[i].take(&rules, &swim_rules_lan);
        ablation_row(opts, "memberlist, with ", additions[i].name, &rules);
    }
    for (size_t i = 0; i < ARRAY_LEN(additions); i++) {
        struct swim_rules rules = swim_rules_lan;

        additions[i].take(&rules, &swim_rules_memberlist);
        ablation_row(opts, "lan, without ", additions[i].name, &rules);
    }
    ablation_row(opts, "", "lan", &swim_rules_lan);
    return true;
}
