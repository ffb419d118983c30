/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks, in nanoseconds: what pure code gets as arguments.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t clock_wall_ns(void);      /* since 1970, may step */
uint64_t clock_monotonic_ns(void); /* never steps back */
uint64_t clock_boot_ns(void);      /* the same, and goes on while the machine is suspended */

/* Tests only: what PACKETRECORDER_TEST_CLOCK_OFFSET (a duration, may begin with "-") shifts the
 * wall clock by: clock_wall_ns, the stamps of packets and those of gossip alike. 0 unless built
 * with -DPR_TEST_CLOCK=ON, which no release is. */
#ifdef PR_TEST_CLOCK
int64_t clock_test_offset_ns(void);
#else
static inline int64_t clock_test_offset_ns(void)
{
    return 0;
}
#endif
