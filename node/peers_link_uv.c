/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection to a member for calls: TCP to its gossip port from a port that captures leave out,
 * the secure channel, the proof that it is that member, then messages. What the member sends is
 * hostile input: it is scanned before it is believed, and bounded.
 */
#include "node/peers_internal_uv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/gossip.h"
#include "node/gossip_socket_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/unpack.h"
#include "shared/swarm/swim_crypto.h"

/* ---- ending ---- */

static void free_if_closed(struct peer *peer)
{
    struct peers *peers = peer->peers;

    if (!peer->is_closing || peer->n_handles > 0 || peer->stream != NULL) {
        return;
    }
    LIST_REMOVE(peer, link);
    channel_free(peer->channel);
    buf_deinit(&peer->unsent);
    buf_deinit(&peer->in);
    mem_free(peer);
    peers_forgot_one(peers);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;

    peer->n_handles--;
    free_if_closed(peer);
}

static void on_dial_closed(struct dial *dial)
{
    struct peer *peer = container_of(dial, struct peer, dial);

    peer->is_dialing = false;
    peer->n_handles--;
    if (!peer->is_closing && peer->n_calls > 0) {
        peer_connect(peer); /* calls came while the last attempt was put away */
        peer_arm(peer);
    }
    free_if_closed(peer);
}

static void stop_connecting(struct peer *peer)
{
    peer->connect_by_ns = UINT64_MAX;
    if (peer->is_dialing) {
        dial_stop(&peer->dial);
    }
}

static void reset(struct peer *peer)
{
    stop_connecting(peer);
    peer->is_open = false;
    buf_deinit(&peer->in);
    buf_deinit(&peer->unsent);
    peer->scan = (struct rpc_scan){0};
    if (peer->stream != NULL) {
        stream_abort(peer->stream, "no calls any more");
    }
}

void peer_break(struct peer *peer, const char *code, const char *message)
{
    reset(peer);
    peer->peers->broken++;
    peer_fail_all(peer, code, message);
}

void peer_close(struct peer *peer)
{
    peer->is_closing = true;
    reset(peer);
    uv_close((uv_handle_t *)&peer->timer, on_timer_closed);
}

/* ---- messages ---- */

static void seal(struct peer *peer, const struct buf *plain)
{
    struct buf *sealed = &peer->peers->sealed;

    channel_seal(peer->channel, plain->data, plain->len, sealed);
    stream_write_copy(peer->stream, sealed->data, sealed->len);
    buf_reset(sealed);
}

void peer_send(struct peer *peer, struct buf *message)
{
    if (peer->is_open) {
        seal(peer, message);
    } else {
        buf_append(&peer->unsent, message->data, message->len);
    }
    buf_deinit(message);
}

void peer_send_cancel(struct peer *peer, uint32_t id)
{
    struct buf message = {0};

    rpc_put_cancel(&message, id);
    peer_send(peer, &message);
}

static bool take_message(struct peer *peer, const uint8_t *bytes, size_t n)
{
    struct rpc_message message;
    struct rpc_error error;

    if (rpc_decode(bytes, n, &message, NULL, NULL) < 0 || message.kind == RPC_REQUEST) {
        return false;
    }
    if (message.kind == RPC_RESPONSE) {
        peer_answer(peer, &message);
    } else if (strcmp(message.method, RPC_CLOSING) == 0) {
        struct unpack u = unpack_from(message.params.bytes, message.params.n);
        (void)unpack_array(&u, 1);
        struct rpc_span inner = {.bytes = u.in.p, .n = unpack_left(&u)};
        if (rpc_decode_error(inner, &error, NULL) == 0) {
            snprintf(peer->said, sizeof peer->said, "it ends the connection: %.200s",
                     error.message);
        }
    }
    return true;
}

/* Messages that are whole. The answer's handler may send, and break nothing here. */
static void take_plain(struct peer *peer, const uint8_t *bytes, size_t n)
{
    size_t done = 0;
    enum rpc_scan_state state = RPC_SCAN_WHOLE;

    buf_append(&peer->in, bytes, n);
    while (state == RPC_SCAN_WHOLE && done < peer->in.len && peer->is_open) {
        const uint8_t *message = peer->in.data + done;
        state = rpc_scan(&peer->scan, message, peer->in.len - done, RPC_RESPONSE_MAX);
        if (state == RPC_SCAN_WHOLE) {
            size_t length = peer->scan.at;
            peer->scan = (struct rpc_scan){0};
            state = take_message(peer, message, length) ? RPC_SCAN_WHOLE : RPC_SCAN_BAD;
            done += length;
        }
    }
    if (state == RPC_SCAN_BAD) {
        peer_break(peer, "damaged", "the member sent what is no answer");
    } else if (peer->is_open) {
        if (done == peer->in.len) {
            buf_reset(&peer->in);
        } else {
            buf_consume(&peer->in, done);
        }
    }
}

/* ---- the channel ---- */

static void on_opened(struct peer *peer)
{
    struct swim_id id = swim_id_of(channel_peer(peer->channel));

    if (swim_sid(&id) != peer->sid) {
        peer_break(peer, "unreachable", "another node answers at its address");
        return;
    }
    peer->connect_by_ns = UINT64_MAX;
    peer->is_open = true;
    if (peer->unsent.len > 0) {
        seal(peer, &peer->unsent);
    }
    buf_deinit(&peer->unsent);
    peer_arm(peer);
}

