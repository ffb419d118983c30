/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading pcapng (draft-ietf-opsawg-pcapng): both byte orders, any number of sections, interfaces
 * with their own link types, snaplens and clocks; Enhanced, Simple and obsolete Packet Blocks; all
 * other blocks are skipped. A pull parser: the caller holds the bytes, hands over what it has and
 * gets one packet at a time, borrowed from those bytes. No I/O; hostile input by nature. Driver:
 * shared/packet/capture_file. The blocks are drawn in shared/packet/pcapng.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/bytes.h"
#include "shared/base/err.h"
#include "shared/packet/block.h"
#include "shared/packet/iface.h"
#include "shared/packet/pcapng_interface.h"
#include "shared/packet/pcapng_statistics.h"

/* The largest block of any kind; larger ones are refused by name. Holds a packet of
 * PACKET_MAX_BYTES with its options. */
#define PCAPNG_BLOCK_MAX_BYTES (32u * 1024u * 1024u)

struct pcapng_reader {
    uint64_t offset;     /* in the file: where the next block starts */
    uint64_t n_cut;      /* packets cut to the snaplen of their interface */
    uint64_t n_options;  /* packet options left out: damaged, too long, of unknown byte order */
    size_t need;         /* after "more": bytes that must be there at the next call */
    bool swapped;        /* this section is big-endian */
    bool in_section;     /* a Section Header Block was seen */
    uint32_t first;      /* of this section's interfaces in ifaces: numbers restart per section */
    uint32_t n_ifaces;   /* of all sections */
    uint32_t cap_ifaces; /* room in the two arrays */
    uint32_t max_ifaces; /* more are refused; 0 = IFACES_MAX */
    /* Where Interface Statistics Blocks go, in the order they stand; NULL: skipped. Those that are
     * damaged are left out. iface is an index into ifaces. */
    void (*statistics)(void *arg, uint32_t iface, const struct pcapng_told_statistics *told);
    void *statistics_arg;
    /* Section Header and Interface Description Blocks that were read, as they stand: another reader
     * that reads them in their order can go on from any packet. NULL: nobody wants them. */
    void (*described)(void *arg, const uint8_t *block, size_t n);
    void *described_arg;
    struct iface *ifaces;
    struct pcapng_clock *clocks;
    struct buf scratch; /* the options of the packet at hand, where they had to be rebuilt */
};

/* True when these first four bytes of a file start a section. */
bool pcapng_is_magic(const uint8_t bytes[4]);

void pcapng_reader_init(struct pcapng_reader *reader);
void pcapng_reader_deinit(struct pcapng_reader *reader);

/* 1: *out is the next packet, borrowed from `in`, which moves behind it (options may be the
 * reader's, until the next call); out->iface is an index into reader->ifaces, which may have grown
 * and moved. 0: the bytes of `in` end before the block does; come again with at least reader->need
 * bytes from in->p on. Negative: ERR_DAMAGED, ERR_LIMIT, ERR_UNSUPPORTED or ERR_NO_MEMORY, with the
 * offset; nothing behind it can be read. A packet longer than its interface's snaplen is cut to it
 * and counted. */
int pcapng_reader_next(struct pcapng_reader *reader, struct bytes_reader *in,
                       struct packet_view *out, struct err *err);

/* As pcapng_reader_next, but stops before the next packet and gives 1: so that a file's first
 * interfaces are known before its packets are wanted. */
int pcapng_reader_skip(struct pcapng_reader *reader, struct bytes_reader *in, struct err *err);
