/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

/* RFC 2784 and 2890 (version 0), RFC 2637 (version 1, PPTP). */
enum {
    GRE_CHECKSUM = 0x8000,
    GRE_ROUTING = 0x4000,
    GRE_KEY = 0x2000,
    GRE_SEQUENCE = 0x1000,
    GRE_ACK = 0x0080,
};

/* draft-foschiano-erspan §4.2: version 4 bits, VLAN 12, cos 3, en 2, t 1, session 10, index 20. */
static void put_erspan(struct line *out, struct span span, bool has_sequence)
{
    if (!has_sequence) { /* type I has no header */
        line_put(out, "ERSPAN I: ");
        summary_inner(out, span, LINK_ETHERNET);
        return;
    }
    if (span.n < 8) {
        line_put(out, "[|erspan]");
        return;
    }
    uint32_t head = get_be32(span.p);
    if (head >> 28 != 1) {
        line_printf(out, "ERSPAN version %u, length %u", head >> 28, span.len);
        return;
    }
    line_printf(out, "ERSPAN II, session %u, vlan %u, index %u: ", head & 0x3ff, head >> 16 & 0xfff,
                get_be32(span.p + 4) & 0xfffff);
    summary_inner(out, span_after(span, 8), LINK_ETHERNET);
}

static void put_gre_payload(struct line *out, struct span span, uint16_t protocol, uint16_t flags)
{
    switch (protocol) {
    case ETHERTYPE_TEB:
        summary_inner(out, span, LINK_ETHERNET);
        break;
    case ETHERTYPE_PPP:
        summary_inner(out, span, LINK_PPP);
        break;
    case ETHERTYPE_ERSPAN:
        put_erspan(out, span, flags & GRE_SEQUENCE);
        break;
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
    case ETHERTYPE_ARP:
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_MULTICAST:
    case ETHERTYPE_VLAN:
        summary_inner(out, span, LINK_AS_ETHERTYPE + protocol);
        break;
    default:
        line_printf(out, "gre-proto-0x%x", protocol);
    }
}

/* One optional field of 4 bytes; gone from the span when it was there. */
static bool take_field(struct span *span, bool present, uint32_t *value)
{
    if (!present || span->n < 4) {
        return false;
    }
    *value = get_be32(span->p);
    *span = span_after(*span, 4);
    return true;
}

static uint32_t gre_header(uint16_t flags)
{
    bool checksum = (flags & 7) == 0 && (flags & (GRE_CHECKSUM | GRE_ROUTING)) != 0;
    bool ack = (flags & 7) == 1 && (flags & GRE_ACK) != 0;
    bool key = (flags & GRE_KEY) != 0;
    bool sequence = (flags & GRE_SEQUENCE) != 0;
    return 4u + 4u * ((unsigned)checksum + ack + key + sequence);
}

static void put_gre0(struct line *out, struct span span, uint16_t flags, uint16_t protocol)
{
    uint32_t len = span.len;
    uint32_t value;
    span = span_after(span, 4);
    take_field(&span, flags & (GRE_CHECKSUM | GRE_ROUTING), &value);
    if (take_field(&span, flags & GRE_KEY, &value)) {
        line_printf(out, ", key=0x%x", value);
    }
    if (take_field(&span, flags & GRE_SEQUENCE, &value)) {
        line_printf(out, ", seq %u", value);
    }
    line_printf(out, ", length %u: ", len);
    if (flags & GRE_ROUTING) { /* RFC 1701 source routes, which nobody sends */
        line_put(out, "source routed");
        return;
    }
    put_gre_payload(out, span, protocol, flags);
}

static void put_gre1(struct line *out, struct span span, uint16_t flags, uint16_t protocol)
{
    uint32_t len = span.len;
    uint32_t value;
    span = span_after(span, 4);
    if (take_field(&span, flags & GRE_KEY, &value)) {
        line_printf(out, ", call %u", value & 0xffff);
    }
    bool payload = take_field(&span, flags & GRE_SEQUENCE, &value);
    if (payload) {
        line_printf(out, ", seq %u", value);
    }
    if (take_field(&span, flags & GRE_ACK, &value)) {
        line_printf(out, ", ack %u", value);
    }
    line_printf(out, "%s, length %u", payload ? "" : ", no-payload", len);
    if (payload) {
        line_put(out, ": ");
        put_gre_payload(out, span, protocol, 0);
    }
}

void summary_gre(struct line *out, struct span span)
{
    if (span.n < 4) {
        line_put(out, "[|gre]");
        return;
    }
    uint16_t flags = get_be16(span.p);
    uint16_t protocol = get_be16(span.p + 2);
    line_printf(out, "GREv%u", flags & 7);
    if ((flags & 7) > 1) {
        line_put(out, " bad: unknown-version");
    } else if (span.len < gre_header(flags)) {
        line_put(out, " bad: header too short");
    } else if (span.n < gre_header(flags)) {
        line_put(out, " [|gre]");
    } else if (flags & 7) {
        put_gre1(out, span, flags, protocol);
    } else {
        put_gre0(out, span, flags, protocol);
    }
}

/* RFC 7348 §5: flags 8, reserved 24, network identifier 24, reserved 8 bits. */
void summary_vxlan(struct line *out, struct span span)
{
    if (span.n < 8) {
        line_put(out, span.len < 8 ? "VXLAN bad: header too short" : "VXLAN [|vxlan]");
        return;
    }
    line_printf(out, "VXLAN, flags [%s] (0x%02x), vni %u: ", span.p[0] & 8 ? "I" : "invalid",
                span.p[0], get_be32(span.p + 4) >> 8);
    summary_inner(out, span_after(span, 8), LINK_ETHERNET);
}

static void put_geneve_payload(struct line *out, struct span span, uint16_t protocol)
{
    line_put(out, ": ");
    switch (protocol) {
    case ETHERTYPE_TEB:
        summary_inner(out, span, LINK_ETHERNET);
        break;
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
        summary_inner(out, span, LINK_AS_ETHERTYPE + protocol);
        break;
    default:
        line_printf(out, "geneve-proto-0x%x", protocol);
    }
}

/* RFC 8926 §3.4: version 2, option words 6, O, C, reserved 6, protocol 16, VNI 24, reserved 8. */
void summary_geneve(struct line *out, struct span span)
{
    static const char *const flags[] = {"none", "C", "O", "OC"};
    if (span.n < 8) {
        line_put(out, span.len < 8 ? "Geneve bad: header too short" : "Geneve [|geneve]");
        return;
    }
    const uint8_t *p = span.p;
    if (p[0] >> 6 != 0) {
        line_printf(out, "Geneve bad: unknown-version %u", p[0] >> 6);
        return;
    }
    uint32_t options = (p[0] & 0x3fu) * 4;
    line_printf(out, "Geneve, Flags [%s], vni 0x%x", flags[p[1] >> 6], get_be32(p + 4) >> 8);
    if (span.len - 8 < options) {
        line_printf(out, " bad: truncated-geneve - %u bytes missing", options - (span.len - 8));
        return;
    }
    if (options > 0) {
        line_printf(out, ", options [%u bytes]", options);
    }
    put_geneve_payload(out, span_after(span, 8 + options), get_be16(p + 2));
}

/* RFC 4303 §2. */
void summary_esp(struct line *out, struct span span)
{
    if (span.n < 8) {
        line_put(out, "[|esp]");
        return;
    }
    line_printf(out, "ESP(spi=0x%08x,seq=0x%x), length %u", get_be32(span.p), get_be32(span.p + 4),
                span.len);
}
