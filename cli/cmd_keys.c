/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/options/secret_sodium.h"

static const char *const actions[] = {"db-new", NULL};

static const struct command_word words[] = {
    {.name = "ACTION", .help = "'db-new' makes a key for an encrypted store.", .words = actions},
};

static int run(struct command_context *ctx, void *args)
{
    char text[SECRET_KEY_TEXT_MAX];

    (void)args;
    secret_make_db_key(text);
    int rc = puts(text) == EOF || fflush(stdout) != 0
                 ? err_set(&ctx->err, ERR_IO, "cannot write the key to standard output")
                 : 0;
    explicit_bzero(text, sizeof text);
    return rc;
}

const struct command cmd_keys = {
    .name = "keys",
    .summary = "make keys",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .description =
        (const char *const[]){
            "'keys db-new' prints one line prd_KEY, 32 random bytes in base64url, and nothing "
            "else. Keep it in a file that only you can read and give that file to "
            "--encryption-key-file: who has the key reads the store, who loses it has lost the "
            "store.",
            "A key is used as it is, so opening a store with it takes no time. A passphrase is "
            "turned into a key by Argon2id, which is slow on purpose.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"keys db-new > store.key", "a new key; make the file yours alone with umask 077"},
            {"capture -i eth0 -d p.db --encryption-key-file store.key",
             "record into a store that this key opens"},
            {NULL, NULL},
        },
    .run = run,
};
