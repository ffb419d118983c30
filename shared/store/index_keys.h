/* SPDX-License-Identifier: Apache-2.0
 *
 * What the index speaks of, for its two sides: index.c takes keys out of packets, index_program.c
 * takes them out of BPF programs. Both read the same fields of the same layout, and the layout
 * follows from fields alone (link type → selector → network layer → transport), with no validation
 * of any kind, since BPF validates nothing either. That makes the index sound: a packet that
 * satisfies the comparisons of a path has the values that the path names in the places that the
 * path names, so the builder found the same layout and added the same keys. Anything added to one
 * side only breaks this; add it here and to both.
 *
 * Keys are 64-bit hashes and part of the file format (index.h): tags, constants and the order of
 * fields below never change without a new INDEX_VERSION. The hash is public and not keyed; a sender
 * who builds collisions makes a frame look fuller than it is, never emptier.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/bytes.h"
#include "shared/packet/iface.h"

/* Kinds of keys, the most selective first: the order in which a query asks. Bit 1 << kind of the
 * filter's header says that all keys of the kind are in the filter. */
enum index_kind {
    INDEX_FLOW,  /* protocol, both addresses, both ports, without direction */
    INDEX_ADDR,  /* an IPv4 or IPv6 address, sender or receiver, also of ARP */
    INDEX_PORT,  /* protocol and port, either side */
    INDEX_MAC,   /* an Ethernet address, either side */
    INDEX_NET,   /* the /16 and /24 of an IPv4 address, the /32 and /64 of an IPv6 one */
    INDEX_LINK,  /* what follows the link layer (ether type, …) and VLAN ids */
    INDEX_PROTO, /* IPv4 protocol, IPv6 next header */
    INDEX_KINDS,
};

enum index_net { INDEX_NET_NONE, INDEX_NET_IP4, INDEX_NET_IP6, INDEX_NET_ARP };

/* Where a link type keeps the field that says what follows, and where that begins. */
struct index_link {
    uint32_t link_type;
    uint8_t selector_at;
    uint8_t selector_bytes; /* 0 = there is none: only_net follows */
    uint8_t selector_mask;  /* of a selector of one byte */
    uint8_t net_at;
    enum index_net only_net;
    bool is_ethernet; /* addresses in front, VLAN tags possible */
};

static inline uint32_t index_selector_mask(const struct index_link *link)
{
    return link->selector_bytes == 4   ? UINT32_MAX
           : link->selector_bytes == 2 ? UINT16_MAX
                                       : link->selector_mask;
}

/* NULL for a link type that the index does not know: no keys, open queries. */
static inline const struct index_link *index_link_of(uint32_t link_type)
{
    static const struct index_link links[] = {
        {.link_type = LINK_ETHERNET, 12, 2, 0, 14, .is_ethernet = true},
        {.link_type = LINK_SLL, 14, 2, 0, 16},
        {.link_type = LINK_SLL2, 0, 2, 0, 20},
        {.link_type = LINK_NULL, 0, 4, 0, 4},
        {.link_type = LINK_LOOP, 0, 4, 0, 4},
        {.link_type = LINK_PPP, 2, 2, 0, 4},
        {.link_type = LINK_RAW, 0, 1, 0xf0, 0},
        {.link_type = LINK_IPV4, .only_net = INDEX_NET_IP4},
        {.link_type = LINK_IPV6, .only_net = INDEX_NET_IP6},
    };

    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        if (links[i].link_type == link_type) {
            return &links[i];
        }
    }
    return NULL;
}

/* Address families of NULL and LOOP, as a big-endian read gives them: in network order, and
 * swapped. AF_INET is 2 everywhere, AF_INET6 is 10, 24, 28 or 30. */
static inline enum index_net index_net_of_family(uint32_t value)
{
    uint32_t family = value > 0xffff ? __builtin_bswap32(value) : value;

    if (family == 2) {
        return INDEX_NET_IP4;
    }
    return family == 10 || family == 24 || family == 28 || family == 30 ? INDEX_NET_IP6
                                                                        : INDEX_NET_NONE;
}

static inline enum index_net index_net_of(const struct index_link *link, uint32_t selector)
{
    if (link->selector_bytes == 0) {
        return link->only_net;
    }
    if (link->selector_bytes == 4) {
        return index_net_of_family(selector);
    }
    if (link->selector_bytes == 1) {
        return selector == 0x40 ? INDEX_NET_IP4 : selector == 0x60 ? INDEX_NET_IP6 : INDEX_NET_NONE;
    }
    if (link->link_type == LINK_PPP) {
        return selector == 0x21 ? INDEX_NET_IP4 : selector == 0x57 ? INDEX_NET_IP6 : INDEX_NET_NONE;
    }
    switch (selector) {
    case 0x0800:
        return INDEX_NET_IP4;
    case 0x86dd:
        return INDEX_NET_IP6;
    case 0x0806:
    case 0x8035: /* RARP: the same layout, and libpcap's `host` looks there too */
        return INDEX_NET_ARP;
    default:
        return INDEX_NET_NONE;
    }
}

