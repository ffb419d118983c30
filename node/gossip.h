/* SPDX-License-Identifier: Apache-2.0
 *
 * The swarm as the rest of the node sees it: who is there, and what an operator may change about
 * it. Behind it the core (shared/swarm/swim.h) runs on a thread and a loop of its own
 * (gossip_internal_uv.h), so that neither captures nor HTTP delay it. Without --cluster-key-file
 * there is none: node->gossip is NULL, and the node is its only member. Functions here may be
 * called on any thread; each looks at the core under its lock, for microseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/gossip_keys.h"
#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/base/tags.h"
#include "shared/swarm/swim.h"
#include "shared/swarm/swim_meta.h"
#include "shared/swarm/swim_order.h"
#include "shared/wire/channel.h"

struct devices_summary;
struct gossip;
struct json_t;
struct swim_kv;

/* Sets node->gossip. What listens must be open before: the others are told its ports. */
int gossip_open(struct node *node, struct err *err);
/* Tells the others that this node leaves. */
void gossip_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
/* node->gossip is NULL when closed is called. */
void gossip_close(struct node *node, void (*closed)(struct node *node));

#define GOSSIP_ID_TEXT    33                           /* 32 hex digits */
#define GOSSIP_LABEL_TEXT (SWIM_META_NAME_MAX + 1 + 9) /* NAME@ID8 */

enum gossip_state_word {
    GOSSIP_ALIVE,
    GOSSIP_SUSPECT,
    GOSSIP_DEGRADED, /* TCP reaches it, UDP does not */
    GOSSIP_ISOLATED, /* we: nobody answers */
    GOSSIP_UNKNOWN,  /* the others, when we are isolated for long */
    GOSSIP_DEAD,
    GOSSIP_LEFT,
    N_GOSSIP_STATES
};
extern const char *const gossip_state_words[N_GOSSIP_STATES];

struct gossip_member {
    char id[GOSSIP_ID_TEXT];
    /* What it is called, unlike any other: its name; NAME@ID8 where others have that, or where it
     * reads like a label or an id itself; its id where it has none. gossip_members and what finds
     * some set it. */
    char label[GOSSIP_LABEL_TEXT];
    uint64_t sid;
    bool is_self;
    bool has_meta; /* else its words could not be read */
    bool has_offset;
    bool is_banned;
    uint8_t load; /* percent of its processors that were busy just now */
    enum gossip_state_word state;
    struct swim_addr addr;
    struct swim_meta meta;
    uint64_t since_ns; /* wall clock, of the state */
    int64_t offset_ns; /* its wall clock minus ours, within the bound */
    uint64_t bound_ns;
};
typedef void (*gossip_member_cb)(const struct gossip_member *member, void *arg);

/* All that are known, oneself too, by id; as they were at one moment. */
void gossip_members(struct gossip *gossip, gossip_member_cb member, void *arg);
/* By its name, NAME@ID8, its id or at least 8 digits of the beginning of one. ERR_NOT_FOUND,
 * ERR_AMBIGUOUS. */
int gossip_find(struct gossip *gossip, const char *text, struct gossip_member *out,
                struct err *err);
/* For looking up many of them: the members of one moment. */
struct gossip_roll;
struct gossip_roll *gossip_roll_new(struct gossip *gossip);
/* all is moved; its labels are set already. */
struct gossip_roll *gossip_roll_of(struct gossip_member *all, size_t n);
void gossip_roll_free(struct gossip_roll *roll);
int gossip_roll_find(const struct gossip_roll *roll, const char *text, struct gossip_member *out,
                     struct err *err);
/* Sets the labels. */
void gossip_label_all(struct gossip_member *all, size_t n);
/* NULL: it is not known. */
const char *gossip_roll_label(const struct gossip_roll *roll, uint64_t sid);

/* What it was started with by --tag; none while the record that says so has not come, or when it
 * is not the one that the member has signed for. */
void gossip_tags_of(struct gossip *gossip, const struct gossip_member *member, struct tags *out);

/* As `members --json` (contract): new reference; without a swarm the node alone. */
struct json_t *gossip_members_json(struct node *node);
void gossip_metrics(struct node *node, struct buf *out);
/* What node.doctor says of the swarm; g may be NULL. finding(arg, …) for each, before it returns.
 */
typedef void (*gossip_finding_cb)(void *arg, const char *name, bool ok, const char *text);
void gossip_doctor(struct gossip *g, gossip_finding_cb finding, void *arg);

/* Tells the others that this node leaves; left(arg) comes on the node's loop when enough of them
 * know, or a second later. The node is its only member from then on. False: it is leaving or has
 * left; nothing is called. */
bool gossip_has_left(struct gossip *gossip); /* and has not joined again */
bool gossip_leave(struct gossip *gossip, void (*left)(void *arg), void *arg);

/* FORGET: a member that is gone, as if it had never been; BAN: whoever has the id may not come
 * back. Every node hears of it. text: as for gossip_find, and for BAN and UNBAN any whole id. */
