/* SPDX-License-Identifier: Apache-2.0
 *
 * How long to wait before the next try: exponential backoff with full jitter. The n-th wait is
 * anything from 0 to 0.25 s × 2^n, at most 15 s, each length as likely as any other, so that the
 * many clients of a node that went away do not come back in step. Pure: the random number is an
 * argument. Whoever dials a node drives it.
 */
#pragma once

#include <stdint.h>

#define BACKOFF_FIRST_NS 250000000ull
#define BACKOFF_MAX_NS   15000000000ull

/* Zeroed before its first use. */
struct backoff {
    uint32_t failures; /* in a row */
};

/* Counts one more failure and gives the wait that follows, in ns. `random` is any 64 random bits.
 */
uint64_t backoff_next_ns(struct backoff *backoff, uint64_t random);

/* It worked: the next wait is a first one again. */
void backoff_reset(struct backoff *backoff);
