/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection that speaks HTTP/1.1: requests one after the other, also when they are sent
 * without waiting (pipelined). A request is checked when its head is there, so that nobody uploads
 * what will be refused, and handled when its content is complete. While a handler has it, what
 * comes is kept up to a bound and reading stops beyond it.
 */
#include <string.h>

#include "node/http_server_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define PENDING_MAX (64u * 1024u) /* beyond it reading pauses */
/* While more of the answers before waits, the next pipelined request does too: who asks without
 * reading costs this and one answer, not the queue of a viewer. */
#define ANSWERS_MAX (64u * 1024u)
/* So many idle ones are looked at for one that can give way. */
#define GIVE_WAY_LOOK 64u

enum phase {
    PHASE_HEAD, /* a head is on its way, or the connection is new */
    PHASE_IDLE, /* between requests */
    PHASE_BODY,
    PHASE_HANDLER,
};

struct http_conn {
    struct http_server *server;
    LIST_ENTRY(http_conn) link;
    TAILQ_ENTRY(http_conn) idle_link; /* while PHASE_IDLE */
    struct stream *stream;
    struct http_parser *parser;
    struct exchange *ex; /* from its head to its answer */
    struct ws_conn *upgraded;
    struct buf pending; /* came while an exchange was running */
    uint64_t deadline_ms;
    enum phase phase;
    bool is_unproven;  /* no request yet that was allowed */
    bool message_open; /* between a head and its end */
    bool parsing;      /* in parse(): it goes on by itself */
    bool peer_ended;
    bool paused;
};

static const struct stream_ops http_stream_ops;
static const struct exchange_link http_link;

static void enter(struct http_conn *conn, enum phase phase)
{
    const struct http_limits *limits = &conn->server->opts.limits;
    const uint32_t lengths[] = {
        [PHASE_HEAD] = limits->head_ms,
        [PHASE_IDLE] = limits->idle_ms,
        [PHASE_BODY] = limits->body_ms,
    };

    if (phase == PHASE_IDLE && conn->phase != PHASE_IDLE) {
        TAILQ_INSERT_TAIL(&conn->server->idle, conn, idle_link);
    } else if (phase != PHASE_IDLE && conn->phase == PHASE_IDLE) {
        TAILQ_REMOVE(&conn->server->idle, conn, idle_link);
    }
    conn->phase = phase;
    conn->deadline_ms =
        phase == PHASE_HANDLER ? UINT64_MAX : uv_now(conn->server->node->loop) + lengths[phase];
}

static void prove(struct http_conn *conn)
{
    if (conn->is_unproven) {
        conn->is_unproven = false;
        unproven_remove(conn->server->unproven, stream_peer_address(conn->stream));
    }
}

/* ---- the life of a connection ---- */

/* The exchange is over, whole or not. */
static void forget_exchange(struct http_conn *conn)
{
    struct exchange *ex = conn->ex;

    conn->ex = NULL;
    if (ex->status >= 100 && ex->status < 600) {
        conn->server->counters.statuses[ex->status / 100]++;
    }
    log_debug("http: %s %s %s: %u", ex->peer, ex->head.method,
              ex->target.path != NULL ? ex->target.path : "-", ex->status);
    exchange_unref(ex);
}

static void free_conn(struct http_conn *conn)
{
    prove(conn);
    if (conn->phase == PHASE_IDLE) {
        TAILQ_REMOVE(&conn->server->idle, conn, idle_link);
    }
    LIST_REMOVE(conn, link);
    http_parser_free(conn->parser);
    buf_deinit(&conn->pending);
    mem_free(conn);
}

static void on_closed(struct stream *stream, void *arg, const char *why)
{
    struct http_conn *conn = arg;
    struct http_server *server = conn->server;

    log_debug("http: %s is gone: %s", stream_peer(stream), why);
    if (conn->ex != NULL) {
        exchange_lost(conn->ex);
        forget_exchange(conn);
    }
    free_conn(conn);
    http_server_forgot_one(server);
}

/* Both ends are this host: what "everybody on loopback" may do applies. */
void http_conn_accept(struct http_server *server, int fd, const struct sockaddr_storage *peer)
{
    struct http_conn *conn = x_alloc(sizeof *conn);

    conn->server = server;
    conn->is_unproven = true;
    LIST_INSERT_HEAD(&server->conns, conn, link);
    conn->stream = stream_accept(&server->streams, fd, server->tls, peer, &http_stream_ops, conn);
    if (conn->stream == NULL) {
        conn->is_unproven = false;
        unproven_remove(server->unproven, peer);
        free_conn(conn);
        return;
    }
    conn->parser = http_parser_new(HTTP_REQUESTS);
    enter(conn, PHASE_HEAD);
}

struct http_conn *http_conn_next(const struct http_conn *conn)
{
    return LIST_NEXT(conn, link);
}

void http_conn_drain(struct http_conn *conn)
{
    if (conn->ex == NULL) {
        stream_finish(conn->stream);
    } else {
        conn->ex->keep_alive = false; /* and where nothing is said yet, it is said */
    }
}

