/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/pcap.h"

#include "shared/base/bytes.h"
#include "shared/base/err.h"

#define NS_PER_SECOND 1000000000u

void pcap_write_header(uint8_t out[PCAP_FILE_HEADER_BYTES], uint32_t link_type, uint32_t snaplen)
{
    put_le32(out, PCAP_MAGIC_NANOSECONDS);
    put_le16(out + 4, 2);
    put_le16(out + 6, 4);
    put_le64(out + 8, 0); /* thiszone and sigfigs: always 0 */
    put_le32(out + 16, snaplen > 0 ? snaplen : PCAP_SNAPLEN_MAX);
    put_le32(out + 20, link_type & 0xffffu);
}

int pcap_write_record(uint8_t out[PCAP_RECORD_HEADER_BYTES], const struct packet_view *packet)
{
    uint64_t seconds = packet->time_ns / NS_PER_SECOND;

    if (seconds > UINT32_MAX) {
        return ERR_LIMIT;
    }
    put_le32(out, (uint32_t)seconds);
    put_le32(out + 4, (uint32_t)(packet->time_ns % NS_PER_SECOND));
    put_le32(out + 8, packet->caplen);
    put_le32(out + 12, packet->len);
    return 0;
}
