/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/file_encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/packet/block.h"
#include "shared/packet/link_type.h"
#include "shared/packet/pcap.h"
#include "shared/packet/pcapng.h"

/* The largest snaplen of all; 0 = one has no limit. */
static uint32_t largest_snaplen(const struct iface *ifaces, uint32_t n)
{
    uint32_t largest = 1;

    for (uint32_t i = 0; i < n; i++) {
        if (ifaces[i].snaplen == 0) {
            return 0;
        }
        largest = ifaces[i].snaplen > largest ? ifaces[i].snaplen : largest;
    }
    return n == 0 ? 0 : largest;
}

void file_encode_head(struct buf *out, enum file_format format, const struct iface *ifaces,
                      uint32_t n, const char *application)
{
    if (format == FILE_FORMAT_PCAP) {
        pcap_write_header(buf_extend(out, PCAP_FILE_HEADER_BYTES),
                          n == 0 ? LINK_ETHERNET : ifaces[0].link_type, largest_snaplen(ifaces, n));
        return;
    }
    const struct pcapng_section section = {
        .os = n == 0 ? NULL : ifaces[0].os,
        .application = application,
    };
    pcapng_write_section(out, &section);
    file_encode_ifaces(out, ifaces, 0, n);
}

void file_encode_ifaces(struct buf *out, const struct iface *ifaces, uint32_t from, uint32_t n)
{
    for (uint32_t i = from; i < n; i++) {
        pcapng_write_interface(out, &ifaces[i], NULL);
    }
}

int file_encode_check_pcap(const struct iface *ifaces, uint32_t n, struct err *err)
{
    for (uint32_t i = 1; i < n; i++) {
        if (ifaces[i].link_type != ifaces[0].link_type) {
            char first[LINK_TYPE_TEXT_MAX];
            char other[LINK_TYPE_TEXT_MAX];

            link_type_text(ifaces[0].link_type, first);
            link_type_text(ifaces[i].link_type, other);
            return err_set(err, ERR_UNSUPPORTED,
                           "a classic pcap file holds one link type, but '%s' has %s and '%s' has "
                           "%s; give the file a name that ends in .pcapng",
                           ifaces[0].name, first, ifaces[i].name, other);
        }
    }
    return 0;
}

void file_encode_statistics(struct buf *out, const struct file_statistics *statistics)
{
    for (uint32_t i = 0; i < statistics->n; i++) {
        const struct ledger *ledger = &statistics->ledgers[i];
        struct pcapng_statistics block = pcapng_statistics_of(ledger);
        char comment[128];

        block.time_ns = statistics->now_ns;
        block.start_ns = statistics->start_ns;
        block.end_ns = statistics->at_end ? statistics->now_ns : UINT64_MAX;
        int len =
            snprintf(comment, sizeof comment, "dropped at the limit: %" PRIu64, ledger->limit);
        if (i == 0 && statistics->at_end) {
            snprintf(comment + len, sizeof comment - (size_t)len,
                     "; dropped at the file, all interfaces: %" PRIu64, statistics->lost);
        }
        pcapng_write_statistics(out, i, &block, comment);
    }
}

uint32_t file_encode_records(struct buf *out, const void *run, size_t n)
{
    struct block_cursor cursor = block_cursor(run, n);
    struct packet_view packet;
    uint32_t left_out = 0;

    while (block_next(&cursor, &packet) == 1) {
        uint8_t header[PCAP_RECORD_HEADER_BYTES];

        if (pcap_write_record(header, &packet) < 0) {
            left_out++;
            continue;
        }
        buf_append(out, header, sizeof header);
        buf_append(out, packet.data, packet.caplen);
    }
    return left_out;
}

size_t file_whole_pcapng(const uint8_t *data, size_t n)
{
    size_t good = 0;

    while (n - good >= 12 && get_le32(data + good + 4) <= n - good) {
        good += get_le32(data + good + 4);
    }
    return good;
}

size_t file_whole_pcap(const uint8_t *data, size_t n)
{
    size_t good = 0;

    while (n - good >= PCAP_RECORD_HEADER_BYTES &&
           get_le32(data + good + 8) <= n - good - PCAP_RECORD_HEADER_BYTES) {
        good += PCAP_RECORD_HEADER_BYTES + get_le32(data + good + 8);
    }
    return good;
}
