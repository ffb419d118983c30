/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "shared/base/mem.h"
#include "shared/store/rekey.h"
#include "shared/store/store_key.h"

struct rekey_args {
    struct store_args store;
    const char *new_key;
    const char *new_key_file;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct rekey_args, store),
    {.name = "new-key",
     .kind = OPT_SECRET,
     .placeholder = "KEY",
     .help = "The new key or passphrase. Other users can see a command line: prefer "
             "--new-key-file.",
     .offset = offsetof(struct rekey_args, new_key)},
    {.name = "new-key-file",
     .kind = OPT_STRING,
     .placeholder = "FILE",
     .help = "File with the new key (a line of 'keys db-new') or a passphrase; only its owner may "
             "read it.",
     .complete = COMPLETE_FILE,
     .offset = offsetof(struct rekey_args, new_key_file)},
};

static int new_key(const struct rekey_args *args, struct store_key **out, struct err *err)
{
    if ((args->new_key == NULL) == (args->new_key_file == NULL)) {
        return err_set(
            err, ERR_USAGE,
            "give the new key with --new-key-file FILE (packetrecorder keys db-new makes "
            "one) or with --new-key");
    }
    return args->new_key != NULL ? store_key_from_text(args->new_key, out, err)
                                 : store_key_from_file(args->new_key_file, out, err);
}

static int run(struct command_context *ctx, void *args_)
{
    const struct rekey_args *args = args_;
    struct store_key *key = NULL;
    struct store *store = NULL;
    uint64_t segments = 0;
    int r = new_key(args, &key, &ctx->err);

    r = r < 0 ? r : database_open(&args->store, STORE_WRITE, &store, &ctx->err);
    r = r < 0 ? r : store_rekey(store, key, &segments, &ctx->err);
    store_close(store);
    store_key_free(key);
    if (r < 0) {
        return r;
    }
    if (ctx->global.json) {
        return output_json(stdout, json_pack("{s:I}", "segments", (json_int_t)segments), &ctx->err);
    }
    printf("the store '%s' has its new key (%" PRIu64 " segment headers rewritten)\n",
           args->store.database, segments);
    return 0;
}

const struct command cmd_rekey = {
    .name = "rekey",
    .summary = "give an encrypted store a new key",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct rekey_args),
    .description =
        (const char *const[]){
            "Rewrites the headers of the segments and the catalogue, not the packets: the keys "
            "that "
            "the packets are sealed with are wrapped anew. Afterwards the old key opens nothing.",
            "Safe against a crash at any moment: until the catalogue has the new key the old one "
            "opens the store, from then on the new one, and the next command that writes finishes "
            "the rest.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"rekey -d p.db --encryption-key-file old.key --new-key-file new.key",
             "change the key of a store"},
            {NULL, NULL},
        },
    .run = run,
};
