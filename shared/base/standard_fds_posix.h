/* SPDX-License-Identifier: Apache-2.0
 *
 * The three standard descriptors, for main().
 */
#pragma once

#include <stdbool.h>

/* A standard descriptor that the caller closed would be taken by the next file that is opened, and
 * messages would be written into a store. Puts /dev/null in its place; what stands in for a closed
 * stdout cannot be written, so that an answer is not lost silently. False: give up. */
bool standard_fds_hold(void);
