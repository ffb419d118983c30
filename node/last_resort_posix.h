/* SPDX-License-Identifier: Apache-2.0
 *
 * What ends the process when the loop cannot: a timer of the kernel and the second signal, both
 * handled where the loop is not needed.
 */
#pragma once

#include <stdint.h>

/* From now on SIGTERM and SIGINT end the process at once with code 130, and after `ms` it ends with
 * `code` and a line on stderr. */
void last_resort_arm(uint32_t ms, int code);
void last_resort_disarm(void);
