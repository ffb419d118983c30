/* SPDX-License-Identifier: Apache-2.0
 *
 * Getting rid of old sessions of nodes, by the rules of `packetrecorder prune`.
 */
#include "cli/manage.h"

#include <stdio.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/manage_nodes.h"
#include "cli/output.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

struct prune_args {
    uint64_t max_bytes;
    uint64_t max_age_ns;
    struct option_list keep_tags;
};

static const struct command_option options[] = {
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

static void print_table(const struct manage_rows *rows)
{
    static const struct output_column columns[] = {
        {"NODE", 0}, {"SESSIONS", 1}, {"PACKETS", 1}, {"FREED", 1}, {"ON DISK", 1},
    };
    size_t first = !rows->of_nodes;
    struct output_table *table = output_table_new(columns + first, ARRAY_LEN(columns) - first);

    for (size_t i = 0; i < json_array_size(rows->list); i++) {
        const json_t *row = json_array_get(rows->list, i);
        char sessions[TEXT_NUMBER_MAX];
        char packets[TEXT_NUMBER_MAX];
        char freed[TEXT_NUMBER_MAX];
        char left[TEXT_NUMBER_MAX];
        const char *cells[] = {
            field_text(row, "node"),
            field_count_cell(row, "sessions", sessions),
            field_count_cell(row, "packets", packets),
            field_size_cell(row, "stored_bytes", freed),
            field_size_cell(row, "disk_bytes", left),
        };
        output_table_add(table, cells + first);
    }
    output_table_print(table, stdout);
    output_table_free(table);
}

/* How many stores are larger than they should be. */
static size_t n_too_large(const json_t *rows, uint64_t max_bytes)
{
    size_t n = 0;

    for (size_t i = 0; max_bytes > 0 && i < json_array_size(rows); i++) {
        uint64_t left = field_count(json_array_get(rows, i), "disk_bytes");
        n += left != UINT64_MAX && left > max_bytes;
    }
    return n;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct prune_args *args = args_;
    struct manage_rows rows;
    json_t *call;

    if (args->max_bytes == 0 && args->max_age_ns == 0) {
        return err_set(&ctx->err, ERR_USAGE, "give a rule: --max-bytes SIZE, --max-age DURATION");
    }
    call = json_object();
    manage_set_count(call, "max_bytes", args->max_bytes);
    manage_set_duration(call, "max_age", args->max_age_ns);
    if (args->keep_tags.n > 0) {
        manage_set_list(call, "keep_tags", &args->keep_tags);
    }
    int rc = manage_ask_objects(ctx, "session.prune", call, &rows);
    if (rc < 0) {
        return rc;
    }
    size_t n = n_too_large(rows.list, args->max_bytes);
    if (ctx->global.json) {
        rc = manage_rows_json(ctx, &rows);
    } else {
        print_table(&rows);
        rc = manage_rows_end(&rows);
    }
    if (rc == 0 && n > 0) {
        rc = err_set(&ctx->err, ERR_PARTLY,
                     "%zu store%s still too large: what is left is kept by --keep-tag, is being "
                     "recorded, or is the catalogue",
                     n, n == 1 ? " is" : "s are");
    }
    return rc;
}

const struct command cmd_manage_prune = {
    .name = "prune",
    .summary = "delete old sessions of the node by size and age",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct prune_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Deletes whole sessions of the node's store, oldest first, until both rules hold, as "
            "'packetrecorder prune' does; what is being recorded stays, and captures go on "
            "meanwhile. At least one of --max-bytes and --max-age is needed. With --nodes, --all "
            "or --select each of those nodes keeps to the rules by itself. Needs a key of the role "
            "admin.",
            "Ends with 3 when a store is still too large, or a node did not answer.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage prune --max-age 30d --keep-tag case",
             "a month of the node, and all that has the tag 'case'"},
            {"manage prune --all --max-bytes 100G", "100 GB on each node of the swarm"},
            {NULL, NULL},
        },
    .run = run,
};
