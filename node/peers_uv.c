/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to members: the table of them, deadlines, answers. Their connections are in
 * peers_link_uv.c.
 */
#include <stdio.h>
#include <string.h>

#include "node/gossip.h"
#include "node/metrics.h"
#include "node/own_traffic_uv.h"
#include "node/peers_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/own_filter.h"

static const struct streams_opts streams_opts = {
    .handshake_ms = PEERS_CONNECT_MS,
    .stall_ms = 30000,
    .linger_ms = 500,
    .sweep_ms = 1000,
    .max_queued = 8u * 1024u * 1024u,
    .high_mark = 1024u * 1024u,
};

/* ---- answers ---- */

static void forget(struct peer *peer, struct peer_call *call)
{
    TAILQ_REMOVE(&peer->calls, call, link);
    peer->n_calls--;
    mem_free(call);
}

static void tell_error(struct peer *peer, struct peer_call *call, const char *code,
                       const char *message)
{
    peers_cb answered = call->answered;
    void *arg = call->arg;
    struct rpc_error error = {0};

    peer->peers->failed++;
    snprintf(error.code, sizeof error.code, "%s", code);
    snprintf(error.message, sizeof error.message, "%s", message);
    snprintf(error.node, sizeof error.node, "%s", peer->name);
    forget(peer, call);
    answered(arg, (struct rpc_span){0}, &error);
}

void peer_fail_all(struct peer *peer, const char *code, const char *message)
{
    uint64_t last_number = peer->peers->last_number;
    struct peer_call *first;

    /* Who is told may cancel others; those that come meanwhile are for the next connection. */
    while ((first = TAILQ_FIRST(&peer->calls)) != NULL && first->number <= last_number) {
        tell_error(peer, first, code, message);
    }
}

void peer_answer(struct peer *peer, const struct rpc_message *message)
{
    struct rpc_error error = {0};
    struct peer_call *call;

    TAILQ_FOREACH (call, &peer->calls, link) {
        if (call->id == message->id) {
            break;
        }
    }
    if (call == NULL) {
        return; /* it was cancelled, or took too long */
    }
    peer->used_ms = uv_now(peer->peers->node->loop);
    if (message->error.bytes == NULL) {
        peers_cb answered = call->answered;
        void *arg = call->arg;
        peer->peers->answered++;
        forget(peer, call);
        answered(arg, message->result, NULL);
    } else if (rpc_decode_error(message->error, &error, NULL) < 0) {
        tell_error(peer, call, "damaged", "the member's error is none");
    } else {
        tell_error(peer, call, error.code, error.message);
    }
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

void peer_arm(struct peer *peer)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t due_ns = peer->connect_by_ns;
    struct peer_call *call;

    if (peer->is_closing) {
        return;
    }
    TAILQ_FOREACH (call, &peer->calls, link) {
        uint64_t at_ns = call->refused != NULL ? now_ns : call->deadline_ns;
        due_ns = at_ns < due_ns ? at_ns : due_ns;
    }
    if (due_ns == UINT64_MAX) {
        due_ns = now_ns + PEERS_IDLE_MS * 1000000ull;
    }
    uint64_t wait_ms = due_ns > now_ns ? (due_ns - now_ns) / 1000000 + 1 : 0;
    uv_update_time(peer->peers->node->loop);
    uv_timer_start(&peer->timer, on_timer, wait_ms, 0);
}

static struct peer_call *find_due(struct peer *peer, uint64_t now_ns)
{
    struct peer_call *call;

    TAILQ_FOREACH (call, &peer->calls, link) {
        if (call->refused != NULL || call->deadline_ns <= now_ns) {
            return call;
        }
    }
    return NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct peer *peer = timer->data;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t now_ms = uv_now(timer->loop);
    struct peer_call *due;

    if (peer->connect_by_ns <= now_ns) {
        peer_break(peer, "unreachable", "no answer within 3 s");
    }
    while ((due = find_due(peer, now_ns)) != NULL) {
        if (due->refused != NULL) {
            tell_error(peer, due, due->refused, due->why);
        } else {
            peer_send_cancel(peer, due->id);
            tell_error(peer, due, RPC_CODE_DEADLINE, "it did not answer in time");
        }
    }
    if (peer->is_closing) {
        return;
    }
    bool is_idle = peer->peers->is_draining || now_ms - peer->used_ms >= PEERS_IDLE_MS;
    if (peer->n_calls == 0 && is_idle) {
        peer_close(peer);
    } else {
        peer_arm(peer);
    }
}

/* ---- calls ---- */

static struct peer *find_peer(struct peers *peers, uint64_t sid)
{
    struct peer *peer;

    LIST_FOREACH (peer, &peers->all, link) {
        if (peer->sid == sid && !peer->is_closing) {
            return peer;
        }
    }
    return NULL;
}

static struct peer *make_peer(struct peers *peers, uint64_t sid)
{
    struct peer *peer = x_alloc(sizeof *peer);

    peer->peers = peers;
    peer->sid = sid;
    peer->connect_by_ns = UINT64_MAX;
    TAILQ_INIT(&peer->calls);
    uv_timer_init(peers->node->loop, &peer->timer);
    peer->timer.data = peer;
    peer->n_handles = 1;
    LIST_INSERT_HEAD(&peers->all, peer, link);
    return peer;
}

/* What the member would take for no call at all, and end the connection, is not sent. */
static void send_call(struct peer *peer, struct peer_call *pending, const struct peers_call *call)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t left_ns = pending->deadline_ns > now_ns ? pending->deadline_ns - now_ns : 0;
    struct rpc_call_options options = {
        .deadline_ms = left_ns / 1000000 + 1,
        .is_forwarded = true,
        .rights = call->rights,
    };
    struct buf message = {0};

    snprintf(options.who, sizeof options.who, "%s", call->who);
    rpc_put_request_with(&message, pending->id, call->method, call->args, &options);
    if (message.len > RPC_REQUEST_MAX) {
        pending->refused = err_name(ERR_LIMIT);
        pending->why = "the call is too large to be passed on: 65,536 bytes with what goes along";
        buf_deinit(&message);
        return;
    }
    peer_send(peer, &message);
    peer_connect(peer);
}

