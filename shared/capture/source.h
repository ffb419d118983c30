/* SPDX-License-Identifier: Apache-2.0
 *
 * Where packets come from: a live interface (source_pcap) or a capture file (source_file). A source
 * is a table of functions; the capture session drives all of them with one loop and is the only
 * packet loop there is. A source hands each packet to a sink, borrowed for that call, and never
 * blocks: a live source is polled through its descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/packet/block.h"
#include "shared/packet/iface.h"

/* Takes packets from a source. Returns false when it wants no more (a limit is reached): the source
 * then stops reading at once and says so with SOURCE_STOPPED. */
struct source_sink {
    bool (*packet)(struct source_sink *sink, const struct packet_view *packet);
};

/* What a live source knows of lost packets, accumulated to 64 bits since it was opened. A counter
 * that the platform does not offer is SOURCE_UNKNOWN, never 0. */
#define SOURCE_UNKNOWN UINT64_MAX

struct source_stats {
    uint64_t received;  /* packets that passed the filter, kernel's count */
    uint64_t kernel;    /* dropped by the kernel: ring full */
    uint64_t interface; /* dropped by interface or driver */
};

enum source_result {
    SOURCE_MORE = 1,    /* files: call again; live: something was read */
    SOURCE_IDLE = 2,    /* live only: nothing there now, poll the descriptor */
    SOURCE_END = 3,     /* file read to its end */
    SOURCE_STOPPED = 4, /* the sink wanted no more */
};

struct source;

struct source_ops {
    /* Reads one batch into the sink. A source_result, or a negative error with err set. For files a
     * damaged or cut file gives all packets before the damage first, then ERR_DAMAGED with the byte
     * offset in the sentence. */
    int (*read)(struct source *source, struct source_sink *sink, struct err *err);
    /* Descriptor for poll(2), or -1 for files. */
    int (*fd)(struct source *source);
    void (*stats)(struct source *source, struct source_stats *out);
    /* Live: nothing more comes in from now on, while what came before can still be read, so that
     * the counters add up at the end. May be NULL. */
    void (*halt)(struct source *source);
    /* Live: from now on captures by another expression, with no packet lost on the way. May block
     * (DNS). Any thread, one at a time, while the source is open. ERR_FILTER; ERR_UNSUPPORTED where
     * the kernel does not filter: open it anew. May be NULL. */
    int (*swap_filter)(struct source *source, const char *expression, struct err *err);
    /* Live, of packets that are stamped elsewhere: a time of that clock before which no packet
     * comes any more once a read, begun after this was asked, said SOURCE_IDLE; 0 = not known. Any
     * thread. NULL: this host's clock stamps them when they come. */
    uint64_t (*watermark)(struct source *source);
    void (*close)(struct source *source); /* frees it */
};

/* The first member of every source. */
struct source {
    const struct source_ops *ops;
    /* Interfaces known so far; a pcapng file can grow the list while it is read (a packet's iface
     * is always an index into the list as it stands when the sink gets it). Owned by the source;
     * the pointer may move on growth. */
    const struct iface *ifaces;
    uint32_t n_ifaces;
    /* Live: bytes that the kernel holds for a reader that is away; 0 = unknown. */
    uint64_t buffer_bytes;
};
