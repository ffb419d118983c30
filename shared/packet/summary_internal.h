/* SPDX-License-Identifier: Apache-2.0
 *
 * What the printers of the summary share: a bounded line to write into and a bounded run of bytes
 * to read from. Each summary_X() appends what tcpdump would say of protocol X, and nothing that
 * stands in the packet gets into the line unescaped: addresses, numbers and words from tables only.
 *
 * Not for use outside the summary.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/decode.h"
#include "shared/packet/decode_internal.h"

/* Packets inside packets that are printed; what is deeper is "...". */
#define SUMMARY_DEPTH_MAX 4

/* A text of bounded size, always terminated; what does not fit is left out. */
struct line {
    char *start;
    char *at;
    char *end; /* of the room, for the terminator */
    unsigned depth;
};

void line_put(struct line *out, const char *text);
void line_printf(struct line *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void line_ipv4(struct line *out, const uint8_t *addr);
void line_ipv6(struct line *out, const uint8_t *addr);
/* n bytes in hex, with a colon between them where `colons` says so. */
void line_hex(struct line *out, const uint8_t *p, uint32_t n, bool colons);
/* "Name" out of a table that ends with a NULL name; "fmt" with the value when it is not in there.
 */
struct line_name {
    uint32_t value;
    const char *name;
};
void line_named(struct line *out, const struct line_name *names, uint32_t value, const char *fmt);

/* The bytes of one layer. */
struct span {
    const uint8_t *p;
    uint32_t n;   /* captured */
    uint32_t len; /* as the headers say; n is never more */
};

/* What is left behind the first `skip` bytes; nothing when there are fewer. */
struct span span_after(struct span span, uint32_t skip);

/* A packet inside a packet, on a line of its own length: link_type as in decode_packet, or
 * LINK_AS_ETHERTYPE plus an EtherType. */
void summary_inner(struct line *out, struct span span, uint32_t link_type);

/* IP with all that is in it. `link` stands at its header; d is the packet around it. */
void summary_ip(struct line *out, const struct link_walk *link, const struct decoded *d,
                bool with_head);
void summary_extension(struct line *out, const struct ip_walk *w);

/* Link layer. summary_tags steps `link` to its end. summary_macs prints "A > B, " where d has
 * addresses; d may be NULL. */
void summary_macs(struct line *out, const struct decoded *d);
void summary_tags(struct line *out, struct link_walk *link, bool quiet);
void summary_arp(struct line *out, const struct link_walk *link);
void summary_llc(struct line *out, const struct link_walk *link, const struct decoded *d);
void summary_ppp(struct line *out, const struct link_walk *link);
void summary_pppoe_discovery(struct line *out, const struct link_walk *link);

/* Transport. */
void summary_tcp(struct line *out, const struct decoded *d, struct span span);
void summary_udp(struct line *out, const struct decoded *d, struct span span);
void summary_sctp(struct line *out, struct span span);
void summary_icmp(struct line *out, struct span span);
void summary_icmp6(struct line *out, struct span span);
void summary_igmp(struct line *out, struct span span);
void summary_routing(struct line *out, uint8_t proto, struct span span);

/* Tunnels. */
void summary_gre(struct line *out, struct span span);
void summary_vxlan(struct line *out, struct span span);
void summary_geneve(struct line *out, struct span span);
void summary_esp(struct line *out, struct span span);
