/* SPDX-License-Identifier: Apache-2.0
 *
 * A WebSocket over a stream. It keeps no parser of HTTP and no buffer of its own while nothing is
 * on its way, so that a thousand idle viewers cost little.
 */
#include "node/ws_conn.h"

#include <string.h>

#include "node/http_server_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

struct ws_conn {
    struct http_server *server;
    LIST_ENTRY(ws_conn) link;
    struct stream *stream;
    struct ws_reader *reader;
    bool deflated; /* by the server's deflater: no message needs another one's past */
    struct ws_conn_opts opts;
    struct buf early; /* came before the handler was done upgrading */
    struct auth_grant grant;
    uint64_t auth_generation;
    uint64_t heard_ms;       /* when something came last */
    uint64_t pinged_ms;      /* 0 = no ping is out */
    uint64_t close_until_ms; /* of the closing handshake; 0 = not closing */
    bool paused;             /* not read until our answers are out */
    bool held;               /* its owner closes it when the node ends */
    bool ended;              /* by us or by the peer: nothing is sent or told any more */
};

static const struct stream_ops ws_stream_ops;

static uint64_t now_ms(const struct ws_conn *conn)
{
    return uv_now(conn->server->node->loop);
}

/* ---- reading ---- */

static void on_message(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    struct ws_conn *conn = arg;

    if ((opcode == WS_TEXT || opcode == WS_BINARY) && !conn->ended && conn->opts.message != NULL) {
        conn->opts.message(conn, conn->opts.arg, opcode, data, n);
    }
}

static void take(struct ws_conn *conn, const uint8_t *data, size_t n)
{
    struct buf out = {0};
    struct err err = {0};

    conn->heard_ms = now_ms(conn);
    conn->pinged_ms = 0;
    int rc = ws_reader_feed(conn->reader, data, n, &out, &err);
    /* After our own close frame nothing else goes out (RFC 6455 §5.5.1). */
    if (!conn->ended) {
        stream_write_copy(conn->stream, out.data, out.len);
    }
    /* Who pings without reading the answers is not read either. */
    if (out.len > 0 && !stream_has_room(conn->stream)) {
        conn->paused = true;
        stream_pause(conn->stream);
    }
    buf_deinit(&out);
    if (rc < 0) {
        log_debug("websocket: %s: %s", stream_peer(conn->stream), err.text);
    }
    if (rc < 0 || ws_reader_is_closed(conn->reader)) {
        conn->ended = true;
        stream_finish(conn->stream);
    }
}

static void on_data(struct stream *stream, void *arg, const uint8_t *data, size_t n)
{
    struct ws_conn *conn = arg;

    (void)stream;
    if (conn->early.len > 0) {
        buf_append(&conn->early, data, n); /* in order; at most one turn of the loop */
        return;
    }
    take(conn, data, n);
}

void ws_conn_push_early(struct ws_conn *conn, const uint8_t *data, size_t n)
{
    if (n > 0) {
        buf_append(&conn->early, data, n);
        stream_wake(conn->stream);
    }
    stream_resume(conn->stream);
}

static void on_woken(struct stream *stream, void *arg)
{
    struct ws_conn *conn = arg;
    struct buf early = conn->early;

    (void)stream;
    buf_init(&conn->early);
    if (early.len > 0) {
        take(conn, early.data, early.len);
    }
    buf_deinit(&early);
}

/* ---- the stream's other events ---- */

static void on_peer_end(struct stream *stream, void *arg)
{
    struct ws_conn *conn = arg;

    conn->ended = true;
    stream_abort(stream, "the peer left without a close frame");
}

static void on_drained(struct stream *stream, void *arg)
{
    struct ws_conn *conn = arg;

    if (conn->paused) {
        conn->paused = false;
        stream_resume(stream);
    }
    if (!conn->ended && conn->opts.drained != NULL) {
        conn->opts.drained(conn, conn->opts.arg);
    }
}

static bool key_is_good(struct ws_conn *conn)
{
    struct auth *auth = conn->server->node->auth;
    uint64_t now_ns = clock_wall_ns();
    uint64_t generation = auth_generation(auth, now_ns);

    if (now_ns >= conn->grant.expires_ns) {
        return false;
    }
    if (generation != conn->auth_generation) {
        conn->auth_generation = generation;
        return conn->grant.key_id[0] == '\0' ? !auth_has_keys(auth, now_ns)
                                             : auth_key_is_good(auth, conn->grant.key_id, now_ns);
    }
    return true;
}

/* A peer that takes what we send is alive, whether it answers or not; the stream watches that. */
static void watch_silence(struct ws_conn *conn, uint64_t at_ms)
{
    static const uint8_t ping[] = {0x89, 0x00};
    const struct http_limits *limits = &conn->server->opts.limits;

    if (stream_queued(conn->stream) > 0) {
        conn->heard_ms = at_ms;
        conn->pinged_ms = 0;
    } else if (conn->pinged_ms != 0 && at_ms - conn->pinged_ms >= limits->pong_ms) {
        conn->server->counters.rejected[REJECTED_SILENT]++;
        stream_abort(conn->stream, "no answer to a ping");
    } else if (conn->pinged_ms == 0 && at_ms - conn->heard_ms >= limits->ping_ms) {
        conn->pinged_ms = at_ms;
        stream_write_copy(conn->stream, ping, sizeof ping);
    }
}

