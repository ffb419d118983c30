/* SPDX-License-Identifier: Apache-2.0
 *
 * What the completion scripts ask for while somebody types: one name a line, nothing on failure.
 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/capture/interfaces_pcap.h"

static const char *const topics[] = {"interfaces", "sessions", NULL};

static const struct command_word words[] = {
    {.name = "TOPIC", .help = "What to list.", .words = topics},
    {.name = "DB", .help = "The store, for sessions.", .optional = true},
};

static void print_name(const char *name, void *arg)
{
    (void)arg;
    puts(name);
}

static int run(struct command_context *ctx, void *args)
{
    (void)args;
    if (strcmp(ctx->words[0], "interfaces") == 0) {
        (void)interfaces_names(print_name, NULL, NULL);
        return 0;
    }
    puts("last");
    return 0;
}

const struct command cmd_complete = {
    .name = "__complete",
    .summary = "names for the completion scripts",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .hidden = true,
    .run = run,
};
