/* SPDX-License-Identifier: Apache-2.0
 *
 * The options inside pcapng blocks (draft-ietf-opsawg-pcapng §3.5) of files that others wrote: a
 * walk over them, and the options of packets made fit for our own blocks, which are little-endian
 * and end with opt_endofopt. Driver: shared/packet/pcapng_read. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/bytes.h"

struct pcapng_option_view {
    uint16_t code;
    uint16_t len;
    const uint8_t *value; /* borrowed; padding is not part of it */
};

/* 1: *out is the next option. 0: opt_endofopt or the end of the bytes. ERR_DAMAGED: an option
 * longer than what is there. `swapped`: the section is big-endian. */
int pcapng_option_next(struct bytes_reader *in, bool swapped, struct pcapng_option_view *out);

/* The options of a packet as a packet_view has them. */
struct pcapng_packet_options {
    const uint8_t *options; /* borrowed, of the input or of `scratch`; NULL when there are none */
    uint32_t len;
    uint32_t n_dropped; /* options left out: damaged, too long, or of unknown byte order */
};

/* Options of an Enhanced or obsolete Packet Block, n bytes at p. Taken as they stand where that can
 * be; else copied into `scratch`: byte-swapped where the section is big-endian, with opt_endofopt
 * added. drops is the drop count of an obsolete block, which becomes epb_dropcount; 0 = none. False
 * when there is no memory. */
bool pcapng_packet_options(const uint8_t *p, size_t n, bool swapped, uint16_t drops,
                           struct buf *scratch, struct pcapng_packet_options *out);
