/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading classic pcap (draft-ietf-opsawg-pcap), as liberally as libpcap does: micro- and
 * nanoseconds, both byte orders, Alexey Kuznetzov's modified records, the old files (2.0 to 2.3,
 * DG/UX's 543.0) whose two lengths are interchanged. A pull parser: the caller holds the bytes,
 * hands over what it has and gets one packet at a time, borrowed from those bytes. No I/O and no
 * memory of its own; hostile input by nature. Driver: shared/packet/capture_file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/bytes.h"
#include "shared/base/err.h"
#include "shared/packet/block.h"
#include "shared/packet/iface.h"

/* Which of a record's two lengths comes first. */
enum pcap_lengths { PCAP_CAPLEN_FIRST, PCAP_LEN_FIRST, PCAP_GREATER_IS_LEN };

struct pcap_reader {
    uint64_t offset;       /* in the file: where the next record starts */
    uint64_t n_cut;        /* packets cut to the snaplen that the file's header promises */
    size_t need;           /* after "more": bytes that must be there at the next call */
    uint32_t header_bytes; /* of a record: 16, or 24 in the modified format */
    uint32_t fraction_ns;  /* nanoseconds in one unit of the fraction: 1 or 1000 */
    uint32_t caplen_max;
    enum pcap_lengths lengths;
    bool swapped; /* the file is big-endian */
    struct iface iface;
};

/* True when these first four bytes of a file are one of the magics. */
bool pcap_is_magic(const uint8_t bytes[4]);

/* The LINKTYPE_ that the link type field of a file means: the upper half (frame check sequence,
 * reserved) is masked, and the numbers that DLT_RAW has on some systems become LINK_RAW. */
uint32_t pcap_link_type(uint32_t field);

/* Takes the first PCAP_FILE_HEADER_BYTES of a file. ERR_DAMAGED without a magic, ERR_UNSUPPORTED
 * for versions that libpcap does not read either. */
int pcap_reader_init(struct pcap_reader *reader, const uint8_t *header, struct err *err);

/* 1: *out is the next packet, borrowed from `in`, which moves behind it. 0: the bytes of `in` end
 * before the record does; come again with at least reader->need bytes from in->p on. Negative:
 * ERR_DAMAGED with the offset; nothing behind it can be read. A packet longer than the snaplen of
 * the file is cut to it, as libpcap does, and counted. */
int pcap_reader_next(struct pcap_reader *reader, struct bytes_reader *in, struct packet_view *out,
                     struct err *err);
