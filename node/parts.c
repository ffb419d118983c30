/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but the list and what adapts the parts to it. In the order of the members of struct node.
 */
#include "node/part.h"

#include "node/auth.h"
#include "node/captures.h"
#include "node/devices_uv.h"
#include "node/events.h"
#include "node/gauges.h"
#include "node/gossip.h"
#include "node/http_server.h"
#include "node/inject_hub.h"
#include "node/jobs.h"
#include "node/own_traffic_uv.h"
#include "node/pcapng_listen.h"
#include "node/readings.h"
#include "node/relay.h"
#include "node/remotes.h"
#include "node/replays.h"
#include "node/peers.h"
#include "node/rpc_server.h"
#include "node/store_access.h"
#include "node/uplinks.h"
#include "node/work.h"
#include "shared/base/mem.h"

static int open_work(struct node *node, struct err *err)
{
    (void)err;
    work_open(node);
    return 0;
}

static void drain_events(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    (void)deadline_ns;
    events_drain(node);
    done(node);
}

static void close_store(struct node *node, void (*closed)(struct node *node))
{
    node_store_close(node);
    closed(node);
}

static void drain_captures(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    captures_stop_all(node->captures, deadline_ns, done);
}

static void close_captures(struct node *node, void (*closed)(struct node *node))
{
    captures_close(node->captures, closed);
}

static void close_auth(struct node *node, void (*closed)(struct node *node))
{
    auth_close(node);
    closed(node);
}

/* What it makes is the sources' to close. */
static void close_nothing(struct node *node, void (*closed)(struct node *node))
{
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
    /* Before the workers, so that it closes when the last of them has given back its reader. */
    {.name = "store", .open = node_store_open, .close = close_store},
    {.name = "work", .open = open_work, .close = work_close},
    {.name = "events", .open = events_open, .drain = drain_events, .close = events_close},
    {.name = "gauges", .open = gauges_open, .close = gauges_close},
    {.name = "devices", .open = devices_open, .close = devices_close},
    {.name = "sources", .open = node_sources_open, .close = node_sources_close},
    /* Before those whose captures follow other nodes, so that it closes when these have ended. */
    {.name = "remotes", .open = remotes_open, .close = remotes_close},
    {.name = "auth", .open = auth_open, .close = close_auth},
    {.name = "captures", .open = captures_open, .drain = drain_captures, .close = close_captures},
    {.name = "relay", .open = relay_open, .drain = relay_drain, .close = relay_close},
    {.name = "pcapng listeners",
     .open = pcapng_listen_open,
     .drain = pcapng_listen_drain,
     .close = pcapng_listen_close},
    {.name = "inject",
     .open = inject_hub_open,
     .drain = inject_hub_drain,
     .close = inject_hub_close},
    {.name = "replays", .open = replays_open, .drain = replays_drain, .close = replays_close},
    {.name = "readings", .open = readings_open, .close = readings_close},
    {.name = "uplinks", .open = uplinks_open, .close = uplinks_close},
    /* Last: requests find everything else open. */
    {.name = "http",
     .open = open_http,
     .drain = drain_http,
     .close = close_http,
     .reload = reload_http},
    {.name = "rpc", .open = rpc_server_open, .drain = rpc_server_drain, .close = rpc_server_close},
    /* It tells the other nodes where the rest listens. */
    {.name = "swarm", .open = gossip_open, .drain = gossip_drain, .close = gossip_close},
    {.name = "jobs", .open = jobs_open, .drain = jobs_drain, .close = jobs_close},
    {.name = "peers", .open = peers_open, .drain = peers_drain, .close = peers_close},
    /* But this: it has to know where the others listen. No request is read before the loop runs. */
    {.name = "own traffic", .open = node_sources_settle, .close = close_nothing},
};

const size_t n_node_parts = ARRAY_LEN(node_parts);
