/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of false deaths: Lifeguard's interval grid (arXiv 1707.00788, section V) and partial
 * faults. A false positive is a death of a healthy node; FP- is one that a healthy node announced.
 */
#include <inttypes.h>
#include <stdio.h>

#include "shared/base/mem.h"
#include "tests/sim/sim_stats.h"
#include "tests/sim/sim_tables.h"

static const struct swim_rules *const both[] = {&swim_rules_memberlist, &swim_rules_lan};

#define GRID_NODES 128
#define GRID_MS    120000

struct sick_cell {
    const struct swim_rules *rules;
    uint32_t n_sick;
    uint32_t dark_ms, light_ms;
    uint64_t n_false, n_false_at_healthy, n_down, n_datagrams;
    uint32_t n_failed;
};

/* Which ones: spread over the swarm, never the seed. */
static uint32_t sick_one(uint32_t i, uint32_t n_sick)
{
    return 1 + i * ((GRID_NODES - 1) / n_sick);
}

static void set_dark(struct swim_sim *sim, const struct sick_cell *cell, bool on)
{
    for (uint32_t i = 0; i < cell->n_sick; i++) {
        swim_sim_blackout(sim, sick_one(i, cell->n_sick), on);
    }
}

static void run_cell(const struct sim_table_opts *opts, uint32_t seed, struct sick_cell *cell)
{
    struct swim_sim_opts o = {
        .seed = opts->sim.seed + seed, .n_nodes = GRID_NODES, .rules = cell->rules};
    struct swim_sim *sim = sim_table_swarm(&o);
    struct swim_sim_totals before;
    const struct swim_sim_totals *after;
    uint64_t end_ns;

    if (sim == NULL) {
        cell->n_failed++;
        return;
    }
    (void)swim_sim_run_for(sim, 10000);
    before = *swim_sim_totals(sim);
    end_ns = swim_sim_now_ns(sim) + GRID_MS * SWIM_MS;
    while (swim_sim_now_ns(sim) < end_ns && swim_sim_failure(sim) == NULL) {
        set_dark(sim, cell, true);
        (void)swim_sim_run_for(sim, cell->dark_ms);
        set_dark(sim, cell, false);
        (void)swim_sim_run_for(sim, cell->light_ms);
    }
    after = swim_sim_totals(sim);
    cell->n_failed += swim_sim_failure(sim) != NULL;
    cell->n_false += after->n_down_false - before.n_down_false;
    cell->n_false_at_healthy += after->n_down_false_at_healthy - before.n_down_false_at_healthy;
    cell->n_down += after->n_down - before.n_down;
    cell->n_datagrams += after->n_datagrams - before.n_datagrams;
    swim_sim_free(sim);
}

static bool grid_row(const struct sim_table_opts *opts, const struct swim_rules *rules,
                     uint32_t n_sick)
{
    static const uint32_t dark_ms[] = {4100, 16400, 32800};
    static const uint32_t light_ms[] = {64, 1000, 16400};
    struct sick_cell sum = {.rules = rules, .n_sick = n_sick};
    uint32_t n_seeds = sim_table_seeds(opts, 1);

    for (size_t d = 0; d < ARRAY_LEN(dark_ms); d++) {
        for (size_t l = 0; l < ARRAY_LEN(light_ms); l++) {
            sum.dark_ms = dark_ms[d];
            sum.light_ms = light_ms[l];
            for (uint32_t s = 0; s < n_seeds; s++) {
                run_cell(opts, s, &sum);
            }
        }
    }
    printf("| %s | %" PRIu32 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %.2f M | %" PRIu32
           " |\n",
           rules->name, n_sick, sum.n_false, sum.n_false_at_healthy, sum.n_down - sum.n_false,
           (double)sum.n_datagrams / 1e6, n_seeds);
    if (rules == &swim_rules_memberlist) {
        return true;
    }
    return sim_goal_most((double)sum.n_false, 0, "grid, %s, C=%" PRIu32 ", false deaths",
                         rules->name, n_sick) &&
           sum.n_failed == 0;
}