int gossip_order(struct gossip *gossip, enum swim_order_kind kind, const char *text,
                 struct gossip_member *out, struct err *err);

/* The same for who has the admin's key elsewhere: the order to be signed, then as it was signed. */
int gossip_order_to_sign(struct gossip *gossip, enum swim_order_kind kind, const char *text,
                         const uint8_t admin[SWIM_PUBLIC_BYTES], struct gossip_member *out,
                         uint8_t carried[SWIM_ORDER_CARRIED_BYTES], struct err *err);
int gossip_order_signed(struct gossip *gossip, enum swim_order_kind kind, const char *text,
                        const uint8_t carried[SWIM_ORDER_CARRIED_BYTES], struct gossip_member *out,
                        struct err *err);

/* What an operator does with the ring of cluster keys, here and so everywhere. ERR_IN_USE where a
 * live member would be left out, unless force is set. */
struct gossip_ring_action {
    enum { GOSSIP_RING_LIST, GOSSIP_RING_ADD, GOSSIP_RING_USE, GOSSIP_RING_RETIRE } what;
    const char *text; /* ADD: prc_CLUSTERID_KEY */
    uint32_t id;      /* USE, RETIRE */
    bool force;
};
int gossip_ring_do(struct gossip *gossip, const struct gossip_ring_action *action, struct err *err);
/* Without the keys themselves. */
void gossip_ring_get(struct gossip *gossip, struct gossip_ring *out);

/* ---- calls between nodes: node/peers, node/rpc_conn_sealed_uv ---- */

struct gossip_calls_key {
    char key_id[CHANNEL_KEY_ID_CHARS + 1];
    uint8_t psk[CHANNEL_PSK_BYTES]; /* to be wiped */
};
/* The key of that id, or the one that is in force (NULL). False: it is not in the ring. */
bool gossip_calls_key(struct gossip *gossip, const char *key_id, struct gossip_calls_key *out);
/* This node's key pair, for as long as the gossip is open. */
const struct channel_node *gossip_calls_node(const struct gossip *gossip);
/* Whose key that is. False: of nobody that is known and not banned. */
bool gossip_member_of_key(struct gossip *gossip, const uint8_t *public_key,
                          struct gossip_member *out);
bool gossip_member(struct gossip *gossip, uint64_t sid, struct gossip_member *out);

/* What of this host's interfaces the others are told, now or in some seconds. */
void gossip_tell_interfaces(struct gossip *gossip, const struct devices_summary *ifaces);

/* HOST[:PORT] besides those of --join, tried for ever. */
int gossip_join(struct gossip *gossip, const char *text, struct err *err);

/* ---- clocks (gossip_clock.c) ---- */

struct gossip_clock {
    uint64_t time_ns;  /* our wall clock */
    int64_t offset_ns; /* it minus swarm time: the truth is within bound_ns of it */
    uint64_t bound_ns;
    uint64_t root;           /* the timeline that swarm time is: swim_time_root */
    uint64_t worst;          /* of the members asked about, whose clock is known least; 0: none */
    uint64_t worst_bound_ns; /* of its wall clock against ours; UINT64_MAX: not known at all */
};
/* Swarm time is known: it was agreed on with another member in this life, or not long ago in the
 * last one; or nobody is to be joined, so that the own clock is as good as any. When it becomes
 * known, who watches records (gossip_kv_watch) is called. */
bool gossip_knows_time(struct gossip *gossip);
/* Since boot: until then it may step, by as much as the clocks of the hosts of a new swarm differ;
 * not after now: it is settled. */
uint64_t gossip_time_settles_ns(struct gossip *gossip);
/* sids: members whose bounds count for the worst. False: this node has left, so that the bound
 * grows from now on. */
bool gossip_clock_get(struct gossip *gossip, const uint64_t *sids, size_t n,
                      struct gossip_clock *out);
/* A member's wall clock minus ours. False: not known. */
bool gossip_clock_of(struct gossip *gossip, uint64_t sid, struct swim_wall_offset *out);
/* Measures those clocks, and swarm time, to within what the network allows: pings for some ms, at
 * most SWIM_BURST_TARGETS members in one go. Worth it before a clock is looked at. */
void gossip_clock_measure(struct gossip *gossip, const uint64_t *sids, size_t n);

/* ---- desired state (gossip_kv.c) ---- */

uint64_t gossip_self(struct gossip *gossip); /* sid */
/* Spreads; one that is held already, or a later one, is no error. ERR_LIMIT: too many are held. */
int gossip_kv_put(struct gossip *gossip, const struct swim_kv *kv, struct err *err);
bool gossip_kv_has(struct gossip *gossip, const uint8_t key[SWIM_KV_KEY_BYTES]);
/* All that are no tombstones, also those of others than the caller; as they were at one moment. */
void gossip_kv_each(struct gossip *gossip, void (*each)(const struct swim_kv *kv, void *arg),
                    void *arg);
/* changed(arg) comes on the node's loop after records have come or changed. One only. */
void gossip_kv_watch(struct gossip *gossip, void (*changed)(void *arg), void *arg);
