/* SPDX-License-Identifier: Apache-2.0
 *
 * When a capture has enough: a number of packets, a number of captured bytes, a time; whichever
 * comes first. Asked for every packet, so it is inline and compares what is left with numbers. The
 * count is exact; bytes are never exceeded, the packet that would do so ends the capture. Time is
 * the packets' own in files; live, the session's clock ends the capture. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/block.h"

#define LIMITS_NONE UINT64_MAX

enum limits_verdict {
    LIMITS_TAKE,      /* and go on */
    LIMITS_TAKE_LAST, /* with this packet a limit is reached */
    LIMITS_REFUSE,    /* this packet is beyond a limit */
};

struct limits {
    uint64_t packets_left;
    uint64_t bytes_left;
    uint64_t span_ns;  /* of packet time, from the first packet on; LIMITS_NONE when live */
    uint64_t until_ns; /* first packet's time + span_ns, once there is one */
};

/* 0 = unlimited, for each of them. */
static inline struct limits limits_make(uint64_t packets, uint64_t bytes, uint64_t span_ns)
{
    return (struct limits){
        .packets_left = packets == 0 ? LIMITS_NONE : packets,
        .bytes_left = bytes == 0 ? LIMITS_NONE : bytes,
        .span_ns = span_ns == 0 ? LIMITS_NONE : span_ns,
        .until_ns = LIMITS_NONE,
    };
}

/* Before the first packet of a capture whose time is limited by packet time. */
static inline void limits_start_span(struct limits *limits, uint64_t first_ns)
{
    limits->until_ns =
        limits->span_ns > LIMITS_NONE - first_ns ? LIMITS_NONE : first_ns + limits->span_ns;
}

static inline enum limits_verdict limits_take(struct limits *limits, uint32_t caplen,
                                              uint64_t time_ns)
{
    if (caplen > limits->bytes_left || time_ns >= limits->until_ns) {
        return LIMITS_REFUSE;
    }
    limits->bytes_left -= caplen;
    limits->packets_left--;
    return limits->packets_left == 0 || limits->bytes_left == 0 ? LIMITS_TAKE_LAST : LIMITS_TAKE;
}
