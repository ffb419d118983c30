/* SPDX-License-Identifier: Apache-2.0
 *
 * A capture file of either format: tells pcap from pcapng by its first bytes, names what is
 * neither, and gives one packet at a time. The caller holds the bytes (from a file, a pipe, a test,
 * a fuzzer); nothing here does I/O. Driver: shared/capture/source_file_posix.
 *
 *     struct bytes_reader in = what is there, from capture_file_offset() of the file on;
 *     1: a packet, in.p moved on.  0: read more behind in.p, at least capture_file_need() bytes in
 * all; at the end of the file ask capture_file_end() with what is left.
 */
#pragma once

#include <stdint.h>

#include "shared/packet/pcap_read.h"
#include "shared/packet/pcapng_read.h"

enum capture_format { CAPTURE_UNKNOWN, CAPTURE_PCAP, CAPTURE_PCAPNG };

struct capture_file {
    enum capture_format format;
    size_t need; /* before the format is known */
    struct pcap_reader pcap;
    struct pcapng_reader pcapng;
};

void capture_file_init(struct capture_file *file);
void capture_file_deinit(struct capture_file *file);

/* As pcapng_reader_next and pcapng_reader_skip. ERR_DAMAGED for a file of neither format,
 * ERR_UNSUPPORTED for one that is known (compressed, another program's), each with what it looks
 * like and the way out. */
int capture_file_next(struct capture_file *file, struct bytes_reader *in, struct packet_view *out,
                      struct err *err);
int capture_file_skip(struct capture_file *file, struct bytes_reader *in, struct err *err);

/* The file ends with `left` bytes that are no whole packet. 0 when that is a proper end; else
 * ERR_DAMAGED, which says where it was cut off. */
int capture_file_end(const struct capture_file *file, size_t left, struct err *err);

size_t capture_file_need(const struct capture_file *file);
uint64_t capture_file_offset(const struct capture_file *file);

/* The interfaces known so far, *n of them, borrowed; the next call to capture_file_next may move
 * them. */
const struct iface *capture_file_ifaces(const struct capture_file *file, uint32_t *n);
