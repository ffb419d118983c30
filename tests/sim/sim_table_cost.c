/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of what the swarm costs: traffic, memory, and the simulator's own speed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "shared/base/mem.h"
#include "tests/sim/sim_tables.h"

static const struct swim_rules *const both[] = {&swim_rules_memberlist, &swim_rules_lan};

struct traffic {
    double datagrams, bytes, stream_bytes; /* a second and node */
    bool is_good;
};

static struct traffic measure(struct swim_sim *sim, uint32_t ms)
{
    struct swim_sim_totals before = *swim_sim_totals(sim);
    struct traffic t = {.is_good = swim_sim_run_for(sim, ms)};
    const struct swim_sim_totals *after = swim_sim_totals(sim);
    double node_s = (double)(after->node_ns - before.node_ns) / 1e9;

    t.datagrams = (double)(after->n_datagrams - before.n_datagrams) / node_s;
    t.bytes = (double)(after->datagram_bytes - before.datagram_bytes) / node_s;
    t.stream_bytes = (double)(after->stream_bytes - before.stream_bytes) / node_s;
    return t;
}

bool sim_table_rest(const struct sim_table_opts *opts)
{
    static const uint32_t own[] = {10, 50, 100, 200, 1000};
    const uint32_t *sizes = own;
    uint32_t n_sizes = sim_table_sizes(opts, &sizes, ARRAY_LEN(own));
    bool is_good = true;

    printf("| rules | N | loss | datagrams/s/node | B/s/node | stream B/s/node |\n"
           "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < n_sizes; i++) {
        for (size_t r = 0; r < 4; r++) {
            if (!sim_table_wants(opts, both[r % 2])) {
                continue;
            }
            if (r % 2 == 0 && sizes[i] >= 1000 && opts->n_seeds == 0) {
                continue; /* a minute of a core, and after two minutes it is not at rest */
            }
            struct swim_sim_opts cell = {.seed = opts->sim.seed,
                                         .n_nodes = sizes[i],
                                         .rules = both[r % 2],
                                         .loss_ppm = r < 2 ? 0 : 50000};
            struct swim_sim *sim = sim_table_swarm(&cell);
            struct traffic t;

            if (sim == NULL) {
                is_good = false;
                continue;
            }
            (void)swim_sim_run_for(sim, 20000);
            t = measure(sim, sizes[i] >= 1000 ? 120000 : 600000);
            printf("| %s | %" PRIu32 " | %u %% | %.2f | %.1f | %.1f |\n", cell.rules->name,
                   sizes[i], r < 2 ? 0 : 5, t.datagrams, t.bytes, t.stream_bytes);
            if (r % 2 == 1) {
                is_good = sim_goal_most(t.bytes + t.stream_bytes, r < 2 ? 210 : 300,
                                        "at rest, N=%" PRIu32 ", loss %u %%, B/s/node", sizes[i],
                                        r < 2 ? 0 : 5) &&
                          t.is_good && is_good;
            }
            swim_sim_free(sim);
        }
    }
    return is_good;
}

/* At rest and from the first sleep on, over two minutes: what it costs until who sleeps is known as
 * slow is in it. */
static bool duty_cycles(const struct swim_sim_opts *cell, struct traffic *rest,
                        struct traffic *duty, uint64_t *n_false)
{
    struct swim_sim *sim = sim_table_swarm(cell);
    struct traffic t;

    if (sim == NULL) {
        return false;
    }
    (void)swim_sim_run_for(sim, 20000);
    t = measure(sim, 60000);
    rest->datagrams += t.datagrams;
    for (uint32_t i = 0; i < cell->n_nodes / 4; i++) {
        swim_sim_duty_cycle(sim, i * 4, 300, 700);
    }
    t = measure(sim, 120000);
    duty->datagrams += t.datagrams;
    *n_false += swim_sim_totals(sim)->n_down_false;
    swim_sim_free(sim);
    return t.is_good;
}

