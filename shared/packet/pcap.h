/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing classic pcap (draft-ietf-opsawg-pcap), little-endian, nanosecond magic. One link type and
 * no interfaces a file, 32-bit seconds: what does not fit is refused with an error that the caller
 * counts. It encodes into memory of the caller; reading is shared/packet/pcap_read.h.
 *
 *   file     0 u32 magic 0xa1b23c4d    4 u16 2, u16 4       8 u32 0    12 u32 0
 *            16 u32 snaplen            20 u32 link type
 *   record   0 u32 seconds   4 u32 nanoseconds   8 u32 caplen   12 u32 len   16 packet, unpadded
 */
#pragma once

#include <stdint.h>

#include "shared/packet/block.h"

#define PCAP_FILE_HEADER_BYTES   24u
#define PCAP_RECORD_HEADER_BYTES 16u
#define PCAP_MAGIC_MICROSECONDS  0xa1b2c3d4u
#define PCAP_MAGIC_NANOSECONDS   0xa1b23c4du
#define PCAP_MAGIC_KUZNETZOV     0xa1b2cd34u

/* What readers take for "no limit"; libpcap refuses larger packets of most link types anyway. */
#define PCAP_SNAPLEN_MAX 262144u

/* The header of the file. snaplen 0 (no limit) is written as PCAP_SNAPLEN_MAX, since readers cut
 * packets to what stands there. link_type is a LINKTYPE_ up to 65535. */
void pcap_write_header(uint8_t out[PCAP_FILE_HEADER_BYTES], uint32_t link_type, uint32_t snaplen);

/* The header of one packet; its caplen bytes follow it in the file. ERR_LIMIT, and nothing written,
 * when the time stamp is past 32-bit seconds (2106-02-07T06:28:15Z). */
int pcap_write_record(uint8_t out[PCAP_RECORD_HEADER_BYTES], const struct packet_view *packet);