static void on_tick(struct stream *stream, void *arg, uint64_t at_ms)
{
    struct ws_conn *conn = arg;

    if (conn->close_until_ms != 0) {
        if (at_ms >= conn->close_until_ms) {
            stream_abort(stream, "no answer to the close frame");
        }
    } else if (!key_is_good(conn)) {
        ws_conn_close(conn, WS_CLOSE_POLICY, "the API key was revoked or has expired");
    } else {
        watch_silence(conn, at_ms);
    }
}

static void on_closed(struct stream *stream, void *arg, const char *why)
{
    struct ws_conn *conn = arg;
    struct http_server *server = conn->server;

    log_debug("websocket: %s is gone: %s", stream_peer(stream), why);
    conn->ended = true;
    LIST_REMOVE(conn, link);
    server->n_sockets--;
    if (conn->opts.closed != NULL) {
        conn->opts.closed(conn, conn->opts.arg);
    }
    ws_reader_free(conn->reader);
    buf_deinit(&conn->early);
    mem_free(conn);
    http_server_forgot_one(server);
}

static const struct stream_ops ws_stream_ops = {
    .data = on_data,
    .ended = on_peer_end,
    .drained = on_drained,
    .woken = on_woken,
    .tick = on_tick,
    .closed = on_closed,
};

struct ws_conn *ws_conn_open(struct http_server *server, struct stream *stream,
                             const struct exchange *ex, const struct ws_conn_opts *opts)
{
    struct ws_conn *conn = x_alloc(sizeof *conn);

    conn->server = server;
    conn->stream = stream;
    conn->opts = *opts;
    conn->grant = ex->grant;
    conn->auth_generation = 0; /* none is: the key may be gone since the request was checked */
    conn->heard_ms = now_ms(conn);
    conn->reader = ws_reader_new(&(struct ws_reader_opts){.deflate = opts->deflate,
                                                          .max_message = opts->max_message,
                                                          .message = on_message,
                                                          .arg = conn});
    conn->deflated = opts->deflate;
    if (conn->deflated && server->deflater == NULL) {
        server->deflater = ws_deflater_new();
    }
    LIST_INSERT_HEAD(&server->sockets, conn, link);
    server->n_sockets++;
    server->counters.upgrades++;
    stream_set_ops(stream, &ws_stream_ops, conn);
    if (server->draining) { /* the others were told while this one was on its way */
        ws_conn_close(conn, WS_CLOSE_GOING_AWAY, "the node is ending");
    }
    return conn;
}

struct ws_conn *ws_conn_next(const struct ws_conn *conn)
{
    return LIST_NEXT(conn, link);
}

/* ---- sending ---- */

size_t ws_conn_queued(const struct ws_conn *conn)
{
    return stream_queued(conn->stream);
}

bool ws_conn_has_room(const struct ws_conn *conn)
{
    return stream_has_room(conn->stream);
}

bool ws_conn_is_deflated(const struct ws_conn *conn)
{
    return conn->deflated;
}

const char *ws_conn_peer(const struct ws_conn *conn)
{
    return stream_peer(conn->stream);
}

const char *ws_conn_key_id(const struct ws_conn *conn)
{
    return conn->grant.key_id;
}

unsigned ws_conn_rights(const struct ws_conn *conn)
{
    return conn->grant.rights;
}

static void send_deflated(struct ws_conn *conn, enum ws_opcode opcode, const void *data, size_t n)
{
    uint8_t header[WS_HEADER_MAX];
    struct buf content = {0};
    struct buf out = {0};

    ws_deflate(conn->server->deflater, data, n, &content);
    buf_append(&out, header, ws_put_header(header, opcode, true, content.len));
    buf_append(&out, content.data, content.len);
    stream_write_copy(conn->stream, out.data, out.len);
    buf_deinit(&content);
    buf_deinit(&out);
}

void ws_conn_send(struct ws_conn *conn, enum ws_opcode opcode, const void *data, size_t n)
{
    struct buf out = {0};

    if (conn->ended) {
        return;
    }
    if (conn->deflated && (opcode == WS_TEXT || opcode == WS_BINARY)) {
        send_deflated(conn, opcode, data, n);
        return;
    }
    ws_put_frame(&out, opcode, data, n, NULL);
    stream_write_copy(conn->stream, out.data, out.len);
    buf_deinit(&out);
}

void ws_conn_write_framed(struct ws_conn *conn, const struct iovec *iov, unsigned n,
                          void (*release)(void *arg), void *arg)
{
    REQUIRE(n <= WS_CONN_IOV_MAX);
    if (!conn->ended) {
        stream_write(conn->stream, iov, n, release, arg);
    } else if (release != NULL) {
        release(arg);
    }
}

void ws_conn_close(struct ws_conn *conn, uint16_t code, const char *reason)
{
    uint8_t payload[2 + WS_REASON_MAX];

    if (conn->ended) {
        return;
    }
    ws_conn_send(conn, WS_CLOSE, payload, ws_close_payload(code, reason, payload));
    conn->ended = true;
    conn->close_until_ms = now_ms(conn) + conn->server->opts.limits.linger_ms;
}

void ws_conn_hold(struct ws_conn *conn)
{
    conn->held = true;
}

bool ws_conn_is_held(const struct ws_conn *conn)
{
    return conn->held;
}

void ws_conn_abort(struct ws_conn *conn)
{
    conn->ended = true;
    stream_abort(conn->stream, "ended");
}
