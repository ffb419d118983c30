/* SPDX-License-Identifier: Apache-2.0
 *
 * What packetrecorderd can be told to be: a node (serve, also without a name) or the far end of an
 * uplink (sniff).
 */
#pragma once

#include "shared/options/command.h"

extern const struct command *const node_commands[];
extern const struct program node_program;

extern const struct command cmd_serve;
extern const struct command cmd_sniff;
