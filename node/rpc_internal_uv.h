/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the RPC server share: rpc_server_uv (listeners, the table of connections, their
 * end), rpc_conn_uv (one connection: bytes to messages and back), rpc_call (one call), rpc_metrics.
 */
#pragma once

#include <sys/queue.h>

#include <uv.h>

#include "node/listener_uv.h"
#include "node/rpc.h"
#include "node/rpc_audit.h"
#include "node/rpc_door_uv.h"
#include "node/rpc_server.h"
#include "node/stream_uv.h"
#include "shared/base/log.h"
#include "shared/wire/channel.h"

#define RPC_LISTENERS_MAX 16
#define RPC_WIPED_MAX     4096 /* bytes of an answer that are wiped */

/* Why a connection or call was refused; a label in /metrics. */
enum rpc_rejected {
    RPC_REJECTED_CONNECTIONS, /* RPC_CONNECTIONS_MAX */
    RPC_REJECTED_PEER,        /* a user who may not use the UNIX socket */
    RPC_REJECTED_MALFORMED,   /* no msgpack-RPC */
    RPC_REJECTED_RIGHT,       /* a call that the caller's role does not allow */
    RPC_REJECTED_BUSY,        /* RPC_CALLS_MAX */
    RPC_REJECTED_KEY_ENDED,   /* revoked or expired while connected */
    RPC_REJECTED_SLOW,        /* a handshake or a message that did not come in time */
    RPC_REJECTED_HANDSHAKE,   /* no secure channel */
    RPC_REJECTED_CHANNEL,     /* it was open, and a frame in it is damaged */
    N_RPC_REJECTED,
};

struct rpc_counters {
    uint64_t accepted_unix;
    uint64_t accepted_tcp;
    uint64_t accepted_nodes; /* members, at the swarm's port */
    uint64_t answered;       /* with a result */
    uint64_t failed;         /* with an error */
    uint64_t cancelled;
    uint64_t held; /* large calls that had to wait */
    uint64_t late; /* the caller's time was over */
    uint64_t rejected[N_RPC_REJECTED];
    uint64_t refused[CHANNEL_REFUSALS]; /* of handshakes, by what was told */
};

struct rpc_call {
    LIST_ENTRY(rpc_call) link; /* in its connection, while it waits for its answer */
    struct rpc_conn *conn;     /* NULL: gone, or answered */
    struct node *node;
    unsigned n_refs;
    uint32_t id;
    const struct rpc_method *method;
    struct json_t *args;
    unsigned rights;
    char who[RPC_WHO_MAX];
    char key_id[API_KEY_ID_CHARS + 1];
    char peer[STREAM_PEER_MAX];
    char *target;    /* owned */
    bool is_entered; /* a handler had it */
    /* A part of another call, which is answered here instead of on the connection: */
    void (*sink)(void *arg, struct rpc_span result, const struct rpc_error *error);
    void *sink_arg;
    uint64_t deadline_ns;
    void (*gone)(void *arg);
    void *gone_arg;
};

struct rpc_conn {
    LIST_ENTRY(rpc_conn) link;
    struct rpc_server *server;
    struct stream *stream;
    LIST_HEAD(, rpc_call) calls;
    size_t n_calls;
    size_t n_large; /* of them */
    LIST_HEAD(, rpc_subscription) subscriptions;
    size_t n_subscriptions;
    LIST_HEAD(, rpc_live) lives;
    size_t n_lives;
    bool is_unix;
    bool is_node;            /* a member of the swarm, who calls on behalf of others */
    bool is_stranger;        /* counted at the door */
    struct channel *channel; /* of TCP */
    uint64_t generation;     /* of the keys, when they were looked at */
    uint64_t expires_ns;
    uint64_t began_ms;
    bool is_ending;  /* nothing more is read */
    bool is_held;    /* the next call waits for room for its answer */
    bool has_left;   /* the other end sends no more, and may wait for its answers */
    bool is_waiting; /* there are messages that have not begun: no room, or others first */
    uint64_t active_ms;
    uint64_t message_ms; /* when the message that is not whole began; 0: none */
    unsigned rights;
    char who[RPC_WHO_MAX];
    char key_id[API_KEY_ID_CHARS + 1];
    struct buf in; /* of the message that is not whole yet, and what came behind it */
    struct rpc_scan scan;
};

