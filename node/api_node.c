/* SPDX-License-Identifier: Apache-2.0 */
#include "node/api_node.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "node/captures.h"
#include "node/devices_uv.h"
#include "node/events.h"
#include "node/gauges.h"
#include "node/gossip.h"
#include "node/health.h"
#include "node/http_server.h"
#include "node/metrics.h"
#include "node/relay.h"
#include "node/sources.h"
#include "node/store_access.h"
#include "node/swarm_interfaces.h"
#include "node/uplinks.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/wire/api_key.h"

/* ---- interfaces ---- */

struct names {
    struct exchange *ex; /* a reference */
    json_t *answer;
};

static void add_name(const char *name, void *arg)
{
    json_array_append_new(((struct names *)arg)->answer, to_json_text(name));
}

static void end_names(void *arg)
{
    struct names *names = arg;

    if (exchange_is_gone(names->ex)) {
        json_decref(names->answer);
    } else {
        exchange_reply_json(names->ex, 200, names->answer);
    }
    exchange_unref(names->ex);
    mem_free(names);
}

static void get_names(struct exchange *ex, struct node *node)
{
    struct names *names = x_alloc(sizeof *names);

    names->ex = exchange_ref(ex);
    names->answer = json_array();
    node_source_names(node, add_name, end_names, names);
}

/* A member that does not answer is named, and the others are shown. */
static void on_all(void *arg, json_t *all, const char *missing)
{
    struct exchange *ex = arg;

    if (exchange_is_gone(ex)) {
        json_decref(all);
    } else {
        if (missing[0] != '\0') {
            exchange_add_header(ex, "Packetrecorder-Missing", "%.1000s", missing);
        }
        exchange_reply_json(ex, 200, all);
    }
    exchange_unref(ex);
}

static bool wants_all(const struct exchange *ex)
{
    const char *nodes = exchange_query(ex, "nodes");

    return nodes != NULL && strcmp(nodes, "all") == 0;
}

static uint64_t wait_of(const struct exchange *ex)
{
    const char *text = exchange_query(ex, "wait_ms");
    uint64_t ms = text == NULL ? SWARM_INTERFACES_WAIT_MS : strtoull(text, NULL, 10);

    return ms < 1 ? 1 : ms > SWARM_INTERFACES_WAIT_MAX ? SWARM_INTERFACES_WAIT_MAX : ms;
}

static void on_devices(const json_t *all, const struct interface_list *list, void *arg)
{
    struct exchange *ex = arg;
    struct node *node = exchange_node(ex);

    (void)list;
    if (!exchange_is_gone(ex)) {
        json_t *answer = json_array();

        json_array_extend(answer,
                          (json_t *)(uintptr_t)all); /* its objects are shared, not copied */
        if (node->uplinks != NULL) {
            json_t *uplinks = uplinks_list(node->uplinks);
            json_array_extend(answer, uplinks);
            json_decref(uplinks);
        }
        if (wants_all(ex)) {
            swarm_interfaces(node, answer, wait_of(ex), on_all, ex);
            return;
        }
        exchange_reply_json(ex, 200, answer);
    }
    exchange_unref(ex);
}

static void get_interfaces(struct exchange *ex, struct node *node)
{
    devices_ask(node, on_devices, exchange_ref(ex));
}

/* ---- health ---- */

static void reply_health_text(struct exchange *ex, unsigned status, const json_t *health)
{
    struct buf out = {0};
    size_t i;
    json_t *check;

    json_array_foreach(json_object_get(health, "checks"), i, check)
    {
        buf_printf(&out, "%s: %s (%s)\n", json_string_value(json_object_get(check, "name")),
                   json_is_true(json_object_get(check, "ok")) ? "ok" : "failing",
                   json_string_value(json_object_get(check, "detail")));
    }
    exchange_reply(ex, status, "text/plain; charset=utf-8", out.data, out.len);
    buf_deinit(&out);
}

static void on_health_refreshed(void *arg)
{
    struct exchange *ex = arg;
    const char *accept = exchange_header(ex, "accept");
    bool ok = false;

    if (exchange_is_gone(ex)) {
        exchange_unref(ex);
        return;
    }
    json_t *health = health_check(exchange_node(ex), &ok);
    unsigned status = ok ? 200 : 503;
    if (accept != NULL && strstr(accept, "text/plain") != NULL) {
        reply_health_text(ex, status, health);
        json_decref(health);
    } else {
        exchange_reply_json(ex, status, health);
    }
    exchange_unref(ex);
}

