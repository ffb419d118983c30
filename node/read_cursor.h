/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a chunk of session.read ended, as an opaque text for the next call, good on any connection
 * and after the node was restarted. It says all that the bytes depend on but the filter's words, of
 * which it has a sum. Little-endian, in hex (cursor_text.h):
 *
 *   0   u8 version (1)     1   session id (16)      17  u64 sum of format and filter
 *   25  u64 from, ns       33  u64 to, ns           41  u8 stage (export_chunks.h)
 *   42  u64 next packet    50  u64 bytes of it      58  u64 bytes of the file
 *   66  u64 packets        74  u64 missing          82  u64 left out
 *   90  u32 interfaces     94  u32 sum of the head
 *
 * Pure.
 */
#pragma once

#include "node/cursor_text.h"
#include "shared/base/err.h"
#include "shared/store/export_chunks.h"

#define READ_CURSOR_BYTES 98
#define READ_CURSOR_TEXT  CURSOR_TEXT(READ_CURSOR_BYTES)

struct read_cursor {
    char id[STORE_ID_TEXT];
    uint64_t what; /* read_cursor_sum */
    uint64_t from_ns;
    uint64_t to_ns;
    struct export_mark mark;
};

/* Of what must be the same from chunk to chunk. filter: NULL = all. */
uint64_t read_cursor_sum(enum export_format format, const char *filter);

void read_cursor_write(const struct read_cursor *cursor, char out[READ_CURSOR_TEXT]);
/* ERR_USAGE: no cursor. */
int read_cursor_read(const char *text, struct read_cursor *out, struct err *err);
