/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

static void put_vlan(struct line *out, const struct link_walk *link)
{
    const char *title = ethertype_title(link->next);
    line_printf(out, "vlan %u, p %u%s, ", link->value & 0xfff, link->value >> 13,
                link->value & 0x1000 ? ", DEI" : "");
    if (link->next == NEXT_LLC) {
        line_printf(out, "802.3, ");
    } else if (title != NULL) {
        line_printf(out, "ethertype %s, ", title);
    } else {
        line_printf(out, "ethertype 0x%04x, ", link->next);
    }
}

static void put_mpls(struct line *out, const struct link_walk *link, bool first)
{
    line_printf(out, "%s(label %u, tc %u%s, ttl %u) ", first ? "MPLS " : "", link->value >> 12,
                link->value >> 9 & 7, link->value & 0x100 ? ", [S]" : "", link->value & 0xff);
}

void summary_tags(struct line *out, struct link_walk *link, bool quiet)
{
    enum link_tag before = TAG_NONE;
    while (link_walk_step(link)) {
        if (quiet) {
            continue;
        }
        if (link->tag == TAG_VLAN) {
            put_vlan(out, link);
        } else if (link->tag == TAG_MPLS) {
            put_mpls(out, link, before != TAG_MPLS);
        } else if (link->tag == TAG_PPPOE) {
            line_printf(out, "PPPoE [ses 0x%x] ", link->value);
        }
        before = link->tag;
    }
}

static void put_arp_operation(struct line *out, const uint8_t *p)
{
    struct arp_layout at = arp_layout(p[4], 4);
    static const uint8_t zeros[255];
    switch (get_be16(p + 6)) {
    case 1:
        line_put(out, "Request who-has ");
        line_ipv4(out, p + at.target_ip);
        if (memcmp(p + at.target_mac, zeros, p[4]) != 0) {
            line_put(out, " (");
            line_hex(out, p + at.target_mac, p[4], true);
            line_put(out, ")");
        }
        line_put(out, " tell ");
        line_ipv4(out, p + at.sender_ip);
        break;
    case 2:
        line_put(out, "Reply ");
        line_ipv4(out, p + at.sender_ip);
        line_put(out, " is-at ");
        line_hex(out, p + at.sender_mac, p[4], true);
        break;
    case 3:
    case 8:
        line_put(out, p[7] == 3 ? "Reverse Request who-is " : "Inverse Request who-is ");
        line_hex(out, p + at.target_mac, p[4], true);
        line_put(out, " tell ");
        line_hex(out, p + at.sender_mac, p[4], true);
        break;
    case 4:
        line_put(out, "Reverse Reply ");
        line_hex(out, p + at.target_mac, p[4], true);
        line_put(out, " at ");
        line_ipv4(out, p + at.target_ip);
        break;
    case 9:
        line_put(out, "Inverse Reply ");
        line_hex(out, p + at.sender_mac, p[4], true);
        line_put(out, " at ");
        line_ipv4(out, p + at.sender_ip);
        break;
    default:
        line_printf(out, "Unknown (%u)", get_be16(p + 6));
    }
}

void summary_arp(struct line *out, const struct link_walk *link)
{
    const uint8_t *p = link->data + link->offset;
    uint32_t n = link->caplen - link->offset;
    if (n < 8 || n < arp_layout(p[4], p[5]).end) {
        line_put(out, "[|arp]");
        return;
    }
    uint16_t protocol = get_be16(p + 2);
    if (protocol != ETHERTYPE_IPV4 || p[5] != 4 || p[4] == 0) {
        line_printf(out, "hardware %u (len %u), protocol 0x%04x (len %u)", get_be16(p), p[4],
                    protocol, p[5]);
    } else {
        put_arp_operation(out, p);
    }
    line_printf(out, ", length %u", link->end - link->offset);
}

static void put_stp_flags(struct line *out, uint8_t flags)
{
    static const struct line_name names[] = {
        {0x01, "Topology change"}, {0x02, "Proposal"},  {0x10, "Learn"},
        {0x20, "Forward"},         {0x40, "Agreement"}, {0x80, "Topology change ACK"}};
    bool any = false;
    line_put(out, ", Flags [");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (flags & names[i].value) {
            line_printf(out, "%s%s", any ? ", " : "", names[i].name);
            any = true;
        }
    }
    line_put(out, any ? "]" : "none]");
}

