/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions: each is a cursor into the node's ring of events. What the connection does not take
 * stays in the ring; who is slow loses the oldest and is told how many.
 */
#include "node/rpc_events.h"

#include <string.h>

#include <jansson.h>

#include "node/events.h"
#include "node/node.h"
#include "node/rpc_internal_uv.h"
#include "shared/base/mem.h"
#include "shared/wire/event_types.h"

#define SUBSCRIPTIONS_MAX 8
#define PIECE_BYTES       (64u * 1024u) /* taken out of the ring under its lock */

struct rpc_subscription {
    LIST_ENTRY(rpc_subscription) link;
    struct events_watcher watcher;
    struct rpc_conn *conn;
    uint32_t call_id;
    uint64_t after;
    json_t *types; /* NULL: all */
};

/* ---- events out ---- */

struct piece {
    const struct rpc_subscription *subscription;
    struct buf out;
};

static bool is_wanted(const struct rpc_subscription *subscription, const char *type)
{
    bool wanted = subscription->types == NULL || strcmp(type, "lost") == 0;

    for (size_t i = 0; !wanted && i < json_array_size(subscription->types); i++) {
        wanted = strcmp(json_string_value(json_array_get(subscription->types, i)), type) == 0;
    }
    return wanted;
}

static bool take_event(void *arg, uint64_t number, const char *type, const char *data)
{
    struct piece *piece = arg;
    struct buf value = {0};

    if (!is_wanted(piece->subscription, type)) {
        return true;
    }
    json_t *event = json_loads(data, 0, NULL);
    REQUIRE(event != NULL); /* our own text */
    json_object_set_new(event, "call_id", json_integer(piece->subscription->call_id));
    json_object_set_new(event, "number", json_integer((json_int_t)number));
    json_object_set_new(event, "type", json_string(type));
    rpc_put_json(&value, event);
    rpc_put_notification(&piece->out, RPC_EVENT,
                         (struct rpc_span){.bytes = value.data, .n = value.len});
    buf_deinit(&value);
    json_decref(event);
    return piece->out.len < PIECE_BYTES;
}

static void pump(struct rpc_subscription *subscription)
{
    struct rpc_conn *conn = subscription->conn;
    struct events *events = conn->server->node->events;
    bool more = true;

    while (more && stream_has_room(conn->stream) && !stream_is_ending(conn->stream)) {
        struct piece piece = {.subscription = subscription};
        more = events_each(events, &subscription->after, take_event, &piece);
        if (piece.out.len > 0) {
            rpc_conn_send(conn, &piece.out);
        }
    }
}

/* ---- its life ---- */

static void end(struct rpc_subscription *subscription)
{
    struct rpc_conn *conn = subscription->conn;

    events_unwatch(conn->server->node->events, &subscription->watcher);
    LIST_REMOVE(subscription, link);
    conn->n_subscriptions--;
    json_decref(subscription->types);
    mem_free(subscription);
}

static void on_woken(struct events_watcher *watcher)
{
    pump(container_of(watcher, struct rpc_subscription, watcher));
}

static void on_beat(struct events_watcher *watcher)
{
    (void)watcher;
}

static void on_ending(struct events_watcher *watcher)
{
    struct rpc_subscription *subscription = container_of(watcher, struct rpc_subscription, watcher);

    pump(subscription);
    end(subscription);
}

static struct rpc_subscription *find(const struct rpc_conn *conn, uint32_t call_id)
{
    struct rpc_subscription *subscription;

    LIST_FOREACH (subscription, &conn->subscriptions, link) {
        if (subscription->call_id == call_id) {
            return subscription;
        }
    }
    return NULL;
}

bool rpc_subscription_has(const struct rpc_conn *conn, uint32_t call_id)
{
    return find(conn, call_id) != NULL;
}

void rpc_subscription_cancel(struct rpc_conn *conn, uint32_t call_id)
{
    struct rpc_subscription *subscription = find(conn, call_id);

    if (subscription != NULL) {
        end(subscription);
    }
}

void rpc_subscriptions_go_on(struct rpc_conn *conn)
{
    struct rpc_subscription *subscription;

    LIST_FOREACH (subscription, &conn->subscriptions, link) {
        pump(subscription);
    }
}

void rpc_subscriptions_end(struct rpc_conn *conn)
{
    while (!LIST_EMPTY(&conn->subscriptions)) {
        end(LIST_FIRST(&conn->subscriptions));
    }
}

/* Who waits for a type that there is not waits for ever. */
static const char *unknown_type(const json_t *types)
{
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!event_type_is_known(type)) {
            return type;
        }
    }
    return NULL;
}

static void subscribe(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    struct rpc_conn *conn = rpc_call_conn(call);
    uint64_t after = rpc_arg_count(args, "after", events_newest(node->events));

    const char *unknown = unknown_type(rpc_arg(args, "types"));

    if (unknown != NULL) {
        rpc_call_fail(call, err_name(ERR_USAGE),
                      "there are no events of the type '%.64s': docs/rpc.md lists the types, such "
                      "as capture.ended and member.dead",
                      unknown);
        return;
    }
    if (conn->n_subscriptions == SUBSCRIPTIONS_MAX) {
        rpc_call_fail(call, err_name(ERR_LIMIT),
                      "%d subscriptions on this connection: cancel one, or connect again",
                      SUBSCRIPTIONS_MAX);
        return;
    }
    struct rpc_subscription *subscription = x_alloc(sizeof *subscription);
    subscription->conn = conn;
    subscription->call_id = rpc_call_id(call);
    subscription->after = after;
    subscription->types = json_incref((json_t *)(uintptr_t)rpc_arg(args, "types"));
    subscription->watcher.woken = on_woken;
    subscription->watcher.beat = on_beat;
    subscription->watcher.ending = on_ending;
    LIST_INSERT_HEAD(&conn->subscriptions, subscription, link);
    conn->n_subscriptions++;
    events_watch(node->events, &subscription->watcher);
    rpc_call_reply(call, json_pack("{s:I}", "after", (json_int_t)after));
    pump(subscription);
}

static const struct rpc_handler handlers[] = {
    {"events.subscribe", subscribe},
};

const struct rpc_handler_group rpc_events_handlers = {handlers, ARRAY_LEN(handlers)};