static void on_data(struct stream *stream, void *arg, const uint8_t *data, size_t n)
{
    struct peer *peer = arg;
    struct bytes_reader in = bytes_reader(data, n);
    struct buf *out = &peer->peers->sealed;
    int event = CHANNEL_OPENED;

    while (event != CHANNEL_MORE && !stream_is_ending(stream)) {
        struct channel_data plain = {0};
        struct err err = {0};
        event = channel_read(peer->channel, &in, &plain, out, &err);
        if (out->len > 0) {
            stream_write_copy(stream, out->data, out->len);
            buf_reset(out);
        }
        if (event < 0) {
            peer_break(peer, peer->is_open ? "damaged" : "unreachable", err.text);
            return;
        }
        if (event == CHANNEL_OPENED) {
            on_opened(peer);
        } else if (event == CHANNEL_DATA) {
            take_plain(peer, plain.bytes, plain.n);
        }
    }
}

static void on_ended(struct stream *stream, void *arg)
{
    struct peer *peer = arg;
    struct err err = {0};

    (void)stream;
    if (!peer->is_open) {
        (void)channel_ended(peer->channel, &err);
    }
    peer_break(peer, "unreachable",
               peer->said[0] != '\0' ? peer->said
               : err.text[0] != '\0' ? err.text
                                     : "it closed the connection");
}

static void on_nothing(struct stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
}

static void on_tick(struct stream *stream, void *arg, uint64_t now_ms)
{
    (void)stream;
    (void)arg;
    (void)now_ms;
}

static void on_closed(struct stream *stream, void *arg, const char *why)
{
    struct peer *peer = arg;
    bool was_broken = peer->is_open;

    (void)stream;
    peer->stream = NULL;
    channel_free(peer->channel);
    peer->channel = NULL;
    if (was_broken || peer->connect_by_ns != UINT64_MAX) {
        peer_break(peer, "unreachable", why);
    }
    if (!peer->is_closing && peer->n_calls > 0) {
        peer_connect(peer);
        peer_arm(peer);
    }
    free_if_closed(peer);
}

static const struct stream_ops ops = {
    .data = on_data,
    .ended = on_ended,
    .drained = on_nothing,
    .woken = on_nothing,
    .tick = on_tick,
    .closed = on_closed,
};

static void begin_channel(struct peer *peer, int fd, const struct sockaddr_storage *to)
{
    struct gossip *gossip = peer->peers->node->gossip;
    struct gossip_calls_key key;
    struct buf hello = {0};

    if (gossip == NULL || !gossip_calls_key(gossip, NULL, &key)) {
        close(fd);
        peer_break(peer, "unreachable", "this node has left the swarm");
        return;
    }
    peer->stream = stream_accept(&peer->peers->streams, fd, NULL, to, &ops, peer);
    if (peer->stream == NULL) {
        peer_break(peer, "unreachable", "the connection broke");
        explicit_bzero(&key, sizeof key);
        return;
    }
    peer->channel = channel_new_client(&(struct channel_client){.kind = CHANNEL_CLUSTER_CALLS,
                                                                .key_id = key.key_id,
                                                                .psk = key.psk,
                                                                .node = gossip_calls_node(gossip)},
                                       &hello);
    explicit_bzero(&key, sizeof key);
    peer->said[0] = '\0';
    stream_write_copy(peer->stream, hello.data, hello.len);
    buf_deinit(&hello);
}

/* ---- connecting ---- */

static void on_dialed(struct dial *dial, int fd)
{
    struct peer *peer = container_of(dial, struct peer, dial);
    struct sockaddr_storage to = {0};
    socklen_t length = sizeof to;

    if (fd >= 0 && getpeername(fd, (struct sockaddr *)&to, &length) < 0) {
        int why = errno;
        close(fd);
        fd = -why;
    }
    if (fd < 0) {
        peer_break(peer, "unreachable", strerror(-fd));
        return;
    }
    begin_channel(peer, fd, &to);
}

static void fail_soon(struct peer *peer, const char *why)
{
    struct peer_call *call;

    buf_deinit(&peer->unsent);
    TAILQ_FOREACH (call, &peer->calls, link) {
        call->refused = "unreachable";
        call->why = why;
    }
    peer_arm(peer);
}

void peer_connect(struct peer *peer)
{
    struct gossip *gossip = peer->peers->node->gossip;
    struct gossip_member member;
    struct sockaddr_storage to;

    if (peer->stream != NULL || peer->is_dialing) {
        return; /* it is, or does, or follows when the last one is put away */
    }
    if (gossip == NULL || !gossip_member(gossip, peer->sid, &member) || member.is_self) {
        fail_soon(peer, "no such member is known");
        return;
    }
    snprintf(peer->name, sizeof peer->name, "%s", member.meta.name);
    if (member.is_banned || member.state >= GOSSIP_DEAD) {
        fail_soon(peer, member.is_banned              ? "the member is banned"
                        : member.state == GOSSIP_DEAD ? "the member is dead"
                                                      : "the member has left");
        return;
    }
    (void)gossip_addr_to(&member.addr, &to);
    peer->dial = (struct dial){.done = on_dialed, .closed = on_dial_closed};
    int rc = dial_start(&peer->dial, peer->peers->node->loop, &to, peer->sid);
    if (rc < 0) {
        fail_soon(peer, strerror(-rc));
        return;
    }
    peer->connect_by_ns = clock_monotonic_ns() + PEERS_CONNECT_MS * 1000000ull;
    peer->is_dialing = true;
    peer->n_handles++;
}
