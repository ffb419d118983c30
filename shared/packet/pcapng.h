/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing pcapng (draft-ietf-opsawg-pcapng): every block but the packets, which blocks already are
 * (shared/packet/block.h). A file is one section, then each interface before its first packet, then
 * runs of Enhanced Packet Blocks, with statistics wherever they are known. All that is written is
 * little-endian and has nanosecond time stamps. Drivers: export, -w, the relay. It appends to a
 * buffer and does no I/O; reading is shared/packet/pcapng_read.h.
 *
 * Every block (§3.1) is
 *   0  u32 type    4  u32 total length    8  body, options, padded to 4    ..  u32 total length
 * and every option (§3.5)
 *   0  u16 code    2  u16 length    4  value, padded to 4 with zeros
 * with opt_endofopt (0, 0) behind the last.
 */
#pragma once

#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/packet/iface.h"
#include "shared/packet/ledger.h"

/* Block types (§11.1 of the draft) that are read or written. The Enhanced Packet Block is EPB_TYPE.
 */
enum pcapng_block_type {
    PCAPNG_SECTION = 0x0A0D0D0A,
    PCAPNG_INTERFACE = 1,
    PCAPNG_PACKET_OBSOLETE = 2,
    PCAPNG_SIMPLE_PACKET = 3,
    PCAPNG_STATISTICS = 5,
};

#define PCAPNG_BYTE_ORDER_MAGIC 0x1A2B3C4Du

/* Option codes (§3.5, §4.1, §4.2, §4.3, §4.6). */
enum pcapng_option {
    OPT_ENDOFOPT = 0,
    OPT_COMMENT = 1,

    SHB_HARDWARE = 2,
    SHB_OS = 3,
    SHB_USERAPPL = 4,

    IF_NAME = 2,
    IF_DESCRIPTION = 3,
    IF_MACADDR = 6,
    IF_SPEED = 8,
    IF_TSRESOL = 9,
    IF_FILTER = 11,
    IF_OS = 12,
    IF_TSOFFSET = 14,

    EPB_FLAGS = 2,
    EPB_HASH = 3,
    EPB_DROPCOUNT = 4,
    EPB_PACKETID = 5,
    EPB_QUEUE = 6,
    EPB_VERDICT = 7,

    ISB_STARTTIME = 2,
    ISB_ENDTIME = 3,
    ISB_IFRECV = 4,
    ISB_IFDROP = 5,
    ISB_FILTERACCEPT = 6,
    ISB_OSDROP = 7,
    ISB_USRDELIV = 8,

    OPT_CUSTOM_TEXT = 2988, /* §3.5.1: a private enterprise number, then UTF-8 */
};

/* The number that custom options of ours begin with: we have none of our own, and this one is set
 * aside for examples (RFC 5612). */
#define PCAPNG_CUSTOM_NUMBER 32473u

/* What stands in a Section Header Block (§4.1). All borrowed UTF-8; NULL or "" = left out. */
struct pcapng_section {
    const char *hardware;
    const char *os;
    const char *application; /* "packetrecorder 0.1.0" */
    const char *comment;
};

/* Interface Statistics Block (§4.6). time_ns is when the numbers were taken; of the others
 * UINT64_MAX = unknown, left out (so that it is not read as 0). */
struct pcapng_statistics {
    uint64_t time_ns;
    uint64_t start_ns;     /* isb_starttime: when the capture started */
    uint64_t end_ns;       /* isb_endtime */
    uint64_t ifrecv;       /* packets the interface received */
    uint64_t ifdrop;       /* dropped by interface or driver: no buffers, no descriptors */
    uint64_t filteraccept; /* packets that passed the filter */
    uint64_t osdrop;       /* dropped by the operating system: our ring was full */
    uint64_t usrdeliv;     /* packets delivered to us */
};

/* All of it unknown: the start value for whoever fills one in. */
#define PCAPNG_STATISTICS_UNKNOWN                                                                  \
    ((struct pcapng_statistics){.start_ns = UINT64_MAX,                                            \
                                .end_ns = UINT64_MAX,                                              \
                                .ifrecv = UINT64_MAX,                                              \
                                .ifdrop = UINT64_MAX,                                              \
                                .filteraccept = UINT64_MAX,                                        \
                                .osdrop = UINT64_MAX,                                              \
                                .usrdeliv = UINT64_MAX})

/* What a ledger says of an interface; its times are still unknown. */
struct pcapng_statistics pcapng_statistics_of(const struct ledger *ledger);

/* Section Header Block, version 1.0, section length unknown (-1). Texts longer than an option can
 * say (65,535 bytes) are cut at a character. */
void pcapng_write_section(struct buf *out, const struct pcapng_section *section);

/* Interface Description Block (§4.2): link type, snaplen, and of the options if_name,
 * if_description, if_filter (code 0: an expression of libpcap), if_MACaddr, if_speed, if_os those
 * that are known; if_tsresol 9 always. Interfaces are numbered by their order in the section.
 * comment may be NULL. */
void pcapng_write_interface(struct buf *out, const struct iface *iface, const char *comment);

/* The same with a custom option of ours (OPT_CUSTOM_TEXT), for programs. custom may be NULL. */
void pcapng_write_interface_custom(struct buf *out, const struct iface *iface, const char *comment,
                                   const char *custom);

/* Interface Statistics Block (§4.6) for the interface with that number. comment may be NULL. */
void pcapng_write_statistics(struct buf *out, uint32_t iface_id,
                             const struct pcapng_statistics *statistics, const char *comment);