static bool duty_row(const struct sim_table_opts *opts, const struct swim_rules *rules)
{
    uint32_t n_seeds = sim_table_seeds(opts, 5);
    struct traffic rest = {0};
    struct traffic duty = {0};
    uint64_t n_false = 0;
    bool is_good = true;

    for (uint32_t s = 0; s < n_seeds; s++) {
        struct swim_sim_opts cell = {.seed = opts->sim.seed + s, .n_nodes = 128, .rules = rules};

        is_good = duty_cycles(&cell, &rest, &duty, &n_false) && is_good;
    }
    printf("| %s | 128 | %.2f | %.2f | %.1f | %" PRIu64 " | %" PRIu32 " |\n", rules->name,
           rest.datagrams / n_seeds, duty.datagrams / n_seeds, duty.datagrams / rest.datagrams,
           n_false, n_seeds);
    if (rules == &swim_rules_memberlist) {
        return is_good;
    }
    is_good = sim_goal_most(duty.datagrams / rest.datagrams, 3,
                            "duty cycles, datagrams over those at rest") &&
              is_good;
    return sim_goal_most((double)n_false, 0, "duty cycles, false deaths of healthy nodes") &&
           is_good;
}

bool sim_table_duty(const struct sim_table_opts *opts)
{
    bool is_good = true;

    printf(
        "| rules | N | datagrams/s/node at rest | with duty cycles | ratio | false deaths | seeds "
        "|\n|---|---|---|---|---|---|---|\n");
    for (size_t r = 0; r < ARRAY_LEN(both); r++) {
        is_good = (!sim_table_wants(opts, both[r]) || duty_row(opts, both[r])) && is_good;
    }
    return is_good;
}

bool sim_table_memory(const struct sim_table_opts *opts)
{
    static const uint32_t sizes[] = {32, 256, 1000};
    double bytes[ARRAY_LEN(sizes)] = {0};
    bool is_good = true;

    printf("| N | bytes of a core | bytes a member more |\n|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct swim_sim_opts cell = {
            .seed = opts->sim.seed, .n_nodes = sizes[i], .rules = &swim_rules_lan};
        struct swim_sim *sim = sim_table_swarm(&cell);

        if (sim == NULL) {
            return false;
        }
        (void)swim_sim_run_for(sim, 30000);
        for (uint32_t node = 0; node < sizes[i]; node++) {
            bytes[i] += (double)swim_memory(swim_sim_core(sim, node)) / sizes[i];
        }
        printf("| %" PRIu32 " | %.0f |", sizes[i], bytes[i]);
        if (i == 0) {
            printf(" |\n");
        } else {
            double more = (bytes[i] - bytes[0]) / (sizes[i] - sizes[0]);

            printf(" %.0f |\n", more);
            is_good = sim_goal_most(more, 768, "memory, N=%" PRIu32 ", bytes a member", sizes[i]) &&
                      is_good;
        }
        swim_sim_free(sim);
    }
    return is_good;
}

bool sim_table_speed(const struct sim_table_opts *opts)
{
    struct swim_sim_opts cell = {.seed = opts->sim.seed, .n_nodes = 1000, .rules = &swim_rules_lan};
    double began_s = opts->now_s();
    struct swim_sim *sim = sim_table_swarm(&cell);
    double started_s = opts->now_s();
    double real_s;
    bool is_good;

    if (sim == NULL) {
        return false;
    }
    is_good = swim_sim_run_for(sim, 60000);
    real_s = opts->now_s() - started_s;
    printf(
        "| N | cold start, s of a core | 60 s at rest, s of a core | times real time | events/s |\n"
        "|---|---|---|---|---|\n| 1000 | %.2f | %.2f | %.0f | %.2g |\n",
        started_s - began_s, real_s, 60 / real_s,
        (double)swim_sim_totals(sim)->n_steps / (opts->now_s() - began_s));
    is_good =
        sim_goal_most(real_s / 60, 1 / 20., "speed, N=1000, real over virtual time") && is_good;
    swim_sim_free(sim);
    return is_good;
}
