/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "cli/daemon_exec_posix.h"
#include "shared/options/node_options.h"

static int run(struct command_context *ctx, void *args_)
{
    const struct node_options *args = args_;

    return daemon_exec(ctx, args->encryption_key);
}

const struct command cmd_serve = {
    .name = "serve",
    .summary = "run a node: serve this host's interfaces to others",
    .options = node_option_table,
    .n_options = N_NODE_OPTIONS,
    .args_size = sizeof(struct node_options),
    .description = node_serve_description,
    .examples = node_serve_examples,
    .run = run,
};
