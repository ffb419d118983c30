/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners and the table of connections. It ends in two steps: drain lets running requests finish
 * and says goodbye to WebSockets, close breaks what is left.
 */
#include "node/http_server.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/http_server_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define LISTENERS_MAX        16
#define DESCRIPTORS_BESIDE   256 /* captures, the store, threads */
#define CERTIFICATE_EVERY_MS (3600u * 1000u)

static const struct http_limits default_limits = {
    .handshake_ms = 10000,
    .head_ms = 10000,
    .body_ms = 30000,
    .idle_ms = 60000,
    .stall_ms = 60000,
    .linger_ms = 2000,
    .ping_ms = 30000,
    .pong_ms = 20000,
    .sweep_ms = 1000,
    .max_connections = 4096,
    .max_unproven = 128,
    .max_queued = 16u * 1024u * 1024u,
    .high_mark = 1024u * 1024u,
};

static void settle(struct http_limits *limits, const struct node_options *options)
{
    const struct http_limits *d = &default_limits;

#define OR_DEFAULT(member) limits->member = limits->member != 0 ? limits->member : d->member
    if (limits->max_connections == 0) {
        limits->max_connections = options->max_connections;
    }
    if (limits->high_mark == 0) {
        limits->high_mark = options->viewer_queue_bytes;
    }
    OR_DEFAULT(handshake_ms);
    OR_DEFAULT(head_ms);
    OR_DEFAULT(body_ms);
    OR_DEFAULT(idle_ms);
    OR_DEFAULT(stall_ms);
    OR_DEFAULT(linger_ms);
    OR_DEFAULT(ping_ms);
    OR_DEFAULT(pong_ms);
    OR_DEFAULT(sweep_ms);
    OR_DEFAULT(max_connections);
    OR_DEFAULT(max_unproven);
    OR_DEFAULT(high_mark);
    if (limits->max_queued == 0) {
        limits->max_queued = d->max_queued + limits->high_mark;
    }
#undef OR_DEFAULT
}

/* ---- accepting ---- */

static const char needs_tls[] =
    "HTTP/1.1 400 Bad Request\r\n"
    "Connection: close\r\n"
    "Content-Type: application/problem+json\r\n"
    "Content-Length: 113\r\n\r\n"
    "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
    "\"detail\":\"this port speaks TLS: use https:// or wss://\"}";

/* Who is refused here learns why, where the kernel takes it at once. */
static void turn_away(struct http_server *server, int fd, enum rejected reason)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Connection: close\r\nRetry-After: 1\r\n"
                                 "Content-Type: application/problem+json\r\n"
                                 "Content-Length: 97\r\n\r\n"
                                 "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
                                 "\"status\":503,\"detail\":\"too many connections\"}";

    server->counters.rejected[reason]++;
    if (server->tls == NULL) {
        ssize_t ignored = send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)ignored;
    }
    close(fd);
}

static void on_accepted(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct http_server *server = listener->arg;

    server->counters.accepted++;
    bool full = server->streams.n >= server->opts.limits.max_connections;
    if (!unproven_add(server->unproven, peer)) {
        turn_away(server, fd, REJECTED_ADDRESS);
    } else if (full && !http_conn_give_way(server)) {
        unproven_remove(server->unproven, peer);
        turn_away(server, fd, REJECTED_CONNECTIONS);
    } else {
        http_conn_accept(server, fd, peer);
    }
}

/* ---- opening ---- */

static int load_tls(struct node *node, struct tls_context **out, uint64_t *expires_ns,
                    struct err *err)
{
    const struct node_options *options = node->options;

    *out = NULL;
    *expires_ns = UINT64_MAX;
    if ((options->tls_cert == NULL) != (options->tls_key == NULL)) {
        return err_set(err, ERR_USAGE, "--tls-cert and --tls-key go together: give both");
    }
    if (options->tls_cert == NULL) {
        return 0;
    }
    return tls_server_context_new(options->tls_cert, options->tls_key, out, expires_ns, err);
}

/* What listens beyond loopback needs TLS (or the user's word) and somebody to be let in. */
static int check_exposure(struct http_server *server, const char *text,
                          const struct sockaddr_storage *at, struct err *err)
{
    struct node *node = server->node;

    if (address_is_loopback(at)) {
        return 0;
    }
    if (server->tls == NULL && !node->options->insecure) {
        return err_set(err, ERR_USAGE,
                       "'%s' is beyond loopback and would send keys and packets in the clear: "
                       "give --tls-cert and --tls-key, or --insecure",
                       text);
    }
    if (!auth_has_keys(node->auth, clock_wall_ns())) {
        return err_set(err, ERR_USAGE,
                       "'%s' is beyond loopback and no API key exists: make one with "
                       "'packetrecorder keys add --role view'",
                       text);
    }
    return 0;
}

