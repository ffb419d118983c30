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
    .name = "sniff",
    .summary = "capture here and send to a node that is dialled",
    .options = sniff_option_table,
    .n_options = N_SNIFF_OPTIONS,
    .args_size = sizeof(struct sniff_options),
    .description = sniff_description,
    .examples = sniff_examples,
    .uses_api_key = true,
    .run = run,
};
