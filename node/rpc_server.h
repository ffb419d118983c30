/* SPDX-License-Identifier: Apache-2.0
 *
 * The RPC server of a node: msgpack-RPC on a UNIX socket (plain; who may open it is told by file
 * mode and peer credentials) and on TCP (inside the secure channel, with an API key). A part of the
 * node; handlers are in the groups of node/rpc_groups.c and know nothing of connections
 * (node/rpc.h).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/wire/rpc_endpoint.h"

#define RPC_DEFAULT_ADDR "127.0.0.1:50051"
#define RPC_NONE         "none" /* --rpc-addr none, --rpc-socket none */

#define RPC_CONNECTIONS_MAX 2048 /* at a time */
#define RPC_CALLS_MAX       4096 /* in flight, of all; more are answered "busy" */
#define RPC_CONN_CALLS_MAX  1024 /* in flight, of one connection; it is not read beyond */
#define RPC_QUEUE_MAX       (36u * 1024u * 1024u) /* unsent answers of one; more ends it */

/* Calls whose answer may have megabytes: what does not fit is not begun, and not read beyond. */
#define RPC_LARGE_ANSWER   (4u * 1024u * 1024u)
#define RPC_CONN_LARGE_MAX 8                      /* in flight, of one connection */
#define RPC_UNSENT_MAX     (256u * 1024u * 1024u) /* unsent of all, those in flight counted whole */

struct own_endpoint;
struct rpc_server;
struct sockaddr_storage;

/* While the process still has its rights: makes the UNIX socket, binds ports that need one. */
int rpc_server_bind(const struct node_options *options, struct err *err);
/* Sets node->rpc. What was not asked for by name and cannot be opened (the default socket, the
 * default port) is left out with a word in the log. */
int rpc_server_open(struct node *node, struct err *err);
void rpc_server_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
void rpc_server_close(struct node *node, void (*closed)(struct node *node));

/* A connection for calls that came in at the swarm's port: fd is moved, head is what was read of
 * it.
 */
void rpc_server_adopt(struct node *node, int fd, const struct sockaddr_storage *peer,
                      const struct buf *head);

/* Where it listens on TCP. */
size_t rpc_server_listeners(const struct rpc_server *server);
const char *rpc_server_address(const struct rpc_server *server, size_t i); /* "127.0.0.1:50051" */
uint16_t rpc_server_port(const struct rpc_server *server, size_t i);
/* NULL: there is none. */
const char *rpc_server_socket(const struct rpc_server *server);

void rpc_server_metrics(struct node *node, struct buf *out);
