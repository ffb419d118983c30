/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits that no profile changes; docs/protocol-swarm.md lists them beside the byte diagrams.
 */
#pragma once

#define SWIM_MEMBERS_MAX        16384 /* known in any state; more are counted and not taken */
#define SWIM_SEEDS_MAX          16
#define SWIM_OUTBOX_MAX         1024  /* messages that wait for swim_next; more are counted */
#define SWIM_CONNS_MAX          1024  /* streams, both directions */
#define SWIM_STREAM_MESSAGE_MAX 49152 /* bytes of one message on a stream */
#define SWIM_MTU                1400
#define SWIM_MTU_LEAST          1232
#define SWIM_PROBES_MAX         32  /* of ours that run at the same time */
#define SWIM_PROBES_ROUTINE     8   /* of them, those that witnesses leave alone */
#define SWIM_BURST_TARGETS      64  /* members that are measured in one go; more are left out */
#define SWIM_BURST_PINGS        8   /* to each of them */
#define SWIM_BURST_GAP_MS       2   /* between two of all of them */
#define SWIM_BURST_WAITING      256 /* the last of them, whose answers are waited for */
#define SWIM_RELAYS_MAX         64  /* probes for others */
#define SWIM_ANSWERS_MAX        8   /* to the frames of one message */
#define SWIM_LEAVE_ACKS         3   /* members that know of it before a node is gone */
#define SWIM_CONFIRMATIONS_MAX  4   /* K + 1, remembered per suspicion */
#define SWIM_DIGEST_UDP_MOST    40  /* entries of a list that goes by datagram */
#define SWIM_DELTA_UDP_MOST     20  /* differing members that are brought by datagram */
#define SWIM_PAST_LIVES         256 /* boot nonces of lives that ended, to refuse what they said */
#define SWIM_STRANGERS          256 /* lives that spoke before their record came, for the same */
#define SWIM_CONN_LIFE_MS       10000 /* of a stream, whatever it does */
#define SWIM_REFUTE_GAP_MS      250   /* between two refutations */
#define SWIM_SETTLE_PINGS       12    /* of a newcomer, to random members, for the time */
#define SWIM_SETTLE_GAP_MS      250
#define SWIM_LEAVE_MS           1000   /* until a leaving node gives up telling */
#define SWIM_FLAP_WINDOW_MS     300000 /* deaths that count for damping */
#define SWIM_FLAP_MOST          3      /* steps of damping: 2, 8 and 16 times the least suspicion */
#define SWIM_REFUTED_OFTEN      8      /* wrong suspicions in that time: 8 times the least */
#define SWIM_ORDERS_MAX         256 /* bans, lifted bans and forgotten members; more are refused */
#define SWIM_EVENTS_MAX         65536  /* that wait for swim_next; more are lost and counted */
#define SWIM_MTU_MS             600000 /* so long a path's smaller MTU is believed (RFC 1981) */
