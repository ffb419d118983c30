/* SPDX-License-Identifier: Apache-2.0
 *
 * Replays on a node: it sends what it has recorded.
 */
#include "cli/manage.h"

#include <stdio.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/manage_nodes.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"
#include "shared/options/options.h"

struct replay_args {
    const char *session;
    const char *interface;
    const char *filter;
    struct range_args range;
    double speed;
    uint64_t count;
    uint64_t loop;
};

#define AT(member) .offset = offsetof(struct replay_args, member)

/* clang-format off */
static const struct command_option options[] = {
    {.name = "session", .letter = 's', .kind = OPT_STRING, .placeholder = "SESSION",
     .help = "Session of the node: id, a prefix of at least 8 characters, its name, or 'last'.",
     .required = true, AT(session)},
    {.name = "interface", .letter = 'i', .kind = OPT_STRING, .placeholder = "IFACE",
     .help = "Send on this interface of the node.", .note = "the recorded one", AT(interface)},
    OPTION_FILTER(struct replay_args, filter),
    OPTIONS_RANGE(struct replay_args, range),
    {.name = "speed", .kind = OPT_DECIMAL, .placeholder = "X",
     .help = "How fast: 1 as recorded, 2 twice as fast, 0 as fast as possible.", .value = "1",
     AT(speed)},
    {.name = "count", .letter = 'c', .kind = OPT_COUNT, .placeholder = "N",
     .help = "End after N packets were sent in all.", .note = "unlimited", AT(count)},
    {.name = "loop", .kind = OPT_COUNT, .placeholder = "N",
     .help = "Replay N times in a row; 0 means until it is stopped.", .value = "1", AT(loop)},
};
/* clang-format on */

static int run_start(struct command_context *ctx, void *args_)
{
    const struct replay_args *args = args_;
    json_t *call = json_object();
    json_t *answer = NULL;

    manage_set_text(call, "session_id", args->session);
    manage_set_text(call, "interface", args->interface);
    manage_set_text(call, "filter", args->filter);
    manage_set_range(call, args->range.from_ns, args->range.to_ns);
    json_object_set_new(call, "speed", json_real(args->speed));
    manage_set_count(call, "count", args->count);
    json_object_set_new(call, "loop", to_json_count(args->loop));
    int rc = manage_ask(ctx, "replay.start", call, &answer);
    rc = rc < 0 ? rc : manage_check_object(ctx, "replay.start", &answer);
    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : output_json(stdout, answer, &ctx->err);
    }
    struct buf id = {0};
    output_put_name(&id,
                    field_text(answer, "replay_id") == NULL ? "" : field_text(answer, "replay_id"));
    printf("%.*s\n", (int)id.len, (const char *)id.data);
    if (!ctx->global.quiet) {
        fprintf(stderr, "the node replays; 'packetrecorder manage stop-replay %.*s' ends it\n",
                (int)id.len, (const char *)id.data);
    }
    buf_deinit(&id);
    json_decref(answer);
    return 0;
}

const struct command cmd_manage_replay = {
    .name = "replay",
    .summary = "let the node send recorded packets again",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct replay_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Lets the node send the packets of one of its sessions, as 'packetrecorder replay' "
            "does, and prints the id of the replay, or an object with --json. It goes on by "
            "itself. The node must run with --allow-inject, and the key have the role inject.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage replay -s dns -i veth0", "the session of that name, in real time"},
            {NULL, NULL},
        },
    .run = run_start,
};

/* ---- stop-replay ---- */

static const struct command_word stop_words[] = {
    {.name = "REPLAY", .help = "Id of the replay, as 'manage replay' printed it."},
};

