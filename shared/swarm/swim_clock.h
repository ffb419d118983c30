/* SPDX-License-Identifier: Apache-2.0
 *
 * Swarm time: one clock that all members agree on within bounds that they know, without touching any
 * system clock. It is the clock of a root: of the live members whose clocks something outside keeps
 * (anchors), else of all, the one with the least short id. Every other node knows the root's clock as
 * its own wall clock plus x, with a bound; it learns them from any member that follows the same root:
 * x = theta + x of the peer, bound = bound of theta + bound of the peer. So for two nodes of one root
 * the sum of their bounds holds for the difference of their swarm times, always. When the wall clock
 * steps (wall minus monotonic jumps), x steps against it and the samples of before are void (epoch).
 */
#pragma once

#include "shared/swarm/swim_offset.h"
#include "shared/swarm/swim_types.h"

/* What a node publishes, and what it keeps. */
struct swim_clock_view {
    uint64_t root; /* sid */
    int64_t x_ns;
    uint64_t bound_ns;
    bool is_anchored; /* the root is an anchor */
};

struct swim_clock {
    uint64_t self;
    bool anchor;
    uint32_t epoch;
    int64_t wall_minus_mono_ns;
    struct swim_clock_view view; /* as of taken_ns */
    uint64_t taken_ns;           /* monotonic */
};

void swim_clock_init(struct swim_clock *clock, uint64_t self, bool anchor, struct swim_now now);
/* Call with every input: true when the wall clock has stepped since the last call. */
bool swim_clock_look(struct swim_clock *clock, struct swim_now now);
/* A peer's view with the offset to it; `mono_ns` now. True when ours changed its root. */
bool swim_clock_take(struct swim_clock *clock, const struct swim_estimate *offset,
                     const struct swim_clock_view *peer, uint64_t mono_ns);
/* Its root is gone: the own clock is the root, until a better one is heard of. Swarm time goes on
 * from where it is. */
void swim_clock_lose_root(struct swim_clock *clock, uint64_t mono_ns);
/* With the bound grown to now. */
struct swim_clock_view swim_clock_get(const struct swim_clock *clock, uint64_t mono_ns);
int64_t swim_clock_swarm_ns(const struct swim_clock *clock, struct swim_now now);
