/* SPDX-License-Identifier: Apache-2.0
 *
 * A session being read as a capture file, chunk by chunk (session.read): what of it blocks. Opened
 * anywhere in the file that a cursor points at, read on from there, packed as the answer of the
 * call. On worker threads, one at a time; node/readings has the table of them.
 */
#pragma once

#include "node/read_cursor.h"
#include "shared/base/buf.h"

struct node_store;
struct reading;

struct reading_spec {
    const char *id;     /* of the session, as everywhere */
    const char *filter; /* NULL = all */
    const char *cursor; /* NULL = from the beginning; else from_ns and to_ns are the cursor's */
    uint64_t from_ns;
    uint64_t to_ns;
    enum export_format format; /* EXPORT_PCAPNG or EXPORT_PCAP */
};

struct reading_chunk {
    struct buf packed; /* a msgpack map, see session.read in the table of methods; owned */
    size_t bytes;      /* of the file in it */
    char next[READ_CURSOR_TEXT];
    bool is_last;
};

/* ERR_LIMIT: as many readings and downloads run as may; ERR_NOT_FOUND, ERR_AMBIGUOUS, ERR_FILTER;
 * ERR_USAGE: the cursor is of something else; else as export_chunks_new. */
int reading_open(struct node_store *access, const struct reading_spec *spec, struct reading **out,
                 struct err *err);
void reading_close(struct reading *reading); /* takes NULL */
/* *chunk is filled in anew, its bytes are owned by the caller. ERR_NOT_FOUND: the session was
 * deleted meanwhile. After an error the reading is good for nothing. */
int reading_next(struct reading *reading, size_t max_bytes, struct reading_chunk *chunk,
                 struct err *err);
