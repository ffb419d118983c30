/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but the list and what adapts the parts to it. In the order of the members of struct node.
 */
#include "node/part.h"

#include "node/auth.h"
#include "node/http_server.h"
#include "node/work.h"
#include "shared/base/mem.h"

static int open_work(struct node *node, struct err *err)
{
    (void)err;
    work_open(node);
    return 0;
}

static void close_auth(struct node *node, void (*closed)(struct node *node))
{
    auth_close(node);
    closed(node);
}

static int open_http(struct node *node, struct err *err)
{
    return http_server_open(
        node, &(struct http_server_opts){.groups = route_groups, .n_groups = n_route_groups}, err);
}

static void drain_http(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    http_server_drain(node->http, deadline_ns, done);
}

static void close_http(struct node *node, void (*closed)(struct node *node))
{
    http_server_close(node->http, closed);
}

static int reload_http(struct node *node, struct err *err)
{
    return http_server_reload(node->http, err);
}

const struct node_part node_parts[] = {
    {.name = "work", .open = open_work, .close = work_close},
    {.name = "auth", .open = auth_open, .close = close_auth},
    /* Last: requests find everything else open. */
    {.name = "http",
     .open = open_http,
     .drain = drain_http,
     .close = close_http,
     .reload = reload_http},
};

const size_t n_node_parts = ARRAY_LEN(node_parts);
