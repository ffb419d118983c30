/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "cli/man.h"
#include "shared/base/mem.h"

static const struct command_word words[] = {
    {.name = "COMMAND",
     .help = "The command whose page is printed, or packetrecorderd, or "
             "packetrecorder-extcap; without it that of the program.",
     .optional = true,
     .complete = COMPLETE_COMMAND},
};

static int run(struct command_context *ctx, void *args)
{
    const struct command *command = NULL;

    if (ctx->n_words > 0 && strcmp(ctx->words[0], "packetrecorderd") == 0) {
        man_print_daemon(stdout);
        return 0;
    }
    if (ctx->n_words > 0 && strcmp(ctx->words[0], "packetrecorder-extcap") == 0) {
        man_print_extcap(stdout);
        return 0;
    }
    int rc = ctx->n_words == 0 ? 0 : command_look_up(ctx->words[0], &command, &ctx->err);

    (void)args;
    if (rc == 0) {
        man_print(stdout, command);
    }
    return rc;
}

const struct command cmd_man = {
    .name = "man",
    .summary = "print a man page",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .description =
        (const char *const[]){
            "Prints a man page in mdoc(7), the one that is installed with the program. Pipe it "
            "into 'man -l -' to read it.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"man list-interfaces | man -l -", "read the page of a command without installing"},
            {NULL, NULL},
        },
    .run = run,
};
