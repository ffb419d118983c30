/* SPDX-License-Identifier: Apache-2.0
 *
 * `serve` and `sniff` run in packetrecorderd: this program checks what was typed, and becomes it.
 */
#pragma once

#include "shared/options/command.h"

/* The program that PACKETRECORDERD names, else the one beside this, else the bare name, for PATH.
 * mem_free. */
char *daemon_find(void);

/* Replaces this process by packetrecorderd with the same command and options. `key` (may be NULL)
 * goes by the environment, never by argv. Returns only when it cannot be run. */
int daemon_exec(struct command_context *ctx, const char *key);
