/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of storms: what a swarm sends and says while much happens at once. The measure is one
 * minute after the blow; bounded are messages against those at rest, and events against the least
 * that could be said (each observer once of each change).
 */
#include <inttypes.h>
#include <stdio.h>

#include "shared/base/mem.h"
#include "tests/sim/sim_tables.h"

#define STORM_NODES 128
#define STORM_MS    60000u
#define STORM_MOST                                                                                 \
    8 /* times the datagrams at rest; a death is told, suspected and probed by all                 \
       */

typedef void (*blow_cb)(struct swim_sim *sim);

static void half_die(struct swim_sim *sim)
{
    for (uint32_t i = 1; i < swim_sim_n_nodes(sim); i += 2) {
        swim_sim_kill(sim, i);
    }
}

static void all_restart(struct swim_sim *sim)
{
    for (uint32_t i = 0; i < swim_sim_n_nodes(sim); i++) {
        swim_sim_restart(sim, i);
    }
}

static void part(struct swim_sim *sim)
{
    swim_sim_partition(sim, swim_sim_halves);
}

static void part_and_heal(struct swim_sim *sim)
{
    part(sim);
    (void)swim_sim_run_for(sim, STORM_MS);
    swim_sim_heal(sim);
}

static void a_quarter_sleeps(struct swim_sim *sim)
{
    for (uint32_t i = 0; i < swim_sim_n_nodes(sim) / 4; i++) {
        swim_sim_duty_cycle(sim, i * 4, 300, 700);
    }
}

static void a_quarter_dark(struct swim_sim *sim)
{
    for (uint32_t i = 0; i < swim_sim_n_nodes(sim) / 4; i++) {
        swim_sim_blackout(sim, i * 4 + 1, true);
    }
    (void)swim_sim_run_for(sim, 16400);
    for (uint32_t i = 0; i < swim_sim_n_nodes(sim) / 4; i++) {
        swim_sim_blackout(sim, i * 4 + 1, false);
    }
}

/* changes: of a pair, what somebody has to be told; 0: nothing, and the events are only counted. */
static const struct storm {
    const char *name;
    blow_cb blow;
    double changes;
} storms[] = {
    {"half are killed at once", half_die, 64 * 64},
    {"all are restarted at once", all_restart, 128 * 127},
    {"two halves begin", part, 2 * 64 * 64},
    {"two halves of a minute heal", part_and_heal, 2 * 64 * 64},
    {"a quarter sleeps 700 ms of each second", a_quarter_sleeps, 0},
    {"a quarter was dark for 16.4 s", a_quarter_dark, 0},
};

struct minute {
    double datagrams, bytes; /* a second and node */
    double events;           /* up, down, suspect */
};

static struct minute count(struct swim_sim *sim)
{
    struct swim_sim_totals before = *swim_sim_totals(sim);
    const struct swim_sim_totals *after;
    struct minute m;
    double node_s;

    (void)swim_sim_run_for(sim, STORM_MS);
    after = swim_sim_totals(sim);
    node_s = (double)(after->node_ns - before.node_ns) / 1e9;
    m.datagrams = (double)(after->n_datagrams - before.n_datagrams) / node_s;
    m.bytes = (double)(after->datagram_bytes + after->stream_bytes - before.datagram_bytes -
                       before.stream_bytes) /
              node_s;
    m.events = (double)(after->n_up + after->n_down + after->n_suspect - before.n_up -
                        before.n_down - before.n_suspect);
    return m;
}

static bool storm_row(const struct sim_table_opts *opts, const struct swim_rules *rules,
                      const struct storm *storm)
{
    uint32_t n_seeds = sim_table_seeds(opts, 1);
    struct minute sum = {0};
    double rest = 0;
    bool is_good = true;

    for (uint32_t s = 0; s < n_seeds; s++) {
        struct swim_sim_opts o = {
            .seed = opts->sim.seed + s, .n_nodes = STORM_NODES, .rules = rules};
        struct swim_sim *sim = sim_table_swarm(&o);
        struct minute m;

        if (sim == NULL) {
            return false;
        }
        rest += count(sim).datagrams / n_seeds;
        storm->blow(sim);
        m = count(sim);
        sum.datagrams += m.datagrams / n_seeds;
        sum.bytes += m.bytes / n_seeds;
        sum.events += m.events / n_seeds;
        is_good = swim_sim_failure(sim) == NULL && is_good;
        swim_sim_free(sim);
    }
    printf("| %s | %s | %.1f | %.1f | %.0f | %.0f |", storm->name, rules->name, rest, sum.datagrams,
           sum.bytes, sum.events);
    if (storm->changes > 0) {
        printf(" %.1f", sum.events / storm->changes);
    }
    printf(" | %" PRIu32 " |\n", n_seeds);
    if (rules == &swim_rules_memberlist) {
        return true;
    }
    is_good = sim_goal_most(sum.datagrams / rest, STORM_MOST, "%s, datagrams over those at rest",
                            storm->name) &&
              is_good;
    if (storm->changes > 0) {
        is_good = sim_goal_most(sum.events / storm->changes, 3, "%s, events for each that must be",
                                storm->name) &&
                  is_good;
    }
    return is_good;
}

bool sim_table_storm(const struct sim_table_opts *opts)
{
    static const struct swim_rules *const both[] = {&swim_rules_memberlist, &swim_rules_lan};
    bool is_good = true;

    printf("| what, 128 nodes | rules | datagrams/s/node at rest | in the minute | B/s/node, all | "
           "events | for each that must be | seeds |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(storms); i++) {
        for (size_t r = 0; r < ARRAY_LEN(both); r++) {
            is_good = (!sim_table_wants(opts, both[r]) || storm_row(opts, both[r], &storms[i])) &&
                      is_good;
        }
    }
    return is_good;
}
