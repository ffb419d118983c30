/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

/* RFC 4443, 4861, 2710, 3810. */
enum {
    ICMP6_UNREACHABLE = 1,
    ICMP6_TOO_BIG = 2,
    ICMP6_TIME_EXCEEDED = 3,
    ICMP6_PARAMETER = 4,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    ICMP6_MLD_QUERY = 130,
    ICMP6_MLD_REPORT = 131,
    ICMP6_MLD_DONE = 132,
    ICMP6_NEIGHBOR_SOLICIT = 135,
    ICMP6_NEIGHBOR_ADVERT = 136,
    ICMP6_REDIRECT = 137,
    ICMP6_MLD2_REPORT = 143,
};

static const struct line_name type_names[] = {
    {1, "destination unreachable"},
    {2, "packet too big"},
    {3, "time exceeded in-transit"},
    {4, "parameter problem"},
    {128, "echo request"},
    {129, "echo reply"},
    {130, "multicast listener query"},
    {131, "multicast listener report"},
    {132, "multicast listener done"},
    {133, "router solicitation"},
    {134, "router advertisement"},
    {135, "neighbor solicitation"},
    {136, "neighbor advertisement"},
    {137, "redirect"},
    {138, "router renumbering"},
    {139, "node information query"},
    {140, "node information reply"},
    {141, "inverse neighbor solicitation"},
    {142, "inverse neighbor advertisement"},
    {143, "multicast listener report v2"},
    {144, "ha discovery request"},
    {145, "ha discovery reply"},
    {146, "mobile router solicitation"},
    {147, "mobile router advertisement"},
    {148, "certification path solicitation"},
    {149, "certification path advertisement"},
    {151, "multicast router advertisement"},
    {152, "multicast router solicitation"},
    {153, "multicast router termination"},
    {155, "RPL"},
    {157, "duplicate address request"},
    {158, "duplicate address confirmation"},
    {160, "extended echo request"},
    {161, "extended echo reply"},
    {0, NULL},
};

/* The transport of the packet that the message is about, behind its extension headers. */
static bool put_unreachable_port(struct line *out, struct span original)
{
    struct packet_view packet = {.data = original.p, .caplen = original.n, .len = original.len};
    struct decoded d;
    decode_packet(&packet, LINK_AS_ETHERTYPE + ETHERTYPE_IPV6, &d);
    if (d.l4_offset == 0 || original.n - d.l4_offset < 4) {
        return false;
    }
    line_put(out, ", ");
    line_ipv6(out, original.p + 24);
    if (d.proto == PROTO_TCP || d.proto == PROTO_UDP) {
        line_put(out, d.proto == PROTO_TCP ? " tcp" : " udp");
    } else {
        line_printf(out, " protocol %u", d.proto);
    }
    line_printf(out, " port %u", get_be16(original.p + d.l4_offset + 2));
    return true;
}

static bool put_unreachable(struct line *out, struct span span)
{
    static const struct line_name codes[] = {{0, "unreachable route"},
                                             {1, "unreachable prohibited"},
                                             {2, "beyond scope"},
                                             {3, "unreachable address"},
                                             {4, "unreachable port"},
                                             {5, "source address failed policy"},
                                             {6, "reject route to destination"},
                                             {0, NULL}};
    uint8_t code = span.p[1];
    struct span original = span_after(span, 8);
    line_put(out, ", ");
    line_named(out, codes, code, "unknown unreach code (%u)");
    if (original.n < 40) {
        return false;
    }
    if (code == 4) {
        return put_unreachable_port(out, original);
    }
    line_put(out, " ");
    line_ipv6(out, original.p + 24);
    if (code == 2) {
        line_put(out, ", source address ");
        line_ipv6(out, original.p + 8);
    }
    return true;
}

