/* SPDX-License-Identifier: Apache-2.0
 *
 * One option's value: from text to its place in the args struct, its default, its release. Driven
 * by options.c; commands use options.h.
 */
#pragma once

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/options/option.h"

static inline void *option_place(const struct command_option *option, void *args)
{
    return (char *)args + option->offset;
}

bool option_is_flag(const struct command_option *option);

/* Puts what stands in .value or .initial into a zeroed struct. A default that does not parse is a
 * broken promise. */
void option_set_default(const struct command_option *option, void *args, uint64_t now_ns);

/* Parses `text` by the option's kind; lists grow. Strings are borrowed, a secret is moved out of
 * `text`, which is erased. ERR_USAGE with the sentence, without the option's name. */
int option_set_value(const struct command_option *option, void *args, char *text, uint64_t now_ns,
                     struct err *err);

void option_set_flag(const struct command_option *option, void *args, bool value);

/* Takes the default (or what a lower layer said) out of a list before its first own item; nothing
 * for other kinds. */
void option_clear_list(const struct command_option *option, void *args);

/* Frees what the value owns: lists and secrets. */
void option_release(const struct command_option *option, void *args);

/* Exchanges the values (with what they own) of two args structs. */
void option_swap(const struct command_option *option, void *a, void *b);

/* How many values are there: the items of a list, 0 for a string that is NULL or a choice not made,
 * else 1. */
size_t option_n_items(const struct command_option *option, const void *args);

/* Item k as text that option_set_value reads back exactly; flags give yes or no. A secret gives
 * "(secret)". */
void option_format_item(const struct command_option *option, const void *args, size_t k,
                        struct buf *out);

/* All items, a line each, without the last line's end. */
void option_format(const struct command_option *option, const void *args, struct buf *out);
