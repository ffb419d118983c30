/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

#define LONGEST_START_MS 600000u
#define SETTLE_MS        12000u /* swarm time has settled too */

static const struct sim_table tables[] = {
    {"calibrate", "memberlist's rules against memberlist 0.2.2 as measured", sim_table_calibrate},
    {"kill", "from a kill to the first suspicion, and until all know", sim_table_kill},
    {"cold", "all start at once: until a share of all pairs know each other", sim_table_cold},
    {"leave", "from leaving until all know", sim_table_leave},
    {"heal", "half and half for 60 s, from the link's return until all agree", sim_table_heal},
    {"grid", "false deaths in Lifeguard's interval grid, 128 nodes", sim_table_grid},
    {"sick", "80 % loss, one-way loss, flip-flop on 1 % of the nodes", sim_table_sick},
    {"ablation", "each addition alone, and all but it", sim_table_ablation},
    {"rest", "traffic at rest", sim_table_rest},
    {"duty", "traffic while a quarter of the nodes sleep 700 ms of each second", sim_table_duty},
    {"storm", "messages and events while much happens at once", sim_table_storm},
    {"memory", "bytes of the core for each member", sim_table_memory},
    {"speed", "virtual time over real time", sim_table_speed},
};

void sim_tables_list(void)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        printf("%-10s %s\n", tables[i].name, tables[i].what);
    }
}

bool sim_table_run(const char *name, const struct sim_table_opts *opts)
{
    bool is_good = true;

    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        if (strcmp(name, "all") != 0 && strcmp(name, tables[i].name) != 0) {
            continue;
        }
        printf("\n### %s: %s\n\n", tables[i].name, tables[i].what);
        is_good = tables[i].run(opts) && is_good;
        fflush(stdout);
    }
    return is_good;
}

bool sim_table_exists(const char *name)
{
    bool is_found = strcmp(name, "all") == 0;

    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        is_found = is_found || strcmp(name, tables[i].name) == 0;
    }
    return is_found;
}

static void __attribute__((format(printf, 3, 0)))
print_goal(bool is_reached, double value, const char *fmt, va_list args)
{
    printf("%s - ", is_reached ? "ok" : "not ok");
    vprintf(fmt, args);
    printf(": %.3g\n", value);
    fflush(stdout);
}

bool sim_goal_most(double value, double most, const char *fmt, ...)
{
    bool is_reached = value <= most;
    va_list args;

    va_start(args, fmt);
    print_goal(is_reached, value, fmt, args);
    va_end(args);
    return is_reached;
}

bool sim_goal_near(double value, double wanted, double share, const char *fmt, ...)
{
    bool is_reached = fabs(value - wanted) <= share * wanted;
    va_list args;

    va_start(args, fmt);
    print_goal(is_reached, value, fmt, args);
    va_end(args);
    return is_reached;
}

struct swim_sim *sim_table_swarm(const struct swim_sim_opts *opts)
{
    struct swim_sim *sim = swim_sim_new(opts);

    swim_sim_start_all(sim);
    if (!swim_sim_run_until(sim, swim_sim_all_agree, 0, LONGEST_START_MS) ||
        !swim_sim_run_for(sim, SETTLE_MS + sim_random_below(swim_sim_random(sim), 1000))) {
        printf("not ok - seed %" PRIu64 ", %" PRIu32 " nodes, rules %s: did not start: %s\n",
               opts->seed, opts->n_nodes, opts->rules->name,
               swim_sim_failure(sim) == NULL ? "no agreement" : swim_sim_failure(sim));
        swim_sim_free(sim);
        return NULL;
    }
    return sim;
}

uint32_t sim_table_sizes(const struct sim_table_opts *opts, const uint32_t **sizes, uint32_t n)
{
    if (opts->sim.n_nodes == 0) {
        return n;
    }
    *sizes = &opts->sim.n_nodes;
    return 1;
}

bool sim_table_wants(const struct sim_table_opts *opts, const struct swim_rules *rules)
{
    return opts->only == NULL || opts->only == rules;
}

uint32_t sim_table_seeds(const struct sim_table_opts *opts, uint32_t own)
{
    return opts->n_seeds == 0 ? own : opts->n_seeds;
}