bool http_conn_give_way(struct http_server *server)
{
    struct http_conn *conn;
    unsigned looked_at = 0;

    /* One that ends already makes room by itself, one whose answer is on its way is not idle. */
    TAILQ_FOREACH (conn, &server->idle, idle_link) {
        if (!stream_is_ending(conn->stream) && stream_queued(conn->stream) == 0) {
            server->counters.rejected[REJECTED_IDLE]++;
            stream_abort(conn->stream, "others need the connection");
            return true;
        }
        if (++looked_at == GIVE_WAY_LOOK) {
            break;
        }
    }
    return false;
}

/* ---- requests ---- */

static bool is_busy(const struct http_conn *conn)
{
    return conn->ex != NULL && !conn->message_open;
}

static void on_head(struct http_conn *conn, const struct http_head *head)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_server *server = conn->server;

    server->counters.requests++;
    conn->message_open = true;
    conn->ex = exchange_new(server->node, head, stream_peer(conn->stream), &http_link, conn);
    conn->ex->keep_alive = conn->ex->keep_alive && !server->draining;
    enter(conn, head->has_body ? PHASE_BODY : PHASE_HANDLER);
    if (request_check(server, conn->ex, conn->stream) < 0) {
        return;
    }
    if (head->has_body && !head->is_http10 && http_header_has(head, "expect", "100-continue")) {
        stream_write_copy(conn->stream, go_on, sizeof go_on - 1);
    }
}

static void on_body(struct http_conn *conn, const struct http_piece *piece)
{
    struct exchange *ex = conn->ex;

    if (ex == NULL) {
        return; /* refused already; the connection is ending */
    }
    if (piece->n > ex->match.route->max_body - ex->body.len) {
        conn->server->counters.rejected[REJECTED_TOO_LARGE]++;
        ex->keep_alive = false;
        exchange_problem(ex, 413, "the content is larger than %zu bytes",
                         ex->match.route->max_body);
        return;
    }
    buf_append(&ex->body, piece->data, piece->n);
}

static void on_message_end(struct http_conn *conn)
{
    conn->message_open = false;
    if (conn->ex != NULL) {
        prove(conn);                                  /* what is refused does not come here */
        struct exchange *ex = exchange_ref(conn->ex); /* it may be answered in there */
        enter(conn, PHASE_HANDLER);
        ex->match.route->handle(ex, conn->server->node);
        exchange_unref(ex);
    }
}

/* Bytes that are no request: said once, then the connection ends. */
static void on_bad_request(struct http_conn *conn, const struct err *err)
{
    static const struct http_head nothing = {.method = "GET", .target = "/"};
    bool too_large = err->code == ERR_LIMIT;
    enum rejected reason = too_large ? REJECTED_TOO_LARGE : REJECTED_MALFORMED;

    conn->server->counters.rejected[reason]++;
    if (conn->ex == NULL && !conn->message_open) {
        conn->ex =
            exchange_new(conn->server->node, &nothing, stream_peer(conn->stream), &http_link, conn);
    }
    if (conn->ex == NULL) {
        stream_abort(conn->stream, "broken content");
        return;
    }
    conn->ex->keep_alive = false;
    exchange_problem(conn->ex, too_large ? 431 : 400, "%s", err->text);
}

/* Works on what is there until a handler keeps a request or the connection ends or changes hands.
 */
static void parse(struct http_conn *conn, struct bytes_reader *in)
{
    struct http_piece piece;
    struct err err = {0};

    conn->parsing = true;
    while (conn->upgraded == NULL && !stream_is_ending(conn->stream) && !is_busy(conn) &&
           stream_queued(conn->stream) <= ANSWERS_MAX) {
        if (conn->phase == PHASE_IDLE && bytes_left(in) > 0) {
            enter(conn, PHASE_HEAD);
        }
        int event = http_parser_next(conn->parser, in, &piece, &err);
        if (event == HTTP_MORE) {
            break;
        }
        if (event == HTTP_HEAD) {
            on_head(conn, piece.head);
        } else if (event == HTTP_BODY) {
            on_body(conn, &piece);
        } else if (event == HTTP_END) {
            on_message_end(conn);
        } else {
            on_bad_request(conn, &err);
            break;
        }
    }
    conn->parsing = false;
}

/* The connection is a WebSocket now; what is left in `in` belongs to it. */
static void hand_over(struct http_conn *conn, const uint8_t *data, size_t n)
{
    ws_conn_push_early(conn->upgraded, data, n);
    free_conn(conn);
}

static void keep_pending(struct http_conn *conn, const uint8_t *data, size_t n)
{
    buf_append(&conn->pending, data, n);
    if (conn->pending.len >= PENDING_MAX) {
        conn->paused = true;
        stream_pause(conn->stream);
    }
}

static void on_data(struct stream *stream, void *arg, const uint8_t *data, size_t n)
{
    struct http_conn *conn = arg;
    struct bytes_reader in = bytes_reader(data, n);

    (void)stream;
    if (conn->pending.len > 0 || is_busy(conn)) {
        keep_pending(conn, data, n);
        return;
    }
    parse(conn, &in);
    if (conn->upgraded != NULL) {
        hand_over(conn, in.p, bytes_left(&in));
    } else if (bytes_left(&in) > 0 && !stream_is_ending(conn->stream)) {
        keep_pending(conn, in.p, bytes_left(&in));
    }
}

