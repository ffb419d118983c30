/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table of commands. Help, man pages, completion, the parser and the tests all walk it, so a
 * command exists in one place only.
 *
 * To add a command: write cli/cmd_NAME.c as below, declare `extern const struct command cmd_NAME;`
 * here, list it in cli/commands.c (the order of the overview) and in PR_COMMAND_FILES of
 * cli/CMakeLists.txt (its man page follows from that).
 *
 *     struct sessions_args {
 *         struct store_args store;
 *         uint64_t limit;
 *     };
 *
 *     static const struct command_option options[] = {
 *         OPTIONS_STORE(struct sessions_args, store),
 *         {.name = "limit", .letter = 'l', .kind = OPT_COUNT, .placeholder = "N",
 *          .help = "Show at most N sessions; 0 means all.", .value = "0",
 *          .offset = offsetof(struct sessions_args, limit)},
 *     };
 *
 *     static int run(struct command_context *ctx, void *args_)
 *     {
 *         const struct sessions_args *args = args_;
 *         …
 *         return 0;     or: return err_set(&ctx->err, ERR_NOT_FOUND, "no session '%s'", name);
 *     }
 *
 *     const struct command cmd_sessions = {
 *         .name = "sessions",
 *         .summary = "list the sessions of a store",
 *         .options = options,
 *         .n_options = ARRAY_LEN(options),
 *         .args_size = sizeof(struct sessions_args),
 *         .description = (const char *const[]){"One paragraph.", "Another.", NULL},
 *         .examples = (const struct command_example[]){{"sessions -d p.db", "what it does"}, {0}},
 *         .run = run,
 *     };
 *
 * Fragments that several commands share (OPTIONS_STORE, OPTION_FILTER, OPTIONS_RANGE …) are in
 * cli/option_groups.h. The args struct comes zeroed with every `.value` (the default, parsed as if
 * the user had typed it) filled in. Strings in it are borrowed and live as long as the context. A
 * run function writes its answer to stdout, says everything else on stderr, and leaves its error in
 * ctx->err: main prints `packetrecorder: SENTENCE` and ends with err_exit_code().
 */
#pragma once

#include "shared/options/command.h"

extern const struct command_option global_options[];
extern const size_t n_global_options;

/* NULL-terminated, in the order of the overview. */
extern const struct command *const commands[];

/* All of it, for the parser and the help. */
extern const struct program cli_program;

/* NULL when there is none. */
const struct command *command_find(const char *name);

/* The same with ERR_USAGE and the nearest name in the sentence. */
int command_look_up(const char *name, const struct command **out, struct err *err);

extern const struct command cmd_list_interfaces;
extern const struct command cmd_capture;
extern const struct command cmd_sessions;
extern const struct command cmd_query;
extern const struct command cmd_export;
extern const struct command cmd_sql;
extern const struct command cmd_replay;
extern const struct command cmd_delete;
extern const struct command cmd_prune;
extern const struct command cmd_verify;
extern const struct command cmd_view;
extern const struct command cmd_manage;
extern const struct command cmd_rekey;
extern const struct command cmd_keys;
extern const struct command cmd_serve;
extern const struct command cmd_sniff;
extern const struct command cmd_config;
extern const struct command cmd_doctor;
extern const struct command cmd_install_extcap;
extern const struct command cmd_help;
extern const struct command cmd_completion;
extern const struct command cmd_man;
extern const struct command cmd_complete;
