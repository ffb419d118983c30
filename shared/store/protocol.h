/* SPDX-License-Identifier: Apache-2.0
 *
 * How many packets of which kind went into a store: counted while the index is built, from what the
 * index looks at anyway. What is not TCP, UDP, ICMP (or ICMPv6) or ARP is other, so the sum is all
 * packets. Pure.
 */
#pragma once

#include <stdint.h>

enum protocol {
    PROTOCOL_OTHER,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    PROTOCOL_ICMP,
    PROTOCOL_ARP,
    PROTOCOLS,
};

extern const char *const protocol_names[PROTOCOLS]; /* "other", "tcp", … */

struct protocol_tally {
    uint64_t packets[PROTOCOLS];
    uint64_t bytes[PROTOCOLS]; /* captured ones */
};
