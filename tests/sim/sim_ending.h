/* SPDX-License-Identifier: Apache-2.0
 *
 * How a random mixture of faults ends. All is healed, and then the deadlines of the protocol hold
 * whatever happened before: the views agree again (L5, L6), nobody healthy is
 * declared dead (L3, L4), a restart is one death and one return
 * at each observer (L8), a farewell is known by all and is nobody's death (L7), and a
 * node that is killed is known to be gone (L1), with what damping and slow peers may add.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct swim_sim;

/* settle_ms: until all agree; 0: as the protocol says. False: a property failed. *settled_s: how
 * long that took. */
bool sim_ending(struct swim_sim *sim, uint32_t settle_ms, double *settled_s);
