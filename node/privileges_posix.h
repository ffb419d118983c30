/* SPDX-License-Identifier: Apache-2.0
 *
 * What rights the daemon keeps: those to capture and to transmit (CAP_NET_RAW, CAP_NET_ADMIN) and
 * nothing else of root, as whatever user. Linux' capabilities belong to a thread and are inherited
 * by the threads that it starts, so this is done before there is a second one. No child process can
 * gain anything (no_new_privs, bounding set), nobody else may look into the memory (dumpable off).
 */
#pragma once

#include <stdbool.h>

#include "shared/base/err.h"

/* user NULL: stay who we are. Call once, from the only thread. ERR_NOT_FOUND, ERR_PERMISSION with
 * the way out. Not having the rights to capture is no error. */
int privileges_drop(const char *user, struct err *err);

/* Whether this process may capture now. */
bool privileges_can_capture(void);

/* Warns when files cannot be made in the directory of the store, as root cannot in somebody else's
 * once CAP_DAC_OVERRIDE is given up: recording would fail later. */
void privileges_warn_of_store(const char *database);
