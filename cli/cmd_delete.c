/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "cli/session_choice.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/store/retention.h"
#include "shared/base/to_json.h"

struct delete_args {
    struct store_args store;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct delete_args, store),
};

static const struct command_word words[] = {
    {.name = "SESSION",
     .help = "Session id, a prefix of at least 8 characters, its name, or 'last'.",
     .many = true,
     .complete = COMPLETE_SESSION},
};

struct deleted {
    struct json_t *ids;
    uint64_t packets;
    uint64_t bytes;
};

static int delete_one(struct command_context *ctx, struct store *store,
                      const struct store_session *session, struct deleted *deleted)
{
    char size[TEXT_NUMBER_MAX];
    int r = store_delete_session(store, session, &ctx->err);

    if (r < 0) {
        return err_wrap(&ctx->err, "deleting session %s", session->id);
    }
    json_array_append_new(deleted->ids, json_string(session->id));
    deleted->packets += session->packets;
    deleted->bytes += session->stored_bytes;
    if (!ctx->global.json) {
        text_format_size(session->stored_bytes, size);
        printf("deleted %s: %" PRIu64 " packets, %s\n", session->id, session->packets, size);
    }
    return 0;
}

/* All are looked up before the first is deleted: a word that fits nothing deletes nothing. */
static int delete_all(struct command_context *ctx, struct store *store, struct deleted *deleted)
{
    const struct option_list names = {.items = ctx->words, .n = ctx->n_words};
    struct session_choice choice = {0};
    int r = 0;

    for (size_t i = 0; i < names.n; i++) {
        if (strcmp(names.items[i], "all") == 0) {
            return err_set(&ctx->err, ERR_USAGE,
                           "'all' deletes nothing: name the sessions, or use packetrecorder prune");
        }
    }
    r = session_choice_make(store, &names, &choice, &ctx->err);
    for (size_t i = 0; i < choice.n && r == 0; i++) {
        r = delete_one(ctx, store, &choice.sessions[i], deleted);
    }
    session_choice_deinit(&choice);
    return r;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct delete_args *args = args_;
    struct deleted deleted = {.ids = json_array()};
    struct store *store = NULL;
    int r = database_open(&args->store, STORE_WRITE, &store, &ctx->err);

    r = r < 0 ? r : delete_all(ctx, store, &deleted);
    if (r == 0 && ctx->global.json) {
        json_t *object = json_object();
        json_object_set(object, "sessions", deleted.ids);
        json_object_set_new(object, "packets", to_json_count(deleted.packets));
        json_object_set_new(object, "stored_bytes", to_json_count(deleted.bytes));
        r = output_json(stdout, object, &ctx->err);
    }
    json_decref(deleted.ids);
    store_close(store);
    return r;
}

const struct command cmd_delete = {
    .name = "delete",
    .summary = "delete sessions, so that their packets are gone",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct delete_args),
    .description =
        (const char *const[]){
            "Deletes sessions with everything that is known of them. The space on disk is free "
            "when the command ends; in an encrypted store the keys of the packets are overwritten "
            "first.",
            "Nothing is deleted when one of the words fits no session. A store that a capture is "
            "writing is refused.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"delete -d packets.db 019b76da", "the session whose id begins so"},
            {NULL, NULL},
        },
    .run = run,
};
