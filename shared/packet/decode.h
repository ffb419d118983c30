/* SPDX-License-Identifier: Apache-2.0
 *
 * From bytes to fields: link layer to TCP, UDP, ICMP, SCTP. Used by query, exports, SQL and the
 * summary line. Never fails: it decodes as far as the captured bytes are there and sane, and says
 * in `cut` and `bad` where it stopped. Fields are those of the OUTERMOST IP header (what a BPF
 * filter `host`, `port` matches); what is inside a tunnel (IP in IP, GRE, VXLAN, 6in4) appears in
 * the summary text. Pure; hostile input by nature.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/block.h"

enum decode_family { DECODE_NONE = 0, DECODE_IPV4 = 4, DECODE_IPV6 = 6, DECODE_ARP = 1 };

#define DECODE_VLANS_MAX 4

struct decoded {
    uint32_t link_type;
    uint16_t ethertype; /* of the payload behind VLAN tags; 0 = unknown or 802.3 length */
    uint8_t mac_src[6];
    uint8_t mac_dst[6];
    bool has_mac;
    uint8_t n_vlans;
    uint16_t vlans[DECODE_VLANS_MAX]; /* VLAN ids, outermost first */
    uint32_t mpls_label;              /* top label; valid when n_mpls > 0 */
    uint8_t n_mpls;
    enum decode_family family;
    uint8_t src[16]; /* IPv4 and ARP: first 4 bytes */
    uint8_t dst[16];
    uint8_t proto; /* IP protocol after extension headers; valid for IPv4, IPv6 */
    uint8_t ttl;
    bool fragment;  /* any fragment */
    bool has_ports; /* TCP, UDP, SCTP, UDP-Lite, DCCP and first fragment with the bytes there */
    uint16_t sport;
    uint16_t dport;
    bool has_tcp;
    uint8_t tcp_flags;       /* FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128 */
    uint32_t l3_offset;      /* from packet->data; 0 with family NONE = none */
    uint32_t l4_offset;      /* 0 = none */
    uint32_t payload_offset; /* behind the transport header; 0 = none */
    uint32_t payload_len;    /* as the headers say, not cut by caplen */
    bool cut;                /* the capture ends inside a header */
    bool bad;                /* a header contradicts itself */
};

void decode_packet(const struct packet_view *packet, uint32_t link_type, struct decoded *out);

/* Short lower-case name of the innermost thing decoded, for the column proto: "tcp", "udp", "icmp",
 * "icmp6", "sctp", "arp", "gre", "ospf", … from a table, "ip-253" for unnamed IP protocols,
 * "0x88cc" for unnamed ethertypes, "llc"; "" when nothing is known. Written to out. */
void decode_proto_name(const struct decoded *d, char *out, size_t n);

/* TCP flags as tcpdump writes them ("S", "S.", "P.", "none"); "" when there is no TCP. */
void decode_tcp_flags(const struct decoded *d, char *out, size_t n);

/* Source and destination as text without ports; "" when there are none (MAC addresses when there is
 * no IP). */
void decode_src(const struct decoded *d, char *out, size_t n);
void decode_dst(const struct decoded *d, char *out, size_t n);
