/* SPDX-License-Identifier: Apache-2.0
 *
 * /api/v1/captures; node/captures_ask has the answers.
 */
#include "node/api_captures.h"

#include <stdio.h>

#include <jansson.h>

#include "node/api_answer.h"
#include "node/capture_body.h"
#include "node/captures_ask.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

#define WHO_MAX 128

/* Who asks, for the log. */
static void who_asks(struct exchange *ex, char out[WHO_MAX])
{
    bool has_key = exchange_key_id(ex)[0] != '\0';

    snprintf(out, WHO_MAX, "%s%s%s", exchange_peer(ex), has_key ? ", key " : "",
             exchange_key_id(ex));
}

static void on_started(void *arg, const struct answer *answer, const struct err *err)
{
    struct exchange *ex = arg;

    if (answer == NULL) {
        api_fail(ex, err);
    } else if (!exchange_is_gone(ex)) {
        exchange_add_header(ex, "Location", "/api/v1/captures/%s",
                            json_string_value(json_object_get(answer->json, "id")));
        exchange_reply_json(ex, 201, json_incref(answer->json));
    }
    exchange_unref(ex);
}

static void post_captures(struct exchange *ex, struct node *node)
{
    struct capture_body body;
    struct err err = {0};
    char who[WHO_MAX];
    size_t n = 0;
    const uint8_t *text = exchange_body(ex, &n);

    if (capture_body_parse(text, n, &body, &err) < 0) {
        api_fail(ex, &err);
        return;
    }
    who_asks(ex, who);
    captures_ask_start(node, &body.request, who,
                       &(struct asker){.done = on_started, .arg = exchange_ref(ex)});
    capture_body_deinit(&body);
}

static void get_captures(struct exchange *ex, struct node *node)
{
    captures_ask_list(node, &(struct asker){.done = api_reply_json, .arg = exchange_ref(ex)});
}

static void get_capture(struct exchange *ex, struct node *node)
{
    captures_ask_one(node, exchange_path(ex, "id"),
                     &(struct asker){.done = api_reply_json, .arg = exchange_ref(ex)});
}

static void delete_capture(struct exchange *ex, struct node *node)
{
    char who[WHO_MAX];

    who_asks(ex, who);
    captures_ask_stop(node, exchange_path(ex, "id"), who,
                      &(struct asker){.done = api_reply_json, .arg = exchange_ref(ex)});
}

static const struct route routes[] = {
    {.method = "POST",
     .path = "/api/v1/captures",
     .right = RIGHT_CAPTURE,
     .max_body = CAPTURE_BODY_MAX,
     .summary = "Starts a capture into the store. 201 with its session and Location; 404 no such "
                "interface, 400 a filter or member that is wrong, 409 another program records, 503 "
                "as many recordings and live streams run as --max-captures allows, 507 no room on "
                "the disk, 500 an interface or a store that cannot be opened.",
     .body = "What is captured, where, and how long.",
     .schema = capture_body_schema,
     .answer = "application/json",
     .handle = post_captures},
    {.method = "GET",
     .path = "/api/v1/captures",
     .right = RIGHT_VIEW,
     .summary = "The captures that run, oldest first, as sessions with live counters.",
     .answer = "application/json",
     .handle = get_captures},
    {.method = "GET",
     .path = "/api/v1/captures/{id}",
     .right = RIGHT_VIEW,
     .summary = "One capture; one that has ended is shown as its session.",
     .answer = "application/json",
     .handle = get_capture},
    {.method = "DELETE",
     .path = "/api/v1/captures/{id}",
     .right = RIGHT_CAPTURE,
     .summary = "Ends a capture. 200 with its session when every packet is stored.",
     .answer = "application/json",
     .handle = delete_capture},
};

const struct route_group api_captures_routes = {routes, ARRAY_LEN(routes)};
