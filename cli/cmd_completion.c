/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <string.h>

#include "cli/completion.h"
#include "shared/base/mem.h"

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const struct command_word words[] = {
    {.name = "SHELL", .help = "bash, zsh or fish.", .words = shells},
};

static int run(struct command_context *ctx, void *args)
{
    const char *shell = ctx->words[0];

    (void)args;
    if (strcmp(shell, "bash") == 0) {
        completion_print_bash(stdout);
    } else if (strcmp(shell, "zsh") == 0) {
        completion_print_zsh(stdout);
    } else {
        completion_print_fish(stdout);
    }
    return 0;
}

const struct command cmd_completion = {
    .name = "completion",
    .summary = "print a completion script for a shell",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .description =
        (const char *const[]){
            "Prints the script that lets a shell complete commands, options, their words, files, "
            "and the names of interfaces and sessions. Installed packages bring the scripts "
            "along; this is for a program that runs from where it was built.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"completion bash > ~/.local/share/bash-completion/completions/packetrecorder",
             "for bash, from the next shell on"},
            {"completion zsh > ~/.zfunc/_packetrecorder",
             "for zsh, when ~/.zfunc is in fpath before compinit"},
            {"completion fish > ~/.config/fish/completions/packetrecorder.fish", "for fish"},
            {NULL, NULL},
        },
    .run = run,
};
