/* SPDX-License-Identifier: Apache-2.0
 *
 * Man pages in mdoc(7), out of the table: packetrecorder(1) and a page for each command. The build
 * installs what `packetrecorder man` prints.
 */
#pragma once

#include <stdio.h>

#include "cli/command.h"

/* The page of a command, or of the whole program for NULL. */
void man_print(FILE *out, const struct command *command);

/* packetrecorderd(8). */
void man_print_daemon(FILE *out);

/* packetrecorder-extcap(1). */
void man_print_extcap(FILE *out);
