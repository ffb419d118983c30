/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners and the table of connections. It ends in two steps: drain lets calls finish, close
 * breaks what is left.
 */
#include "node/rpc_server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/early_bind_posix.h"
#include "node/rpc_internal_uv.h"
#include "node/rpc_unix_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

static const struct streams_opts streams_opts = {
    .handshake_ms = 5000,
    .stall_ms = 30000,
    .linger_ms = 500,
    .sweep_ms = 1000,
    .max_queued = RPC_QUEUE_MAX,
    .high_mark = 1024u * 1024u,
};

/* ---- accepting ---- */

static void on_local(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct rpc_server *server = listener->arg;

    server->counters.accepted_unix++;
    if (server->streams.n >= RPC_CONNECTIONS_MAX) {
        server->counters.rejected[RPC_REJECTED_CONNECTIONS]++;
        close(fd);
        return;
    }
    rpc_conn_accept_local(server, fd, peer);
}

static void on_accepted(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct rpc_server *server = listener->arg;

    server->counters.accepted_tcp++;
    if (server->streams.n >= RPC_CONNECTIONS_MAX) {
        server->counters.rejected[RPC_REJECTED_CONNECTIONS]++;
        rpc_door_turn_away(fd);
        return;
    }
    rpc_door_knock(server->door, fd, peer, NULL);
}

void rpc_server_adopt(struct node *node, int fd, const struct sockaddr_storage *peer,
                      const struct buf *head)
{
    struct rpc_server *server = node->rpc;

    if (server == NULL || server->draining || server->streams.n >= RPC_CONNECTIONS_MAX) {
        if (server != NULL) {
            server->counters.rejected[RPC_REJECTED_CONNECTIONS]++;
        }
        rpc_door_turn_away(fd);
        return;
    }
    server->counters.accepted_nodes++;
    rpc_door_knock(server->door, fd, peer, head);
}

/* ---- deadlines ---- */

static void on_deadline(uv_timer_t *timer)
{
    struct rpc_server *server = container_of(timer, struct rpc_server, deadline);
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t next_ns = UINT64_MAX;
    struct rpc_conn *conn;

    server->deadline_ns = UINT64_MAX;
    LIST_FOREACH (conn, &server->conns, link) {
        uint64_t of_conn_ns = rpc_calls_expire(conn, now_ns);
        next_ns = of_conn_ns < next_ns ? of_conn_ns : next_ns;
    }
    rpc_server_watch_deadline(server, next_ns);
}

void rpc_server_watch_deadline(struct rpc_server *server, uint64_t deadline_ns)
{
    if (deadline_ns >= server->deadline_ns) {
        return;
    }
    uint64_t now_ns = clock_monotonic_ns();
    server->deadline_ns = deadline_ns;
    uv_update_time(server->node->loop);
    uv_timer_start(&server->deadline, on_deadline,
                   deadline_ns > now_ns ? (deadline_ns - now_ns + 999999) / 1000000 : 0, 0);
}

/* ---- opening ---- */

static bool is_none(const char *text)
{
    return text != NULL && strcmp(text, RPC_NONE) == 0;
}

/* Where it was not asked for by name a node goes on without. */
static int tolerate(bool is_default, int rc, const struct err *err, const char *option)
{
    if (rc < 0 && is_default) {
        log_warn("rpc: %s; going on without, '--%s' gives another place", err->text, option);
        return 0;
    }
    return rc;
}

static bool is_nowhere(const struct node_options *options)
{
    return options->rpc_addrs.n == 1 && is_none(options->rpc_addrs.items[0]);
}

int rpc_server_bind(const struct node_options *options, struct err *err)
{
    bool is_default = options->rpc_socket == NULL;
    const char *path = is_default ? RPC_DEFAULT_SOCKET : options->rpc_socket;
    int rc = is_nowhere(options) ? 0 : early_bind(&options->rpc_addrs, "rpc-addr", err);

    if (rc < 0 || is_none(options->rpc_socket)) {
        return rc;
    }
    rc = rpc_unix_bind(path, is_default, options->user, err);
    return tolerate(is_default, rc, err, "rpc-socket");
}

