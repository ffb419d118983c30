/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens on a node, as it happens.
 */
#include "cli/manage.h"
#include "cli/manage_nodes.h"

#include <errno.h>
#include <string.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/output.h"
#include "cli/packet_print.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/options/options.h"

struct events_args {
    uint64_t after;
    struct option_list types;
    uint64_t count;
};

static const struct command_option options[] = {
    {.name = "after",
     .kind = OPT_COUNT,
     .placeholder = "N",
     .help = "Begin behind the event of this number; 0 begins with the oldest that the node keeps.",
     .note = "only what comes",
     .offset = offsetof(struct events_args, after)},
    {.name = "type",
     .kind = OPT_LIST,
     .placeholder = "TYPE",
     .help = "Only events of this type, such as capture.ended; may be repeated.",
     .note = "all",
     .offset = offsetof(struct events_args, types)},
    {.name = "count",
     .letter = 'c',
     .kind = OPT_COUNT,
     .placeholder = "N",
     .help = "End after N events.",
     .note = "unlimited",
     .offset = offsetof(struct events_args, count)},
};

/* "TIME TYPE name=value …", without what the line says already. */
static void print_event(struct buf *line, const json_t *event)
{
    static const char *const said[] = {"time", "type", "number", "call_id", "node"};
    const char *name;
    const json_t *value;

    buf_reset(line);
    output_put_name(line, field_text(event, "time") == NULL ? "" : field_text(event, "time"));
    buf_put_u8(line, ' ');
    output_put_name(line, field_text(event, "type") == NULL ? "" : field_text(event, "type"));
    /* jansson's own loop wants an object that may be changed. */
    for (void *at = json_object_iter((json_t *)(uintptr_t)event); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)event, at)) {
        bool is_said = false;
        name = json_object_iter_key(at);
        value = json_object_iter_value(at);
        for (size_t i = 0; i < ARRAY_LEN(said); i++) {
            is_said = is_said || strcmp(said[i], name) == 0;
        }
        if (is_said || json_is_null(value)) {
            continue;
        }
        char *text =
            json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        buf_put_u8(line, ' ');
        output_put_name(line, name);
        buf_put_u8(line, '=');
        output_put_name(line, text != NULL ? text : json_string_value(value));
        mem_free(text);
    }
    buf_put_u8(line, '\n');
}

/* Flushed at once: the moment is what is shown. */
static int show(struct command_context *ctx, struct buf *line, json_t *event)
{
    int rc = 0;

    if (ctx->global.json) {
        json_object_del(event, "call_id");
        rc = output_json_line(stdout, json_incref(event), &ctx->err);
    } else {
        print_event(line, event);
        fwrite(line->data, 1, line->len, stdout);
    }
    return rc == 0 && (fflush(stdout) != 0 || ferror(stdout)) ? packet_print_failed(&ctx->err) : rc;
}

static int follow(struct command_context *ctx, struct manage *manage, uint64_t count)
{
    struct buf line = {0};
    int rc = 0;

    for (uint64_t n = 0; rc == 0 && (count == 0 || n < count); n++) {
        json_t *event = NULL;
        rc = manage_next_event(manage, &event, &ctx->err);
        rc = rc < 0 ? rc : manage_check_object(ctx, "events.subscribe", &event);
        rc = rc < 0 ? rc : show(ctx, &line, event);
        json_decref(event);
    }
    buf_deinit(&line);
    return rc;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct events_args *args = args_;
    struct manage *manage = NULL;
    json_t *call = json_object();
    json_t *answer = NULL;

    if (options_given(ctx, "after")) {
        json_object_set_new(call, "after", to_json_count(args->after));
    }
    if (args->types.n > 0) {
        manage_set_list(call, "types", &args->types);
    }
    int rc = manage_nodes_are_named(ctx)
                 ? err_set(&ctx->err, ERR_USAGE,
                           "events come from the node asked alone: --endpoint names another")
                 : manage_open(ctx, &manage);
    if (rc < 0) {
        json_decref(call);
        return rc;
    }
    rc = manage_call(manage, "events.subscribe", call, &answer, &ctx->err);
    json_decref(answer);
    manage_catch_interrupts(manage);
    rc = rc < 0 ? rc : follow(ctx, manage, args->count);
    manage_close(manage);
    /* That is how one ends it. */
    return rc == ERR_INTERRUPTED ? 0 : rc;
}

const struct command cmd_manage_events = {
    .name = "events",
    .summary = "show what happens on the node, as it happens",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct events_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Prints a line an event until it is interrupted: captures that begin and end, viewers, "
            "uplinks, interfaces, members of the swarm, a full disk. With --json an object a line, "
            "with its number: --after begins behind it, so that nothing is missed. Where the node "
            "keeps some no longer, an event 'lost' says how many.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage events --after 0", "all that the node still knows, and what comes"},
            {"manage events --type capture.ended -c 1 --json", "wait for the end of a capture"},
            {NULL, NULL},
        },
    .run = run,
};
