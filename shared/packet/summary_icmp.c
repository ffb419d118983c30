/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

/* RFC 792. */
enum {
    ICMP_ECHO_REPLY = 0,
    ICMP_UNREACHABLE = 3,
    ICMP_REDIRECT = 5,
    ICMP_ECHO = 8,
    ICMP_ROUTER_ADVERT = 9,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER = 12,
    ICMP_TIME_STAMP = 13,
    ICMP_TIME_STAMP_REPLY = 14,
    ICMP_MASK_REPLY = 18,
};

enum {
    UNREACHABLE_PROTOCOL = 2,
    UNREACHABLE_PORT = 3,
    UNREACHABLE_TOO_BIG = 4,
};

/* What stands before and behind the address; RFC 1812 §5.2.7.1. */
struct unreachable_words {
    const char *before;
    const char *behind;
};

static const struct unreachable_words unreachable[] = {
    {"net ", " unreachable"},
    {"host ", " unreachable"},
    {NULL, NULL},
    {NULL, NULL},
    {NULL, NULL},
    {"", " unreachable - source route failed"},
    {"net ", " unreachable - unknown"},
    {"host ", " unreachable - unknown"},
    {"", " unreachable - source host isolated"},
    {"net ", " unreachable - admin prohibited"},
    {"host ", " unreachable - admin prohibited"},
    {"net ", " unreachable - tos prohibited"},
    {"host ", " unreachable - tos prohibited"},
    {"host ", " unreachable - admin prohibited filter"},
    {"host ", " unreachable - host precedence violation"},
    {"host ", " unreachable - precedence cutoff"},
};

/* The packet that the message is about; false when not enough of it was captured. */
static bool put_unreachable_port(struct line *out, struct span original)
{
    const uint8_t *ip = original.p;
    uint32_t header = (ip[0] & 0xfu) * 4;
    if (original.n < header + 4) {
        return false;
    }
    line_ipv4(out, ip + 16);
    if (ip[9] == PROTO_TCP || ip[9] == PROTO_UDP) {
        line_put(out, ip[9] == PROTO_TCP ? " tcp" : " udp");
    } else {
        line_printf(out, " protocol %u", ip[9]);
    }
    line_printf(out, " port %u unreachable", get_be16(ip + header + 2));
    return true;
}

static bool put_unreachable(struct line *out, struct span span)
{
    struct span original = span_after(span, 8);
    uint8_t code = span.p[1];
    if (original.n < 20) {
        return false;
    }
    const uint8_t *target = original.p + 16;
    uint16_t mtu = get_be16(span.p + 6);
    switch (code) {
    case UNREACHABLE_PROTOCOL:
        line_ipv4(out, target);
        line_printf(out, " protocol %u unreachable", original.p[9]);
        return true;
    case UNREACHABLE_PORT:
        return put_unreachable_port(out, original);
    case UNREACHABLE_TOO_BIG: /* RFC 1191 */
        line_ipv4(out, target);
        line_put(out, " unreachable - need to frag");
        if (mtu > 0) {
            line_printf(out, " (mtu %u)", mtu);
        }
        return true;
    default:
        break;
    }
    if (code < sizeof unreachable / sizeof unreachable[0]) {
        line_put(out, unreachable[code].before);
        line_ipv4(out, target);
        line_put(out, unreachable[code].behind);
    } else {
        line_ipv4(out, target);
        line_printf(out, " unreachable - #%u", code);
    }
    return true;
}

static bool put_redirect(struct line *out, struct span span)
{
    static const struct line_name codes[] = {
        {0, "redirect "}, {1, "redirect "}, {2, "redirect-tos "}, {3, "redirect-tos "}, {0, NULL}};
    static const struct line_name targets[] = {
        {0, "net "}, {1, "host "}, {2, "net "}, {3, "host "}, {0, NULL}};
    if (span.n < 28) {
        return false;
    }
    line_named(out, codes, span.p[1], "redirect-#%u ");
    line_ipv4(out, span.p + 24);
    line_put(out, " to ");
    if (span.p[1] < 4) {
        line_named(out, targets, span.p[1], "");
    }
    line_ipv4(out, span.p + 4);
    return true;
}

/* RFC 1256. */
static bool put_router_advert(struct line *out, struct span span)
{
    const uint8_t *p = span.p;
    if (span.n < 8) {
        return false;
    }
    line_printf(out, "router advertisement lifetime %us, %u address(es)", get_be16(p + 6), p[4]);
    return true;
}

static bool put_time_stamp(struct line *out, struct span span)
{
    const uint8_t *p = span.p;
    bool reply = p[0] == ICMP_TIME_STAMP_REPLY;
    if (span.n < (reply ? 20u : 8u)) {
        return false;
    }
    line_printf(out, "time stamp %s id %u seq %u", reply ? "reply" : "query", get_be16(p + 4),
                get_be16(p + 6));
    if (reply) {
        line_printf(out, ": org %u, recv %u, xmit %u", get_be32(p + 8), get_be32(p + 12),
                    get_be32(p + 16));
    }
    return true;
}

static bool put_echo(struct line *out, struct span span)
{
    if (span.n < 8) {
        return false;
    }
    line_printf(out, "echo %s, id %u, seq %u", span.p[0] == ICMP_ECHO ? "request" : "reply",
                get_be16(span.p + 4), get_be16(span.p + 6));
    return true;
}

static bool put_time_exceeded(struct line *out, uint8_t code)
{
    static const struct line_name codes[] = {
        {0, "time exceeded in-transit"}, {1, "ip reassembly time exceeded"}, {0, NULL}};
    line_named(out, codes, code, "time exceeded-#%u");
    return true;
}

static bool put_parameter(struct line *out, struct span span)
{
    if (span.n < 5) {
        return false;
    }
    line_printf(out, "parameter problem - %s %u", span.p[1] ? "code" : "octet",
                span.p[1] ? span.p[1] : span.p[4]);
    return true;
}

static bool put_message(struct line *out, struct span span)
{
    static const struct line_name types[] = {
        {4, "source quench"},          {10, "router solicitation"},  {15, "information request"},
        {16, "information reply"},     {17, "address mask request"}, {30, "traceroute"},
        {42, "extended echo request"}, {43, "extended echo reply"},  {0, NULL}};
    switch (span.p[0]) {
    case ICMP_ECHO:
    case ICMP_ECHO_REPLY:
        return put_echo(out, span);
    case ICMP_UNREACHABLE:
        return put_unreachable(out, span);
    case ICMP_REDIRECT:
        return put_redirect(out, span);
    case ICMP_ROUTER_ADVERT:
        return put_router_advert(out, span);
    case ICMP_TIME_EXCEEDED:
        return put_time_exceeded(out, span.p[1]);
    case ICMP_PARAMETER:
        return put_parameter(out, span);
    case ICMP_TIME_STAMP:
    case ICMP_TIME_STAMP_REPLY:
        return put_time_stamp(out, span);
    case ICMP_MASK_REPLY:
        if (span.n >= 12) {
            line_printf(out, "address mask is 0x%08x", get_be32(span.p + 8));
        }
        return span.n >= 12;
    default:
        line_named(out, types, span.p[0], "type-#%u");
        return true;
    }
}

void summary_icmp(struct line *out, struct span span)
{
    char *start = out->at;
    line_put(out, "ICMP ");
    if (span.n < 2 || !put_message(out, span)) {
        out->at = start;
        line_put(out, "[|icmp]");
        return;
    }
    line_printf(out, ", length %u", span.len);
}
