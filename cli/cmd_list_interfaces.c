/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "shared/base/mem.h"

static int run(struct command_context *ctx, void *args)
{
    (void)args;
    return err_set(&ctx->err, ERR_UNSUPPORTED, "list-interfaces is being built");
}

const struct command cmd_list_interfaces = {
    .name = "list-interfaces",
    .summary = "list the interfaces that can be captured from",
    .run = run,
};
