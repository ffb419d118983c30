/* SPDX-License-Identifier: Apache-2.0
 *
 * The properties of what waits inside a core. I7: its queues keep their bounds, and no datagram
 * tells an update more often than the rules allow (counted from outside, from the datagrams). I9:
 * no two armed timers have one token, no token comes again, and what is armed belongs to something
 * that is under way, so that nothing cancelled can act.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/swarm/swim_frame.h"

struct swim_sim;

/* Every so many steps of a node. */
#define SIM_QUEUES_EVERY 32u

/* How often each update was told: by (node, life, update). */
struct sim_told {
    uint64_t *keys; /* owned; open addressing; 0: free */
    uint16_t *counts;
    uint32_t n, cap; /* a power of two */
};
void sim_told_deinit(struct sim_told *told);

void sim_check_queues(struct swim_sim *sim, uint32_t node);
/* A frame in a datagram whose first frame is of the type `first`. */
void sim_check_told(struct swim_sim *sim, uint32_t node, uint8_t first,
                    const struct swim_frame *frame);