static void get_health(struct exchange *ex, struct node *node)
{
    gauges_refresh(node, on_health_refreshed, exchange_ref(ex));
}

/* ---- counters of captures, then of store and process ---- */

struct refresh {
    struct node *node;
    void (*done)(void *arg);
    void *arg;
};

static void on_captures_refreshed(void *arg)
{
    struct refresh *refresh = arg;

    gauges_refresh(refresh->node, refresh->done, refresh->arg);
    mem_free(refresh);
}

void api_node_refresh(struct node *node, void (*done)(void *arg), void *arg)
{
    struct refresh *refresh = x_alloc(sizeof *refresh);

    *refresh = (struct refresh){.node = node, .done = done, .arg = arg};
    captures_refresh(node->captures, on_captures_refreshed, refresh);
}

/* ---- metrics ---- */

static void on_metrics_refreshed(void *arg)
{
    struct exchange *ex = arg;
    struct buf out = {0};

    if (!exchange_is_gone(ex)) {
        for (size_t i = 0; i < n_metrics_writers; i++) {
            metrics_writers[i](exchange_node(ex), &out);
        }
        exchange_reply(ex, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
    }
    buf_deinit(&out);
    exchange_unref(ex);
}

static void get_metrics(struct exchange *ex, struct node *node)
{
    api_node_refresh(node, on_metrics_refreshed, exchange_ref(ex));
}

/* ---- stats ---- */

static json_t *stats_captures(const struct captures_totals *totals)
{
    const struct ledger *l = &totals->ledger;
    json_t *loss = json_object();
    json_t *object = json_object();

    json_object_set_new(loss, "kernel", to_json_count(l->kernel));
    json_object_set_new(loss, "interface", to_json_count(l->interface));
    json_object_set_new(loss, "store", to_json_count(l->store));
    json_object_set_new(loss, "limit", to_json_count(l->limit));
    json_object_set_new(object, "running", to_json_count(totals->running));
    json_object_set_new(object, "started", to_json_count(totals->started));
    json_object_set_new(object, "ended", to_json_count(totals->ended));
    json_object_set_new(object, "failed", to_json_count(totals->failed));
    json_object_set_new(object, "disk_full", to_json_count(totals->disk_full));
    json_object_set_new(object, "received", to_json_count(l->received));
    json_object_set_new(object, "packets", to_json_count(l->captured));
    json_object_set_new(object, "bytes", to_json_count(l->bytes));
    json_object_set_new(object, "queue_bytes", to_json_count(totals->queue_bytes));
    json_object_set_new(object, "queue_limit_bytes", to_json_count(totals->queue_limit));
    json_object_set_new(object, "loss", loss);
    return object;
}

static json_t *stats_protocols(const struct protocol_tally *tally)
{
    json_t *object = json_object();

    for (int p = 0; p < PROTOCOLS; p++) {
        json_t *one = json_object();
        json_object_set_new(one, "packets", to_json_count(tally->packets[p]));
        json_object_set_new(one, "bytes", to_json_count(tally->bytes[p]));
        json_object_set_new(object, protocol_names[p], one);
    }
    return object;
}

static json_t *stats_store(struct node *node)
{
    const struct gauges_store *store = &gauges_newest(node->gauges)->store;
    json_t *object = json_object();

    json_object_set_new(object, "database", to_json_text(node->options->database));
    json_object_set_new(object, "exists", json_boolean(store->exists));
    json_object_set_new(
        object, "encrypted",
        json_boolean(store->exists ? store->is_encrypted : node_store_has_key(node->store)));
    json_object_set_new(object, "sessions", to_json_count(store->sessions));
    json_object_set_new(object, "bytes", to_json_count(store->used_bytes));
    json_object_set_new(object, "free_bytes", to_json_count(store->free_bytes));
    json_object_set_new(
        object, "quota_bytes",
        to_json_count(node->options->quota_bytes == 0 ? UINT64_MAX : node->options->quota_bytes));
    return object;
}

static void add_stream(const struct relay_stream_info *info, void *arg)
{
    json_t *one = json_object();

    json_object_set_new(one, "id", to_json_text(info->id));
    json_object_set_new(one, "interface", to_json_text(info->interface));
    json_object_set_new(one, "filter", to_json_text(info->filter));
    json_object_set_new(one, "excluded_filter", to_json_text(info->excluded));
    json_object_set_new(one, "running", json_boolean(info->running));
    json_object_set_new(one, "viewers", to_json_count(info->n_viewers));
    json_object_set_new(one, "packets", to_json_count(info->packets));
    json_object_set_new(one, "backlog_bytes", to_json_count(info->ring_bytes));
    json_array_append_new(arg, one);
}

/* What it is here, and how far that is ahead of swarm time; null where there is none. */
static json_t *stats_clock(struct node *node)
{
    struct gossip_clock clock;
    bool is_known = node->gossip != NULL && gossip_clock_get(node->gossip, NULL, 0, &clock);
    json_t *object = json_object();

    json_object_set_new(object, "time", to_json_time(is_known ? clock.time_ns : clock_wall_ns()));
    json_object_set_new(object, "offset_ns",
                        is_known ? json_integer(clock.offset_ns) : json_null());
    json_object_set_new(object, "bound_ns", is_known ? to_json_count(clock.bound_ns) : json_null());
    return object;
}

struct json_t *api_node_stats(struct node *node)
{
    struct captures_totals totals;
    json_t *streams = json_array();
    json_t *object = json_object();

    captures_totals(node->captures, &totals);
    if (node->relay != NULL) {
        relay_streams(node, add_stream, streams);
    }
    json_object_set_new(object, "node", to_json_text(node->name));
    json_object_set_new(object, "version", json_string(PR_VERSION));
    json_object_set_new(object, "started", to_json_time(node->started_ns));
    json_object_set_new(
        object, "uptime_seconds",
        json_integer((json_int_t)((clock_wall_ns() - node->started_ns) / 1000000000u)));
    json_object_set_new(object, "clock", stats_clock(node));
    json_object_set_new(object, "captures", stats_captures(&totals));
    json_object_set_new(object, "protocols", stats_protocols(&totals.protocols));
    json_object_set_new(object, "store", stats_store(node));
    json_object_set_new(object, "streams", streams);
    json_object_set_new(
        object, "connections",
        to_json_count(node->http == NULL ? 0 : http_server_connections(node->http)));
    json_object_set_new(object, "events", to_json_count(events_published(node->events)));
    return object;
}

static void on_stats_refreshed(void *arg)
{
    struct exchange *ex = arg;

    if (!exchange_is_gone(ex)) {
        exchange_reply_json(ex, 200, api_node_stats(exchange_node(ex)));
    }
    exchange_unref(ex);
}

static void get_stats(struct exchange *ex, struct node *node)
{
    api_node_refresh(node, on_stats_refreshed, exchange_ref(ex));
}

static const struct route_param interfaces_params[] = {
    {"nodes", "string",
     "all: also those of the other members of the swarm, as NODE/IFACE; each with its node"},
    {"wait_ms", "integer",
     "with nodes=all: for members that do not answer (700); those are in Packetrecorder-Missing"},
    {0},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/interfaces",
     .right = RIGHT_VIEW,
     .summary = "The names of all interfaces, those of uplinks (NAME:IFACE) last.",
     .answer = "application/json",
     .handle = get_names},
    {.method = "GET",
     .path = "/api/v1/interfaces",
     .right = RIGHT_VIEW,
     .params = interfaces_params,
     .summary = "All interfaces, as `packetrecorder list-interfaces --json`.",
     .answer = "application/json",
     .handle = get_interfaces},
    {.method = "GET",
     .path = "/health",
     .right = RIGHT_NONE,
     .summary = "Checks store, disk, captures and certificate: 200, or 503 with what fails. With "
                "Accept: text/plain a line each.",
     .answer = "application/json",
     .handle = get_health},
    {.method = "GET",
     .path = "/metrics",
     .right = RIGHT_VIEW,
     .summary = "Counters in Prometheus' text format.",
     .answer = "text/plain",
     .handle = get_metrics},
    {.method = "GET",
     .path = "/api/v1/stats",
     .right = RIGHT_VIEW,
     .summary = "Captures, losses, protocols, store and live streams in numbers.",
     .answer = "application/json",
     .handle = get_stats},
};

const struct route_group api_node_routes = {routes, ARRAY_LEN(routes)};
