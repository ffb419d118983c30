/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the HTTP server share: http_server_uv (listeners, the table of connections),
 * http_conn_uv (one connection that speaks HTTP), request_check (may this request be handled?) and
 * ws_conn_uv (one that was upgraded).
 */
#pragma once

#include "node/exchange_internal.h"
#include "node/http_server.h"
#include "node/listener_uv.h"
#include "node/stream_uv.h"
#include "node/unproven.h"
#include "node/ws_conn.h"

/* Why a connection or request was refused; a label in /metrics. */
enum rejected {
    REJECTED_CONNECTIONS, /* --max-connections */
    REJECTED_ADDRESS,     /* too many of one address without a request */
    REJECTED_SLOW,        /* head or content did not come in time */
    REJECTED_MALFORMED,   /* not HTTP */
    REJECTED_TOO_LARGE,   /* head or content */
    REJECTED_HOST,        /* Host or Origin */
    REJECTED_KEY,         /* 401 */
    REJECTED_RIGHT,       /* 403 */
    REJECTED_SILENT,      /* a WebSocket that does not answer pings */
    REJECTED_STALLED,     /* takes nothing (counted by the streams) */
    REJECTED_OVERFULL,    /* too much waits for it (counted by the streams) */
    REJECTED_DESCRIPTORS, /* none was free (counted by the listeners) */
    REJECTED_IDLE,        /* between requests, when --max-connections were in use */
    N_REJECTED,
};

struct http_conn;

struct http_counters {
    uint64_t accepted;
    uint64_t requests;
    uint64_t upgrades;
    uint64_t rejected[N_REJECTED];
    uint64_t statuses[6]; /* of answers, by hundreds */
};

struct http_server {
    struct node *node;
    struct http_server_opts opts;
    struct route_table routes;
    struct streams streams;
    struct listener *listeners;
    size_t n_listeners;
    size_t n_listening;
    struct tls_context *tls; /* NULL = plain */
    uint64_t tls_expires_ns;
    unsigned tls_warned;          /* how often it was told that it ends */
    LIST_HEAD(, http_conn) conns; /* that speak HTTP */
    TAILQ_HEAD(, http_conn) idle; /* those between requests, the longest first */
    LIST_HEAD(, ws_conn) sockets; /* that were upgraded */
    size_t n_sockets;
    struct ws_deflater *deflater; /* of all of them, a quarter of a MiB; made for the first */
    struct unproven *unproven;
    struct http_counters counters;
    bool draining;
    uint64_t drain_until_ms;
    uv_timer_t timer;   /* looks at the certificate; the deadline when draining */
    unsigned n_closing; /* what http_server_close waits for */
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
};

/* http_conn_uv.c */
void http_conn_accept(struct http_server *server, int fd, const struct sockaddr_storage *peer);
/* Ends it when nothing runs, after the answer otherwise. */
void http_conn_drain(struct http_conn *conn);
struct http_conn *http_conn_next(const struct http_conn *conn);
/* Breaks the one that is between requests for longest. False: there is none. */
bool http_conn_give_way(struct http_server *server);

/* ws_conn_uv.c: takes the stream over; early (copied): what came behind the request. */
struct ws_conn *ws_conn_open(struct http_server *server, struct stream *stream,
                             const struct exchange *ex, const struct ws_conn_opts *opts);
void ws_conn_push_early(struct ws_conn *conn, const uint8_t *data, size_t n);
struct ws_conn *ws_conn_next(const struct ws_conn *conn);
bool ws_conn_is_held(const struct ws_conn *conn);

/* http_server_uv.c: a connection is gone. */
void http_server_forgot_one(struct http_server *server);

/* request_check.c: 0, or an answer was given (the exchange is over). */
int request_check(struct http_server *server, struct exchange *ex, const struct stream *stream);
