/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks, in nanoseconds: what pure code gets as arguments.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t clock_wall_ns(void);      /* since 1970, may step */
uint64_t clock_monotonic_ns(void); /* never steps back */
