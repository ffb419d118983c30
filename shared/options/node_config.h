/* SPDX-License-Identifier: Apache-2.0
 *
 * From a context with the flags of `serve` to the options in force: environment, then the
 * configuration file that --config or PACKETRECORDER_CONFIG names.
 */
#pragma once

#include "shared/options/config.h"
#include "shared/options/node_options.h"

/* Fills ctx from the layers below the flags. The file's own problems come first: ERR_USAGE with the
 * first of them and how many more. */
int node_config_load(struct command_context *ctx, char *(*get)(const char *name), uint64_t now_ns);

/* As the file stands now: what of it is another value than in ctx, which was loaded before. The log
 * level is taken over; each other one is told to `changed`, for it needs a restart. */
int node_config_reload(struct command_context *ctx, void (*changed)(void *arg, const char *name),
                       void *arg, uint64_t now_ns, struct err *err);
