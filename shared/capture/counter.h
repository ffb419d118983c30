/* SPDX-License-Identifier: Apache-2.0
 *
 * libpcap's counters are 32 bits and wrap after 4,294,967,296 packets: an hour at 1.2 Mpps. This
 * makes 64-bit ones of them by adding differences. Whoever owns one has to look at least once a
 * wrap. Pure.
 */
#pragma once

#include <stdint.h>

struct counter {
    uint64_t total;
    uint32_t last; /* as libpcap gave it the last time */
};

/* Takes the present value of the 32-bit counter; returns the 64-bit one. */
static inline uint64_t counter_update(struct counter *counter, uint32_t now)
{
    counter->total += (uint32_t)(now - counter->last);
    counter->last = now;
    return counter->total;
}