static void print_stopped(const json_t *answer, bool with_node)
{
    static const char unknown[] = "n/a";
    char packets[TEXT_NUMBER_MAX];
    char bytes[TEXT_NUMBER_MAX];
    char errors[TEXT_NUMBER_MAX];
    const char *cells[] = {field_count_cell(answer, "packets", packets),
                           field_count_cell(answer, "bytes", bytes),
                           field_count_cell(answer, "errors", errors)};
    struct buf node = {0};

    if (with_node) {
        output_put_name(&node, field_text(answer, "node"));
        buf_put_str(&node, ": ");
    }
    printf("%.*s%s packets, %s bytes sent, %s could not be sent\n", (int)node.len,
           node.len == 0 ? "" : (const char *)node.data, cells[0] == NULL ? unknown : cells[0],
           cells[1] == NULL ? unknown : cells[1], cells[2] == NULL ? unknown : cells[2]);
    buf_deinit(&node);
}

static int run_stop(struct command_context *ctx, void *args)
{
    json_t *call = json_object();
    struct manage_rows rows;

    (void)args;
    manage_set_text(call, "replay_id", ctx->words[0]);
    int rc = manage_ask_objects(ctx, "replay.stop", call, &rows);
    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    for (size_t i = 0; i < json_array_size(rows.list); i++) {
        print_stopped(json_array_get(rows.list, i), rows.of_nodes);
    }
    return manage_rows_end(&rows);
}

const struct command cmd_manage_stop_replay = {
    .name = "stop-replay",
    .summary = "end a replay on the node",
    .words = stop_words,
    .n_words = ARRAY_LEN(stop_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Ends a replay and says what was sent; with --json as an object.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage stop-replay 01a21251-491e-7b6d-bcb7-8bf6f068e5c7", "the end of that one"},
            {NULL, NULL},
        },
    .run = run_stop,
};

/* ---- replays ---- */

static const struct command_word list_words[] = {
    {.name = "REPLAY",
     .help = "Only this one, also when it has ended; with --json an object.",
     .optional = true},
};

static void print_replays(const struct manage_rows *rows)
{
    static const struct output_column columns[] = {
        {"NODE", 0},    {"ID", 0},      {"SESSION", 0}, {"STATE", 0},  {"INTERFACE", 0},
        {"STARTED", 0}, {"PACKETS", 1}, {"BYTES", 1},   {"ERRORS", 1}, {"WHY", 0},
    };
    size_t first = !rows->of_nodes;
    struct output_table *table = output_table_new(columns + first, ARRAY_LEN(columns) - first);

    for (size_t i = 0; i < json_array_size(rows->list); i++) {
        const json_t *one = json_array_get(rows->list, i);
        char packets[TEXT_NUMBER_MAX];
        char bytes[TEXT_NUMBER_MAX];
        char errors[TEXT_NUMBER_MAX];
        const char *cells[] = {
            field_text(one, "node"),
            field_text(one, "replay_id"),
            field_text(one, "session_id"),
            field_text(one, "state"),
            field_text(one, "interface"),
            field_text(one, "started"),
            field_count_cell(one, "packets", packets),
            field_size_cell(one, "bytes", bytes),
            field_count_cell(one, "errors", errors),
            field_text(one, "error"),
        };
        output_table_add(table, cells + first);
    }
    output_table_print(table, stdout);
    output_table_free(table);
}

static int run_list(struct command_context *ctx, void *args)
{
    struct manage_rows rows;
    int rc;

    (void)args;
    if (ctx->n_words > 0) {
        json_t *call = json_pack("{s:o}", "replay_id", to_json_text(ctx->words[0]));
        rc = manage_ask_objects(ctx, "replay.stats", call, &rows);
    } else {
        rc = manage_ask_rows(ctx, "replay.list", NULL, &rows);
    }
    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    if (json_array_size(rows.list) == 0 && rows.outcome == 0 && !ctx->global.quiet) {
        fputs(rows.of_nodes ? "the nodes replay nothing\n" : "the node replays nothing\n", stderr);
    }
    print_replays(&rows);
    return manage_rows_end(&rows);
}

const struct command cmd_manage_replays = {
    .name = "replays",
    .summary = "list the replays of the node",
    .words = list_words,
    .n_words = ARRAY_LEN(list_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Lists the replays that run on the node and the last ones that ended, oldest first: "
            "how far they are, what could not be sent, and why one ended early. With --json an "
            "array of objects that also say how well the moments were met.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage replays", "what is being sent"},
            {NULL, NULL},
        },
    .run = run_list,
};