uint64_t peers_call(struct node *node, const struct peers_call *call, peers_cb answered, void *arg)
{
    struct peers *peers = node->peers;
    struct peer *peer = find_peer(peers, call->sid);

    if (peer == NULL) {
        peer = make_peer(peers, call->sid);
    }
    peers->called++;
    struct peer_call *pending = x_alloc(sizeof *pending);
    pending->answered = answered;
    pending->arg = arg;
    pending->number = ++peers->last_number;
    pending->id = ++peer->last_id;
    pending->deadline_ns = call->deadline_ns == UINT64_MAX
                               ? clock_monotonic_ns() + PEERS_DEADLINE_MS * 1000000ull
                               : call->deadline_ns;
    if (peers->is_draining) {
        pending->refused = RPC_CODE_ENDING;
        pending->why = "the node is ending";
    } else if (peer->n_calls >= PEERS_CALLS_MAX || peer->unsent.len > PEERS_UNSENT_MAX) {
        pending->refused = RPC_CODE_BUSY;
        pending->why = "too many calls to this member are under way";
    }
    TAILQ_INSERT_TAIL(&peer->calls, pending, link);
    peer->n_calls++;
    peer->used_ms = uv_now(node->loop);
    uint64_t number = pending->number;
    if (pending->refused == NULL) {
        send_call(peer, pending, call);
    }
    peer_arm(peer);
    return number;
}

void peers_cancel(struct node *node, uint64_t number)
{
    struct peer *peer;

    LIST_FOREACH (peer, &node->peers->all, link) {
        struct peer_call *call;
        TAILQ_FOREACH (call, &peer->calls, link) {
            if (call->number == number) {
                peer_send_cancel(peer, call->id);
                forget(peer, call);
                return;
            }
        }
    }
}

/* ---- the part ---- */

int peers_open(struct node *node, struct err *err)
{
    struct peers *peers = x_alloc(sizeof *peers);

    (void)err;
    peers->node = node;
    streams_open(&peers->streams, node->loop, &streams_opts);
    node->peers = peers;
    if (node->gossip != NULL && node->sources != NULL) {
        node_sources_add_endpoint(
            node, &(struct own_endpoint){.port_from = DIAL_PORT_FROM, .port_to = DIAL_PORT_TO});
    }
    return 0;
}

static void finish_drain(struct peers *peers)
{
    void (*drained)(struct node *) = peers->drained;

    if (LIST_EMPTY(&peers->all) && drained != NULL) {
        peers->drained = NULL;
        drained(peers->node);
    }
}

/* Who is told and calls again gets a peer of its own, which refuses and closes by its timer. */
static void end_all(struct peers *peers)
{
    struct peer *peer;

    peers->is_draining = true;
    LIST_FOREACH (peer, &peers->all, link) { /* they are freed later, by the loop */
        if (!peer->is_closing) {
            peer_close(peer);
            peer_fail_all(peer, RPC_CODE_ENDING, "the node is ending");
        }
    }
}

void peers_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    (void)deadline_ns;
    node->peers->drained = done;
    end_all(node->peers);
    finish_drain(node->peers);
}

static void close_streams(struct peers *peers);

void peers_forgot_one(struct peers *peers)
{
    finish_drain(peers);
    close_streams(peers);
}

static void on_streams_closed(struct streams *streams)
{
    struct peers *peers = container_of(streams, struct peers, streams);
    struct node *node = peers->node;
    void (*closed)(struct node *) = peers->closed;

    buf_deinit(&peers->sealed);
    mem_free(peers);
    node->peers = NULL;
    closed(node);
}

static void close_streams(struct peers *peers)
{
    if (peers->closed != NULL && LIST_EMPTY(&peers->all)) {
        streams_close(&peers->streams, on_streams_closed);
    }
}

void peers_close(struct node *node, void (*closed)(struct node *node))
{
    node->peers->closed = closed;
    end_all(node->peers);
    close_streams(node->peers);
}

void peers_metrics(struct node *node, struct buf *out)
{
    const struct peers *peers = node->peers;
    const struct peer *peer;
    uint64_t open = 0;
    uint64_t waiting = 0;

    if (peers == NULL) {
        return;
    }
    LIST_FOREACH (peer, &peers->all, link) {
        open += peer->is_open;
        waiting += peer->n_calls;
    }
    metrics_family(out, "packetrecorder_peer_connections", "gauge",
                   "Open connections to members, for calls.");
    metrics_count(out, "packetrecorder_peer_connections", "", open);
    metrics_family(out, "packetrecorder_peer_calls_waiting", "gauge",
                   "Calls to members that are not answered yet.");
    metrics_count(out, "packetrecorder_peer_calls_waiting", "", waiting);
    metrics_family(out, "packetrecorder_peer_calls_total", "counter", "Calls to members.");
    metrics_count(out, "packetrecorder_peer_calls_total", "", peers->called);
    metrics_family(out, "packetrecorder_peer_calls_failed_total", "counter",
                   "Calls to members that were answered with an error, or not at all.");
    metrics_count(out, "packetrecorder_peer_calls_failed_total", "", peers->failed);
    metrics_family(out, "packetrecorder_peer_connects_failed_total", "counter",
                   "Connections to members that were not made, or broke.");
    metrics_count(out, "packetrecorder_peer_connects_failed_total", "", peers->broken);
}
