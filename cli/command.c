/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"

#define COMMANDS_MAX 64

const struct command_option global_options[] = {
    {.name = "json",
     .kind = OPT_FLAG,
     .help = "Print listings and summaries as JSON.",
     .offset = offsetof(struct global_args, json)},
    {.name = "quiet",
     .kind = OPT_FLAG,
     .help = "No progress and no notes on standard error, only errors and warnings.",
     .offset = offsetof(struct global_args, quiet)},
    {.name = "no-color",
     .kind = OPT_FLAG,
     .help = "No colours; so does the variable NO_COLOR.",
     .offset = offsetof(struct global_args, no_color)},
    {.name = "endpoint",
     .kind = OPT_STRING,
     .placeholder = "ENDPOINT",
     .help = "The node to ask: HOST:PORT or unix:PATH. For the commands that talk to a node.",
     .offset = offsetof(struct global_args, endpoint)},
    {.name = "api-key-file",
     .kind = OPT_STRING,
     .placeholder = "FILE",
     .help = "File with the API key for that node; only its owner may read it.",
     .complete = COMPLETE_FILE,
     .offset = offsetof(struct global_args, api_key_file)},
    {.name = "help",
     .letter = 'h',
     .kind = OPT_FLAG,
     .help = "Show help, of the command where one is named.",
     .offset = offsetof(struct global_args, help)},
    {.name = "version",
     .letter = 'V',
     .kind = OPT_FLAG,
     .help = "Show the version.",
     .offset = offsetof(struct global_args, version)},
};

const size_t n_global_options = ARRAY_LEN(global_options);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

int command_look_up(const char *name, const struct command **out, struct err *err)
{
    const char *names[COMMANDS_MAX];
    size_t n = 0;

    const struct command *command = command_find(name);
    if (command != NULL) {
        *out = command;
        return 0;
    }
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (!commands[i]->hidden && n < COMMANDS_MAX) {
            names[n++] = commands[i]->name;
        }
    }
    const char *near = text_nearest(name, names, n);
    if (near == NULL) {
        return err_set(err, ERR_USAGE, "unknown command '%s'", name);
    }
    return err_set(err, ERR_USAGE, "unknown command '%s'; did you mean '%s'?", name, near);
}
