/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures of a node: start, list, stop.
 */
#include "cli/manage.h"

#include <stdio.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "cli/session_table.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define SNAPLEN_MAX 262144

/* Array or single object, released. */
static int show(struct command_context *ctx, json_t *answer)
{
    if (ctx->global.json) {
        return output_json(stdout, answer, &ctx->err);
    }
    if (json_is_object(answer)) {
        json_t *array = json_array();
        json_array_append_new(array, answer);
        answer = array;
    }
    session_table_print(answer, clock_wall_ns(), stdout);
    json_decref(answer);
    return 0;
}

/* ---- start-capture ---- */

struct start_args {
    struct option_list interfaces;
    const char *filter;
    uint64_t max_packets;
    uint64_t max_bytes;
    uint64_t duration_ns;
    uint64_t snaplen;
    bool promisc;
    const char *name;
    struct option_pairs tags;
};

#define AT(member) .offset = offsetof(struct start_args, member)

/* clang-format off */
static const struct command_option start_options[] = {
    {.name = "interface", .letter = 'i', .kind = OPT_LIST, .placeholder = "IFACE",
     .help = "Capture on this interface of the node, or NAME:IFACE of an uplink; may be repeated, "
             "all are one session.",
     .required = true, AT(interfaces)},
    OPTION_FILTER(struct start_args, filter),
    {.name = "max-packets", .letter = 'c', .kind = OPT_COUNT, .placeholder = "N",
     .help = "End after exactly so many packets.", .note = "unlimited", AT(max_packets)},
    {.name = "max-bytes", .kind = OPT_SIZE, .placeholder = "SIZE",
     .help = "End before more packet bytes than this are captured.", .note = "unlimited",
     AT(max_bytes)},
    {.name = "duration", .letter = 't', .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "End after so long.", .note = "unlimited", AT(duration_ns)},
    {.name = "snaplen", .letter = 's', .kind = OPT_SIZE, .placeholder = "BYTES",
     .help = "Capture at most so much of each packet.", .note = "all of it", .min = 1,
     .max = SNAPLEN_MAX, AT(snaplen)},
    {.name = "promisc", .kind = OPT_NEGATABLE,
     .help = "Also packets that are not for the node's host (promiscuous mode).", .value = "yes",
     AT(promisc)},
    {.name = "name", .kind = OPT_STRING, .placeholder = "TEXT",
     .help = "A name for the session.", AT(name)},
    {.name = "tag", .kind = OPT_PAIRS, .placeholder = "K=V",
     .help = "A tag for the session; may be repeated.", AT(tags)},
};
/* clang-format on */

static json_t *start_call(const struct start_args *args)
{
    json_t *call = json_object();

    manage_set_list(call, "interfaces", &args->interfaces);
    manage_set_text(call, "filter", args->filter);
    manage_set_count(call, "max_packets", args->max_packets);
    manage_set_count(call, "max_bytes", args->max_bytes);
    manage_set_duration(call, "duration", args->duration_ns);
    manage_set_count(call, "snaplen", args->snaplen);
    manage_set_text(call, "name", args->name);
    json_object_set_new(call, "promisc", json_boolean(args->promisc));
    if (args->tags.n > 0) {
        json_t *tags = json_object();
        for (size_t i = 0; i < args->tags.n; i++) {
            json_object_set_new(tags, args->tags.items[i].key,
                                to_json_text(args->tags.items[i].value));
        }
        json_object_set_new(call, "tags", tags);
    }
    return call;
}

static int run_start(struct command_context *ctx, void *args)
{
    json_t *session = NULL;
    int rc = manage_ask(ctx, "capture.start", start_call(args), &session);

    rc = rc < 0 ? rc : manage_check_object(ctx, "capture.start", &session);
    return rc < 0 ? rc : show(ctx, session);
}

const struct command cmd_manage_start_capture = {
    .name = "start-capture",
    .summary = "start a capture on the node",
    .options = start_options,
    .n_options = ARRAY_LEN(start_options),
    .args_size = sizeof(struct start_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Starts a capture into the store of the node and shows the session that it becomes; "
            "with --json as an object. The capture goes on by itself until a limit is reached or "
            "'manage stop-capture' ends it. Needs a key of the role capture.",
            "The node leaves out its own traffic, so that a download of the session is not "
            "recorded into it.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage start-capture -i eth0 -t 10m --name dns -- udp port 53",
             "ten minutes of DNS on the node"},
            {"manage start-capture -i eth0 -c 1000 --json | jq -r .id", "and its id for a script"},
            {NULL, NULL},
        },
    .run = run_start,
};

/* ---- captures ---- */

static const struct command_word captures_words[] = {
    {.name = "SESSION",
     .help = "Only this capture, also when it has ended; with --json an object.",
     .optional = true},
};

static int run_captures(struct command_context *ctx, void *args)
{
    const char *method = ctx->n_words > 0 ? "capture.stats" : "capture.list";
    json_t *call = json_object();
    json_t *answer = NULL;

    (void)args;
    manage_set_text(call, "session_id", ctx->n_words > 0 ? ctx->words[0] : NULL);
    int rc = manage_ask(ctx, method, call, &answer);
    if (rc == 0) {
        rc = ctx->n_words > 0 ? manage_check_object(ctx, method, &answer)
                              : manage_check_list(ctx, method, &answer);
    }
    if (rc < 0) {
        return rc;
    }
    if (json_is_array(answer) && json_array_size(answer) == 0 && !ctx->global.quiet) {
        fputs("no capture runs on the node\n", stderr);
    }
    return show(ctx, answer);
}

const struct command cmd_manage_captures = {
    .name = "captures",
    .summary = "list the captures that run on the node",
    .words = captures_words,
    .n_words = ARRAY_LEN(captures_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Lists the captures that run on the node, oldest first, with what they have recorded "
            "and lost until now. With --json an array of objects like those of 'sessions --json'.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage captures", "what is being recorded"},
            {"manage captures dns", "how far the one of that name is"},
            {NULL, NULL},
        },
    .run = run_captures,
};

/* ---- stop-capture ---- */

static const struct command_word stop_words[] = {
    {.name = "SESSION", .help = "Id of the capture, a prefix of it, its name, or 'last'."},
};

static int run_stop(struct command_context *ctx, void *args)
{
    json_t *call = json_object();
    json_t *session = NULL;

    (void)args;
    manage_set_text(call, "session_id", ctx->words[0]);
    int rc = manage_ask(ctx, "capture.stop", call, &session);
    rc = rc < 0 ? rc : manage_check_object(ctx, "capture.stop", &session);
    return rc < 0 ? rc : show(ctx, session);
}

const struct command cmd_manage_stop_capture = {
    .name = "stop-capture",
    .summary = "end a capture on the node",
    .words = stop_words,
    .n_words = ARRAY_LEN(stop_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Ends a capture, waits until every packet is stored, and shows the session as it is "
            "then; with --json as an object. Needs a key of the role capture.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage stop-capture dns", "the end of the one of that name"},
            {NULL, NULL},
        },
    .run = run_stop,
};