/* An exchange is over or there is room again: on with what was kept. */
static void on_woken(struct stream *stream, void *arg)
{
    struct http_conn *conn = arg;
    struct bytes_reader in = bytes_reader(conn->pending.data, conn->pending.len);

    if (is_busy(conn) || stream_is_ending(stream)) {
        return;
    }
    parse(conn, &in);
    if (conn->upgraded != NULL) {
        hand_over(conn, in.p, bytes_left(&in));
        return;
    }
    buf_consume(&conn->pending, conn->pending.len - bytes_left(&in));
    if (conn->pending.len == 0) {
        buf_deinit(&conn->pending);
    }
    if (conn->pending.len < PENDING_MAX && conn->paused) {
        conn->paused = false;
        stream_resume(stream);
    }
    if (conn->peer_ended && conn->ex == NULL && conn->pending.len == 0) {
        stream_finish(stream);
    }
}

static void on_peer_end(struct stream *stream, void *arg)
{
    struct http_conn *conn = arg;

    /* Who asks and then closes its sending side still gets the answers. */
    conn->peer_ended = true;
    if (!is_busy(conn) && conn->pending.len == 0) {
        stream_finish(stream);
    }
}

static void on_drained(struct stream *stream, void *arg)
{
    struct http_conn *conn = arg;

    if (conn->ex != NULL) {
        exchange_drained(conn->ex);
    } else if (conn->pending.len > 0) {
        stream_wake(stream);
    }
}

/* An answer that flows on (events, a large session) ends with the key that asked for it, as a
 * WebSocket does. */
static bool may_go_on(const struct http_conn *conn)
{
    const struct exchange *ex = conn->ex;
    struct auth *auth = conn->server->node->auth;
    uint64_t now_ns = clock_wall_ns();

    if (ex == NULL || !ex->is_streaming || ex->grant.rights == RIGHT_NONE) {
        return true;
    }
    if (ex->grant.key_id[0] == '\0') {
        return !auth_has_keys(auth, now_ns);
    }
    return now_ns < ex->grant.expires_ns && auth_key_is_good(auth, ex->grant.key_id, now_ns);
}

static void on_tick(struct stream *stream, void *arg, uint64_t now_ms)
{
    struct http_conn *conn = arg;

    if (!may_go_on(conn)) {
        stream_abort(stream, "the API key was revoked or has expired");
        return;
    }
    if (!stream_is_ready(stream) || now_ms < conn->deadline_ms || stream_queued(stream) > 0) {
        return;
    }
    if (conn->phase == PHASE_IDLE) {
        stream_finish(stream);
        return;
    }
    conn->server->counters.rejected[REJECTED_SLOW]++;
    if (conn->ex != NULL) {
        conn->ex->keep_alive = false;
        exchange_problem(conn->ex, 408, "the content did not come in time");
    } else {
        stream_abort(stream, "no request in time");
    }
}

static void on_ready(struct stream *stream, void *arg)
{
    (void)stream;
    enter(arg, PHASE_HEAD);
}

static const struct stream_ops http_stream_ops = {
    .ready = on_ready,
    .data = on_data,
    .ended = on_peer_end,
    .drained = on_drained,
    .woken = on_woken,
    .tick = on_tick,
    .closed = on_closed,
};

/* ---- what exchanges ask for ---- */

static bool link_send(void *arg, struct buf *bytes)
{
    struct http_conn *conn = arg;

    stream_write_copy(conn->stream, bytes->data, bytes->len);
    return stream_has_room(conn->stream);
}

static void link_finished(void *arg, bool keep_alive)
{
    struct http_conn *conn = arg;

    forget_exchange(conn);
    /* An answer before the end of its content: what still comes is not worth reading. */
    if (!keep_alive || conn->phase == PHASE_BODY) {
        stream_finish(conn->stream);
        return;
    }
    enter(conn, PHASE_IDLE);
    if (!conn->parsing && (conn->pending.len > 0 || conn->peer_ended)) {
        stream_wake(conn->stream);
    }
}

static void link_broken(void *arg)
{
    struct http_conn *conn = arg;

    stream_abort(conn->stream, "the answer was cut short");
}

static struct ws_conn *link_upgrade(void *arg, struct exchange *ex, struct buf *head,
                                    const struct ws_conn_opts *opts)
{
    struct http_conn *conn = arg;
    struct http_server *server = conn->server;

    stream_write_copy(conn->stream, head->data, head->len);
    conn->upgraded = ws_conn_open(server, conn->stream, ex, opts);
    struct ws_conn *upgraded = conn->upgraded;
    forget_exchange(conn);
    if (!conn->parsing) {
        hand_over(conn, conn->pending.data, conn->pending.len);
    }
    return upgraded;
}

static const struct exchange_link http_link = {
    .send = link_send,
    .finished = link_finished,
    .broken = link_broken,
    .upgrade = link_upgrade,
};
