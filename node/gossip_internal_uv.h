/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the swarm's driver share. One thread, one loop, one mutex around the core and
 * all that is in this struct but the handles: the gossip thread holds it for a turn (inputs, then
 * timers, then what the core wants sent), others for the moment that they look or change something,
 * after which gossip_poke makes the thread do what follows. Nobody waits for anything under it but
 * the gossip thread, for the disk, when the core wants its boot persisted.
 *
 * Handles and what stands behind "gossip thread" are that thread's alone once it runs.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <uv.h>

#include "node/devices_uv.h"
#include "node/gossip.h"
#include "node/gossip_socket_posix.h"
#include "node/gossip_state_posix.h"
#include "node/listener_uv.h"
#include "node/processors_posix.h"
#include "shared/base/backoff.h"
#include "shared/base/log.h"
#include "shared/options/swarm_addr.h"
#include "shared/swarm/swim.h"
#include "shared/wire/channel.h"

#define GOSSIP_SOCKETS_MAX 8
#define GOSSIP_TURN_MAX    256 /* datagrams of a turn of the loop */
#define GOSSIP_SEEDS_MAX   64  /* names and addresses to join by */

struct gossip_handed;
struct gossip_lookup;
struct gossip_stream;

#define GOSSIP_STREAM_READ (64u << 10)

/* One of --join. */
struct gossip_seed {
    struct swarm_addr at;
    struct swim_addr addrs[SWIM_SEEDS_MAX];
    uint32_t n_addrs;
};

/* What is counted here and not in the core. */
struct gossip_counters {
    uint64_t send_failed;  /* the kernel refused the datagram */
    uint64_t send_blocked; /* its queue was full */
    uint64_t too_long;     /* for the path */
    uint64_t lookups_failed;
    uint64_t streams_busy;    /* not taken: too many strangers, or we end */
    uint64_t streams_slow;    /* no handshake in time, or it did not read */
    uint64_t streams_refused; /* no channel of ours, or a wrong key */
    uint64_t keys_refused;    /* a node did not have our key */
    uint64_t streams_foreign; /* of them: a key id that is not in the ring */
    uint64_t events;
};

struct gossip_foreign {
    uint64_t counted; /* of the core's, told so far */
    uint32_t key_id;  /* of the last */
    struct swim_addr from;
    uint64_t last_ns; /* monotonic; 0: never */
    uint64_t told_ns; /* monotonic: the operator heard of it */
};

struct gossip {
    struct node *node;
    uv_loop_t loop;
    pthread_t thread;
    pthread_mutex_t mutex;
    uv_async_t poke;  /* its loop: there is something to send, or it is to end */
    uv_async_t tell;  /* the node's loop: it has left, or the thread is about to end */
    uv_timer_t timer; /* the core's deadline */
    uv_timer_t seeds_timer;
    uv_timer_t ring_timer;   /* a retiring key goes */
    uv_timer_t ifaces_timer; /* since our interfaces were told anew */
    uv_timer_t tags_timer;   /* our record of tags is looked at */
    uv_timer_t look_timer;   /* at seeds that do not answer */
    uv_poll_t polls[GOSSIP_SOCKETS_MAX];
    uv_poll_t watch; /* this host's addresses */
    uv_timer_t watch_timer;
    int watch_fd; /* -1: nothing can be heard of them */
    uint8_t n_addrs;
    struct swim_addr addrs[SWIM_ADDRS_MAX]; /* as the others are told */
    uint64_t timer_ns;                      /* what it is armed for; gossip thread */
    unsigned n_full_turns;                  /* in a row, that ended with more to read */
    uint64_t turned_ns;                     /* when the last turn was over */
    uint64_t flood_looked_ns;               /* when, and what had come to nothing then: */
    uint64_t n_useless, n_dropped;          /* not opened; dropped by the kernel */
    bool is_flooded;                        /* with what does not open; gossip thread */

    struct gossip_socket sockets[GOSSIP_SOCKETS_MAX];
    size_t n_sockets;
    struct gossip_outbox outboxes[GOSSIP_SOCKETS_MAX];
    struct gossip_inbox *inbox;
    struct swim_scratch *scratch;

    struct swim *swim;
    struct gossip_state state;
    struct swim_meta meta;
    uint32_t ifaces_rest_ms;        /* between two changes that are told */
    struct devices_summary ifaces;  /* to be told; in the meta data is what was */
    bool ring_is_new;               /* it is to be put in force */
    bool is_keeping, wants_keeping; /* a worker writes it; it is to be written once more */
    bool keeps_orders, wants_orders_kept;
    struct gossip_counters counters;
    struct gossip_foreign foreign;
    struct log_limit member_lines, foreign_lines, send_lines;
    struct processors processors;
    uint64_t load_due_ns;  /* monotonic: how busy they are is looked at */
    uint64_t time_due_ns;  /* since boot: what swarm time is, is looked at */
    uint64_t found_due_ns; /* since boot: others are asked, while the swarm is founded */
    uint32_t time_at;      /* whose is looked at next, while the swarm is founded */
    struct gossip_kept_time kept_time;
    bool has_kept_time;   /* the last life's, or what was agreed on in this one */
    bool is_keeping_time; /* a worker writes it */
    bool knows_time;
    bool is_awaited;      /* somebody asked whether it does, and it did not */
    uint64_t isolated_ns; /* monotonic; 0: it is not */
    uint64_t cloned_ns;   /* monotonic: it was told */
    bool is_cloned;

