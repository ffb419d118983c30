/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a capture to a file: a consumer of blocks. pcapng takes the blocks' bytes as they are,
 * with statistics every ten seconds and at the end; classic pcap is made of them packet by packet.
 * The name decides (file_name.h). Rotated captures are several files, each complete in itself; the
 * size is never exceeded unless by a single packet and the closing statistics.
 */
#pragma once

#include "shared/packet/consumer.h"
#include "shared/packet/pcapng.h"

/* Names of files that are kept for deleting the oldest. */
#define FILE_WRITER_MAX_FILES 100000u

struct file_writer_opts {
    const char *path;        /* "-" = standard output */
    const char *application; /* "packetrecorder 0.1.0", for the section header; may be NULL */
    uint64_t rotate_bytes;   /* begin a new file before this size is exceeded; 0 = never */
    uint64_t rotate_ns;      /* begin a new file after so long, of the clock when live, of packet
                                time when the source is a file; 0 = never */
    uint32_t rotate_files;   /* keep the newest so many, at most FILE_WRITER_MAX_FILES; 0 = all */
};

/* The (first) file is open when this returns. ERR_USAGE for the rotation of standard output.
 * Writing gives ERR_FULL when the disk is, -EPIPE when the reader of a pipe is gone, and
 * ERR_UNSUPPORTED for a classic pcap of several link types. */
int file_writer_new(const struct file_writer_opts *opts, struct consumer **out, struct err *err);
void file_writer_free(struct consumer *consumer); /* takes NULL */

/* Between two blocks: statistics that somebody else counted, for the interface with that number. In
 * a classic file there is no place for them. comment may be NULL. */
int file_writer_statistics(struct consumer *consumer, uint32_t iface,
                           const struct pcapng_statistics *statistics, const char *comment,
                           struct err *err);

/* For after the end: packets and bytes written, and how many files were begun. */
struct file_writer_stats {
    uint64_t packets;
    uint64_t bytes;
    uint32_t files;
};
void file_writer_stats(const struct consumer *consumer, struct file_writer_stats *out);
