/* SPDX-License-Identifier: Apache-2.0
 *
 * Help in plain text, out of the table. The man pages (man.h) and the completions (completion.h)
 * come from the same records.
 */
#pragma once

#include <stdio.h>

#include "cli/command.h"

void help_print_version(FILE *out);
void help_print_overview(FILE *out);
void help_print_command(FILE *out, const struct command *command);

/* The first sentence of `help` without its dot, for completions. */
void help_first_sentence(const char *help, char *out, size_t n);
