/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/decode_internal.h"

#include "shared/base/bytes.h"

/* A packet of nothing but tags costs no more than this. */
#define TAGS_MAX 32

/* Attributes of an NFLOG packet; the kernel writes about 15. */
#define NFLOG_ATTRIBUTES_MAX 64

static bool has(struct link_walk *w, uint32_t n)
{
    if (w->caplen - w->offset < n) {
        w->cut = true;
        return false;
    }
    return true;
}

static void set_next(struct link_walk *w, uint32_t next)
{
    w->next = next;
    w->ethertype = next <= 0xffff ? (uint16_t)next : 0;
}

/* RFC 1042 and IEEE 802.3: up to 1500 it is a length, and LLC follows. */
static void length_or_type(struct link_walk *w, uint16_t value)
{
    if (value > 1500) {
        set_next(w, value);
        return;
    }
    uint32_t end = add_clamped(w->offset, value);
    if (end < w->end) {
        w->end = end;
    }
    set_next(w, NEXT_LLC);
}

static void start_ethernet(struct link_walk *w)
{
    if (!has(w, 14)) {
        return;
    }
    w->has_mac = true;
    w->offset = 14;
    length_or_type(w, get_be16(w->data + 12));
}

/* 0 type, 2 ARPHRD_, 4 address length, 6 address, 14 protocol */
static void start_sll(struct link_walk *w)
{
    if (!has(w, 16)) {
        return;
    }
    uint16_t protocol = get_be16(w->data + 14);
    w->offset = 16;
    /* LINUX_SLL_P_802_2; values that small are no EtherTypes. */
    set_next(w, protocol == 4 ? NEXT_LLC : protocol >= 0x600 ? protocol : NEXT_UNKNOWN);
}

/* 0 protocol, 4 interface index, 8 ARPHRD_, 10 type, 11 address length, 12 address */
static void start_sll2(struct link_walk *w)
{
    if (!has(w, 20)) {
        return;
    }
    uint16_t protocol = get_be16(w->data);
    w->offset = 20;
    set_next(w, protocol == 4 ? NEXT_LLC : protocol >= 0x600 ? protocol : NEXT_UNKNOWN);
}

/* An address family of whatever system wrote the file: AF_INET is 2 everywhere, AF_INET6 is 10 on
 * Linux, 23 on Windows, 24 NetBSD and OpenBSD, 28 FreeBSD, 30 macOS. */
static uint32_t next_of_family(uint32_t family)
{
    switch (family) {
    case 2:
        return ETHERTYPE_IPV4;
    case 10:
    case 23:
    case 24:
    case 28:
    case 30:
        return ETHERTYPE_IPV6;
    default:
        return NEXT_BSD + (family & 0xffff);
    }
}

static void start_loopback(struct link_walk *w, bool network_order)
{
    if (!has(w, 4)) {
        return;
    }
    uint32_t family = network_order ? get_be32(w->data) : get_le32(w->data);
    if (family > 0xffff) { /* written on a machine of the other byte order */
        family = __builtin_bswap32(family);
    }
    w->offset = 4;
    set_next(w, next_of_family(family));
}

/* RFC 1661 §2; the protocol field may be compressed to one odd byte (§6.5). */
static void step_ppp_protocol(struct link_walk *w)
{
    if (!has(w, 1)) {
        return;
    }
    const uint8_t *p = w->data + w->offset;
    uint32_t protocol = p[0];
    uint32_t n = 1;
    if ((p[0] & 1) == 0) {
        if (!has(w, 2)) {
            return;
        }
        protocol = get_be16(p);
        n = 2;
    }
    w->offset += n;
    switch (protocol) {
    case 0x0021:
        w->next = ETHERTYPE_IPV4;
        break;
    case 0x0057:
        w->next = ETHERTYPE_IPV6;
        break;
    case 0x0281:
        w->next = ETHERTYPE_MPLS;
        break;
    case 0x0283:
        w->next = ETHERTYPE_MPLS_MULTICAST;
        break;
    default:
        w->next = NEXT_PPP + protocol;
    }
}

/* Cisco HDLC: address 0x0f or 0x8f, control 0, EtherType. */
static void start_hdlc(struct link_walk *w)
{
    if (!has(w, 4)) {
        return;
    }
    uint16_t type = get_be16(w->data + w->offset + 2);
    w->offset += 4;
    set_next(w, type >= 0x600 ? type : NEXT_UNKNOWN);
}

static void start_ppp(struct link_walk *w)
{
    if (!has(w, 2)) {
        return;
    }
    uint16_t head = get_be16(w->data + w->offset);
    if (head == 0x0f00 || head == 0x8f00) {
        start_hdlc(w);
        return;
    }
    if (head == 0xff03) {
        w->offset += 2;
    }
    step_ppp_protocol(w);
    w->ethertype = w->next <= 0xffff ? (uint16_t)w->next : 0;
}

