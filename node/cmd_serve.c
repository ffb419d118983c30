/* SPDX-License-Identifier: Apache-2.0 */
#include "node/command.h"
#include "node/node_uv.h"
#include "shared/base/log.h"
#include "shared/options/node_options.h"

static int run(struct command_context *ctx, void *args_)
{
    const struct node_options *options = args_;
    const struct node_run_opts opts = {0};

    log_set_level((enum log_level)options->log_level);
    return node_run(options, &opts, &ctx->err);
}

const struct command cmd_serve = {
    .name = "serve",
    .summary = "run a node",
    .options = node_option_table,
    .n_options = N_NODE_OPTIONS,
    .args_size = sizeof(struct node_options),
    .description = node_serve_description,
    .examples = node_serve_examples,
    .run = run,
};
