/* SPDX-License-Identifier: Apache-2.0
 *
 * What the completion scripts ask for while somebody types: one name a line, nothing on failure.
 * Shells expand what they are offered (compgen -W runs `$(…)`), and the names come from whoever
 * made the session or the interface: only names of harmless characters are printed.
 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "cli/database.h"
#include "shared/base/mem.h"
#include "shared/capture/interfaces_pcap.h"

#define HARMLESS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@%+-"

static const char *const topics[] = {"interfaces", "sessions", NULL};

static const struct command_word words[] = {
    {.name = "TOPIC", .help = "What to list.", .words = topics},
    {.name = "DB", .help = "The store, for sessions.", .optional = true},
};

static void print_name(const char *name, void *arg)
{
    (void)arg;
    if (*name != '\0' && *name != '-' && name[strspn(name, HARMLESS)] == '\0') {
        puts(name);
    }
}

/* With the key of the environment; a store that needs another one has no names to offer. */
static void print_sessions(const char *database)
{
    const struct store_args args = {.database = database};
    struct store_session *sessions = NULL;
    struct store *store = NULL;
    size_t n = 0;

    puts("last");
    if (database_open(&args, STORE_READ, &store, NULL) < 0) {
        return;
    }
    if (store_sessions(store, &sessions, &n, NULL) == 0) {
        for (size_t i = 0; i < n; i++) {
            print_name(sessions[i].name, NULL);
            print_name(sessions[i].id, NULL);
        }
        store_sessions_free(sessions, n);
    }
    store_close(store);
}

static int run(struct command_context *ctx, void *args)
{
    (void)args;
    if (strcmp(ctx->words[0], "interfaces") == 0) {
        (void)interfaces_names(print_name, NULL, NULL);
    } else {
        print_sessions(ctx->n_words > 1 ? ctx->words[1] : "packets.db");
    }
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
