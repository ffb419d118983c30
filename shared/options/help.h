/* SPDX-License-Identifier: Apache-2.0
 *
 * Help in plain text, out of the table. The man pages and the completions of cli/ come from the
 * same records.
 */
#pragma once

#include <stdio.h>

#include "shared/options/command.h"

void help_print_version(FILE *out, const struct program *program);
void help_print_overview(FILE *out, const struct program *program);
void help_print_command(FILE *out, const struct program *program, const struct command *command);

/* The first sentence of `help` without its dot, for completions. */
void help_first_sentence(const char *help, char *out, size_t n);
