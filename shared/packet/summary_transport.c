/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

enum { PORT_VXLAN = 4789, PORT_GENEVE = 6081 };

static bool has_port(const struct decoded *d, uint16_t port)
{
    return d->sport == port || d->dport == port;
}

static void put_datagram(struct line *out, const struct decoded *d, struct span span)
{
    uint32_t len = get_be16(span.p + 4);
    if (len == 0 && span.len > 65535) {
        len = span.len;
    }
    if (len < 8) {
        line_printf(out, "bad: truncated-udplength %u", len);
        return;
    }
    if (d->bad) {
        line_printf(out, "UDP, bad length %u > %u", len - 8, span.len - 8);
        return;
    }
    struct span payload = span_after(span, 8);
    payload.len = len - 8;
    payload.n = payload.n < payload.len ? payload.n : payload.len;
    if (has_port(d, PORT_VXLAN)) {
        summary_vxlan(out, payload);
    } else if (has_port(d, PORT_GENEVE)) {
        summary_geneve(out, payload);
    } else {
        line_printf(out, "UDP, length %u", len - 8);
    }
}

void summary_udp(struct line *out, const struct decoded *d, struct span span)
{
    if (span.len < 8 && !d->fragment) {
        line_printf(out, "bad: truncated-udp %u", span.len);
    } else if (span.n < 8) {
        line_put(out, "[|udp]");
    } else if (d->proto == PROTO_UDPLITE) { /* RFC 3828: the length field is a coverage */
        line_printf(out, "UDP-Lite, coverage %u, length %u", get_be16(span.p + 4), span.len - 8);
    } else {
        put_datagram(out, d, span);
    }
}

static const struct line_name chunk_names[] = {
    {0, "DATA"},
    {1, "INIT"},
    {2, "INIT ACK"},
    {3, "SACK"},
    {4, "HB REQ"},
    {5, "HB ACK"},
    {6, "ABORT"},
    {7, "SHUTDOWN"},
    {8, "SHUTDOWN ACK"},
    {9, "OP ERR"},
    {10, "COOKIE ECHO"},
    {11, "COOKIE ACK"},
    {12, "ECN ECHO"},
    {13, "ECN CWR"},
    {14, "SHUTDOWN COMPLETE"},
    {15, "AUTH"},
    {64, "I-DATA"},
    {128, "ASCONF ACK"},
    {130, "RE-CONFIG"},
    {132, "PAD"},
    {192, "FOR CUM TSN"},
    {193, "ASCONF"},
    {194, "I-FORWARD-TSN"},
    {0, NULL},
};

/* RFC 9260 §14.4 and IANA. */
static const struct line_name payload_names[] = {
    {1, "ISDN Q.921"}, {2, "M2UA"},   {3, "M3UA"},   {4, "SUA"},       {5, "M2PA"},  {6, "V5.2"},
    {7, "H.248"},      {8, "BICC"},   {9, "TALI"},   {10, "DUA"},      {11, "ASAP"}, {12, "ENRP"},
    {13, "H.323"},     {14, "Q.IPC"}, {15, "SIMCO"}, {18, "S1AP"},     {19, "RUA"},  {20, "HNBAP"},
    {24, "SBc-AP"},    {25, "NBAP"},  {27, "X2AP"},  {46, "Diameter"}, {60, "NGAP"}, {0, NULL},
};

static void put_chunk_data(struct line *out, const uint8_t *p)
{
    uint8_t flags = p[1];
    if (flags & 7) {
        line_printf(out, " %s%s%s", flags & 4 ? "(U)" : "", flags & 2 ? "(B)" : "",
                    flags & 1 ? "(E)" : "");
    }
    line_printf(out, " [TSN: %u] [SID: %u] [SSEQ %u] [PPID ", get_be32(p + 4), get_be16(p + 8),
                get_be16(p + 10));
    line_named(out, payload_names, get_be32(p + 12), "0x%x");
    line_put(out, "]");
}

static uint32_t chunk_header(uint8_t type)
{
    switch (type) {
    case 0:
    case 3:
        return 16;
    case 1:
    case 2:
        return 20;
    default:
        return 4;
    }
}

static void put_chunk(struct line *out, struct span chunk)
{
    const uint8_t *p = chunk.p;
    line_put(out, "[");
    line_named(out, chunk_names, p[0], "Unknown chunk type: 0x%x");
    line_put(out, "]");
    if (chunk.len < chunk_header(p[0])) {
        line_put(out, " [bad chunk length]");
    } else if (chunk.n < chunk_header(p[0])) {
        line_put(out, " [|sctp]");
    } else if (p[0] == 0) {
        put_chunk_data(out, p);
    } else if (p[0] == 1 || p[0] == 2) {
        line_printf(out, " [init tag: %u] [rwnd: %u] [OS: %u] [MIS: %u] [init TSN: %u]",
                    get_be32(p + 4), get_be32(p + 8), get_be16(p + 12), get_be16(p + 14),
                    get_be32(p + 16));
    } else if (p[0] == 3) {
        line_printf(out, " [cum ack %u] [a_rwnd %u] [#gap acks %u] [#dup tsns %u]", get_be32(p + 4),
                    get_be32(p + 8), get_be16(p + 12), get_be16(p + 14));
    }
}

/* RFC 9260 §3: chunks of type, flags, length, padded to 4. */
void summary_sctp(struct line *out, struct span span)
{
    line_put(out, "sctp");
    if (span.n < 12) {
        line_put(out, span.len < 12 ? " bad: truncated-sctp" : " [|sctp]");
        return;
    }
    span = span_after(span, 12);
    for (unsigned i = 1; span.len > 0 && out->at < out->end; i++) {
        line_printf(out, "%s (%u) ", i > 1 ? "," : "", i);
        if (span.n < 4) {
            line_put(out, span.len < 4 ? "[bad: chunk descriptor cut off]" : "[|sctp]");
            return;
        }
        uint32_t len = get_be16(span.p + 2);
        if (len < 4 || len > span.len) {
            line_printf(out, "[bad chunk length %u]", len);
            return;
        }
        put_chunk(out, (struct span){span.p, span.n < len ? span.n : len, len});
        span = span_after(span, (len + 3u) & ~3u);
    }
}