static int open_local(struct rpc_server *server, struct err *err)
{
    const struct node_options *options = server->node->options;
    int fd;

    if (!rpc_unix_take(&fd, &server->socket_lock)) {
        return 0;
    }
    const char *path = options->rpc_socket == NULL ? RPC_DEFAULT_SOCKET : options->rpc_socket;
    server->socket_path = x_strdup(path);
    int rc = listener_open_socket(&server->local, server->node->loop, fd, path, err);
    if (rc < 0) {
        return rc;
    }
    server->local.accepted = on_local;
    server->local.arg = server;
    server->has_local = true;
    server->n_listening++;
    log_info("rpc on %s", path);
    return 0;
}

static void close_server(struct rpc_server *server, void (*closed)(struct node *node));
static void after_last(struct rpc_server *server);

static void on_failed_closed(struct node *node)
{
    (void)node;
}

static int listen_at(struct rpc_server *server, const char *text, struct err *err)
{
    struct sockaddr_storage at[RPC_LISTENERS_MAX];
    int n = listener_resolve(text, at, RPC_LISTENERS_MAX, err);

    for (int i = 0; i < n; i++) {
        if (server->n_listeners == RPC_LISTENERS_MAX) {
            return err_set(err, ERR_LIMIT, "more than %d addresses to listen on",
                           RPC_LISTENERS_MAX);
        }
        struct listener *listener = &server->listeners[server->n_listeners];
        int rc = listener_open(listener, server->node->loop, &at[i], "--rpc-addr", err);
        if (rc < 0) {
            return rc;
        }
        listener->accepted = on_accepted;
        listener->arg = server;
        server->n_listeners++;
        server->n_listening++;
        log_info("rpc on %s", listener->text);
    }
    return n < 0 ? n : 0;
}

static int open_tcp(struct rpc_server *server, struct err *err)
{
    const struct node_options *options = server->node->options;
    int rc = 0;

    if (options->rpc_addrs.n == 0) {
        rc = listen_at(server, RPC_DEFAULT_ADDR, err);
        return tolerate(true, rc, err, "rpc-addr");
    }
    for (size_t i = 0; rc == 0 && i < options->rpc_addrs.n && !is_nowhere(options); i++) {
        rc = listen_at(server, options->rpc_addrs.items[i], err);
    }
    return rc;
}

int rpc_server_open(struct node *node, struct err *err)
{
    struct rpc_server *server = x_alloc(sizeof *server);

    server->node = node;
    server->socket_lock = -1;
    server->deadline_ns = UINT64_MAX;
    streams_open(&server->streams, node->loop, &streams_opts);
    uv_timer_init(node->loop, &server->deadline);
    uv_timer_init(node->loop, &server->drain_deadline);
    uv_unref((uv_handle_t *)&server->deadline);
    uv_unref((uv_handle_t *)&server->drain_deadline);
    node->rpc = server;
    server->door = rpc_door_open(node->loop, rpc_conn_enter, server);
    server->audit = rpc_audit_open(node);
    int rc = open_local(server, err);
    if (rc == 0) {
        rc = open_tcp(server, err);
    }
    if (rc < 0) {
        node->rpc = NULL;
        close_server(server, on_failed_closed);
    }
    return rc;
}

/* ---- ending ---- */

static void on_listener_closed(struct listener *listener)
{
    struct rpc_server *server = listener->arg;

    server->n_listening--;
    after_last(server);
}

