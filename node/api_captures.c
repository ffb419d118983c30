/* SPDX-License-Identifier: Apache-2.0 */
#include "node/api_captures.h"

#include <string.h>

#include <jansson.h>

#include "node/api_answer.h"
#include "node/api_sessions.h"
#include "node/capture_body.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

static void on_started(void *arg, const char *id, const struct err *err)
{
    struct exchange *ex = arg;
    struct node *node = exchange_node(ex);

    if (id == NULL) {
        api_fail(ex, err);
    } else {
        log_info("capture %s was started by %s%s%s", id, exchange_peer(ex),
                 exchange_key_id(ex)[0] != '\0' ? ", key " : "", exchange_key_id(ex));
        if (!exchange_is_gone(ex)) {
            exchange_add_header(ex, "Location", "/api/v1/captures/%s", id);
            exchange_reply_json(ex, 201, captures_find(node->captures, id, NULL));
        }
    }
    exchange_unref(ex);
}

static void post_captures(struct exchange *ex, struct node *node)
{
    struct capture_body body;
    struct err err = {0};
    size_t n = 0;
    const uint8_t *text = exchange_body(ex, &n);

    if (capture_body_parse(text, n, &body, &err) < 0) {
        api_fail(ex, &err);
        return;
    }
    captures_start(node->captures, &body.request, on_started, exchange_ref(ex));
    capture_body_deinit(&body);
}

static void on_list_refreshed(void *arg)
{
    struct exchange *ex = arg;

    if (!exchange_is_gone(ex)) {
        exchange_reply_json(ex, 200, captures_list(exchange_node(ex)->captures));
    }
    exchange_unref(ex);
}

static void get_captures(struct exchange *ex, struct node *node)
{
    captures_refresh(node->captures, on_list_refreshed, exchange_ref(ex));
}

static void on_one_refreshed(void *arg)
{
    struct exchange *ex = arg;
    struct node *node = exchange_node(ex);
    struct err err = {0};

    if (!exchange_is_gone(ex)) {
        json_t *one = captures_find(node->captures, exchange_path(ex, "id"), &err);
        if (one != NULL) {
            exchange_reply_json(ex, 200, one);
        } else if (err.code == ERR_NOT_FOUND) {
            api_session_reply(ex, node); /* it has ended, or never was */
        } else {
            api_fail(ex, &err);
        }
    }
    exchange_unref(ex);
}

static void get_capture(struct exchange *ex, struct node *node)
{
    captures_refresh(node->captures, on_one_refreshed, exchange_ref(ex));
}

static void on_stopped(void *arg, struct json_t *session)
{
    struct exchange *ex = arg;

    if (exchange_is_gone(ex)) {
        json_decref(session);
    } else {
        exchange_reply_json(ex, 200, session);
    }
    exchange_unref(ex);
}

static void delete_capture(struct exchange *ex, struct node *node)
{
    const char *id = exchange_path(ex, "id");
    struct err err = {0};

    exchange_ref(ex);
    int r = captures_stop(node->captures, id, on_stopped, ex, &err);
    if (r < 0) {
        /* One that reached a limit a moment ago is what the client wants it to be. By its whole id
         * only: a name or "last" may mean another one. */
        if (r == ERR_NOT_FOUND && strlen(id) == STORE_ID_TEXT - 1) {
            api_session_reply(ex, node);
        } else {
            api_fail(ex, &err);
        }
        exchange_unref(ex);
    } else {
        log_info("capture '%s' is stopped by %s%s%s", id, exchange_peer(ex),
                 exchange_key_id(ex)[0] != '\0' ? ", key " : "", exchange_key_id(ex));
    }
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
