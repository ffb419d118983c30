/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection: bytes are cut into messages, calls begin, answers go out. It is not read while
 * its calls or its unsent answers are at their bound, and after a batch of messages the others have
 * their turn.
 */
#include <stdio.h>
#include <string.h>

#include "node/rpc_internal_uv.h"
#include "node/rpc_unix_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define BATCH        64    /* messages in one turn of the loop */
#define MESSAGE_MS   30000 /* from its first byte to its last */
#define SEALED_PIECE (4u * CHANNEL_PLAIN_MAX)
#define SMALL        65536  /* bytes that are copied where the kernel does not take them */
#define LEFT_MS      30000  /* without an answer, of who sends no more */
#define IDLE_MS      600000 /* without a call, an answer or a subscription */

/* ---- out ---- */

static void release(void *arg)
{
    mem_free(arg);
}

/* The bytes are moved into the stream: an answer of megabytes is not copied. */
static void write_moved(struct rpc_conn *conn, struct buf *bytes)
{
    if (bytes->len < SMALL) {
        stream_write_copy(conn->stream, bytes->data, bytes->len);
        buf_reset(bytes);
        return;
    }
    const struct iovec iov = {.iov_base = bytes->data, .iov_len = bytes->len};
    uint8_t *data = bytes->data;
    *bytes = (struct buf){0};
    stream_write(conn->stream, &iov, 1, release, data);
}

/* Piece by piece: the client opens one while the next is sealed, and what is sealed is still in the
 * processor's cache when the kernel takes it. */
static void write_sealed(struct rpc_conn *conn, const uint8_t *bytes, size_t n)
{
    struct buf *sealed = &conn->server->sealed;

    for (size_t at = 0; at < n && !stream_is_ending(conn->stream); at += SEALED_PIECE) {
        size_t left = n - at;
        channel_seal(conn->channel, bytes + at, left < SEALED_PIECE ? left : SEALED_PIECE, sealed);
        stream_write_copy(conn->stream, sealed->data, sealed->len);
        buf_reset(sealed);
    }
}

void rpc_conn_send(struct rpc_conn *conn, struct buf *message)
{
    if (stream_is_ending(conn->stream)) {
        buf_deinit(message);
    } else if (conn->channel == NULL) {
        write_moved(conn, message);
    } else if (channel_state(conn->channel) == CHANNEL_OPEN) {
        write_sealed(conn, message->data, message->len);
        if (message->len <= RPC_WIPED_MAX) {
            explicit_bzero(message->data, message->len);
        }
    }
    buf_deinit(message);
}

void rpc_conn_answer(struct rpc_conn *conn, uint32_t id, struct rpc_span result, struct buf *moved)
{
    struct buf head = {0};

    if (result.n < SMALL) { /* in one message, so that it is one frame */
        buf_reserve(&head, result.n + 32);
        rpc_put_response(&head, id, result);
        rpc_conn_send(conn, &head);
        return;
    }
    rpc_put_response_head(&head, id);
    rpc_conn_send(conn, &head);
    if (stream_is_ending(conn->stream)) {
        return;
    }
    if (conn->channel != NULL) {
        write_sealed(conn, result.bytes, result.n);
    } else if (moved != NULL) {
        write_moved(conn, moved);
    } else {
        stream_write_copy(conn->stream, result.bytes, result.n);
    }
}

void rpc_conn_goodbye(struct rpc_conn *conn, const char *code, const char *message)
{
    struct buf value = {0};
    struct buf out = {0};

    if (conn->is_ending) {
        return;
    }
    rpc_put_map(&value, 2);
    rpc_put_text(&value, "code");
    rpc_put_text(&value, code);
    rpc_put_text(&value, "message");
    rpc_put_text(&value, message);
    rpc_put_notification(&out, RPC_CLOSING, (struct rpc_span){.bytes = value.data, .n = value.len});
    rpc_conn_send(conn, &out);
    buf_deinit(&value);
    conn->is_ending = true;
    stream_finish(conn->stream);
}

/* ---- in ---- */

static void on_malformed(struct rpc_conn *conn, const char *why)
{
    conn->server->counters.rejected[RPC_REJECTED_MALFORMED]++;
    rpc_conn_goodbye(conn, RPC_CODE_BAD_REQUEST, why);
}

static void on_bad_message(struct rpc_conn *conn, const struct rpc_message *message, bool has_id,
                           const struct err *err)
{
    if (has_id) {
        struct buf out = {0};
        conn->server->counters.failed++;
        rpc_put_error(&out, message->id, RPC_CODE_BAD_REQUEST, err->text, conn->server->node->name);
        rpc_conn_send(conn, &out);
    } else {
        on_malformed(conn, err->text);
    }
}

