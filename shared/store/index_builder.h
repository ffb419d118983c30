/* SPDX-License-Identifier: Apache-2.0
 *
 * What an index builder holds, for its two halves: index.c collects the keys of packets,
 * index_bloom.c makes the filter of them. Private to the index.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/store/index.h"
#include "shared/store/index_keys.h"

#define KIND_KEYS_MAX (INDEX_KEYS_MAX / 4)
/* Places of the set of keys: never more than half are taken, so a search is short. It is ended
 * anyway after PROBES_MAX, where somebody has built keys that collide: then a key may be collected
 * twice, which costs bits and nothing else. */
#define SLOTS_MIN  4096u
#define SLOTS_MAX  (2 * INDEX_KEYS_MAX)
#define PROBES_MAX 32
/* Flows and small values seen in this frame, by hash; a newer one replaces an older one. */
#define FLOWS_SEEN   1024u
#define VALUES_SEEN  1024u
#define HEADERS_SEEN 256u
/* Where nearly every packet is another flow, looking for flows costs more than it saves: then only
 * every FLOW_SAMPLE-th packet looks, to notice when that changes. */
#define FLOW_SAMPLE  8u
#define FLOWS_ENOUGH 256u
/* What gives the keys of the network layer and above. All bytes count in comparisons. */
struct flow {
    struct index_addr src;
    struct index_addr dst;
    uint16_t sport;
    uint16_t dport;
    uint8_t net; /* enum index_net */
    uint8_t proto;
    uint16_t has; /* HAS_ of the fields that the captured bytes hold */
};

/* TCP, UDP and SCTP: the transports whose ports have a bit each. */
#define PORT_PROTOS 3u

enum { HAS_SRC = 1, HAS_DST = 2, HAS_PROTO = 4, HAS_SPORT = 8, HAS_DPORT = 16, HAS_ALL = 31 };

/* The 14 bytes of an Ethernet header: the first eight, and the last eight inverted. Two bytes are
 * in both, so the zeros of a free place are no header. */
struct header {
    uint64_t first;
    uint64_t last_inverted;
};

struct index_builder {
    const struct index_link *link; /* of link_type; NULL = unknown */
    uint32_t link_type;
    uint32_t n_keys;
    uint32_t n_slots;  /* in use now, a power of two */
    uint32_t n_hashed; /* keys that stand in slots */
    uint32_t of_kind[INDEX_KINDS];
    uint8_t lost;          /* bit n: kind n had more keys than are kept */
    bool without_flows;    /* the last frames had no room for their flows: none are collected */
    bool few_repeats;      /* flows of the last frame hardly ever came twice */
    uint32_t flows_looked; /* in flows_seen */
    uint32_t flows_found;
    uint32_t flows_left_out;
    uint32_t sample;
    uint8_t protocol; /* enum protocol of the packet in hand */
    struct protocol_tally tally;
    uint64_t ports_seen[PORT_PROTOS][65536 / 64]; /* a bit a port */
    uint64_t values_seen[VALUES_SEEN];
    struct header headers_seen[HEADERS_SEEN];
    struct flow flows_seen[FLOWS_SEEN];
    uint64_t slots[SLOTS_MAX]; /* 0 = free */
    uint64_t keys[INDEX_KEYS_MAX];
};
