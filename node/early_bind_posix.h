/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports below 1024 need a right that the daemon does not keep: their sockets are bound while it is
 * still there, and whoever listens takes them from here. Other ports are left to who listens.
 */
#pragma once

#include <sys/socket.h>

#include "shared/base/err.h"
#include "shared/options/option.h"

#define EARLY_BIND_MAX 32

/* Binds those of the addresses ("ADDR:PORT", or "ADDR:PORT=…") whose port needs the right.
 * ERR_IN_USE and ERR_PERMISSION with the way out. */
int early_bind(const struct option_list *addrs, const char *option, struct err *err);

/* The bound socket of that address (non-blocking, to be listened on), moved to the caller; -1: not
 * bound early. */
int early_bind_take(const struct sockaddr_storage *at);

/* Closes what nobody took. */
void early_bind_release(void);
