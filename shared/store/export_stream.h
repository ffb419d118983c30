/* SPDX-License-Identifier: Apache-2.0
 *
 * An export as a stream of bytes that somebody else writes, piece by piece: what a node answers to
 * a download. The bytes are those that export_run puts into a file. Of a whole session that has
 * ended, as pcapng, the length is known beforehand and reading may begin anywhere.
 */
#pragma once

#include "shared/store/export.h"

struct export_stream;

/* About what one piece holds; runs are given as they are, up to a frame. */
#define EXPORT_PIECE_BYTES (256u * 1024u)

/* spec (format, path, force, go_on are not looked at but for the format) and its sessions are
 * borrowed until export_stream_free. EXPORT_SQLITE is ERR_UNSUPPORTED. Else as export_run. */
int export_stream_new(struct store *store, const struct export_spec *spec,
                      struct export_stream **out, struct err *err);
void export_stream_free(struct export_stream *stream); /* takes NULL */

/* Bytes in all, UINT64_MAX where it shows only at the end. */
uint64_t export_stream_length(const struct export_stream *stream);
/* Before the first piece, where the length is known: begins at that byte. */
void export_stream_seek(struct export_stream *stream, uint64_t offset);

/* 1 with a piece, which may be empty (the search goes on), borrowed until the next call; 0 at the
 * end. Of a stream whose length was told, ERR_DAMAGED or ERR_NOT_FOUND when a part of it cannot be
 * read or was deleted meanwhile; of others it is left out and counted in `result`. */
int export_stream_next(struct export_stream *stream, const uint8_t **data, size_t *n,
                       struct err *err);
const struct export_result *export_stream_result(const struct export_stream *stream);
