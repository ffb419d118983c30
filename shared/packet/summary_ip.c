/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

static void put_address(struct line *out, const struct ip_walk *w, bool source)
{
    const uint8_t *p = w->data + w->l3;
    if (w->version == 4) {
        line_ipv4(out, p + (source ? 12 : 16));
    } else {
        line_ipv6(out, p + (source ? 8 : 24));
    }
}

/* Ports stand at the addresses only where nothing is between IP and transport, as in tcpdump. */
static void put_addresses(struct line *out, const struct ip_walk *w, const struct decoded *d)
{
    bool ports = d->has_ports && w->proto == d->proto;
    put_address(out, w, true);
    if (ports) {
        line_printf(out, ".%u", d->sport);
    }
    line_put(out, " > ");
    put_address(out, w, false);
    if (ports) {
        line_printf(out, ".%u", d->dport);
    }
    line_put(out, ": ");
}

/* RFC 8200 §4.4, RFC 8754 for type 4. */
static void put_routing(struct line *out, const uint8_t *p, uint32_t len)
{
    line_printf(out, "RT6 (len=%u, type=%u%s, segleft=%u", p[1], p[2],
                p[2] == 0 ? " [Deprecated]" : "", p[3]);
    if (p[2] == 4) {
        line_printf(out, ", last-entry=%u, tag=%x", p[4], get_be16(p + 6));
    }
    if (p[2] == 0 || p[2] == 2 || p[2] == 4) {
        uint32_t n = p[2] == 2 ? 1 : (len - 8) / 16;
        for (uint32_t i = 0; i < n && 24 + i * 16 <= len && out->at < out->end; i++) {
            line_printf(out, ", [%u]", i);
            line_ipv6(out, p + 8 + i * 16);
        }
    }
    line_put(out, ") ");
}

void summary_extension(struct line *out, const struct ip_walk *w)
{
    const uint8_t *p = w->data + w->ext_offset;
    switch (w->ext) {
    case PROTO_HOPOPT:
        line_put(out, "HBH ");
        break;
    case PROTO_DSTOPT:
        line_put(out, "DSTOPT ");
        break;
    case PROTO_ROUTING:
        put_routing(out, p, w->ext_len);
        break;
    case PROTO_FRAGMENT:
        line_printf(out, "frag (%u|%u) ", w->fragment_offset, w->end - w->offset);
        break;
    default: /* AH, RFC 4302 §2 */
        line_printf(out, "AH(spi=0x%08x,seq=0x%x,icv=0x", get_be32(p + 4), get_be32(p + 8));
        line_hex(out, p + 12, w->ext_len - 12, false);
        line_put(out, "): ");
    }
}

static void put_transport(struct line *out, const struct decoded *d, struct span span)
{
    switch (d->proto) {
    case PROTO_TCP:
        summary_tcp(out, d, span);
        break;
    case PROTO_UDP:
    case PROTO_UDPLITE:
        summary_udp(out, d, span);
        break;
    case PROTO_SCTP:
        summary_sctp(out, span);
        break;
    case PROTO_ICMP:
        summary_icmp(out, span);
        break;
    case PROTO_ICMPV6:
        summary_icmp6(out, span);
        break;
    case PROTO_IGMP:
        summary_igmp(out, span);
        break;
    case PROTO_IPV4:
        summary_inner(out, span, LINK_AS_ETHERTYPE + ETHERTYPE_IPV4);
        break;
    case PROTO_IPV6:
        summary_inner(out, span, LINK_AS_ETHERTYPE + ETHERTYPE_IPV6);
        break;
    case PROTO_GRE:
        summary_gre(out, span);
        break;
    case PROTO_ESP:
        summary_esp(out, span);
        break;
    case PROTO_NONE:
        line_put(out, "no next header");
        break;
    default:
        summary_routing(out, d->proto, span);
    }
}

/* The ports where put_addresses could not print them. */
static void put_late_ports(struct line *out, const struct ip_walk *w, const struct decoded *d)
{
    if (w->n_ext > 0 && d->has_ports) {
        line_printf(out, "%u > %u: ", d->sport, d->dport);
    }
}

static void put_behind_header(struct line *out, struct ip_walk *w, const struct decoded *d)
{
    uint32_t missing = w->missing;
    while (ip_walk_step(w)) {
        summary_extension(out, w);
    }
    if (w->missing != missing) { /* only the jumbo option knew */
        line_printf(out, "truncated-ip6 - %u bytes missing! ", w->missing);
    }
    if (w->bad) {
        line_put(out, "bad extension header");
        return;
    }
    if (w->cut) {
        line_put(out, w->version == 4 ? "[|ip]" : "[|ip6]");
        return;
    }
    uint32_t len = w->end - w->offset;
    uint32_t n = w->caplen - w->offset;
    if (w->later) {
        if (w->version == 4) {
            line_printf(out, "ip-proto-%u, fragment offset %u, length %u", w->proto,
                        w->fragment_offset, len);
        }
        return;
    }
    put_late_ports(out, w, d);
    put_transport(out, d,
                  (struct span){.p = w->data + w->offset, .n = n < len ? n : len, .len = len});
}

static bool put_bad_header(struct line *out, const struct ip_walk *w, uint32_t ethertype)
{
    const uint8_t *p = w->data + w->l3;
    if (w->version == 0 && w->cut) {
        line_put(out, ethertype == ETHERTYPE_IPV4 ? "[|ip]" : "[|ip6]");
        return true;
    }
    if (w->version == 0) {
        line_printf(out, "bad-version %u", p[0] >> 4);
        return true;
    }
    if (w->bad && w->version == 4 && (p[0] & 0xf) < 5) {
        line_printf(out, "bad-hlen %u", (p[0] & 0xfu) * 4);
        return true;
    }
    if (w->bad) {
        line_printf(out, "bad-len %u", w->end - w->l3);
        return true;
    }
    return false;
}

void summary_ip(struct line *out, const struct link_walk *link, const struct decoded *d,
                bool with_head)
{
    struct ip_walk w;
    ip_walk_start(&w, link);
    if (with_head) {
        line_put(out, link->next == ETHERTYPE_IPV4 ? "IP " : "IP6 ");
    }
    if (put_bad_header(out, &w, link->next)) {
        return;
    }
    if (w.missing > 0) {
        line_printf(out, "truncated-%s - %u bytes missing! ", w.version == 4 ? "ip" : "ip6",
                    w.missing);
    }
    if (with_head) {
        put_addresses(out, &w, d);
    }
    put_behind_header(out, &w, d);
}