    struct gossip_seed *seeds; /* owned, GOSSIP_SEEDS_MAX */
    size_t n_seeds;
    bool wants_lookup;            /* a name was added */
    struct gossip_lookup *lookup; /* running, or NULL */
    uint32_t n_looks;             /* at seeds, since there was nobody else */
    struct log_limit look_lines;
    struct backoff lookup_backoff;

    LIST_HEAD(, gossip_stream) streams;
    struct listener listeners[GOSSIP_SOCKETS_MAX];
    size_t n_listeners;
    unsigned n_strangers; /* that connected and have not proven a key */
    uint32_t last_stream;
    struct channel_node channel_node;   /* our key, borrowed from the state */
    struct channel_node calls_node;     /* the same, for the loop of the node */
    TAILQ_HEAD(, gossip_handed) handed; /* connections that are for the loop of the node */
    unsigned n_handed;
    uint8_t stream_bytes[GOSSIP_STREAM_READ];

    bool kv_is_new; /* records came or changed, and nobody was told */
    void (*kv_changed)(void *arg);
    void *kv_changed_arg;

    bool is_closing; /* the thread is to end */
    bool has_left;   /* the core said so */
    atomic_bool is_thread_done;
    bool is_leaving;
    void (*left)(void *arg);
    void *left_arg;
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
};

/* Wall clock first, so that a stamp is late at most. */
struct swim_now gossip_now(void);
void gossip_lock(struct gossip *g);
void gossip_unlock(struct gossip *g);
/* Any thread, not under the lock: outputs of the core are waiting. */
void gossip_poke(struct gossip *g);

/* ---- gossip_drive_uv.c; gossip thread, locked unless it says otherwise ---- */
int gossip_drive_start(struct gossip *g); /* before the thread */
void gossip_turn(struct gossip *g);       /* takes the lock */
/* All that the core wants done. */
void gossip_do_actions(struct gossip *g);
/* The same, and the timer for what comes next. */
void gossip_drain_core(struct gossip *g);

/* ---- gossip_seeds_uv.c ---- */
int gossip_seeds_init(struct gossip *g, struct err *err);
void gossip_seeds_start(struct gossip *g); /* before the thread */
/* Takes what was looked up, begins what is to be; gossip thread, locked. */
void gossip_seeds_go_on(struct gossip *g);
void gossip_seeds_stop(struct gossip *g); /* gossip thread: what runs is left to itself */
/* The first whose address is known; NULL: none. */
const struct swim_addr *gossip_first_seed(const struct gossip *g);
void gossip_seeds_deinit(struct gossip *g);
/* A connection to it was made (NULL), or why not. */
void gossip_seed_answered(struct gossip *g, const struct swim_addr *seed, const struct err *err);
/* Nobody else is left: seeds are looked at again. */
void gossip_seeds_alone(struct gossip *g);

/* ---- gossip_interfaces_uv.c; gossip thread, locked ---- */
void gossip_interfaces_describe(struct gossip *g); /* in the meta data */
void gossip_interfaces_start(struct gossip *g);    /* before the thread */
void gossip_interfaces_go_on(struct gossip *g);

/* ---- gossip_tags_uv.c; gossip thread, locked ---- */
void gossip_tags_describe(struct gossip *g); /* in the meta data */
void gossip_tags_start(struct gossip *g);    /* before the thread */
void gossip_tags_on_change(struct gossip *g, const struct swim_kv *kv);
void gossip_tags_end(struct gossip *g); /* any thread: we are leaving */

/* ---- gossip_ring_uv.c; gossip thread, locked ---- */
void gossip_ring_start(struct gossip *g); /* before the thread */
/* What the others have done with keys, and what was done here. */
void gossip_ring_take_changes(struct gossip *g);
/* Our record says anew what we are. */
void gossip_set_meta(struct gossip *g);

/* ---- gossip_time_uv.c ---- */
/* Before the core is made: what it is to begin with (swim_config.time_ahead_ns). */
int64_t gossip_time_load(struct gossip *g, bool is_kept);
void gossip_time_look(struct gossip *g); /* gossip thread, locked: once a turn */

/* ---- gossip_orders_uv.c ---- */
int gossip_orders_load(struct gossip *g, struct err *err); /* before the thread */
void gossip_orders_keep(struct gossip *g);                 /* gossip thread, locked */

/* ---- gossip_kv.c; the node's loop ---- */
void gossip_kv_told(struct gossip *g);

/* ---- gossip_calls_uv.c ---- */
/* A connection for calls: fd and head (what was read of it) are moved. Gossip thread, locked. */
void gossip_hand_over(struct gossip *g, int fd, const struct swim_addr *peer, struct buf *head);
/* The node's loop, not locked. */
void gossip_take_handed(struct gossip *g);
void gossip_drop_handed(struct gossip *g);

/* ---- gossip_watch_uv.c ---- */
void gossip_watch_start(struct gossip *g); /* before the thread */
void gossip_watch_deinit(struct gossip *g);

/* ---- gossip_addrs_posix.c ---- */
/* Where others reach us: --advertise-addr, or what we listen on. Gives how many. */
uint8_t gossip_own_addrs(const struct node_options *options, const struct gossip_socket *sockets,
                         size_t n_sockets, const struct swim_addr *towards,
                         struct swim_addr out[SWIM_ADDRS_MAX]);

/* ---- gossip_tell.c ---- */
void gossip_tell_event(struct gossip *g, const struct swim_action *action);
/* That seed does not have our key. */
void gossip_tell_refused(struct gossip *g, const char *address);
/* Foreign keys since the last time, when it is time to. */
void gossip_tell_foreign(struct gossip *g, uint64_t mono_ns);
void gossip_show(struct gossip *g, struct swim_now now, const struct swim_view *view,
                 struct gossip_member *out);
