/* SPDX-License-Identifier: Apache-2.0
 *
 * Two properties that cannot be seen from outside a core. In flight: whatever one core seals, says
 * nothing of a member that this did not say itself (I1, read from the datagrams with the sender's
 * own keys). Clocks: a bound is never wrong, neither that of an offset nor that of swarm time (only
 * the simulator knows the true ones). Both look at a part of what there is, in turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_packet;
struct swim_sim;

/* Every so many datagrams and steps of a node one is looked at. */
#define SIM_WIRE_EVERY  16u
#define SIM_CLOCK_EVERY 16u

void sim_check_wire(struct swim_sim *sim, uint32_t node, uint64_t to_sid, const uint8_t *bytes,
                    size_t n);
void sim_check_clock(struct swim_sim *sim, uint32_t node);
/* The datagram is of its sender's life as the node knows it, and under a nonce of before its last
 * record: its counter is told by nothing. */
bool sim_check_is_left_behind(const struct swim_sim *sim, uint32_t node,
                              const struct sim_packet *packet);
