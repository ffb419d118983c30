/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of a swarm: one const record of constants and a few policies, so that the core has no
 * branch on what they are called. Times in ms. Everything that docs/protocol-swarm.md calls a
 * constant of a profile is here; limits that no profile changes are in swim_limits.h.
 *
 * swim_rules_memberlist are those of hashicorp/memberlist's DefaultLANConfig: the test of the
 * simulator, and what the tables compare with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct swim;
struct swim_member;

/* Lower and upper bound of a suspicion, ms. */
struct swim_bounds {
    uint32_t min_ms;
    uint32_t max_ms;
};

struct swim_rules {
    const char *name;

    /* Probing. */
    uint32_t probe_interval_ms;
    uint32_t probe_early_ms;  /* who is pinged so shortly before its own probe sends it then */
    bool ping_again;          /* once, when a ping is late, before helpers are asked */
    uint32_t indirect_probes; /* helpers asked when the direct probe is late */
    bool tcp_ping;            /* a stream is tried together with them */
    bool tcp_saves;           /* what only the stream reaches is degraded, not merely spared */
    bool schedule;            /* who probes whom when follows from swarm time (swarm.md 2.4.1) */
    bool adaptive;            /* time-outs from each peer's round trips; else the two below */
    uint32_t timeout_ms;      /* until helpers are asked; adaptive: the most */
    uint32_t timeout_least_ms;
    uint32_t verdict_ms;  /* until it is suspected; adaptive: 3.2 × the time-out, or 4.2 */
    uint32_t slow_factor; /* a peer that refuted lately has so many times the time-out; 1: none */
    bool measured_health; /* being late and losing datagrams count as well */
    uint32_t health_most; /* of local health (Lifeguard's LHM) */

    /* Suspicion. */
    struct swim_bounds (*suspicion)(const struct swim_rules *rules, uint32_t n_members);
    uint32_t min_ms, max_ms; /* for `suspicion` to use */
    uint32_t confirmations;  /* K: so many others bring it down to the least */
    bool few_confirm;        /* fewer than K others: as many as there are; else none are needed */
    uint32_t healthy_most;   /* an accuser with a worse health does not count; 255: all count */
    uint32_t witnesses;      /* W: probe a new suspect at once */
    uint32_t witness_spread_ms;
    uint32_t new_suspects_a_second; /* 0: no limit */
    bool damping;                   /* who flaps gets longer */
    bool isolation;                 /* nothing heard: nobody is accused */
    uint32_t isolated_after_ms;
    uint32_t unwell_restarts; /* of a suspicion that nobody else has, while we are unwell */
    uint32_t stall_ms;        /* a tick so late voids what ran meanwhile; 0: never */
    uint32_t dead_doubt_ms;   /* a death heard of is believed when our own suspicion is so old */

    /* Dissemination. */
    uint32_t gossip_interval_ms;
    bool tickers; /* gossip and probes at whole intervals since the start, as a ticker has it */
    uint32_t gossip_members;
    uint32_t gossip_to_dead_ms; /* after a death it is gossiped to as well: buddy */
    uint32_t (*transmissions)(uint32_t n_members);
    bool gossip_synced; /* what an exchange brought is told on as well */

    /* Anti-entropy. */
    bool view_hash;                               /* pings carry it; who differs is synced with */
    uint32_t differs_ms;                          /* so long, with that peer */
    uint32_t sync_gap_ms;                         /* since the last one with anybody */
    uint32_t (*push_pull_ms)(uint32_t n_members); /* whole states by stream; NULL: never */
    uint32_t digest_ms;                           /* a digest to anybody, as a belt; 0: never */
    uint32_t join_syncs;                          /* with learnt members, after the first */
    uint32_t join_sync_gap_ms;
    uint32_t reconnect_ms; /* one dead member is tried; 0: never */
    uint32_t seed_ms;      /* seeds that are not live are tried */
    uint32_t dead_kept_ms, left_kept_ms;
};

extern const struct swim_rules swim_rules_lan;
extern const struct swim_rules swim_rules_fast;
extern const struct swim_rules swim_rules_wan;
extern const struct swim_rules swim_rules_memberlist;
