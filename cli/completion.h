/* SPDX-License-Identifier: Apache-2.0
 *
 * Completion scripts, out of the table. Commands, options and fixed words stand in the script;
 * interfaces and sessions are asked for while typing, with the hidden command __complete.
 */
#pragma once

#include <stdio.h>

#include "cli/command.h"

void completion_print_bash(FILE *out);
void completion_print_zsh(FILE *out);
void completion_print_fish(FILE *out);
