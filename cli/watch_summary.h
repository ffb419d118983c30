/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of the nodes of a watch: a table on standard error, or with --json an object on
 * standard output.
 */
#pragma once

#include "cli/command.h"
#include "cli/watch.h"

void watch_summary(struct command_context *ctx, const struct watch *watch);
