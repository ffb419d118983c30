/* SPDX-License-Identifier: Apache-2.0
 *
 * The properties of the protocol (docs/protocol-swarm.md), as far as they can be seen from outside:
 * in the actions of a core, its datagrams and its looking functions. Each is checked where it could
 * be broken, in constant time; what is remembered is four bytes for each (observer, member).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/sim.h"

struct sim_node;

/* A life of a member: what it has itself ever said of this boot. */
struct sim_life {
    uint64_t boot;
    uint32_t newest_seq;
};

/* Whoever has a key pair. A node that lost its state directory becomes another one; two nodes with
 * the same state directory are the same one. */
struct sim_identity {
    uint64_t sid;
    uint32_t node;
    uint32_t n_running; /* processes */
    uint32_t n_lives;
    uint32_t n_up;          /* running observers that hold its newest life up */
    struct sim_life *lives; /* owned, by boot, ascending */
    struct swim_sim_seen seen;
};

struct sim_check {
    struct sim_identity *identities; /* owned */
    uint32_t n_identities, cap_identities;
    uint32_t *by_sid; /* owned; open addressing; index + 1 */
    uint32_t n_by_sid;
    uint32_t **rows; /* owned; for each node what it holds of each identity; NULL: nothing yet */
    uint64_t n_pairs_up;                 /* sum of n_up */
    uint64_t n_up_of_gone;               /* of those that do not run */
    uint8_t (*nonces)[SWIM_NONCE_BYTES]; /* owned; of all lives, I10 */
    uint32_t n_nonces, cap_nonces;
};

void sim_check_init(struct swim_sim *sim);
void sim_check_deinit(struct swim_sim *sim);

/* The identity of this key pair; made when it is new. */
uint32_t sim_check_identity(struct swim_sim *sim, uint64_t sid, uint32_t node);
/* UINT32_MAX: nobody. */
uint32_t sim_check_find(const struct swim_sim *sim, uint64_t sid);

void sim_check_started(struct swim_sim *sim, uint32_t node);
void sim_check_stopped(struct swim_sim *sim, uint32_t node);
/* After each input and what followed from it. */
void sim_check_step(struct swim_sim *sim, uint32_t node);
void sim_check_send(struct swim_sim *sim, uint32_t node, const struct swim_action *action);
void sim_check_event(struct swim_sim *sim, uint32_t node, const struct swim_action *action);

/* What nobody may change with a datagram that proves nothing (I11). */
struct sim_still {
    uint64_t view_hash;
    uint32_t n_live, n_members;
    struct swim_incarnation own;
    uint64_t n_sent, n_events;
    /* It is of a generation that its sender's record has left behind: what is signed in it counts,
     * and is news when it could not be taken before (a farewell of somebody unknown). */
    bool is_record_news;
};
struct sim_still sim_check_before(const struct swim_sim *sim, uint32_t node);
void sim_check_still(struct swim_sim *sim, uint32_t node, const struct sim_still *before);
