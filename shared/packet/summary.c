/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/addr.h"
#include "shared/packet/summary_internal.h"

void line_put(struct line *out, const char *text)
{
    size_t room = (size_t)(out->end - out->at);
    size_t n = strnlen(text, room);
    memcpy(out->at, text, n);
    out->at += n;
    *out->at = '\0';
}

static void line_vprintf(struct line *out, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void line_vprintf(struct line *out, const char *fmt, va_list ap)
{
    size_t room = (size_t)(out->end - out->at);
    int n = vsnprintf(out->at, room + 1, fmt, ap);
    if (n > 0) {
        out->at += (size_t)n < room ? (size_t)n : room;
    }
}

void line_printf(struct line *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line_vprintf(out, fmt, ap);
    va_end(ap);
}

void line_ipv4(struct line *out, const uint8_t *addr)
{
    char text[ADDR_TEXT_MAX];
    addr_ipv4_text(addr, text);
    line_put(out, text);
}

void line_ipv6(struct line *out, const uint8_t *addr)
{
    char text[ADDR_TEXT_MAX];
    addr_ipv6_text(addr, text);
    line_put(out, text);
}

void line_hex(struct line *out, const uint8_t *p, uint32_t n, bool colons)
{
    for (uint32_t i = 0; i < n && out->at < out->end; i++) {
        line_printf(out, colons && i > 0 ? ":%02x" : "%02x", p[i]);
    }
}

void line_named(struct line *out, const struct line_name *names, uint32_t value, const char *fmt)
{
    for (; names->name != NULL; names++) {
        if (names->value == value) {
            line_put(out, names->name);
            return;
        }
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    line_printf(out, fmt, value);
#pragma GCC diagnostic pop
}

struct span span_after(struct span span, uint32_t skip)
{
    uint32_t n = span.n > skip ? skip : span.n;
    return (struct span){
        .p = span.p + n,
        .n = span.n - n,
        .len = span.len > skip ? span.len - skip : 0,
    };
}

static void put_cut_link(struct line *out, const struct link_walk *link, uint32_t link_type)
{
    static const struct line_name by_next[] = {
        {ETHERTYPE_VLAN, "[|vlan]"},
        {ETHERTYPE_QINQ, "[|vlan]"},
        {ETHERTYPE_QINQ_OLD, "[|vlan]"},
        {0x9200, "[|vlan]"},
        {ETHERTYPE_MPLS, "[|mpls]"},
        {ETHERTYPE_MPLS_MULTICAST, "[|mpls]"},
        {ETHERTYPE_PPPOE, "[|pppoe]"},
        {NEXT_LLC, "[|llc]"},
        {0, NULL},
    };
    static const struct line_name by_link[] = {
        {LINK_ETHERNET, "[|ether]"}, {LINK_SLL, "[|sll]"},
        {LINK_SLL2, "[|sll2]"},      {LINK_NULL, "[|null]"},
        {LINK_LOOP, "[|null]"},      {LINK_PPP, "[|ppp]"},
        {LINK_RAW, "[|ip]"},         {LINK_RAW_DLT, "[|ip]"},
        {LINK_RAW_OPENBSD, "[|ip]"}, {LINK_PPP_SERIAL, "[|ppp]"},
        {LINK_C_HDLC, "[|chdlc]"},   {LINK_SLIP, "[|slip]"},
        {LINK_NFLOG, "[|nflog]"},    {0, NULL},
    };
    if (link->next != NEXT_UNKNOWN) {
        line_named(out, by_next, link->next, "[|0x%04x]");
    } else {
        line_named(out, by_link, link_type, "[|link-type %u]");
    }
}

void summary_macs(struct line *out, const struct decoded *d)
{
    if (d != NULL && d->has_mac) {
        line_hex(out, d->mac_src, 6, true);
        line_put(out, " > ");
        line_hex(out, d->mac_dst, 6, true);
        line_put(out, ", ");
    }
}

/* A frame that is neither IP nor ARP. */
static void put_frame(struct line *out, const struct link_walk *link, const struct decoded *d,
                      bool with_head)
{
    uint32_t next = link->next;
    if (next >= NEXT_PPP && next <= NEXT_PPP + NEXT_PPP_MASK) {
        summary_ppp(out, link);
        return;
    }
    if (next == ETHERTYPE_PPPOE_DISCOVERY || next == ETHERTYPE_PPPOE) {
        summary_pppoe_discovery(out, link);
        return;
    }
    const struct decoded *head = with_head && link->tag == TAG_NONE ? d : NULL;
    if (next == NEXT_LLC) {
        summary_llc(out, link, head);
        return;
    }
    summary_macs(out, head);
    if (next >= NEXT_BSD) {
        line_printf(out, "AF %u, length %u", next & 0xffff, link->end);
    } else if (next == NEXT_UNKNOWN && link->tag == TAG_MPLS) {
        line_printf(out, "length %u", link->end - link->offset);
    } else if (next == NEXT_UNKNOWN) {
        line_printf(out, "link-type %u, length %u", d->link_type, link->end);
    } else {
        const char *title = ethertype_title(next);
        line_printf(out, "ethertype %s (0x%04x), length %u", title == NULL ? "Unknown" : title,
                    next, link->end);
    }
}

static void put_bad_link(struct line *out, const struct link_walk *link, uint32_t link_type)
{
    if (link->n_tags > 0) {
        line_put(out, "bad: too many tags");
    } else if (link_type == LINK_NFLOG) {
        line_put(out, "bad nflog attribute");
    } else {
        line_printf(out, "unknown ip %u", link->data[link->offset] >> 4);
    }
}

static void put_packet(struct line *out, const struct packet_view *packet, const struct decoded *d,
                       bool with_head)
{
    struct link_walk link;
    link_walk_start(&link, packet, d->link_type);
    summary_tags(out, &link, !with_head);
    if (link.cut) {
        put_cut_link(out, &link, d->link_type);
        return;
    }
    if (link.bad) {
        put_bad_link(out, &link, d->link_type);
        return;
    }
    switch (link.next) {
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
        summary_ip(out, &link, d, with_head);
        break;
    case ETHERTYPE_ARP:
    case ETHERTYPE_RARP:
        line_put(out, with_head ? "ARP, " : "");
        summary_arp(out, &link);
        break;
    default:
        put_frame(out, &link, d, with_head);
    }
}

void summary_inner(struct line *out, struct span span, uint32_t link_type)
{
    if (out->depth == SUMMARY_DEPTH_MAX) {
        line_put(out, "...");
        return;
    }
    struct packet_view packet = {.data = span.p, .caplen = span.n, .len = span.len};
    struct decoded d;
    decode_packet(&packet, link_type, &d);
    out->depth++;
    put_packet(out, &packet, &d, true);
    out->depth--;
}

static void put_whole(const struct packet_view *packet, const struct decoded *d, struct line out,
                      bool with_head)
{
    put_packet(&out, packet, d, with_head);
    while (out.at > out.start && out.at[-1] == ' ') {
        *--out.at = '\0';
    }
}

void summary_info(const struct packet_view *packet, const struct decoded *d, char *out, size_t n)
{
    if (n > 0) {
        out[0] = '\0';
        put_whole(packet, d, (struct line){.start = out, .at = out, .end = out + n - 1}, false);
    }
}

void summary_line(const struct packet_view *packet, const struct decoded *d, char *out, size_t n)
{
    if (n > 0) {
        out[0] = '\0';
        put_whole(packet, d, (struct line){.start = out, .at = out, .end = out + n - 1}, true);
    }
}

#define HEX_ROW 16u

static void hex_row(const uint8_t *p, uint32_t n, char *at)
{
    static const char digits[] = "0123456789abcdef";
    memset(at, ' ', HEX_ROW / 2 * 5 + 2);
    char *ascii = at + HEX_ROW / 2 * 5 + 2;
    for (uint32_t i = 0; i < n; i++) {
        char *pair = at + i / 2 * 5 + 1 + i % 2 * 2;
        pair[0] = digits[p[i] >> 4];
        pair[1] = digits[p[i] & 0xf];
        ascii[i] = '.';
        if (p[i] > ' ' && p[i] < 0x7f) {
            ascii[i] = (char)p[i];
        }
    }
    ascii[n] = '\0';
}

void summary_hex(const uint8_t *data, uint32_t n, void (*line)(const char *text, void *arg),
                 void *arg)
{
    char text[96];
    for (uint32_t offset = 0; offset < n; offset += HEX_ROW) {
        int head = snprintf(text, 16, "\t0x%04x: ", offset);
        uint32_t left = n - offset;
        hex_row(data + offset, left < HEX_ROW ? left : HEX_ROW, text + head);
        line(text, arg);
        if (left <= HEX_ROW) {
            break;
        }
    }
}