/* IEEE 802.1D §9.3: 0 protocol, 2 version, 3 type, 4 flags, 5 root, 13 cost, 17 bridge, 25 port. */
static void put_stp(struct line *out, const uint8_t *p, uint32_t n, uint32_t len)
{
    static const struct line_name versions[] = {
        {0, "802.1d"}, {2, "802.1w"}, {3, "802.1s"}, {4, "802.1aq"}, {0, NULL}};
    static const struct line_name types[] = {
        {0x00, "Config"}, {0x02, "Rapid STP"}, {0x80, "Topology Change"}, {0, NULL}};
    if (n < 4) {
        line_put(out, "STP [|stp]");
        return;
    }
    line_put(out, "STP ");
    line_named(out, versions, p[2], "version %u");
    line_put(out, ", ");
    line_named(out, types, p[3], "type 0x%02x");
    if (p[3] != 0x80 && n < 27) {
        line_put(out, " [|stp]");
        return;
    }
    if (p[3] != 0x80) {
        put_stp_flags(out, p[4]);
        line_printf(out, ", bridge-id %04x.", get_be16(p + 17));
        line_hex(out, p + 19, 6, true);
        line_printf(out, ".%04x", get_be16(p + 25));
    }
    line_printf(out, ", length %u", len);
}

void summary_llc(struct line *out, const struct link_walk *link, const struct decoded *d)
{
    const uint8_t *p = link->data + link->offset;
    uint32_t len = link->end - link->offset;
    uint32_t n = link->caplen - link->offset;
    if (n > len) {
        n = len;
    }
    if (n < 3) {
        line_printf(out, "802.3, length %u: bad: too short for LLC", len);
        return;
    }
    if (p[0] == 0x42 && p[1] == 0x42 && p[2] == 3) {
        put_stp(out, p + 3, n - 3, len - 3);
        return;
    }
    summary_macs(out, d);
    line_printf(out, "802.3, length %u: LLC, dsap 0x%02x, ssap 0x%02x, ctrl 0x%02x", len, p[0],
                p[1], p[2]);
    if (p[0] == 0xaa && p[1] == 0xaa && n >= 8) {
        line_printf(out, ", oui 0x%06x, pid 0x%04x", get_be32(p + 2) & 0xffffff, get_be16(p + 6));
    }
}

/* RFC 1661 §5: the control protocols share code, id and length. */
void summary_ppp(struct line *out, const struct link_walk *link)
{
    static const struct line_name protocols[] = {
        {0x002b, "IPX"}, {0x003d, "MLPPP"}, {0x00fd, "Compressed"}, {0x8021, "IPCP"},
        {0x8053, "ECP"}, {0x8057, "IP6CP"}, {0x80fd, "CCP"},        {0x8281, "MPLSCP"},
        {0xc021, "LCP"}, {0xc023, "PAP"},   {0xc025, "LQR"},        {0xc223, "CHAP"},
        {0xc227, "EAP"}, {0, NULL}};
    static const struct line_name codes[] = {
        {1, "Conf-Request"}, {2, "Conf-Ack"},    {3, "Conf-Nack"},   {4, "Conf-Reject"},
        {5, "Term-Request"}, {6, "Term-Ack"},    {7, "Code-Reject"}, {8, "Prot-Reject"},
        {9, "Echo-Request"}, {10, "Echo-Reply"}, {11, "Discard"},    {0, NULL}};
    uint32_t protocol = link->next & NEXT_PPP_MASK;
    const uint8_t *p = link->data + link->offset;
    uint32_t n = link->caplen - link->offset;
    uint32_t len = link->end - link->offset + 2; /* with the protocol field, as tcpdump counts */
    bool control = protocol == 0xc021 || (protocol & 0xff00) == 0x8000 || protocol == 0x8281;
    line_named(out, protocols, protocol, "PPP protocol 0x%04x");
    if (control && n < 4) {
        line_put(out, " [|ppp]");
        return;
    }
    if (control) {
        line_put(out, ", ");
        line_named(out, codes, p[0], "Unknown");
        line_printf(out, " (0x%02x), id %u", p[0], p[1]);
    }
    line_printf(out, ", length %u", len);
}

/* RFC 2516 §5. */
void summary_pppoe_discovery(struct line *out, const struct link_walk *link)
{
    static const struct line_name codes[] = {{0x09, "PADI"}, {0x07, "PADO"}, {0x19, "PADR"},
                                             {0x65, "PADS"}, {0xa7, "PADT"}, {0, NULL}};
    const uint8_t *p = link->data + link->offset;
    line_put(out, "PPPoE ");
    if (link->caplen - link->offset < 6) {
        line_put(out, "[|pppoe]");
        return;
    }
    line_named(out, codes, p[1], "code 0x%02x");
    if (get_be16(p + 2) != 0) {
        line_printf(out, " [ses 0x%x]", get_be16(p + 2));
    }
    line_printf(out, ", length %u", get_be16(p + 4));
}
