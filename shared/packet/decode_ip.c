/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/decode_internal.h"

#include "shared/base/bytes.h"

/* RFC 8200 §4.1 asks for each at most once or twice. */
#define EXTENSIONS_MAX 16

static void set_end(struct ip_walk *w, uint32_t length, uint32_t wire_end)
{
    w->end = add_clamped(w->l3, length);
    w->missing = w->end > wire_end ? w->end - wire_end : 0;
}

static void set_end_from_frame(struct ip_walk *w, uint32_t wire_end)
{
    w->end = wire_end;
    w->guessed_end = true;
}

/* RFC 791. Total length 0 is what the kernel hands out for segments that are cut only in the
 * network card (TSO) or are larger than 64 KiB (BIG TCP): the frame's length is the only one. */
static void start_ipv4(struct ip_walk *w, uint32_t wire_end)
{
    const uint8_t *p = w->data + w->l3;
    if (w->caplen - w->l3 < 20) {
        w->cut = true;
        return;
    }
    if (p[0] >> 4 != 4) {
        w->bad = true;
        return;
    }
    w->version = 4;
    w->ttl = p[8];
    w->proto = p[9];
    uint16_t fragment = get_be16(p + 6);
    w->fragment_offset = (fragment & 0x1fffu) * 8;
    w->fragment = (fragment & 0x3fff) != 0;
    w->later = w->fragment_offset != 0;
    uint32_t header = (p[0] & 0xfu) * 4;
    uint16_t length = get_be16(p + 2);
    if (length == 0) {
        set_end_from_frame(w, wire_end);
    } else {
        set_end(w, length, wire_end);
    }
    if (header < 20 || w->end - w->l3 < header) {
        w->bad = true;
    } else if (w->caplen - w->l3 < header) {
        w->cut = true;
    } else {
        w->offset = w->l3 + header;
    }
}

/* RFC 8200 §3. Payload length 0 with anything behind the header is a jumbogram, whose length stands
 * in the hop-by-hop option, or BIG TCP without one. */
static void start_ipv6(struct ip_walk *w, uint32_t wire_end)
{
    const uint8_t *p = w->data + w->l3;
    if (w->caplen - w->l3 < 40) {
        w->cut = true;
        return;
    }
    if (p[0] >> 4 != 6) {
        w->bad = true;
        return;
    }
    w->version = 6;
    w->proto = p[6];
    w->ttl = p[7];
    w->offset = w->l3 + 40;
    uint16_t length = get_be16(p + 4);
    if (length == 0 && w->proto != PROTO_NONE) {
        set_end_from_frame(w, wire_end);
    } else {
        set_end(w, 40u + length, wire_end);
    }
    w->bad = w->end < w->offset;
}

void ip_walk_start(struct ip_walk *w, const struct link_walk *link)
{
    *w = (struct ip_walk){
        .data = link->data, .caplen = link->caplen, .l3 = link->offset, .offset = link->offset};
    if (link->next == ETHERTYPE_IPV4) {
        start_ipv4(w, link->end);
    } else if (link->next == ETHERTYPE_IPV6) {
        start_ipv6(w, link->end);
    }
}

/* RFC 2675: option 0xc2, length 4, the payload length in 32 bits. */
static void read_jumbo(struct ip_walk *w, uint32_t offset, uint32_t len)
{
    const uint8_t *p = w->data + offset;
    uint32_t i = 2;
    while (i < len) {
        if (p[i] == 0) { /* Pad1 has no length */
            i++;
            continue;
        }
        if (len - i < 2 || len - i - 2 < p[i + 1]) {
            return;
        }
        if (p[i] == 0xc2 && p[i + 1] == 4) {
            uint32_t wire_end = w->end;
            set_end(w, add_clamped(40, get_be32(p + i + 2)), wire_end);
            w->guessed_end = false;
            return;
        }
        i += 2u + p[i + 1];
    }
}

static void read_fragment(struct ip_walk *w, const uint8_t *p)
{
    uint16_t field = get_be16(p + 2);
    w->fragment_offset = field & 0xfff8u;
    w->fragment = w->fragment || (field & 0xfff9) != 0; /* RFC 6946: atomic ones are whole */
    w->later = w->fragment_offset != 0;
}

static bool is_extension(const struct ip_walk *w)
{
    switch (w->proto) {
    case PROTO_AH:
        return true;
    case PROTO_HOPOPT:
    case PROTO_ROUTING:
    case PROTO_FRAGMENT:
    case PROTO_DSTOPT:
        return w->version == 6;
    default:
        return false;
    }
}

static uint32_t extension_length(uint8_t proto, const uint8_t *p)
{
    switch (proto) {
    case PROTO_FRAGMENT:
        return 8;
    case PROTO_AH: /* RFC 4302 §2.2 */
        return (p[1] + 2u) * 4;
    default:
        return (p[1] + 1u) * 8;
    }
}

bool ip_walk_step(struct ip_walk *w)
{
    if (w->version == 0 || w->cut || w->bad || w->later || !is_extension(w)) {
        return false;
    }
    if (w->end < w->offset || w->end - w->offset < 8 || ++w->n_ext > EXTENSIONS_MAX) {
        w->bad = true;
        return false;
    }
    if (w->caplen - w->offset < 8) {
        w->cut = true;
        return false;
    }
    const uint8_t *p = w->data + w->offset;
    uint32_t len = extension_length(w->proto, p);
    if (w->proto == PROTO_AH && len < 12) {
        w->bad = true;
        return false;
    }
    if (w->caplen - w->offset < len) {
        w->cut = true;
        w->bad = w->end - w->offset < len;
        return false;
    }
    if (w->proto == PROTO_HOPOPT && w->guessed_end) {
        read_jumbo(w, w->offset, len);
    }
    if (w->end < w->offset || w->end - w->offset < len) {
        w->bad = true;
        return false;
    }
    if (w->proto == PROTO_FRAGMENT) {
        read_fragment(w, p);
    }
    w->ext = w->proto;
    w->ext_offset = w->offset;
    w->ext_len = len;
    w->proto = p[0];
    w->offset += len;
    return true;
}
