/* SPDX-License-Identifier: Apache-2.0
 *
 * The randomness of the simulator: splitmix64, a few streams of it from one seed, so that what one
 * part draws does not change what another one sees. The same seed, the same run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/support/splitmix.h"

#define SIM_PPM 1000000u

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_random_u64(struct sim_random *r)
{
    return splitmix_u64(&r->state);
}

/* A stream of its own for each (seed, purpose, which). */
static inline struct sim_random sim_random_stream(uint64_t seed, uint32_t purpose, uint32_t which)
{
    struct sim_random r = {seed ^ (uint64_t)purpose << 56};

    r.state = sim_random_u64(&r) ^ which;
    r.state = sim_random_u64(&r);
    return r;
}

/* 0 … n-1; 0 for n = 0. */
static inline uint32_t sim_random_below(struct sim_random *r, uint32_t n)
{
    return splitmix_below(&r->state, n);
}

/* least … most */
static inline uint32_t sim_random_between(struct sim_random *r, uint32_t least, uint32_t most)
{
    return most <= least ? least : least + sim_random_below(r, most - least + 1);
}

static inline bool sim_random_chance(struct sim_random *r, uint32_t ppm)
{
    return ppm != 0 && sim_random_below(r, SIM_PPM) < ppm;
}