static int listen_at(struct http_server *server, const char *text, struct err *err)
{
    struct sockaddr_storage at[LISTENERS_MAX];
    int n = listener_resolve(text, at, LISTENERS_MAX, err);

    for (int i = 0; i < n; i++) {
        if (server->n_listeners == LISTENERS_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d addresses to listen on", LISTENERS_MAX);
        }
        int rc = check_exposure(server, text, &at[i], err);
        struct listener *listener = &server->listeners[server->n_listeners];
        if (rc == 0) {
            rc = listener_open(listener, server->node->loop, &at[i], "--http-addr", err);
        }
        if (rc < 0) {
            return rc;
        }
        listener->accepted = on_accepted;
        listener->arg = server;
        server->n_listeners++;
        server->n_listening++;
        log_info("http%s on %s", server->tls != NULL ? "s" : "", listener->text);
    }
    return n < 0 ? n : 0;
}

/* Said once for each of the three: a month, a day, over. */
static void warn_certificate(struct http_server *server)
{
    const uint64_t day_ns = 86400ULL * 1000000000ULL;
    const char *cert = server->node->options->tls_cert;
    uint64_t now_ns = clock_wall_ns();
    uint64_t left_ns = server->tls_expires_ns > now_ns ? server->tls_expires_ns - now_ns : 0;
    unsigned stage = left_ns == 0 ? 3 : left_ns < day_ns ? 2 : left_ns < 30 * day_ns ? 1 : 0;

    if (server->tls == NULL || stage <= server->tls_warned) {
        return;
    }
    server->tls_warned = stage;
    if (stage == 3) {
        log_warn("the certificate '%s' has expired: clients refuse it; put a new one there and "
                 "send SIGHUP",
                 cert);
    } else {
        log_warn("the certificate '%s' expires in %llu hours: put a new one there and send SIGHUP",
                 cert, (unsigned long long)(left_ns / (day_ns / 24)));
    }
}

static void on_certificate_timer(uv_timer_t *timer)
{
    warn_certificate(container_of(timer, struct http_server, timer));
}

/* As many descriptors as connections may need, where the hard limit allows it. */
static void raise_descriptors(size_t connections)
{
    struct rlimit limit;
    const rlim_t wanted = connections + DESCRIPTORS_BESIDE;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        log_warn("only %llu descriptors for --max-connections %zu: raise LimitNOFILE= or "
                 "'ulimit -Hn'",
                 (unsigned long long)limit.rlim_cur, connections);
    }
}

static void on_failed_closed(struct node *node)
{
    (void)node;
}

int http_server_open(struct node *node, const struct http_server_opts *opts, struct err *err)
{
    struct http_server *server = x_alloc(sizeof *server);

    server->node = node;
    server->opts = *opts;
    settle(&server->opts.limits, node->options);
    server->routes = (struct route_table){.groups = opts->groups, .n_groups = opts->n_groups};
    int rc = load_tls(node, &server->tls, &server->tls_expires_ns, err);
    if (rc < 0) {
        mem_free(server);
        return rc;
    }
    const struct http_limits *limits = &server->opts.limits;
    streams_open(&server->streams, node->loop,
                 &(struct streams_opts){.handshake_ms = limits->handshake_ms,
                                        .stall_ms = limits->stall_ms,
                                        .linger_ms = limits->linger_ms,
                                        .sweep_ms = limits->sweep_ms,
                                        .max_queued = limits->max_queued,
                                        .high_mark = limits->high_mark,
                                        .plain_answer = needs_tls});
    raise_descriptors(limits->max_connections);
    TAILQ_INIT(&server->idle);
    server->unproven = unproven_new(limits->max_unproven);
    server->listeners = x_alloc(LISTENERS_MAX * sizeof *server->listeners);
    uv_timer_init(node->loop, &server->timer);
    uv_timer_start(&server->timer, on_certificate_timer, CERTIFICATE_EVERY_MS,
                   CERTIFICATE_EVERY_MS);
    uv_unref((uv_handle_t *)&server->timer);
    node->http = server;
    for (size_t i = 0; rc == 0 && i < node->options->http_addrs.n; i++) {
        const char *text = node->options->http_addrs.items[i];
        rc = strcmp(text, "none") == 0 ? 0 : listen_at(server, text, err);
    }
    if (rc < 0) {
        node->http = NULL;
        http_server_close(server, on_failed_closed);
        return rc;
    }
    warn_certificate(server);
    return 0;
}

/* ---- ending ---- */

static void finish_drain(struct http_server *server)
{
    void (*drained)(struct node *) = server->drained;

    if (drained != NULL) {
        server->drained = NULL;
        uv_timer_stop(&server->timer);
        drained(server->node);
    }
}

static void after_last(struct http_server *server);

