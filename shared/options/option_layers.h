/* SPDX-License-Identifier: Apache-2.0
 *
 * Values that do not come from flags: the environment and the configuration file, below what was
 * typed. Flags are parsed first (options.h); then each layer fills what is still a default, so that
 * flags beat environment, environment beats file. And the way back: from values to words.
 */
#pragma once

#include "shared/options/command.h"

/* yes, no, true, false, on, off, 1, 0. */
bool option_parse_yes_no(const char *text, bool *out);

/* Gives option i a value of `origin`. Lists of that origin grow, others begin anew. As
 * option_set_value for `text`, which is borrowed; ERR_USAGE, without the option's name. */
int options_set(struct command_context *ctx, size_t i, char *text, enum option_origin origin,
                uint64_t now_ns, struct err *err);

/* From the variables that the options name; get is getenv(). Empty ones count as not there. A
 * secret is moved out of the variable, which is erased. ERR_USAGE in ctx->err. */
int options_read_environment(struct command_context *ctx, char *(*get)(const char *name),
                             uint64_t now_ns);

/* Takes what `lower` (a context of the same table) has and ctx has not. */
void options_adopt(struct command_context *ctx, struct command_context *lower);

/* True when option i has the same value in both. */
bool options_same(const struct command_context *a, const struct command_context *b, size_t i);

/* The options that are no defaults as words for the parser ("--count=5"), without secrets. Owned by
 * the caller: words and array (mem_free). */
char **options_to_words(struct command_context *ctx, size_t *n);
