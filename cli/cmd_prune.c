/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/options/options.h"
#include "shared/store/retention.h"
#include "shared/base/to_json.h"

struct prune_args {
    struct store_args store;
    uint64_t max_bytes;
    uint64_t max_age_ns;
    struct option_list keep_tags;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct prune_args, store),
    {.name = "max-bytes",
     .kind = OPT_SIZE,
     .placeholder = "SIZE",
     .help = "Delete the oldest sessions until the store takes no more than this on disk.",
     .note = "unlimited",
     .offset = offsetof(struct prune_args, max_bytes)},
    {.name = "max-age",
     .kind = OPT_DURATION,
     .placeholder = "DURATION",
     .help = "Delete sessions that ended longer ago than this.",
     .note = "unlimited",
     .offset = offsetof(struct prune_args, max_age_ns)},
    {.name = "keep-tag",
     .kind = OPT_LIST,
     .placeholder = "K[=V]",
     .help = "Keep sessions with this tag whatever the other rules say; may be repeated.",
     .offset = offsetof(struct prune_args, keep_tags)},
};

static json_t *result_json(const struct store_pruned *pruned, uint64_t left_bytes)
{
    json_t *object = json_object();

    json_object_set_new(object, "sessions", to_json_count(pruned->sessions));
    json_object_set_new(object, "packets", to_json_count(pruned->packets));
    json_object_set_new(object, "stored_bytes", to_json_count(pruned->bytes));
    json_object_set_new(object, "disk_bytes", to_json_count(left_bytes));
    return object;
}

static void tell_text(const struct store_pruned *pruned, uint64_t left_bytes)
{
    char freed[TEXT_NUMBER_MAX];
    char left[TEXT_NUMBER_MAX];

    text_format_size(pruned->bytes, freed);
    text_format_size(left_bytes, left);
    printf("deleted %" PRIu64 " sessions, %" PRIu64 " packets, %s; the store takes %s\n",
           pruned->sessions, pruned->packets, freed, left);
}

static int prune(struct command_context *ctx, const struct prune_args *args, struct store *store)
{
    uint64_t now_ns = clock_wall_ns();
    struct store_pruned pruned;
    const struct store_prune rule = {
        .max_bytes = args->max_bytes,
        .before_ns =
            args->max_age_ns == 0 || args->max_age_ns >= now_ns ? 0 : now_ns - args->max_age_ns,
        .keep_tags = args->keep_tags.items,
        .n_keep_tags = args->keep_tags.n,
    };
    int r = store_prune(store, &rule, NULL, NULL, &pruned, &ctx->err);

    if (r < 0) {
        return r;
    }
    uint64_t left_bytes = store_disk_bytes(store);
    if (ctx->global.json) {
        r = output_json(stdout, result_json(&pruned, left_bytes), &ctx->err);
    } else {
        tell_text(&pruned, left_bytes);
    }
    if (r == 0 && args->max_bytes != 0 && left_bytes > args->max_bytes) {
        r = err_set(&ctx->err, ERR_PARTLY,
                    "the store '%s' still takes %" PRIu64
                    " bytes: what is left is kept by --keep-tag, or is its catalogue",
                    args->store.database, left_bytes);
    }
    return r;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct prune_args *args = args_;
    struct store *store = NULL;

    if (args->max_bytes == 0 && args->max_age_ns == 0) {
        return err_set(&ctx->err, ERR_USAGE, "give a rule: --max-bytes SIZE, --max-age DURATION");
    }
    int r = database_open(&args->store, STORE_WRITE, &store, &ctx->err);
    if (r == 0 && !ctx->global.quiet) {
        char *given = options_describe_given(ctx);
        fputs(given, stderr);
        mem_free(given);
    }
    r = r < 0 ? r : prune(ctx, args, store);
    store_close(store);
    return r;
}

const struct command cmd_prune = {
    .name = "prune",
    .summary = "delete old sessions by size and age",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct prune_args),
    .description =
        (const char *const[]){
            "Deletes whole sessions, oldest first, until both rules hold. The space on disk is "
            "free when the command ends. At least one of --max-bytes and --max-age is needed.",
            "A store that a capture is writing is refused; 'capture --quota' keeps it small while "
            "it is being written. Ends with 3 when the store is still too large because of what "
            "--keep-tag keeps.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"prune -d packets.db --max-bytes 10G --max-age 30d", "at most 10 GB and 30 days"},
            {"prune --max-age 7d --keep-tag case", "a week, and all that has the tag 'case'"},
            {NULL, NULL},
        },
    .run = run,
};
