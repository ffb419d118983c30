/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets out of a capture file: classic pcap in all its magics (micro- and nanoseconds, both byte
 * orders, the modified and Kuznetzov variants that libpcap reads) and pcapng (both byte orders,
 * several sections, several interfaces with their own link types, snaplens and time resolutions;
 * EPB, SPB, obsolete Packet Blocks; NRB, ISB and unknown blocks skipped). Time stamps come out in
 * nanoseconds, packet options as little-endian.
 */
#pragma once

#include "shared/capture/source.h"

/* Opens `path` ("-" = standard input). Owned by the caller, close with source->ops->close. A file
 * that is neither gives ERR_DAMAGED and says what it looks like; an empty or cut header is named.
 */
int source_file_open(const char *path, struct source **out, struct err *err);

/* Size of the file and how far reading is, in bytes, for progress; size 0 when unknown (a pipe). */
void source_file_progress(const struct source *source, uint64_t *done, uint64_t *size);

/* What the file held and nobody gets: packets cut to the snaplen that their interface promises (as
 * libpcap does), and packet options that were damaged, over PACKET_MAX_OPTIONS or of unknown byte
 * order. */
void source_file_losses(const struct source *source, uint64_t *cut, uint64_t *options);
