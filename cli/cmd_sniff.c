/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "cli/daemon_exec_posix.h"
#include "shared/options/sniff_options.h"

static int run(struct command_context *ctx, void *args)
{
    (void)args;
    return daemon_exec(ctx, NULL);
}

const struct command cmd_sniff = {
    COMMAND_SNIFF,
    .run = run,
};
