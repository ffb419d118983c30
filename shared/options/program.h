/* SPDX-License-Identifier: Apache-2.0
 *
 * main() of a program with commands: reads the command line by the table, answers --help and
 * --version or runs the command, ends its error. What differs between programs stands in their
 * table (struct program).
 */
#pragma once

#include "shared/options/command.h"

/* The exit code. An error is told on stderr, with the way to the help where the command line was
 * wrong; whoever closes our standard output has seen enough, which is none (as tcpdump). Standard
 * files must be open (standard_fds_hold). */
int program_main(const struct program *program, int argc, char **argv);
