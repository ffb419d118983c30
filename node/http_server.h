/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP side of a node: listeners, the table of connections, limits and deadlines. It brings
 * requests to the handlers of the route table and knows nothing of what they do. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "node/route.h"
#include "shared/base/buf.h"

/* Deadlines and bounds of connections. Zero members mean the default. */
struct http_limits {
    uint32_t handshake_ms;  /* TLS, 10 s */
    uint32_t head_ms;       /* from the first byte (or the accept) to the head's end, 10 s */
    uint32_t body_ms;       /* the whole content, 30 s */
    uint32_t idle_ms;       /* between requests, 60 s */
    uint32_t stall_ms;      /* the peer takes nothing although something waits, 30 s */
    uint32_t linger_ms;     /* from our last byte to the peer's end, 2 s */
    uint32_t ping_ms;       /* a silent WebSocket is pinged, 30 s */
    uint32_t pong_ms;       /* and ended when it stays silent, 20 s */
    uint32_t sweep_ms;      /* how often all this is looked at, 1 s */
    size_t max_connections; /* --max-connections */
    size_t max_unproven;    /* of one address without a whole request yet, 128 */
    size_t max_queued;      /* bytes that wait for one peer; more ends it, 16 MiB */
    size_t high_mark;       /* --viewer-queue */
};

struct http_server_opts {
    const struct route_group *const *groups; /* route_groups */
    size_t n_groups;
    struct http_limits limits;
};

/* Listens on all of options->http_addrs (with TLS when there is a certificate) and sets node->http.
 * Needs node->auth and node->work. */
int http_server_open(struct node *node, const struct http_server_opts *opts, struct err *err);

/* No new connections; WebSockets get a close frame 1001, running requests are finished. done once
 * when all are gone, or at the monotonic deadline, when what is left has been broken. */
void http_server_drain(struct http_server *server, uint64_t deadline_ns,
                       void (*done)(struct node *node));
/* Breaks what is left and closes everything; node->http is NULL when closed is called. */
void http_server_close(struct http_server *server, void (*closed)(struct node *node));

/* Reads certificate and key again (SIGHUP): for new connections; running ones stay. On failure the
 * old ones stay in force. */
int http_server_reload(struct http_server *server, struct err *err);
/* When the certificate ends (wall time); UINT64_MAX without TLS. For /health and the log. */
uint64_t http_server_certificate_end(const struct http_server *server);

size_t http_server_listeners(const struct http_server *server);
/* "127.0.0.1:8080", "[::1]:8080"; port 0 in the options is the real one here. Borrowed. */
const char *http_server_address(const struct http_server *server, size_t i);
uint16_t http_server_port(const struct http_server *server, size_t i);
size_t http_server_connections(const struct http_server *server);
const struct http_server_opts *http_server_opts(const struct http_server *server);

/* Families of this module for /metrics. */
void http_server_metrics(struct node *node, struct buf *out);
