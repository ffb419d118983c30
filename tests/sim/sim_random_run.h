/* SPDX-License-Identifier: Apache-2.0
 *
 * A random mixture of everything that can go wrong, drawn from the seed: what the hundred million
 * node-seconds are made of. Faults begin and end at random; in the last part all is healed, and the
 * swarm has to keep its deadlines again (sim_ending.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/sim.h"

struct sim_random_run {
    const struct swim_sim_opts *opts;
    uint32_t seconds;   /* of faults */
    uint32_t settle_ms; /* then, healed, until all agree; 0: as the protocol says */
};

struct sim_random_result {
    bool passed;
    char failure[400]; /* why not */
    double settled_s;  /* until all agreed */
    struct swim_sim_totals totals;
};

/* A run that fails has printed why, with its seed, unless opts->quiet. */
void sim_random_run(const struct sim_random_run *run, struct sim_random_result *result);
