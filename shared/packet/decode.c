/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/decode.h"

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/packet/decode_internal.h"

/* The bytes of one layer: how many were captured, and how many its headers promise. */
struct layer {
    const uint8_t *p;
    uint32_t offset;
    uint32_t n;
    uint32_t len;
    bool first_fragment;
};

/* False with cut or bad set when the layer has not n bytes for its header. A first fragment may
 * rightly end inside it. */
static bool has_header(const struct layer *layer, uint32_t n, struct decoded *out)
{
    if (layer->len < n && !layer->first_fragment) {
        out->bad = true;
        return false;
    }
    if (layer->n < n) {
        out->cut = true;
        return false;
    }
    return true;
}

static bool read_ports(const struct layer *layer, struct decoded *out)
{
    if (!has_header(layer, 4, out)) {
        return false;
    }
    out->has_ports = true;
    out->sport = get_be16(layer->p);
    out->dport = get_be16(layer->p + 2);
    return true;
}

static void set_payload(const struct layer *layer, uint32_t header, struct decoded *out)
{
    out->payload_offset = layer->offset + header;
    out->payload_len = layer->len - header;
}

static void read_tcp(const struct layer *layer, struct decoded *out)
{
    if (!read_ports(layer, out)) {
        return;
    }
    if (layer->n >= 14) {
        out->has_tcp = true;
        out->tcp_flags = layer->p[13];
    }
    if (!has_header(layer, 20, out)) {
        return;
    }
    uint32_t header = (layer->p[12] >> 4) * 4u;
    if (header < 20) {
        out->bad = true;
    } else if (has_header(layer, header, out)) {
        set_payload(layer, header, out);
    }
}

/* RFC 768; length 0 stands for a jumbogram (RFC 2675 §4). */
static void read_udp(const struct layer *layer, struct decoded *out)
{
    if (!read_ports(layer, out) || !has_header(layer, 8, out)) {
        return;
    }
    uint32_t len = get_be16(layer->p + 4);
    if (len == 0 && layer->len > 65535) {
        len = layer->len;
    }
    if (len < 8) {
        out->bad = true;
        return;
    }
    out->bad = len > layer->len && !layer->first_fragment;
    out->payload_offset = layer->offset + 8;
    out->payload_len = len - 8;
}

static void read_fixed(const struct layer *layer, uint32_t header, struct decoded *out)
{
    if (has_header(layer, header, out)) {
        set_payload(layer, header, out);
    }
}

static void read_transport(const struct layer *layer, struct decoded *out)
{
    switch (out->proto) {
    case PROTO_TCP:
        read_tcp(layer, out);
        break;
    case PROTO_UDP:
        read_udp(layer, out);
        break;
    case PROTO_UDPLITE:
        if (read_ports(layer, out)) {
            read_fixed(layer, 8, out);
        }
        break;
    case PROTO_SCTP:
        if (read_ports(layer, out)) {
            read_fixed(layer, 12, out);
        }
        break;
    case PROTO_DCCP: /* RFC 4340 §5.1: the header's length in words is byte 4 */
        if (read_ports(layer, out) && has_header(layer, 12, out)) {
            read_fixed(layer, layer->p[4] * 4u, out);
        }
        break;
    case PROTO_ICMP:
    case PROTO_ICMPV6:
        read_fixed(layer, 8, out);
        break;
    default:
        set_payload(layer, 0, out);
    }
}

static void copy_addresses(const struct ip_walk *w, struct decoded *out)
{
    const uint8_t *p = w->data + w->l3;
    if (w->version == 4) {
        out->family = DECODE_IPV4;
        memcpy(out->src, p + 12, 4);
        memcpy(out->dst, p + 16, 4);
    } else {
        out->family = DECODE_IPV6;
        memcpy(out->src, p + 8, 16);
        memcpy(out->dst, p + 24, 16);
    }
}

static void decode_ip(const struct link_walk *link, struct decoded *out)
{
    struct ip_walk w;
    ip_walk_start(&w, link);
    if (w.version != 0) {
        out->l3_offset = w.l3;
        out->ttl = w.ttl;
        copy_addresses(&w, out);
    }
    while (ip_walk_step(&w)) {
    }
    out->proto = w.proto;
    out->fragment = w.fragment;
    out->cut |= w.cut;
    out->bad |= w.bad;
    if (w.version == 0 || w.cut || w.bad) {
        return;
    }
    uint32_t left = w.caplen - w.offset;
    uint32_t len = w.end - w.offset;
    struct layer layer = {
        .p = w.data + w.offset,
        .offset = w.offset,
        .n = left < len ? left : len,
        .len = len,
        .first_fragment = w.fragment,
    };
    if (w.later) {
        set_payload(&layer, 0, out);
        return;
    }
    out->l4_offset = w.offset;
    read_transport(&layer, out);
}

struct arp_layout arp_layout(uint8_t mac_len, uint8_t ip_len)
{
    struct arp_layout at = {.sender_mac = 8};
    at.sender_ip = at.sender_mac + mac_len;
    at.target_mac = at.sender_ip + ip_len;
    at.target_ip = at.target_mac + mac_len;
    at.end = at.target_ip + ip_len;
    return at;
}

/* RFC 826: 0 hardware, 2 protocol, 4 their address lengths, 6 operation, 8 the four addresses. */
static void decode_arp(const struct link_walk *link, struct decoded *out)
{
    uint32_t n = link->caplen - link->offset;
    const uint8_t *p = link->data + link->offset;
    if (n < 8) {
        out->cut = true;
        return;
    }
    struct arp_layout at = arp_layout(p[4], p[5]);
    if (n < at.end) {
        out->cut = true;
        return;
    }
    if (get_be16(p + 2) != ETHERTYPE_IPV4 || p[5] != 4) {
        return;
    }
    out->family = DECODE_ARP;
    out->l3_offset = link->offset;
    memcpy(out->src, p + at.sender_ip, 4);
    memcpy(out->dst, p + at.target_ip, 4);
}

static void note_tag(const struct link_walk *w, struct decoded *out)
{
    if (w->tag == TAG_VLAN && out->n_vlans < DECODE_VLANS_MAX) {
        out->vlans[out->n_vlans++] = w->value & 0xfff;
    } else if (w->tag == TAG_MPLS && out->n_mpls++ == 0) {
        out->mpls_label = w->value >> 12;
    }
}

void decode_packet(const struct packet_view *packet, uint32_t link_type, struct decoded *out)
{
    *out = (struct decoded){.link_type = link_type};
    struct link_walk link;
    link_walk_start(&link, packet, link_type);
    if (link.has_mac) {
        out->has_mac = true;
        memcpy(out->mac_dst, packet->data, 6);
        memcpy(out->mac_src, packet->data + 6, 6);
    }
    while (link_walk_step(&link)) {
        note_tag(&link, out);
    }
    out->ethertype = link.ethertype;
    out->cut = link.cut;
    out->bad = link.bad;
    if (link.cut || link.bad) {
        return;
    }
    switch (link.next) {
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
        decode_ip(&link, out);
        break;
    case ETHERTYPE_ARP:
    case ETHERTYPE_RARP:
        decode_arp(&link, out);
        break;
    default:
        break;
    }
}
