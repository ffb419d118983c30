/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's tables of neighbours (ARP, NDP): one for all network namespaces of a host, with a
 * limit that a node which talks to many others may reach. A datagram to a neighbour for whom there
 * is no room is dropped without a word, so what is told of it here is all that one learns.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct neighbours {
    uint64_t max;         /* net.ipv4.neigh.default.gc_thresh3 or that of IPv6, the smaller one */
    uint64_t entries;     /* of the fuller one */
    uint64_t turned_away; /* since the host began: no room for them */
};

/* False: not to be seen from here, as within a network namespace of one's own. */
bool neighbours_read(struct neighbours *out);
/* True when they leave no room for that many besides a quarter of the table. Pure. */
bool neighbours_are_short(const struct neighbours *table, uint64_t members);
