/* SPDX-License-Identifier: Apache-2.0
 *
 * How a packet is walked, header by header: first the link layer with its tags, then IP with its
 * extension headers. decode.c records what it meets, summary.c prints it; both drive the same two
 * walkers, so that they cannot disagree. Bytes are hostile: a walker never reads at or behind
 * data[caplen], its offset never passes caplen, and it stops with `cut` or `bad` set.
 *
 * Not for use outside the decoder and the summary.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/decode.h"
#include "shared/packet/iface.h"

enum ethertype {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_ARP = 0x0806,
    ETHERTYPE_TEB = 0x6558, /* an Ethernet frame in GRE or Geneve */
    ETHERTYPE_RARP = 0x8035,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_PPP = 0x880b,
    ETHERTYPE_MPLS = 0x8847,
    ETHERTYPE_MPLS_MULTICAST = 0x8848,
    ETHERTYPE_PPPOE_DISCOVERY = 0x8863,
    ETHERTYPE_PPPOE = 0x8864,
    ETHERTYPE_QINQ = 0x88a8,
    ETHERTYPE_ERSPAN = 0x88be,
    ETHERTYPE_QINQ_OLD = 0x9100,
};

enum ip_protocol {
    PROTO_HOPOPT = 0,
    PROTO_ICMP = 1,
    PROTO_IGMP = 2,
    PROTO_IPV4 = 4,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_DCCP = 33,
    PROTO_IPV6 = 41,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_GRE = 47,
    PROTO_ESP = 50,
    PROTO_AH = 51,
    PROTO_ICMPV6 = 58,
    PROTO_NONE = 59,
    PROTO_DSTOPT = 60,
    PROTO_EIGRP = 88,
    PROTO_OSPF = 89,
    PROTO_PIM = 103,
    PROTO_VRRP = 112,
    PROTO_SCTP = 132,
    PROTO_UDPLITE = 136,
};

/* Link types beyond iface.h that cost a line or two. */
enum {
    LINK_SLIP = 8,
    LINK_RAW_DLT = 12,
    LINK_RAW_OPENBSD = 14,
    LINK_PPP_SERIAL = 50,
    LINK_C_HDLC = 104,
    LINK_NFLOG = 239,
};

/* Link types above 16 bits are ours: a packet that begins with what the EtherType in the low 16
 * bits names. So the inside of a tunnel is decoded like any packet. */
#define LINK_AS_ETHERTYPE 0x10000u

/* What follows, where it is not an EtherType. */
#define NEXT_UNKNOWN  0u
#define NEXT_LLC      0x10000u /* IEEE 802.2 */
#define NEXT_PPP      0x20000u /* plus the PPP protocol number */
#define NEXT_RAW      0x30000u /* IP; its first four bits tell the version */
#define NEXT_BSD      0x40000u /* plus an address family that is not IP */
#define NEXT_PPP_MASK 0xffffu

enum link_tag { TAG_NONE, TAG_VLAN, TAG_MPLS, TAG_PPPOE, TAG_SNAP };

struct link_walk {
    const uint8_t *data;
    uint32_t caplen;
    uint32_t end;       /* of the layer on the wire; beyond caplen when the capture cut it */
    uint32_t offset;    /* of what follows; at most caplen */
    uint32_t next;      /* what follows: an EtherType or NEXT_ */
    uint16_t ethertype; /* behind VLAN tags, before MPLS and PPPoE */
    enum link_tag tag;  /* stepped over last, with its value: VLAN TCI, MPLS entry, PPPoE session */
    uint32_t value;
    unsigned n_tags;
    bool has_mac; /* an Ethernet header at data[0] */
    bool cut;
    bool bad;
};

/* Steps over the link layer's own header. */
void link_walk_start(struct link_walk *w, const struct packet_view *packet, uint32_t link_type);
/* Steps over one tag; false when there is none or it is cut. */
bool link_walk_step(struct link_walk *w);

struct ip_walk {
    const uint8_t *data;
    uint32_t caplen;
    uint32_t l3;      /* offset of the IP header */
    uint32_t end;     /* of the IP packet as its header says */
    uint32_t missing; /* bytes of it that were not on the wire */
    uint32_t offset;  /* of what follows; at most caplen */
    uint8_t version;  /* 4 or 6; 0 = the header is not there or is not IP */
    uint8_t proto;    /* what follows */
    uint8_t ttl;
    bool fragment;            /* one of several */
    bool later;               /* not the first: no header follows */
    uint32_t fragment_offset; /* bytes */
    uint8_t ext;              /* the extension header stepped over last, with place and length */
    uint32_t ext_offset;
    uint32_t ext_len;
    unsigned n_ext;
    bool guessed_end; /* the header says length 0: taken from the frame (TSO, BIG TCP) */
    bool cut;
    bool bad;
};

/* Steps over the IPv4 or IPv6 header that link->next names. */
void ip_walk_start(struct ip_walk *w, const struct link_walk *link);
/* Steps over one extension header (or AH in IPv4); false when there is none or it is cut or bad. */
bool ip_walk_step(struct ip_walk *w);

/* Where the four addresses of an ARP packet stand. */
struct arp_layout {
    uint32_t sender_mac;
    uint32_t sender_ip;
    uint32_t target_mac;
    uint32_t target_ip;
    uint32_t end;
};

struct arp_layout arp_layout(uint8_t mac_len, uint8_t ip_len);

/* "LLDP", "lldp" of an EtherType; NULL when it has no name here. */
const char *ethertype_title(uint32_t ethertype);
const char *ethertype_name(uint32_t ethertype);
/* "tcp" of an IP protocol; NULL when it has no name here. */
const char *ip_protocol_name(uint8_t proto);

static inline uint32_t add_clamped(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}
