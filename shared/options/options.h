/* SPDX-License-Identifier: Apache-2.0
 *
 * From argv to a filled args struct, by the table of command.h. Options may stand before or
 * behind positional arguments: --x V, --x=V, -xV, -x V, grouped flags -ab; "--" ends them. Pure but
 * for the secrets, which it erases from argv.
 */
#pragma once

#include "shared/options/command.h"

/* Fills *ctx (any content before is ignored); release with options_free, also after a failure.
 * ERR_USAGE with the sentence in ctx->err; ctx->command is set when the name was understood. Stops
 * with 0 at --help or --version, then nothing behind it is looked at. now_ns is what "-10m" is
 * relative to. */
int options_parse(struct command_context *ctx, const struct program *program, int argc, char **argv,
                  uint64_t now_ns);
void options_free(struct command_context *ctx);

/* True when the user gave the option of the command (not the default), on whatever layer. The name
 * must exist. */
bool options_given(const struct command_context *ctx, const char *name);
size_t options_index(const struct command_context *ctx, const char *name);

/* Makes ctx (zeroed but for the program) one of the command with every default in place, as if only
 * its name had been typed. */
void options_begin(struct command_context *ctx, const struct command *command, uint64_t now_ns);

/* Frees `text` with the context. */
void options_keep(struct command_context *ctx, char *text);

/* What was understood, for a message: "max-bytes 10000000 (10 MB)", "duration 90 (1m30s)", "count
 * 1000". Returns false, out empty, for kinds other than size, duration and count. */
bool options_describe(const struct command_option *option, const void *args, char *out, size_t n);

/* The descriptions of all given sizes, durations and counts, a line each with its newline; "" when
 * there are none. Owned by the caller (mem_free). */
char *options_describe_given(const struct command_context *ctx);
