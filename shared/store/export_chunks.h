/* SPDX-License-Identifier: Apache-2.0
 *
 * An export of one session in chunks of bytes that somebody fetches one after the other. Behind
 * each chunk stands a mark; whoever shows it gets the next chunk, also from another process that
 * knows nothing of the ones before: all chunks together are the bytes that one reading gives,
 * wherever it was broken. What is told of the packets' numbers never changes, so a mark stays good
 * while the session grows and when its oldest packets are deleted; a mark in the middle of
 * something that was deleted is refused. Nothing is read twice but the frame that a mark lies in.
 */
#pragma once

#include "shared/base/buf.h"
#include "shared/store/export.h"

/* The least that a chunk may be bounded by; and the most. */
#define EXPORT_CHUNK_MIN 4096u
#define EXPORT_CHUNK_MAX (4u * 1024u * 1024u)

enum export_stage { EXPORT_AT_HEAD, EXPORT_AT_BODY, EXPORT_AT_END };

/* Where a chunk ended. Fields of a mark that is given in are hostile. */
struct export_mark {
    enum export_stage stage;
    uint64_t next;     /* number of the packet that comes next, or of the first that may */
    uint64_t skip;     /* bytes of it (of the head, of its run) that were given */
    uint64_t offset;   /* bytes given in all */
    uint64_t packets;  /* given in all */
    uint64_t missing;  /* that could not be read: damaged, or deleted meanwhile */
    uint64_t left_out; /* that the format cannot hold, or of an interface that came up later */
    uint32_t n_ifaces; /* that the head describes */
    uint32_t head_sum;
};

struct export_chunks;

/* spec: n is 1, the format EXPORT_PCAPNG or EXPORT_PCAP, no limit; its session is copied but for
 * the list of interfaces, which is borrowed like the rest until export_chunks_free. from: a mark of
 * a reading with the same spec; NULL: from the beginning. ERR_USAGE: no mark that was given out
 * here; ERR_NOT_FOUND: what it lies in was deleted; ERR_UNSUPPORTED: classic pcap of several link
 * types; else as export_run. */
int export_chunks_new(struct store *store, const struct export_spec *spec,
                      const struct export_mark *from, struct export_chunks **out, struct err *err);
void export_chunks_free(struct export_chunks *chunks); /* takes NULL */

/* Appends at most max_bytes (within the bounds above) to out. 1: there is more; 0: that was the
 * last. Ends early, also without a byte, at the monotonic until_ns, where a filter finds little.
 * After an error neither out nor the mark is good for anything. */
int export_chunks_next(struct export_chunks *chunks, size_t max_bytes, uint64_t until_ns,
                       struct buf *out, struct err *err);
const struct export_mark *export_chunks_mark(const struct export_chunks *chunks);
