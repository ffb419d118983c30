/* SPDX-License-Identifier: Apache-2.0
 *
 * packetrecorderd: reads the command line by the table, runs the command, ends its error.
 */
#include <errno.h>
#include <stdio.h>

#include "node/command.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/standard_fds_posix.h"
#include "shared/options/help.h"
#include "shared/options/options.h"

static int end_error(const struct command_context *ctx, int rc)
{
    if (ctx->err.text[0] != '\0') {
        log_error("%s", ctx->err.text);
    }
    if (rc == ERR_USAGE) {
        log_error("see 'packetrecorderd --help'");
    }
    return err_exit_code(rc);
}

static int run(struct command_context *ctx, int argc, char **argv)
{
    int rc = options_parse(ctx, &node_program, argc, argv, clock_wall_ns());

    if (ctx->secret_in_argv) {
        log_warn("a key on the command line can be seen by other users; it is erased now, but "
                 "prefer --encryption-key-file or PACKETRECORDER_DB_KEY");
    }
    if (rc < 0) {
        return rc;
    }
    if (ctx->global.version) {
        help_print_version(stdout, &node_program);
        return 0;
    }
    if (ctx->global.help) {
        help_print_command(stdout, &node_program, ctx->command);
        return 0;
    }
    return ctx->command->run(ctx, ctx->args);
}

int main(int argc, char **argv)
{
    struct command_context ctx;

    if (!standard_fds_hold()) {
        return 1;
    }
    int rc = run(&ctx, argc, argv);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        rc = err_errno(&ctx.err, errno, "writing to standard output");
    }
    int code = rc == 0 ? 0 : end_error(&ctx, rc);
    options_free(&ctx);
    return code;
}
