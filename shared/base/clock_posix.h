/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks, in nanoseconds: what pure code gets as arguments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t clock_wall_ns(void);      /* since 1970, may step */
uint64_t clock_monotonic_ns(void); /* never steps back */
uint64_t clock_boot_ns(void);      /* the same, and goes on while the machine is suspended */

/* The wall clock is kept right by something outside (NTP, PTP), as the kernel is told; a faked one
 * never is. */
bool clock_is_kept(void);

/* Tests only: by how much the wall clock is shifted at true_ns of the real one: clock_wall_ns, the
 * stamps of packets and those of gossip alike. PACKETRECORDER_TEST_CLOCK_OFFSET is a duration that
 * may begin with "-"; PACKETRECORDER_TEST_CLOCK_FILE names a file of three 64-bit integers, {shift
 * before, true_ns, shift from then on}, that may be changed while the program runs. 0 unless built
 * with PR_TEST_CLOCK, which no release is. */
#ifdef PR_TEST_CLOCK
int64_t clock_test_offset_ns(uint64_t true_ns);
#else
static inline int64_t clock_test_offset_ns(uint64_t true_ns)
{
    (void)true_ns;
    return 0;
}
#endif
