/* SPDX-License-Identifier: Apache-2.0
 *
 * Stories: one fault each, told from the start of a swarm to its recovery, with the deadlines L1 to
 * L10 of the protocol (docs/protocol-swarm.md). They hold for the profiles of this product; some
 * say of memberlist's rules what is known of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tests/sim/sim.h"

struct sim_story {
    const char *name;
    const char *what; /* a sentence */
    uint32_t n_least; /* nodes */
    /* False: it did not end as it should, and swim_sim_fail() was called. */
    bool (*tell)(struct swim_sim *sim);
};

extern const struct sim_story sim_stories[];
extern const size_t sim_n_stories;

/* NULL: no such story. */
const struct sim_story *sim_story_find(const char *name);
/* How long it may take until all know of a death: T' + verdict + Tmax + spread (L1), ms. */
uint64_t sim_detect_most_ms(const struct swim_sim *sim);
