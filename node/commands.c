/* SPDX-License-Identifier: Apache-2.0 */
#include "node/command.h"

#include "shared/base/mem.h"

static const struct command_option global_options[] = {
    {.name = "api-key-file",
     .kind = OPT_STRING,
     .placeholder = "FILE",
     .help = "For sniff: file with the API key for the node it sends to; only its owner may read "
             "it.",
     .complete = COMPLETE_FILE,
     .offset = offsetof(struct global_args, api_key_file)},
    OPTIONS_HELP_AND_VERSION,
};

const struct command *const node_commands[] = {
    &cmd_serve,
    &cmd_sniff,
    NULL,
};

const struct program node_program = {
    .name = "packetrecorderd",
    .version = PR_VERSION,
    .usage = "packetrecorderd [COMMAND] [OPTIONS]",
    .intro = "The node of packetrecorder: makes the interfaces of this host usable from elsewhere.",
    .commands = node_commands,
    .global_options = global_options,
    .n_global_options = ARRAY_LEN(global_options),
    .fallback = &cmd_serve,
};