void http_server_forgot_one(struct http_server *server)
{
    if (server->streams.n > 0) {
        return;
    }
    if (server->draining && server->n_listening == 0) {
        finish_drain(server);
    }
    if (server->closed != NULL) {
        after_last(server);
    }
}

static void break_all(struct http_server *server)
{
    for (struct stream *s = LIST_FIRST(&server->streams.all); s != NULL; s = stream_next(s)) {
        stream_abort(s, "the node is ending");
    }
}

static void on_drain_deadline(uv_timer_t *timer)
{
    struct http_server *server = container_of(timer, struct http_server, timer);

    if (server->streams.n == 0) {
        finish_drain(server);
    } else {
        log_info("http: %zu connections did not end in time", server->streams.n);
        break_all(server);
    }
}

static void on_listener_closed(struct listener *listener)
{
    struct http_server *server = listener->arg;

    server->n_listening--;
    http_server_forgot_one(server);
}

static void stop_listening(struct http_server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++) {
        if (server->listeners[i].fd >= 0) {
            listener_close(&server->listeners[i], on_listener_closed);
        }
    }
}

/* Neither ends a connection from inside: that happens in close callbacks. */
static void say_goodbye(uv_timer_t *timer)
{
    struct http_server *server = container_of(timer, struct http_server, timer);
    uint64_t now_ms = uv_now(server->node->loop);

    uv_timer_start(timer, on_drain_deadline,
                   server->drain_until_ms > now_ms ? server->drain_until_ms - now_ms : 0, 0);
    for (struct ws_conn *ws = LIST_FIRST(&server->sockets); ws != NULL; ws = ws_conn_next(ws)) {
        if (!ws_conn_is_held(ws)) {
            ws_conn_close(ws, WS_CLOSE_GOING_AWAY, "the node is ending");
        }
    }
    for (struct http_conn *conn = LIST_FIRST(&server->conns); conn != NULL;
         conn = http_conn_next(conn)) {
        http_conn_drain(conn);
    }
}

void http_server_drain(struct http_server *server, uint64_t deadline_ns,
                       void (*done)(struct node *node))
{
    uint64_t now_ns = clock_monotonic_ns();

    server->draining = true;
    server->drained = done;
    stop_listening(server);
    uv_update_time(server->node->loop);
    server->drain_until_ms =
        uv_now(server->node->loop) + (deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 : 0);
    /* A turn later, so that whoever owns a WebSocket can have the last word. */
    uv_timer_start(&server->timer, say_goodbye, 0, 0);
    uv_ref((uv_handle_t *)&server->timer);
}

static void on_all_closed(struct http_server *server)
{
    struct node *node = server->node;
    void (*closed)(struct node *) = server->closed;

    tls_context_free(server->tls);
    unproven_free(server->unproven);
    ws_deflater_free(server->deflater);
    mem_free(server->listeners);
    if (node->http == server) { /* else it never opened, and another may have since */
        node->http = NULL;
    }
    mem_free(server);
    closed(node);
}

static void on_streams_closed(struct streams *streams)
{
    struct http_server *server = container_of(streams, struct http_server, streams);

    if (--server->n_closing == 0) {
        on_all_closed(server);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct http_server *server = container_of(handle, struct http_server, timer);

    if (--server->n_closing == 0) {
        on_all_closed(server);
    }
}

/* Connections and listeners are gone: what they shared goes. */
static void after_last(struct http_server *server)
{
    if (server->n_listening > 0 || server->streams.n > 0 || server->n_closing > 0) {
        return;
    }
    server->n_closing = 2;
    streams_close(&server->streams, on_streams_closed);
    uv_close((uv_handle_t *)&server->timer, on_timer_closed);
}

void http_server_close(struct http_server *server, void (*closed)(struct node *node))
{
    server->closed = closed;
    server->draining = true;
    stop_listening(server);
    break_all(server);
    after_last(server);
}

/* ---- the rest ---- */

int http_server_reload(struct http_server *server, struct err *err)
{
    struct tls_context *fresh;
    uint64_t expires_ns;
    int rc = load_tls(server->node, &fresh, &expires_ns, err);

    if (rc < 0) {
        return rc;
    }
    tls_context_free(server->tls);
    server->tls = fresh;
    server->tls_expires_ns = expires_ns;
    server->tls_warned = 0;
    warn_certificate(server);
    return 0;
}

uint64_t http_server_certificate_end(const struct http_server *server)
{
    return server->tls_expires_ns;
}

size_t http_server_listeners(const struct http_server *server)
{
    return server->n_listeners;
}

const char *http_server_address(const struct http_server *server, size_t i)
{
    return server->listeners[i].text;
}

uint16_t http_server_port(const struct http_server *server, size_t i)
{
    return listener_port(&server->listeners[i]);
}

size_t http_server_connections(const struct http_server *server)
{
    return server->streams.n;
}

const struct http_server_opts *http_server_opts(const struct http_server *server)
{
    return &server->opts;
}
