/* SPDX-License-Identifier: Apache-2.0
 *
 * Words to systemd (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names. Without that
 * variable nothing happens.
 */
#pragma once

#include <stdint.h>

/* Remembers the socket and takes the variables out of the environment. Before privileges change. */
void notify_open(void);
void notify_close(void);

/* "READY=1", "STOPPING=1", "STATUS=…", "WATCHDOG=1"; several with newlines. */
void notify_send(const char *words);

/* How often "WATCHDOG=1" must come, halved; 0: not asked for. */
uint64_t notify_watchdog_ms(void);
