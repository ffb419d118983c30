/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets of both capture formats check. A file is read twice: all of it at once, and
 * fed as slowly as the reader's `need` allows; both must give the same packets, each inside the
 * input, its options well-formed and within their limit.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/mem.h"
#include "shared/packet/capture_file.h"

/* Options of a packet_view: whole options, the last opt_endofopt, a multiple of 4. */
static inline void check_options(const struct packet_view *packet)
{
    uint32_t at = 0;

    REQUIRE(packet->options_len % 4 == 0 && packet->options_len <= PACKET_MAX_OPTIONS);
    REQUIRE((packet->options == NULL) == (packet->options_len == 0));
    while (at + 4 < packet->options_len) {
        REQUIRE(get_le16(packet->options + at) != 0);
        at += 4 + ((get_le16(packet->options + at + 2) + 3u) & ~3u);
    }
    REQUIRE(packet->options_len == 0 ||
            (at + 4 == packet->options_len && get_le32(packet->options + at) == 0));
}

static inline void check_packet(const struct capture_file *file, const struct packet_view *packet,
                                const uint8_t *data, size_t n)
{
    uint32_t n_ifaces;
    const struct iface *ifaces = capture_file_ifaces(file, &n_ifaces);
    struct packet_view copied;

    REQUIRE(packet->iface < n_ifaces && n_ifaces <= IFACES_MAX);
    REQUIRE(ifaces[packet->iface].link_type <= UINT16_MAX);
    REQUIRE(packet->caplen <= PACKET_MAX_BYTES);
    REQUIRE(packet->data >= data && packet->caplen <= n - (size_t)(packet->data - data));
    check_options(packet);
    /* What is read can be put into a block and read again. */
    struct block *block = block_new(block_packet_bytes(packet->caplen, packet->options_len));
    REQUIRE(block != NULL && block_append(block, packet));
    struct block_cursor cursor = block_cursor(block->data, block->len);
    REQUIRE(block_next(&cursor, &copied) == 1 && copied.caplen == packet->caplen);
    REQUIRE(copied.options_len == packet->options_len && copied.time_ns == packet->time_ns);
    block_unref(block);
}

/* Packets read. */
static inline uint64_t read_capture(const uint8_t *data, size_t n, bool slowly)
{
    struct capture_file file;
    struct packet_view packet;
    struct err err;
    uint64_t n_packets = 0;
    size_t at = 0;
    size_t have = slowly ? 0 : n;
    int rc;

    capture_file_init(&file);
    for (;;) {
        struct bytes_reader in = bytes_reader(data + at, have - at);
        rc = capture_file_next(&file, &in, &packet, &err);
        at = (size_t)(in.p - data);
        REQUIRE(at <= have &&
                (rc < 0 || file.format == CAPTURE_UNKNOWN || capture_file_offset(&file) == at));
        if (rc == 1) {
            check_packet(&file, &packet, data, have);
            n_packets++;
        } else if (rc == 0 && have < n) {
            REQUIRE(capture_file_need(&file) > have - at);
            have = n - at > capture_file_need(&file) ? at + capture_file_need(&file) : n;
        } else {
            break;
        }
    }
    if (rc == 0) {
        REQUIRE(capture_file_end(&file, n - at, &err) <= 0);
    }
    capture_file_deinit(&file);
    return n_packets;
}

static inline void check_capture(const uint8_t *data, size_t n)
{
    REQUIRE(read_capture(data, n, false) == read_capture(data, n, true));
}
