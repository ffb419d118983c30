/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes of a swarm on one loop that answer calls: gossip (swarm_fixture), the RPC server, calls to
 * members, with handlers of the test (it has rpc_handler_groups). Node 0 listens on a UNIX socket,
 * for clients in the same thread.
 */
#pragma once

#include "node/peers.h"
#include "node/rpc.h"
#include "shared/wire/rpc.h"
#include "tests/glue/swarm_fixture.h"

struct calls {
    struct swarm swarm;
    char socket[96];
    bool runs[SWARM_NODES_MAX];
};

/* n nodes, all of which know each other. */
void calls_start(struct calls *calls, unsigned n);
/* Ends one as if it was killed: connections break. */
void calls_kill(struct calls *calls, unsigned i);
/* Ends all; fails when something is left. */
void calls_end(struct calls *calls);
struct node *calls_node(struct calls *calls, unsigned i);
uint64_t calls_sid(struct calls *calls, unsigned i);
/* A value of peers_metrics or rpc_server_metrics of node i. */
uint64_t calls_metric(struct calls *calls, unsigned i, const char *name);

/* ---- one call from node to node ---- */

struct asked {
    unsigned n; /* how often it was answered */
    bool failed;
    struct rpc_error error;
    struct buf result;
};
void asked_answer(void *arg, struct rpc_span result, const struct rpc_error *error);
/* Node `from` asks node `to`; gives the number of the call. deadline_ms 0: none. */
uint64_t asked_begin(struct calls *calls, struct asked *asked, unsigned from, unsigned to,
                     const char *method, uint64_t deadline_ms);
void asked_await(struct calls *calls, struct asked *asked);
void asked_free(struct asked *asked);

/* ---- a client of node 0 ---- */

struct caller {
    struct calls *calls;
    int fd;
    uint32_t id;
    struct buf in;
    /* The newest answer. */
    struct rpc_error error; /* code "": none */
    struct json_t *result;  /* of the last, owned; NULL: none, or not JSON's */
    size_t n_bytes;         /* of the last */
    bool eof;
};
void caller_open(struct caller *caller, struct calls *calls);
void caller_close(struct caller *caller);
/* options: as JSON, the keys node, nodes, select; NULL: none. */
void caller_begin(struct caller *caller, const char *method, const char *options,
                  uint64_t deadline_ms);
/* The answer of the last that was begun; false: the connection has ended. */
bool caller_await(struct caller *caller);
/* Both. */
void caller_ask(struct caller *caller, const char *method, const char *options,
                uint64_t deadline_ms);
/* Of the last answer {nodes: […]} that of this node: its result or error; NULL: none. */
const struct json_t *caller_part(const struct caller *caller, const char *node, const char *which);