static void on_message(struct rpc_conn *conn, const uint8_t *bytes, size_t n)
{
    struct rpc_message message;
    struct err err = {0};
    bool has_id;
    uint32_t id;

    if (rpc_decode(bytes, n, &message, &has_id, &err) < 0) {
        on_bad_message(conn, &message, has_id, &err);
    } else if (message.kind == RPC_REQUEST) {
        rpc_call_begin(conn, &message);
    } else if (message.kind == RPC_RESPONSE) {
        on_malformed(conn, "an answer to a call that the node did not make");
    } else if (strcmp(message.method, RPC_CANCEL) == 0 &&
               rpc_decode_cancel(message.params, &id, &err) == 0) {
        rpc_call_cancel(conn, id);
    }
    /* A notification that is not known is read over: nobody waits for an answer to it. */
}

static bool has_room(const struct rpc_conn *conn)
{
    return conn->n_calls < RPC_CONN_CALLS_MAX && stream_has_room(conn->stream);
}

/* Whether there is room for the answer, should it be a large one. */
static bool has_room_for(struct rpc_conn *conn, const uint8_t *bytes, size_t n)
{
    struct rpc_server *server = conn->server;
    size_t unsent = server->streams.queued + (server->n_large + 1) * RPC_LARGE_ANSWER;
    struct rpc_message message;
    bool has_id;

    if (conn->n_large < RPC_CONN_LARGE_MAX && unsent <= RPC_UNSENT_MAX) {
        return true;
    }
    if (rpc_decode(bytes, n, &message, &has_id, NULL) < 0 || message.kind != RPC_REQUEST) {
        return true;
    }
    const struct rpc_method *method = rpc_method_find(message.method);
    return method == NULL || !method->is_large;
}

/* True: something is left to do and room for it. */
static bool work_off(struct rpc_conn *conn)
{
    size_t done = 0;
    enum rpc_scan_state state = RPC_SCAN_WHOLE;
    bool was_held = conn->is_held;

    conn->is_held = false;
    for (int i = 0; i < BATCH && !conn->is_ending && has_room(conn); i++) {
        const uint8_t *message = conn->in.data + done;
        state = conn->in.len == done
                    ? RPC_SCAN_MORE
                    : rpc_scan(&conn->scan, message, conn->in.len - done, RPC_REQUEST_MAX);
        if (state != RPC_SCAN_WHOLE) {
            break;
        }
        size_t n = conn->scan.at;
        conn->scan = (struct rpc_scan){0};
        if (!has_room_for(conn, message, n)) {
            conn->is_held = true;
            conn->server->counters.held += !was_held || done > 0;
            break;
        }
        on_message(conn, message, n);
        done += n;
    }
    if (done > 0) {
        buf_consume(&conn->in, done);
        conn->message_ms = uv_now(conn->server->node->loop); /* another one is at the front now */
    }
    if (state == RPC_SCAN_BAD) {
        on_malformed(conn, "no msgpack-RPC, or a message of more than 65,536 bytes");
    }
    if (conn->is_ending) {
        buf_deinit(&conn->in);
        return false;
    }
    conn->is_waiting = state != RPC_SCAN_MORE;
    return conn->is_waiting && !conn->is_held && has_room(conn);
}

/* Who sends no more has his answers first. */
static void end_when_done(struct rpc_conn *conn)
{
    if (conn->has_left && !conn->is_ending && !conn->is_waiting && conn->n_calls == 0) {
        conn->is_ending = true;
        stream_finish(conn->stream);
    }
}

/* Messages that are there, then the socket again. */
static void turn(struct rpc_conn *conn)
{
    if (work_off(conn)) {
        stream_pause(conn->stream);
        stream_wake(conn->stream);
    } else if (conn->is_waiting) {
        stream_pause(conn->stream);
    } else if (!conn->is_ending) {
        conn->message_ms = conn->in.len == 0 ? 0 : conn->message_ms;
        if (conn->in.len == 0) {
            buf_deinit(&conn->in); /* an idle connection holds nothing */
        }
        stream_resume(conn->stream);
        end_when_done(conn);
    }
}

void rpc_conn_drain(struct rpc_conn *conn)
{
    if (conn->n_calls == 0) {
        rpc_conn_goodbye(conn, RPC_CODE_ENDING, "the node is ending");
    }
}

void rpc_conn_go_on(struct rpc_conn *conn)
{
    conn->active_ms = uv_now(conn->server->node->loop);
    if (conn->is_waiting && !conn->is_ending) {
        stream_wake(conn->stream);
    }
    if (conn->server->draining) {
        rpc_conn_drain(conn);
    }
    end_when_done(conn);
}

void rpc_conn_feed(struct rpc_conn *conn, const uint8_t *data, size_t n)
{
    if (conn->is_ending) {
        return;
    }
    conn->active_ms = uv_now(conn->server->node->loop);
    if (conn->in.len == 0) {
        conn->message_ms = conn->active_ms;
    }
    buf_append(&conn->in, data, n);
    if (!conn->is_waiting) {
        turn(conn);
    }
}