/* VLAN tags that are followed, as many as this: the selector moves four bytes on for each. */
#define INDEX_VLANS_MAX 2
#define INDEX_VLAN_MASK 0x0fffu

static inline bool index_is_vlan(const struct index_link *link, uint32_t selector)
{
    return link->is_ethernet && (selector == 0x8100 || selector == 0x88a8 || selector == 0x9100);
}

static inline bool index_has_ports(uint32_t proto)
{
    return proto == 6 || proto == 17 || proto == 132;
}

/* Distances of fields from the beginning of the network layer. */
enum {
    IP4_FRAGMENT = 6, /* 13 bits of offset; ports are there when they are 0 */
    IP4_FRAGMENT_MASK = 0x1fff,
    IP4_PROTO = 9,
    IP4_SRC = 12,
    IP4_DST = 16,
    IP4_BYTES = 20,
    IP6_PROTO = 6,
    IP6_SRC = 8,
    IP6_DST = 24,
    IP6_BYTES = 40,
    ARP_SENDER = 14,
    ARP_TARGET = 24,
};

/* The hash. Steele and Vigna's variant 13 of the MurmurHash3 finaliser: a bijection of 64 bits. */
static inline uint64_t index_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

enum index_tag {
    INDEX_TAG_IP4 = 1,
    INDEX_TAG_IP6,
    INDEX_TAG_IP4_16,
    INDEX_TAG_IP4_24,
    INDEX_TAG_IP6_32,
    INDEX_TAG_IP6_64,
    INDEX_TAG_PORT,
    INDEX_TAG_MAC,
    INDEX_TAG_LINK,
    INDEX_TAG_VLAN,
    INDEX_TAG_PROTO,
    INDEX_TAG_FLOW,
};

/* The low three bits of a key are its kind + 1: a key is never 0, and keys of different kinds are
 * never equal, so one kind cannot hide in another that is left out. Inside a kind a collision only
 * makes the filter answer "maybe" for both. */
static inline uint64_t index_key_of(enum index_kind kind, uint64_t hash)
{
    return (hash & ~UINT64_C(7)) | ((uint64_t)kind + 1);
}

static inline enum index_kind index_kind_of(uint64_t key)
{
    return (enum index_kind)((key & 7) - 1);
}

/* A key of a value of at most 48 bits. */
static inline uint64_t index_key(enum index_kind kind, enum index_tag tag, uint64_t value)
{
    return index_key_of(kind, index_mix((uint64_t)tag << 56 | value));
}

/* An address: IPv4 in the low half of `low`, with `high` 0. */
struct index_addr {
    uint64_t high;
    uint64_t low;
    bool is_ip6;
};

static inline uint64_t index_key_addr(const struct index_addr *a)
{
    if (!a->is_ip6) {
        return index_key(INDEX_ADDR, INDEX_TAG_IP4, a->low);
    }
    uint64_t high = index_mix(a->high ^ (uint64_t)INDEX_TAG_IP6 << 56);
    return index_key_of(INDEX_ADDR, index_mix(high + a->low));
}

/* The first half of an IPv6 address. */
static inline uint64_t index_key_ip6_64(uint64_t high)
{
    return index_key_of(INDEX_NET, index_mix(index_mix((uint64_t)INDEX_TAG_IP6_64 << 56) ^ high));
}

static inline uint64_t index_key_port(uint32_t proto, uint32_t port)
{
    return index_key(INDEX_PORT, INDEX_TAG_PORT, (uint64_t)proto << 16 | port);
}

static inline uint64_t index_key_flow(uint32_t proto, const struct index_addr *src, uint32_t sport,
                                      const struct index_addr *dst, uint32_t dport)
{
    uint64_t a = index_mix(index_key_addr(src) ^ (uint64_t)sport << 32);
    uint64_t b = index_mix(index_key_addr(dst) ^ (uint64_t)dport << 32);

    return index_key_of(INDEX_FLOW, index_mix((a + b) ^ (uint64_t)INDEX_TAG_FLOW << 56 ^ proto));
}

/* The parts of the Bloom filter that both sides compute. */
#define INDEX_HEADER_BYTES 4
#define INDEX_PROBES_MAX   8

static inline uint32_t index_bit(uint64_t key, uint32_t probe, uint32_t n_bits)
{
    uint32_t at = (uint32_t)key + probe * ((uint32_t)(key >> 32) | 1);

    return (uint32_t)((uint64_t)at * n_bits >> 32);
}
