/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold for whatever bytes the decoder and the summary get. Used by the fuzz target and by
 * the unit tests, which cut every packet at every byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/packet/summary.h"

static inline void require_text(const char *text, size_t n)
{
    size_t len = strnlen(text, n);
    REQUIRE(len < n);
    for (size_t i = 0; i < len; i++) {
        REQUIRE(text[i] >= ' ' && text[i] <= '~');
    }
}

static inline void require_columns(const struct decoded *d, uint32_t caplen)
{
    REQUIRE(d->l3_offset <= caplen && d->l4_offset <= caplen && d->payload_offset <= caplen);
    REQUIRE(d->l4_offset == 0 || d->l4_offset >= d->l3_offset);
    REQUIRE(d->l4_offset == 0 || d->payload_offset == 0 || d->payload_offset >= d->l4_offset);
    REQUIRE(d->n_vlans <= DECODE_VLANS_MAX);
    uint32_t header = d->family == DECODE_IPV6 ? 40 : d->family == DECODE_IPV4 ? 20 : 16;
    REQUIRE(d->family == DECODE_NONE || d->l3_offset + header <= caplen);
    REQUIRE(!d->has_ports || (d->l4_offset != 0 || d->l3_offset == 0));
    REQUIRE(!d->has_ports || d->l4_offset + 4 <= caplen);
    REQUIRE(!d->has_tcp || (d->proto == 6 && d->has_ports));
    REQUIRE(d->has_tcp || d->tcp_flags == 0);
    for (unsigned i = 0; i < d->n_vlans; i++) {
        REQUIRE(d->vlans[i] < 4096);
    }
}

static inline void require_texts(const struct packet_view *packet, const struct decoded *d)
{
    char text[SUMMARY_MAX];
    char again[SUMMARY_MAX];
    decode_proto_name(d, text, sizeof text);
    require_text(text, sizeof text);
    decode_tcp_flags(d, text, sizeof text);
    require_text(text, sizeof text);
    decode_src(d, text, sizeof text);
    require_text(text, sizeof text);
    decode_dst(d, text, sizeof text);
    require_text(text, sizeof text);
    summary_info(packet, d, text, sizeof text);
    require_text(text, sizeof text);
    summary_line(packet, d, text, sizeof text);
    require_text(text, sizeof text);
    REQUIRE(text[0] != '\0');
    /* Too little room cuts the same text. */
    for (size_t room = 1; room < 80; room += 13) {
        memset(again, 'x', sizeof again);
        summary_line(packet, d, again, room);
        require_text(again, room);
        REQUIRE(again[room] == 'x');
        REQUIRE(strncmp(text, again, strlen(again)) == 0);
    }
}

static inline void check_decoder(const struct packet_view *packet, uint32_t link_type)
{
    struct decoded d;
    memset(&d, 0xa5, sizeof d);
    decode_packet(packet, link_type, &d);
    REQUIRE(d.link_type == link_type);
    require_columns(&d, packet->caplen);
    require_texts(packet, &d);
}
