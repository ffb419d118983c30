/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdio.h>

#include "shared/base/mem.h"
#include "shared/options/help.h"

static const struct command_word words[] = {
    {.name = "COMMAND",
     .help = "The command to explain; without it all commands are listed.",
     .optional = true,
     .complete = COMPLETE_COMMAND},
    {.name = "SUBCOMMAND", .help = "One of manage's commands.", .optional = true},
};

static int run(struct command_context *ctx, void *args)
{
    const struct command *command;

    (void)args;
    if (ctx->n_words == 0) {
        help_print_overview(stdout, &cli_program);
        return 0;
    }
    int rc = command_look_up(ctx->words[0], &command, &ctx->err);
    if (rc == 0 && ctx->n_words > 1) {
        rc = group_look_up(command, ctx->words[1], &command, &ctx->err);
    }
    if (rc == 0) {
        help_print_command(stdout, &cli_program, command);
    }
    return rc;
}

const struct command cmd_help = {
    .name = "help",
    .summary = "explain a command",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .description =
        (const char *const[]){
            "Prints what a command does, its arguments, its options with their defaults, and "
            "examples. 'packetrecorder COMMAND --help' is the same.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"help", "list the commands and the global options"},
            {"help list-interfaces", "explain one of them"},
            {"help manage start-capture", "explain one of the commands for a node"},
            {NULL, NULL},
        },
    .run = run,
};
