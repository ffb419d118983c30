/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

enum {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_ACK = 0x10,
    TCP_URG = 0x20,
};

/* https://www.iana.org/assignments/tcp-parameters */
enum {
    OPTION_EOL = 0,
    OPTION_NOP = 1,
    OPTION_MSS = 2,
    OPTION_WSCALE = 3,
    OPTION_SACKOK = 4,
    OPTION_SACK = 5,
    OPTION_ECHO = 6,
    OPTION_ECHOREPLY = 7,
    OPTION_TIMESTAMP = 8,
    OPTION_UTO = 28,
    OPTION_AO = 29,
    OPTION_MPTCP = 30,
    OPTION_TFO = 34,
};

static const struct line_name option_names[] = {
    {OPTION_EOL, "eol"},
    {OPTION_NOP, "nop"},
    {OPTION_MSS, "mss"},
    {OPTION_WSCALE, "wscale"},
    {OPTION_SACKOK, "sackOK"},
    {OPTION_SACK, "sack"},
    {OPTION_ECHO, "echo"},
    {OPTION_ECHOREPLY, "echoreply"},
    {OPTION_TIMESTAMP, "TS"},
    {11, "cc"},
    {12, "ccnew"},
    {13, "ccecho"},
    {19, "md5"},
    {20, "scps"},
    {OPTION_UTO, "uto"},
    {OPTION_AO, "tcp-ao"},
    {OPTION_MPTCP, "mptcp"},
    {OPTION_TFO, "tfo"},
    {254, "exp"},
    {0, NULL},
};

/* Length of the value that a kind must have; -1 when it may be any. */
static int fixed_length(uint8_t kind)
{
    switch (kind) {
    case OPTION_MSS:
        return 2;
    case OPTION_WSCALE:
        return 1;
    case OPTION_SACKOK:
        return 0;
    case OPTION_ECHO:
    case OPTION_ECHOREPLY:
    case 11:
    case 12:
    case 13:
        return 4;
    case OPTION_TIMESTAMP:
        return 8;
    case 19:
        return 16;
    case OPTION_UTO:
        return 2;
    default:
        return -1;
    }
}

/* RFC 8684 §3. */
static void put_mptcp(struct line *out, const uint8_t *p, uint32_t n)
{
    static const struct line_name subtypes[] = {
        {0, "capable"}, {1, "join"}, {2, "dss"},        {3, "add-addr"}, {4, "rem-addr"},
        {5, "prio"},    {6, "fail"}, {7, "fast-close"}, {8, "tcprst"},   {0, NULL}};
    line_printf(out, " %u ", n + 2);
    if (n > 0) {
        line_named(out, subtypes, p[0] >> 4, "unknown-%u");
    }
}

static void put_sack(struct line *out, const uint8_t *p, uint32_t n)
{
    if (n % 8 != 0) {
        line_put(out, " malformed sack");
        return;
    }
    line_printf(out, " %u ", n / 8);
    for (uint32_t i = 0; i < n; i += 8) {
        line_printf(out, "{%u:%u}", get_be32(p + i), get_be32(p + i + 4));
    }
}

/* RFC 7413 §4.1.1: an empty one asks for a cookie. */
static void put_fast_open(struct line *out, const uint8_t *p, uint32_t n)
{
    line_put(out, n == 0 ? " cookiereq" : " cookie ");
    line_hex(out, p, n, false);
}