static bool put_time_exceeded(struct line *out, struct span span)
{
    if (span.p[1] == 1) {
        line_put(out, " (reassembly)");
    } else if (span.p[1] != 0) {
        line_printf(out, ", unknown code (%u)", span.p[1]);
    } else if (span.n < 48) {
        return false;
    } else {
        line_put(out, " for ");
        line_ipv6(out, span.p + 32);
    }
    return true;
}

static bool put_parameter(struct line *out, struct span span)
{
    static const struct line_name codes[] = {{0, "erroneous"},
                                             {1, "next header"},
                                             {2, "option"},
                                             {3, "incomplete header chain"},
                                             {0, NULL}};
    if (span.n < 8) {
        return false;
    }
    line_put(out, ", ");
    line_named(out, codes, span.p[1], "code-#%u");
    line_printf(out, " - octet %u", get_be32(span.p + 4));
    return true;
}

/* RFC 2710 §3; version 2 queries are longer (RFC 3810 §8.1). */
static bool put_listener(struct line *out, struct span span)
{
    if (span.n < 24) {
        return false;
    }
    if (span.p[0] == ICMP6_MLD_QUERY && span.len >= 28) {
        line_put(out, " v2 [gaddr ");
        line_ipv6(out, span.p + 8);
        line_put(out, "]");
        return true;
    }
    line_printf(out, ", max resp delay: %u, addr: ", get_be16(span.p + 4));
    line_ipv6(out, span.p + 8);
    return true;
}

static bool put_neighbor(struct line *out, struct span span)
{
    if (span.n < 24) {
        return false;
    }
    line_put(out, span.p[0] == ICMP6_NEIGHBOR_SOLICIT ? ", who has " : ", tgt is ");
    line_ipv6(out, span.p + 8);
    return true;
}

static bool put_redirect(struct line *out, struct span span)
{
    if (span.n < 40) {
        return false;
    }
    line_put(out, ", ");
    line_ipv6(out, span.p + 24);
    line_put(out, " to ");
    line_ipv6(out, span.p + 8);
    return true;
}

static bool put_numbers(struct line *out, struct span span)
{
    if (span.n < 8) {
        return false;
    }
    switch (span.p[0]) {
    case ICMP6_TOO_BIG:
        line_printf(out, ", mtu %u", get_be32(span.p + 4));
        break;
    case ICMP6_MLD2_REPORT:
        line_printf(out, ", %u group record(s)", get_be16(span.p + 6));
        break;
    default:
        line_printf(out, ", id %u, seq %u", get_be16(span.p + 4), get_be16(span.p + 6));
    }
    return true;
}

static bool put_details(struct line *out, struct span span)
{
    switch (span.p[0]) {
    case ICMP6_UNREACHABLE:
        return put_unreachable(out, span);
    case ICMP6_TIME_EXCEEDED:
        return put_time_exceeded(out, span);
    case ICMP6_PARAMETER:
        return put_parameter(out, span);
    case ICMP6_TOO_BIG:
    case ICMP6_ECHO:
    case ICMP6_ECHO_REPLY:
    case ICMP6_MLD2_REPORT:
        return put_numbers(out, span);
    case ICMP6_MLD_QUERY:
    case ICMP6_MLD_REPORT:
    case ICMP6_MLD_DONE:
        return put_listener(out, span);
    case ICMP6_NEIGHBOR_SOLICIT:
    case ICMP6_NEIGHBOR_ADVERT:
        return put_neighbor(out, span);
    case ICMP6_REDIRECT:
        return put_redirect(out, span);
    default:
        return true;
    }
}

void summary_icmp6(struct line *out, struct span span)
{
    if (span.n < 2) {
        line_put(out, "[|icmp6]");
        return;
    }
    line_put(out, "ICMP6, ");
    line_named(out, type_names, span.p[0], "unknown icmp6 type (%u)");
    if (!put_details(out, span)) {
        line_put(out, " [|icmp6]");
        return;
    }
    line_printf(out, ", length %u", span.len);
}