static void resolve_raw(struct link_walk *w)
{
    if (!has(w, 1)) {
        return;
    }
    uint8_t version = w->data[w->offset] >> 4;
    if (version != 4 && version != 6) {
        w->bad = true;
        set_next(w, NEXT_UNKNOWN);
        return;
    }
    set_next(w, version == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

static void start_slip(struct link_walk *w)
{
    if (has(w, 16)) {
        w->offset = 16;
        resolve_raw(w);
    }
}

/* 0 family, 1 version, 2 resource; then attributes of length, type (little-endian here) and value,
 * padded to 4. Type 9 is the packet. */
static void start_nflog(struct link_walk *w)
{
    if (!has(w, 4)) {
        return;
    }
    uint32_t family = w->data[0];
    w->offset = 4;
    for (unsigned i = 0; i < NFLOG_ATTRIBUTES_MAX && has(w, 4); i++) {
        uint32_t len = get_le16(w->data + w->offset);
        uint32_t type = get_le16(w->data + w->offset + 2);
        if (type == 9 && len >= 4) {
            w->end = add_clamped(w->offset, len);
            w->offset += 4;
            set_next(w, next_of_family(family));
            return;
        }
        uint32_t padded = (len + 3u) & ~3u;
        if (len < 4 || !has(w, padded)) {
            w->bad = len < 4;
            return;
        }
        w->offset += padded;
    }
}

void link_walk_start(struct link_walk *w, const struct packet_view *packet, uint32_t link_type)
{
    static const uint8_t nothing[1]; /* so that offsets can be added even when there is no byte */
    *w = (struct link_walk){
        .data = packet->caplen > 0 ? packet->data : nothing,
        .caplen = packet->caplen,
        .end = packet->len > packet->caplen ? packet->len : packet->caplen,
    };
    switch (link_type) {
    case LINK_ETHERNET:
        start_ethernet(w);
        break;
    case LINK_SLL:
        start_sll(w);
        break;
    case LINK_SLL2:
        start_sll2(w);
        break;
    case LINK_NULL:
        start_loopback(w, false);
        break;
    case LINK_LOOP:
        start_loopback(w, true);
        break;
    case LINK_PPP:
    case LINK_PPP_SERIAL:
        start_ppp(w);
        break;
    case LINK_C_HDLC:
        start_hdlc(w);
        break;
    case LINK_RAW:
    case LINK_RAW_DLT:
    case LINK_RAW_OPENBSD:
        resolve_raw(w);
        break;
    case LINK_SLIP:
        start_slip(w);
        break;
    case LINK_NFLOG:
        start_nflog(w);
        break;
    case LINK_IPV4:
        set_next(w, ETHERTYPE_IPV4);
        break;
    case LINK_IPV6:
        set_next(w, ETHERTYPE_IPV6);
        break;
    default:
        set_next(w, link_type > 0xffff ? link_type & 0xffff : NEXT_UNKNOWN);
    }
}

static bool step_vlan(struct link_walk *w)
{
    if (!has(w, 4)) {
        return false;
    }
    const uint8_t *p = w->data + w->offset;
    w->tag = TAG_VLAN;
    w->value = get_be16(p);
    w->offset += 4;
    length_or_type(w, get_be16(p + 2));
    return true;
}

/* RFC 3032: label 20, traffic class 3, bottom of stack 1, TTL 8 bits. What follows the bottom is
 * not named; IP is told by its version, everything else stays unknown. */
static bool step_mpls(struct link_walk *w)
{
    if (!has(w, 4)) {
        return false;
    }
    w->tag = TAG_MPLS;
    w->value = get_be32(w->data + w->offset);
    w->offset += 4;
    if ((w->value & 0x100) == 0) {
        return true;
    }
    if (w->offset == w->caplen && w->end > w->offset) {
        w->cut = true;
        return true;
    }
    unsigned version = w->offset < w->caplen ? w->data[w->offset] >> 4 : 0;
    w->next = version == 4 ? ETHERTYPE_IPV4 : version == 6 ? ETHERTYPE_IPV6 : NEXT_UNKNOWN;
    return true;
}

/* RFC 2516: version and type 4 bits each, code, session, length. Codes other than 0 are discovery
 * and stay here. */
static bool step_pppoe(struct link_walk *w)
{
    if (!has(w, 6)) {
        return false;
    }
    const uint8_t *p = w->data + w->offset;
    if (p[1] != 0) {
        return false;
    }
    uint32_t end = add_clamped(w->offset, 6u + get_be16(p + 4));
    w->tag = TAG_PPPOE;
    w->value = get_be16(p + 2);
    w->offset += 6;
    if (end < w->end) {
        w->end = end;
    }
    step_ppp_protocol(w);
    return true;
}

/* RFC 1042: SNAP with an OUI of zeros (or 0000f8, bridged tunnels) carries an EtherType. */
static bool step_llc(struct link_walk *w)
{
    uint32_t n = w->caplen - w->offset;
    uint32_t len = w->end - w->offset;
    const uint8_t *p = w->data + w->offset;
    bool snap = n >= 3 && p[0] == 0xaa && p[1] == 0xaa && p[2] == 3;
    if (n < 3 || (snap && n < 8)) {
        w->cut = len > n;
        return false;
    }
    if (!snap) {
        return false;
    }
    uint32_t oui = get_be32(p + 2) & 0xffffff;
    uint16_t type = get_be16(p + 6);
    if ((oui != 0 && oui != 0xf8) || type < 0x600) {
        return false;
    }
    w->tag = TAG_SNAP;
    w->offset += 8;
    set_next(w, type);
    return true;
}

static bool (*tag_stepper(uint32_t next))(struct link_walk *)
{
    switch (next) {
    case ETHERTYPE_VLAN:
    case ETHERTYPE_QINQ:
    case ETHERTYPE_QINQ_OLD:
    case 0x9200:
        return step_vlan;
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_MULTICAST:
        return step_mpls;
    case ETHERTYPE_PPPOE:
        return step_pppoe;
    case NEXT_LLC:
        return step_llc;
    default:
        return NULL;
    }
}

bool link_walk_step(struct link_walk *w)
{
    bool (*step)(struct link_walk *) = w->cut || w->bad ? NULL : tag_stepper(w->next);
    if (step == NULL) {
        return false;
    }
    if (w->n_tags == TAGS_MAX) {
        w->bad = true;
        return false;
    }
    w->n_tags++;
    bool stepped = step(w);
    if (w->end < w->offset) { /* an 802.3 or PPPoE length that ends inside the tags */
        w->end = w->offset;
    }
    return stepped;
}