bool sim_table_grid(const struct sim_table_opts *opts)
{
    static const uint32_t sick[] = {1, 8, 16, 32};
    bool is_good = true;

    printf("| rules | C | FP | FP- | other deaths | datagrams | seeds a cell |\n"
           "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(sick); i++) {
        for (size_t r = 0; r < ARRAY_LEN(both); r++) {
            is_good =
                (!sim_table_wants(opts, both[r]) || grid_row(opts, both[r], sick[i])) && is_good;
        }
    }
    return is_good;
}

/* ---- partial faults ---- */

enum partial { LOSSY, DEAF, MUTE, FLIP_FLOP, N_PARTIAL };
static const char *const partial_names[] = {"80 % loss", "hears nothing", "is not heard",
                                            "deaf every other 20 s"};

static void make_sick(struct swim_sim *sim, enum partial what, uint32_t n_sick, bool on)
{
    for (uint32_t i = 0; i < n_sick; i++) {
        uint32_t in = what == LOSSY ? 800000 : what == MUTE ? 0 : SIM_PPM;
        uint32_t out = what == LOSSY ? 800000 : what == MUTE ? SIM_PPM : 0;

        swim_sim_lossy(sim, sick_one(i, n_sick), on ? in : 0, on ? out : 0);
    }
}

/* The last minute of three: whoever still changes there does not settle. */
static bool partial_row(const struct sim_table_opts *opts, const struct swim_rules *rules,
                        enum partial what)
{
    uint32_t n_seeds = sim_table_seeds(opts, 3);
    uint32_t n_sick = (GRID_NODES + 99) / 100;
    uint64_t n_false = 0;
    double late = 0;
    bool is_good = true;

    for (uint32_t s = 0; s < n_seeds; s++) {
        struct swim_sim_opts o = {
            .seed = opts->sim.seed + s, .n_nodes = GRID_NODES, .rules = rules};
        struct swim_sim *sim = sim_table_swarm(&o);
        uint64_t before = 0;

        if (sim == NULL) {
            return false;
        }
        for (unsigned i = 0; i < 9; i++) {
            make_sick(sim, what, n_sick, what != FLIP_FLOP || i % 2 == 0);
            before = i == 6 ? swim_sim_totals(sim)->n_down + swim_sim_totals(sim)->n_up : before;
            is_good = swim_sim_run_for(sim, 20000) && is_good;
        }
        n_false += swim_sim_totals(sim)->n_down_false;
        late += (double)(swim_sim_totals(sim)->n_down + swim_sim_totals(sim)->n_up - before) /
                (GRID_NODES * n_sick * n_seeds);
        swim_sim_free(sim);
    }
    printf("| %s | %s | %" PRIu64 " | %.2f | %" PRIu32 " |\n", rules->name, partial_names[what],
           n_false, late, n_seeds);
    if (rules == &swim_rules_memberlist) {
        return true;
    }
    is_good = sim_goal_most((double)n_false, 0, "%s, false deaths", partial_names[what]) && is_good;
    return sim_goal_most(late, what == FLIP_FLOP ? 2 : 0.05,
                         "%s, ups and downs in the last minute at each node for each sick one",
                         partial_names[what]) &&
           is_good;
}

bool sim_table_sick(const struct sim_table_opts *opts)
{
    bool is_good = true;

    printf("| rules | fault of 1 %% of 128 nodes, 180 s | false deaths | changes of a sick one at "
           "a node, last minute | seeds |\n|---|---|---|---|---|\n");
    for (unsigned what = 0; what < N_PARTIAL; what++) {
        for (size_t r = 0; r < ARRAY_LEN(both); r++) {
            is_good = (!sim_table_wants(opts, both[r]) ||
                       partial_row(opts, both[r], (enum partial)what)) &&
                      is_good;
        }
    }
    return is_good;
}
