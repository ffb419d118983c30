/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/program.h"

#include <errno.h>
#include <stdio.h>

#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/options/help.h"
#include "shared/options/options.h"

static int end_error(const struct command_context *ctx, int rc)
{
    const struct command *command = ctx->command;
    /* --help without a name is the fallback's. */
    bool is_named = command != NULL && command != ctx->program->fallback;
    char name[COMMAND_NAME_MAX];

    if (ctx->err.text[0] != '\0') {
        log_error("%s", ctx->err.text);
    }
    if (rc == ERR_USAGE) {
        log_error("see '%s%s%s --help'", ctx->program->name, is_named ? " " : "",
                  is_named ? command_format_name(command, name) : "");
    }
    return err_exit_code(rc);
}

static void warn_unused(const struct command_context *ctx)
{
    char name[COMMAND_NAME_MAX];

    command_format_name(ctx->command, name);
    if (ctx->global.endpoints.n > 0 && !ctx->command->uses_endpoint) {
        log_warn("'%s' asks no node: --endpoint changes nothing", name);
    }
    if (ctx->global.api_key_file != NULL && !ctx->command->uses_api_key) {
        log_warn("'%s' asks no node: --api-key-file changes nothing", name);
    }
}

static int run(struct command_context *ctx, const struct program *program, int argc, char **argv)
{
    int rc = options_parse(ctx, program, argc, argv, clock_wall_ns());

    if (ctx->secret_in_argv != NULL) {
        log_warn("a key on the command line can be seen by other users; it is erased now, but "
                 "prefer --%s-file or the environment",
                 ctx->secret_in_argv->name);
    }
    if (rc < 0) {
        return rc;
    }
    if (ctx->global.version) {
        help_print_version(stdout, program);
        return 0;
    }
    if (ctx->command == NULL) {
        help_print_overview(ctx->global.help ? stdout : stderr, program);
        return ctx->global.help ? 0 : 2;
    }
    if (ctx->global.help) {
        help_print_command(stdout, program, ctx->command);
        return 0;
    }
    warn_unused(ctx);
    return ctx->command->run(ctx, ctx->args);
}

int program_main(const struct program *program, int argc, char **argv)
{
    struct command_context ctx;

    int rc = run(&ctx, program, argc, argv);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        rc = err_errno(&ctx.err, errno, "writing to standard output");
    }
    int code = rc == 0 || rc == -EPIPE ? 0 : end_error(&ctx, rc);
    options_free(&ctx);
    return code;
}
