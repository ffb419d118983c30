/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stddef.h>

#include "shared/base/mem.h"

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
     .kind = OPT_LIST,
     .placeholder = "ENDPOINT",
     .help = "The node that manage asks: HOST:PORT or unix:PATH. Several, with commas or given "
             "again: the first that answers. Without it what PACKETRECORDER_ENDPOINT says (for "
             "manage the address of RPC; packetrecorder-extcap takes the same variable for "
             "that of HTTP), else unix:/run/packetrecorder/rpc.sock.",
     .offset = offsetof(struct global_args, endpoints)},
    {.name = "api-key-file",
     .kind = OPT_STRING,
     .placeholder = "FILE",
     .help = "File with the API key for that node; only its owner may read it. Without it "
             "PACKETRECORDER_API_KEY, else the file that PACKETRECORDER_API_KEY_FILE names.",
     .complete = COMPLETE_FILE,
     .offset = offsetof(struct global_args, api_key_file)},
    OPTIONS_HELP_AND_VERSION,
};

const size_t n_global_options = ARRAY_LEN(global_options);

const struct program cli_program = {
    .name = "packetrecorder",
    .version = PR_VERSION,
    .usage = "packetrecorder [GLOBAL OPTIONS] COMMAND [OPTIONS]",
    .intro = "Records packets into an indexed, encrypted store; queries, exports, replays them.",
    .commands = commands,
    .global_options = global_options,
    .n_global_options = ARRAY_LEN(global_options),
};

const struct command *command_find(const char *name)
{
    return program_find(&cli_program, name);
}

int command_look_up(const char *name, const struct command **out, struct err *err)
{
    return program_look_up(&cli_program, name, out, err);
}
