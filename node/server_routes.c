/* SPDX-License-Identifier: Apache-2.0 */
#include "node/server_routes.h"

#include <jansson.h>

#include "node/auth.h"
#include "node/exchange_internal.h"
#include "node/http_server.h"
#include "node/openapi.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

static void get_root(struct exchange *ex, struct node *node)
{
    if (node->stopping) {
        exchange_reply_text(ex, 503, "packetrecorder is ending\n");
        return;
    }
    exchange_reply_text(ex, 200, "packetrecorder is running\n");
}

static void post_ticket(struct exchange *ex, struct node *node)
{
    char ticket[AUTH_TICKET_MAX];

    if (!auth_ticket_make(node->auth, &ex->grant, clock_wall_ns(), ticket)) {
        exchange_add_header(ex, "Retry-After", "%d", AUTH_TICKET_LIFE_S);
        exchange_problem(ex, 503, "too many tickets are open: try again later");
        return;
    }
    exchange_reply_json(
        ex, 201, json_pack("{s:s, s:i}", "ticket", ticket, "expires_in", AUTH_TICKET_LIFE_S));
}

static void get_openapi(struct exchange *ex, struct node *node)
{
    const struct http_server_opts *opts = http_server_opts(node->http);
    const struct route_table table = {.groups = opts->groups, .n_groups = opts->n_groups};

    exchange_reply_json(ex, 200, openapi_document(&table));
}

static const struct route routes[] = {
    {.method = "GET",
     .path = "/",
     .right = RIGHT_NONE,
     .summary = "A line of text while the node runs.",
     .answer = "text/plain",
     .handle = get_root},
    {.method = "POST",
     .path = "/api/v1/ticket",
     .right = RIGHT_VIEW,
     .max_body = 1024,
     .summary = "A one-use ticket for ?ticket= of a WebSocket, with the rights of the API key that "
                "asks; for browsers, which cannot send a header there.",
     .answer = "application/json",
     .handle = post_ticket},
    {.method = "GET",
     .path = "/openapi.json",
     .right = RIGHT_VIEW,
     .summary = "This API as an OpenAPI 3.1 document.",
     .answer = "application/json",
     .handle = get_openapi},
};

const struct route_group server_routes = {routes, ARRAY_LEN(routes)};
