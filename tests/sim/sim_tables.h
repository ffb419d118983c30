/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures of the swarm, memberlist's rules beside ours: tables in Markdown, each followed by a
 * line for every goal that has one ("ok - …" or "not ok - …"). The measured table of memberlist
 * 0.2.2 is the calibration of the simulator: the same rules on the same latency must give the same
 * medians within 15 %.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/sim.h"

struct sim_table_opts {
    struct swim_sim_opts
        sim; /* seed is the first; n_nodes: 0 for the table's own, else only this */
    const struct swim_rules *only; /* of the sets compared; NULL: all */
    uint32_t n_seeds;              /* for each cell; 0: the table's own */
    double (*now_s)(void);         /* of the processor, for the speed of the simulator */
};

struct sim_table {
    const char *name;
    const char *what;
    bool (*run)(const struct sim_table_opts *opts);
};

bool sim_table_exists(const char *name); /* "all" does too */
/* One by name, or "all". False: a goal was missed. */
bool sim_table_run(const char *name, const struct sim_table_opts *opts);
void sim_tables_list(void);

/* Each is in one of sim_table_*.c. False: a goal was missed. */
bool sim_table_calibrate(const struct sim_table_opts *opts);
bool sim_table_kill(const struct sim_table_opts *opts);
bool sim_table_cold(const struct sim_table_opts *opts);
bool sim_table_leave(const struct sim_table_opts *opts);
bool sim_table_heal(const struct sim_table_opts *opts);
bool sim_table_grid(const struct sim_table_opts *opts);
bool sim_table_sick(const struct sim_table_opts *opts);
bool sim_table_rest(const struct sim_table_opts *opts);
bool sim_table_duty(const struct sim_table_opts *opts);
bool sim_table_storm(const struct sim_table_opts *opts);
bool sim_table_memory(const struct sim_table_opts *opts);
bool sim_table_ablation(const struct sim_table_opts *opts);
bool sim_table_speed(const struct sim_table_opts *opts);

/* ---- what tables are made of ---- */

/* Prints the line of a goal and gives whether it was reached. NaN is not. */
bool sim_goal_most(double value, double most, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool sim_goal_near(double value, double wanted, double share, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A swarm that has started at once, all of it agreeing, and three seconds more. NULL: it did not
 * within the time that its rules may need (printed). */
struct swim_sim *sim_table_swarm(const struct swim_sim_opts *opts);
/* How many sizes of swarms: those of the table, unless the caller wants only one (--nodes). */
uint32_t sim_table_sizes(const struct sim_table_opts *opts, const uint32_t **sizes, uint32_t n);
bool sim_table_wants(const struct sim_table_opts *opts, const struct swim_rules *rules);
uint32_t sim_table_seeds(const struct sim_table_opts *opts, uint32_t own);