static void stop_listening(struct rpc_server *server)
{
    if (server->has_local && server->local.fd >= 0) {
        /* First the file, so that who comes now finds nobody in place of a refusal. */
        rpc_unix_remove(server->socket_path, server->socket_lock);
        listener_close(&server->local, on_listener_closed);
    }
    for (size_t i = 0; i < server->n_listeners; i++) {
        if (server->listeners[i].fd >= 0) {
            listener_close(&server->listeners[i], on_listener_closed);
        }
    }
}

static void finish_drain(struct rpc_server *server)
{
    void (*drained)(struct node *) = server->drained;

    if (drained != NULL) {
        server->drained = NULL;
        drained(server->node);
    }
}

static void break_all(struct rpc_server *server)
{
    struct rpc_conn *conn;

    LIST_FOREACH (conn, &server->conns, link) {
        stream_abort(conn->stream, "the node ends");
    }
}

static void on_drain_deadline(uv_timer_t *timer)
{
    struct rpc_server *server = container_of(timer, struct rpc_server, drain_deadline);

    break_all(server);
}

void rpc_server_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    struct rpc_server *server = node->rpc;
    uint64_t now_ns = clock_monotonic_ns();
    struct rpc_conn *conn;

    server->draining = true;
    server->drained = done;
    stop_listening(server);
    uv_update_time(node->loop);
    uv_timer_start(&server->drain_deadline, on_drain_deadline,
                   deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 : 0, 0);
    LIST_FOREACH (conn, &server->conns, link) {
        rpc_conn_drain(conn);
    }
    if (server->streams.n == 0) {
        finish_drain(server);
    }
}

void rpc_server_forgot_one(struct rpc_server *server)
{
    if (server->streams.n > 0) {
        return;
    }
    finish_drain(server);
    after_last(server);
}

static void on_all_closed(struct rpc_server *server)
{
    struct node *node = server->node;
    void (*closed)(struct node *) = server->closed;

    buf_deinit(&server->sealed);
    mem_free(server->socket_path);
    if (node->rpc == server) {
        node->rpc = NULL;
    }
    mem_free(server);
    closed(node);
}

static void on_streams_closed(struct streams *streams)
{
    struct rpc_server *server = container_of(streams, struct rpc_server, streams);

    if (--server->n_closing == 0) {
        on_all_closed(server);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct rpc_server *server = handle->data;

    if (--server->n_closing == 0) {
        on_all_closed(server);
    }
}

static void on_part_closed(void *arg)
{
    struct rpc_server *server = arg;

    if (--server->n_closing == 0) {
        on_all_closed(server);
    }
}

/* Connections and listeners are gone: what they shared goes. */
static void after_last(struct rpc_server *server)
{
    if (server->closed == NULL || server->n_listening > 0 || server->streams.n > 0 ||
        server->n_closing > 0) {
        return;
    }
    server->n_closing = 5;
    rpc_door_close(server->door, on_part_closed);
    rpc_audit_close(server->audit, on_part_closed, server);
    server->audit = NULL;
    streams_close(&server->streams, on_streams_closed);
    server->deadline.data = server->drain_deadline.data = server;
    uv_close((uv_handle_t *)&server->deadline, on_timer_closed);
    uv_close((uv_handle_t *)&server->drain_deadline, on_timer_closed);
}

static void close_server(struct rpc_server *server, void (*closed)(struct node *node))
{
    server->closed = closed;
    server->draining = true;
    stop_listening(server);
    break_all(server);
    after_last(server);
}

void rpc_server_close(struct node *node, void (*closed)(struct node *node))
{
    close_server(node->rpc, closed);
}

/* ---- the rest ---- */

size_t rpc_server_listeners(const struct rpc_server *server)
{
    return server->n_listeners;
}

const char *rpc_server_address(const struct rpc_server *server, size_t i)
{
    return server->listeners[i].text;
}

uint16_t rpc_server_port(const struct rpc_server *server, size_t i)
{
    return listener_port(&server->listeners[i]);
}

const char *rpc_server_socket(const struct rpc_server *server)
{
    return server->has_local ? server->socket_path : NULL;
}
