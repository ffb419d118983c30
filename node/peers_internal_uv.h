/* SPDX-License-Identifier: Apache-2.0
 *
 * What peers_uv.c (calls) and peers_link_uv.c (the connection to one member) share.
 */
#pragma once

#include <sys/queue.h>

#include <uv.h>

#include "node/dial_uv.h"
#include "node/peers.h"
#include "node/stream_uv.h"
#include "shared/swarm/swim_meta.h"
#include "shared/wire/channel.h"

/* Calls that wait for the connection, and what may be on its way out besides. */
#define PEERS_UNSENT_MAX (4u * 1024u * 1024u)

struct peer_call {
    TAILQ_ENTRY(peer_call) link;
    uint64_t number;
    uint32_t id;
    uint64_t deadline_ns;
    const char *refused; /* a code: it was never sent, and is told so in the next turn */
    const char *why;
    peers_cb answered;
    void *arg;
};

struct peer {
    LIST_ENTRY(peer) link;
    struct peers *peers;
    uint64_t sid;
    char name[SWIM_META_NAME_MAX + 1];
    TAILQ_HEAD(peer_calls, peer_call) calls;
    size_t n_calls;
    uint32_t last_id;
    uint64_t used_ms;
    uint64_t connect_by_ns; /* UINT64_MAX: it is not connecting */
    uv_timer_t timer;       /* the earliest of all that is due */
    struct dial dial;       /* until it is connected, and put away */
    bool is_dialing;
    struct stream *stream;
    struct channel *channel;
    struct buf unsent; /* plain, until the channel is open */
    struct buf in;     /* of the answer that is not whole yet */
    struct rpc_scan scan;
    char said[256]; /* why the member ends it, as it says */
    bool is_open;
    bool is_closing;
    unsigned n_handles;
};

struct peers {
    struct node *node;
    struct streams streams;
    LIST_HEAD(, peer) all;
    struct buf sealed;
    uint64_t last_number;
    uint64_t called;
    uint64_t answered;
    uint64_t failed;
    uint64_t broken;
    bool is_draining;
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
};

/* peers_uv.c */
void peer_fail_all(struct peer *peer, const char *code, const char *message);
void peer_answer(struct peer *peer, const struct rpc_message *message);
/* Its timer, for what is due first. */
void peer_arm(struct peer *peer);
void peers_forgot_one(struct peers *peers);

/* peers_link_uv.c */
/* Begins to, unless it is or does. */
void peer_connect(struct peer *peer);
/* Now, or when it is connected; the bytes are released. */
void peer_send(struct peer *peer, struct buf *message);
void peer_send_cancel(struct peer *peer, uint32_t id);
/* The connection ends, and all calls with it. */
void peer_break(struct peer *peer, const char *code, const char *message);
/* The connection and the peer, in a later turn; its calls are told before. */
void peer_close(struct peer *peer);
