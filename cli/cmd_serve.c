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
    COMMAND_SERVE,
    .run = run,
};