static void put_value(struct line *out, uint8_t kind, const uint8_t *p, uint32_t n)
{
    switch (kind) {
    case OPTION_SACKOK:
        break;
    case OPTION_MSS:
        line_printf(out, " %u", get_be16(p));
        break;
    case OPTION_WSCALE:
        line_printf(out, " %u", p[0]);
        break;
    case OPTION_SACK:
        put_sack(out, p, n);
        break;
    case OPTION_TIMESTAMP:
        line_printf(out, " val %u ecr %u", get_be32(p), get_be32(p + 4));
        break;
    case OPTION_UTO: /* RFC 5482: the top bit says minutes, which are shown as seconds */
        line_printf(out, " 0x%04x %u", get_be16(p),
                    (get_be16(p) & 0x7fffu) * (p[0] & 0x80 ? 60u : 1u));
        break;
    case OPTION_MPTCP:
        put_mptcp(out, p, n);
        break;
    case OPTION_TFO:
        put_fast_open(out, p, n);
        break;
    case OPTION_ECHO:
    case OPTION_ECHOREPLY:
    case 11:
    case 12:
    case 13:
        line_printf(out, " %u", get_be32(p));
        break;
    default:
        if (n > 0) {
            line_put(out, " 0x");
            line_hex(out, p, n, false);
        }
    }
}

/* One option. Bytes that it takes; 0 when the list is broken, and the line says so. */
static uint32_t put_option(struct line *out, struct span options)
{
    const uint8_t *p = options.p;
    uint8_t kind = p[0];
    line_named(out, option_names, kind, "unknown-%u");
    if (kind <= OPTION_NOP) {
        return 1;
    }
    if (options.len < 2 || (options.n >= 2 && (p[1] < 2 || p[1] > options.len))) {
        line_put(out, "[bad opt]");
        return 0;
    }
    if (options.n < 2 || options.n < p[1]) {
        line_put(out, "[|tcp]");
        return 0;
    }
    uint32_t n = p[1] - 2u;
    int fixed = fixed_length(kind);
    if (fixed >= 0 && n != (uint32_t)fixed) {
        line_printf(out, "[len %u]", p[1]);
    } else {
        put_value(out, kind, p + 2, n);
    }
    return p[1];
}

static void put_options(struct line *out, struct span options)
{
    line_put(out, ", options [");
    bool eol = false;
    bool first = true;
    while (options.len > 0 && !eol) {
        line_put(out, first ? "" : ",");
        first = false;
        if (options.n == 0) {
            line_put(out, "[|tcp]");
            break;
        }
        eol = options.p[0] == OPTION_EOL;
        uint32_t taken = put_option(out, options);
        if (taken == 0) {
            break;
        }
        options = span_after(options, taken);
    }
    line_put(out, "]");
}

static void put_sequence(struct line *out, const struct decoded *d, const uint8_t *p, uint32_t len)
{
    uint32_t seq = get_be32(p + 4);
    if (len > 0) {
        line_printf(out, ", seq %u:%u", seq, seq + len);
    } else if (d->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) {
        line_printf(out, ", seq %u", seq);
    }
    if (d->tcp_flags & TCP_ACK) {
        line_printf(out, ", ack %u", get_be32(p + 8));
    }
    line_printf(out, ", win %u", get_be16(p + 14));
    if (d->tcp_flags & TCP_URG) {
        line_printf(out, ", urg %u", get_be16(p + 18));
    }
}

void summary_tcp(struct line *out, const struct decoded *d, struct span span)
{
    char flags[16];
    if (span.n < 20) {
        line_put(out, "[|tcp]");
        return;
    }
    uint32_t header = (span.p[12] >> 4) * 4u;
    if (header < 20) {
        line_printf(out, "tcp %u [bad hdr length %u - too short, < 20]", span.len - header, header);
        return;
    }
    decode_tcp_flags(d, flags, sizeof flags);
    line_printf(out, "Flags [%s]", flags);
    if (header > span.len) {
        line_printf(out, " [bad hdr length %u - too long, > %u]", header, span.len);
        return;
    }
    uint32_t len = span.len - header;
    put_sequence(out, d, span.p, len);
    if (header > 20) {
        uint32_t n = span.n < header ? span.n : header;
        struct span options = {.p = span.p + 20, .n = n - 20, .len = header - 20};
        put_options(out, options);
    }
    line_printf(out, ", length %u", len);
}