static void on_data(struct stream *stream, void *arg, const uint8_t *data, size_t n)
{
    struct rpc_conn *conn = arg;

    (void)stream;
    if (conn->channel == NULL) {
        rpc_conn_feed(conn, data, n);
    } else {
        rpc_conn_on_sealed(conn, data, n);
    }
}

static void on_ended(struct stream *stream, void *arg)
{
    struct rpc_conn *conn = arg;

    conn->has_left = true;
    conn->active_ms = uv_now(conn->server->node->loop);
    if (conn->n_calls > 0 && stream_peer_is_gone(stream)) {
        conn->is_ending = true;
        stream_abort(stream, "the caller left while calls were running");
    } else {
        end_when_done(conn);
    }
}

static void on_room(struct stream *stream, void *arg)
{
    (void)stream;
    rpc_subscriptions_go_on(arg);
    rpc_lives_go_on(arg);
    rpc_conn_go_on(arg);
}

static void on_woken(struct stream *stream, void *arg)
{
    struct rpc_conn *conn = arg;

    (void)stream;
    if (!conn->is_ending) {
        turn(conn);
    }
}

static void on_tick(struct stream *stream, void *arg, uint64_t now_ms)
{
    struct rpc_conn *conn = arg;

    if (!conn->is_unix) {
        rpc_conn_tick_tcp(conn, now_ms);
    }
    if (conn->is_ending || conn->is_stranger) {
        return;
    }
    if (conn->is_held) {
        stream_wake(stream); /* others may have made room */
    }
    if (conn->has_left) {
        if (now_ms - conn->active_ms >= LEFT_MS || stream_peer_is_gone(stream)) {
            stream_abort(conn->stream, "the caller left while calls were running");
        }
    } else if (conn->message_ms != 0 && !conn->is_waiting &&
               now_ms - conn->message_ms >= MESSAGE_MS) {
        conn->server->counters.rejected[RPC_REJECTED_SLOW]++;
        rpc_conn_goodbye(conn, RPC_CODE_BAD_REQUEST, "a message took more than 30 s to come");
    } else if (conn->n_calls == 0 && conn->n_subscriptions == 0 && !conn->is_waiting &&
               now_ms - conn->active_ms >= IDLE_MS) {
        rpc_conn_goodbye(conn, "idle", "nothing was called for 10 minutes");
    }
}

static void on_closed(struct stream *stream, void *arg, const char *why)
{
    struct rpc_conn *conn = arg;
    struct rpc_server *server = conn->server;

    (void)stream;
    log_debug("rpc: connection of %s is over: %s", conn->who, why);
    rpc_subscriptions_end(conn);
    rpc_lives_end(conn);
    rpc_calls_end(conn);
    rpc_conn_deinit_tcp(conn);
    LIST_REMOVE(conn, link);
    buf_deinit(&conn->in);
    mem_free(conn);
    rpc_server_forgot_one(server);
}

static const struct stream_ops ops = {
    .data = on_data,
    .ended = on_ended,
    .drained = on_room,
    .woken = on_woken,
    .tick = on_tick,
    .closed = on_closed,
};

struct rpc_conn *rpc_conn_new(struct rpc_server *server, int fd,
                              const struct sockaddr_storage *peer)
{
    struct rpc_conn *conn = x_alloc(sizeof *conn);

    conn->server = server;
    conn->active_ms = conn->began_ms = uv_now(server->node->loop);
    conn->stream = stream_accept(&server->streams, fd, NULL, peer, &ops, conn);
    if (conn->stream == NULL) {
        mem_free(conn);
        return NULL;
    }
    LIST_INSERT_HEAD(&server->conns, conn, link);
    return conn;
}

void rpc_conn_accept_local(struct rpc_server *server, int fd, const struct sockaddr_storage *peer)
{
    char who[RPC_WHO_MAX];
    uint64_t left_out;
    bool is_good = rpc_unix_peer(fd, who, sizeof who);
    struct rpc_conn *conn = rpc_conn_new(server, fd, peer);

    if (conn == NULL) {
        return;
    }
    conn->is_unix = true;
    memcpy(conn->who, who, sizeof conn->who);
    if (is_good) {
        conn->rights = api_role_rights(ROLE_ADMIN);
        return;
    }
    server->counters.rejected[RPC_REJECTED_PEER]++;
    if (log_allowed(&server->peer_limit, conn->began_ms, 10000, &left_out)) {
        log_warn("rpc: %s may not use '%s': only root, the node's user and its group", who,
                 server->socket_path);
    }
    rpc_conn_goodbye(conn, "permission",
                     "this socket is for root, the node's user and the node's group");
}