struct rpc_server {
    struct node *node;
    struct streams streams;
    struct listener listeners[RPC_LISTENERS_MAX]; /* TCP */
    size_t n_listeners;
    struct listener local; /* the UNIX socket */
    bool has_local;
    struct rpc_door *door;
    struct rpc_audit *audit;
    struct buf sealed; /* of the message that is being sent */
    size_t n_listening;
    char *socket_path;
    int socket_lock;
    LIST_HEAD(, rpc_conn) conns;
    size_t n_calls;
    size_t n_large;
    size_t n_lives;
    uv_timer_t deadline; /* the earliest of all calls */
    uv_timer_t drain_deadline;
    uint64_t deadline_ns;
    bool draining;
    unsigned n_closing;
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
    struct rpc_counters counters;
    struct log_limit peer_limit;
    struct log_limit refusal_limit;
};

/* rpc_conn_uv.c */
struct rpc_conn *rpc_conn_new(struct rpc_server *server, int fd,
                              const struct sockaddr_storage *peer);
void rpc_conn_accept_local(struct rpc_server *server, int fd, const struct sockaddr_storage *peer);
/* Sends a message; its bytes are moved, the buffer is empty afterwards. */
void rpc_conn_send(struct rpc_conn *conn, struct buf *message);
/* Sends the answer to call `id`. moved: the buffer in which the result lies, empty afterwards, or
 * NULL where it is only borrowed. One of megabytes is sealed, or goes to the kernel, where it is.
 */
void rpc_conn_answer(struct rpc_conn *conn, uint32_t id, struct rpc_span result, struct buf *moved);
/* Plaintext that came. */
void rpc_conn_feed(struct rpc_conn *conn, const uint8_t *data, size_t n);
/* Says why (RPC_CLOSING), then the end. */
void rpc_conn_goodbye(struct rpc_conn *conn, const char *code, const char *message);
/* Ends it when nothing runs, after the last answer otherwise. */
void rpc_conn_drain(struct rpc_conn *conn);
/* Reads on where there is room again. */
void rpc_conn_go_on(struct rpc_conn *conn);

/* rpc_conn_sealed_uv.c: the secure channel of a connection. */
void rpc_conn_enter(void *arg, int fd, const struct sockaddr_storage *peer, const struct buf *head);
void rpc_conn_on_sealed(struct rpc_conn *conn, const uint8_t *data, size_t n);
/* Once a sweep: handshakes that take too long, keys that ended. */
void rpc_conn_tick_tcp(struct rpc_conn *conn, uint64_t now_ms);
void rpc_conn_deinit_tcp(struct rpc_conn *conn);

/* rpc_call.c: begins a call of a connection whose message is sound. */
void rpc_call_begin(struct rpc_conn *conn, const struct rpc_message *message);
/* Hands it to its handler. */
void rpc_call_handle(struct rpc_call *call);
/* The answer, of bytes that are only lent for the call: one msgpack value, or none for nil. */
void rpc_call_reply_span(struct rpc_call *call, struct rpc_span result);
/* The same method with the same arguments, as a part of a call: its answer goes to sink(arg, …),
 * now or later, borrowed. Gives a reference, for rpc_call_end_part. */
struct rpc_call *rpc_call_part(struct rpc_call *whole,
                               void (*sink)(void *arg, struct rpc_span result,
                                            const struct rpc_error *error),
                               void *arg);
/* Nobody waits for it any more; sink is not called. Takes the reference. */
void rpc_call_end_part(struct rpc_call *part);

/* rpc_forward.c: true when the options say that others are to answer (then it is answered, now or
 * later); false: this node, and nobody else. args: as they came. */
bool rpc_forward(struct rpc_call *call, struct rpc_span args,
                 const struct rpc_call_options *options);

void rpc_call_cancel(struct rpc_conn *conn, uint32_t id);
/* The connection is gone: so are its calls. */
void rpc_calls_end(struct rpc_conn *conn);
/* Ends those whose time is over; gives the earliest deadline of the others. */
uint64_t rpc_calls_expire(struct rpc_conn *conn, uint64_t now_ns);

/* rpc_events.c: what a connection follows. */
struct rpc_subscription;
bool rpc_subscription_has(const struct rpc_conn *conn, uint32_t call_id);
void rpc_subscription_cancel(struct rpc_conn *conn, uint32_t call_id);
/* There is room again. */
void rpc_subscriptions_go_on(struct rpc_conn *conn);
void rpc_subscriptions_end(struct rpc_conn *conn);

/* rpc_live_uv.c: live streams of a connection. */
struct rpc_live;
/* There is room again. */
void rpc_lives_go_on(struct rpc_conn *conn);
void rpc_lives_end(struct rpc_conn *conn);

/* rpc_server_uv.c */
void rpc_server_watch_deadline(struct rpc_server *server, uint64_t deadline_ns);
void rpc_server_forgot_one(struct rpc_server *server);
