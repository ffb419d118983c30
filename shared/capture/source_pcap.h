/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets from a live interface, through libpcap: TPACKET_V3 on Linux. Opened non-blocking, since
 * libpcap's own waiting can outlast its timeout; the session polls the descriptor. Nanoseconds
 * where the device has them. The filter runs in the kernel.
 */
#pragma once

#include "shared/capture/source.h"

/* How long the kernel keeps a ring block that is not full, where nothing else is said. */
#define SOURCE_PCAP_BLOCK_TIMEOUT_MS 10
/* What snaplen may be at most, libpcap's own bound; GRO and BIG TCP frames reach 512 KiB. */
#define SOURCE_PCAP_SNAPLEN_MAX 262144u
#define SOURCE_PCAP_BUFFER_MAX  0x7fffffffu

enum capture_direction {
    CAPTURE_INOUT,
    CAPTURE_IN,
    CAPTURE_OUT,
};

struct source_pcap_opts {
    const char *interface; /* "any" = all of this host, link type SLL2 */
    const char *filter;    /* NULL or "" = everything */
    uint32_t snaplen;      /* 1 … SOURCE_PCAP_SNAPLEN_MAX */
    bool promisc;
    uint64_t buffer_bytes; /* the kernel's ring */
    enum capture_direction direction;
    /* How long the kernel keeps a ring block that is not full; 0 = SOURCE_PCAP_BLOCK_TIMEOUT_MS. A
     * short time makes packets come sooner, and the reader wake up more often. */
    uint32_t block_timeout_ms;
};

/* ERR_PERMISSION with the setcap line, ERR_NOT_FOUND with the nearest name, ERR_FILTER,
 * ERR_CAPTURE. Owned by the caller, close with source->ops->close. read gives ERR_CAPTURE when the
 * interface goes down or vanishes. */
int source_pcap_open(const struct source_pcap_opts *opts, struct source **out, struct err *err);

/* What a user should know though it works ("" = nothing): no promiscuous mode, a filter that is too
 * long for the kernel. */
const char *source_pcap_warning(const struct source *source);
