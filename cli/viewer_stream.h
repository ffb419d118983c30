/* SPDX-License-Identifier: Apache-2.0
 *
 * The live stream of a node, as it comes in the messages of a WebSocket: one pcapng section of our
 * own making (little-endian, nanoseconds), its interfaces, runs of Enhanced Packet Blocks,
 * statistics now and then. A pull parser that gives whole runs, borrowed, so that a flood is
 * written from where it lies: per packet it looks at the block's head and asks the resume
 * bookkeeping. Blocks may be cut anywhere by messages. Hostile input; no I/O. (Files of any make
 * are read by shared/packet/pcapng_read.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/viewer_resume.h"
#include "shared/base/buf.h"
#include "shared/base/bytes.h"
#include "shared/base/err.h"
#include "shared/packet/iface.h"
#include "shared/packet/pcapng.h"

/* Interfaces in one section; a node sends one, or a few out of history. */
#define STREAM_IFACES_MAX 64u

enum stream_event {
    STREAM_MORE = 0,   /* the bytes are used up */
    STREAM_SECTION,    /* the stream begins; interfaces are numbered from 0 again */
    STREAM_INTERFACE,  /* one more: reader->ifaces[piece->iface] */
    STREAM_PACKETS,    /* a run of new packets */
    STREAM_STATISTICS, /* counters of the interface piece->iface */
};

struct stream_piece {
    uint32_t iface;
    const uint8_t *run; /* borrowed from the input or the reader, until the next call */
    size_t n;
    uint32_t n_packets;
    uint64_t packet_bytes; /* captured */
    uint64_t min_ns;       /* time stamps in the run */
    uint64_t max_ns;
    struct pcapng_statistics statistics;
    char comment[512]; /* "" = none; longer ones are cut at a character */
};

/* Zeroed before its first use. */
struct stream_reader {
    bool in_section;
    struct iface *ifaces; /* owned; STREAM_IFACES_MAX of them, or NULL before the first */
    uint32_t n_ifaces;
    struct buf partial; /* a block whose end has not come */
    size_t used;        /* of partial: done with at the next call */
    uint64_t offset;    /* in the stream, for messages */
};

void stream_reader_deinit(struct stream_reader *reader);

/* A new connection: what was cut off is forgotten. */
void stream_reader_reset(struct stream_reader *reader);

/* The next event in `in`, which moves behind what was used. A run has at most max_packets (≥ 1).
 * Packets that `resume` has seen already are left out. Negative: ERR_DAMAGED, ERR_LIMIT or
 * ERR_UNSUPPORTED; nothing behind it can be read. */
int stream_reader_next(struct stream_reader *reader, struct resume *resume, struct bytes_reader *in,
                       uint64_t max_packets, struct stream_piece *out, struct err *err);
