/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to other members of the swarm. They go to the port on which a member gossips, in a secure
 * channel of the kind CHANNEL_CLUSTER_CALLS: the cluster key opens it and both sides prove their
 * node keys, so nothing else has to be reachable. One connection a member, made when it is needed
 * and kept for a while; any number of calls on it. What is asked there is asked on behalf of
 * somebody, whose rights and name travel along (`forwarded`): the other node allows it no more than
 * it would allow him. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/rpc.h"

#define PEERS_CALLS_MAX   1024u /* under way to one member; more are answered "busy" */
#define PEERS_IDLE_MS     30000 /* an unused connection is kept as long */
#define PEERS_CONNECT_MS  3000  /* from the first packet to the proof of its key */
#define PEERS_DEADLINE_MS 30000 /* of a call whose caller did not say */

struct gossip_member;
struct peers;

/* Sets node->peers. */
int peers_open(struct node *node, struct err *err);
/* What is under way ends with RPC_CODE_ENDING. */
void peers_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
void peers_close(struct node *node, void (*closed)(struct node *node));

struct peers_call {
    uint64_t sid; /* the member; never the node itself */
    const char *method;
    struct rpc_span args; /* a msgpack map; bytes NULL = {} */
    unsigned rights;      /* of on whose behalf it is; api_right bits */
    const char *who;      /* he, as rpc_call_who() says */
    uint64_t deadline_ns; /* monotonic; UINT64_MAX: PEERS_DEADLINE_MS */
};

/* Its answer, borrowed for the call: a msgpack value, or error (never both). Codes beside those
 * that the member gives: "unreachable" (no connection, or it broke: whether the call was done is
 * not known), RPC_CODE_DEADLINE, RPC_CODE_BUSY, RPC_CODE_ENDING, "damaged" (it answers what is no
 * answer). error->node is the member's name. */
typedef void (*peers_cb)(void *arg, struct rpc_span result, const struct rpc_error *error);

/* answered(arg, …) comes once, later, on the loop, whatever happens. What the call borrows is
 * copied. Gives a number for peers_cancel, never 0. node->gossip must not be NULL. */
uint64_t peers_call(struct node *node, const struct peers_call *call, peers_cb answered, void *arg);
/* Nobody waits for it any more: answered is not called; the member is told. */
void peers_cancel(struct node *node, uint64_t number);

void peers_metrics(struct node *node, struct buf *out);
