/* SPDX-License-Identifier: Apache-2.0
 *
 * A member that has gone over: it has the cluster's key and its own key pair, so that every one of
 * its datagrams opens, and it says whatever harms. What it cannot do is the property (S6): forge or
 * outdate another's record, or evict a live node alone.
 */
#pragma once

#include <stdint.h>

#include "tests/sim/sim.h"

enum sim_lie {
    SIM_LIE_SUSPECT,      /* that a live node is suspect, as itself */
    SIM_LIE_SUSPECT_MANY, /* the same under the names of many accusers */
    SIM_LIE_DEAD,         /* that it is dead */
    SIM_LIE_FUTURE,       /* that it is dead in an incarnation that it never had */
    SIM_LIE_RECORD,       /* a record of it with a higher seq, signed with the liar's own key */
    SIM_LIE_REPLAY,       /* that it left: its alive record in a frame of LEFT */
    SIM_LIE_GARBAGE,      /* sealed bytes that are no frames */
    SIM_N_LIES,
};

/* `liar` sends one lie about `victim` to every running node but the victim, between what its core
 * sends, which goes on to be honest. Nothing when one of them does not run. */
void swim_sim_lie(struct swim_sim *sim, uint32_t liar, uint32_t victim, enum sim_lie lie);
