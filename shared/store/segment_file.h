/* SPDX-License-Identifier: Apache-2.0
 *
 * Segment files on disk: appending frames, and reading one frame at a time. A file is called
 * SESSIONID-SEQUENCE.seg. Private to the store.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/store/catalogue_sqlite.h"
#include "shared/store/segment.h"
#include "shared/store/store_handle.h"

/* Appending. One writer, never reopened for appending after it was closed. */
struct segment_file {
    int fd; /* -1 = none */
    uint64_t bytes;
    uint32_t next_frame;
    struct seal *seal; /* owned; NULL when unencrypted */
    struct catalogue_segment row;
};

/* A frame in one piece or two, as frame_encode gave it. */
struct frame_bytes {
    const uint8_t *head;
    size_t head_n;
    const uint8_t *body; /* NULL: all of it is in head */
    size_t body_n;
};

/* Creates the next segment of a session. data_key: NULL when unencrypted. ERR_FULL leaves nothing
 * behind. */
int segment_file_create(const struct store *store, const char *session_id, uint32_t sequence,
                        uint64_t first_number, const uint8_t *data_key, struct segment_file *out,
                        struct err *err);
/* Appends whole or not at all: after a failed write the tail is cut off again and the segment must
 * be closed, since the frame's number is spent. ERR_FULL, ERR_IO. */
int segment_file_append(struct segment_file *f, const struct frame_bytes *frame, struct err *err);
int segment_file_sync(const struct segment_file *f, struct err *err);
void segment_file_close(struct segment_file *f);

/* Overwrites the header of a sealed segment, so that the wrapped keys are gone, and unlinks. A file
 * that is not there is fine. */
int segment_file_destroy(const struct store *store, const char *file, struct err *err);

/* Reading. */
struct segment_reader {
    int fd;
    uint64_t size;
    struct segment_header header;
    bool mended;       /* the header was damaged, and was read from its copy */
    uint8_t *data_key; /* locked memory; NULL when unsealed */
    struct seal *seal;
    uint8_t *frame;
    size_t frame_cap;
};

/* id: the random one that the catalogue has, so that no file takes the place of another; NULL =
 * any. ERR_NOT_FOUND when it is gone or its header already overwritten, ERR_KEY, ERR_DAMAGED,
 * ERR_IO, ERR_VERSION. */
int segment_reader_open(const struct store *store, const char *file, const uint8_t *id,
                        struct segment_reader *out, struct err *err);
/* Writes what segment_header_mend makes of the header. */
int segment_file_mend(const struct store *store, const char *file, struct err *err);
void segment_reader_close(struct segment_reader *r);
/* One frame at an offset, checked and decoded into *raw (borrowed until the next call on r or d).
 * ERR_DAMAGED: wrong bytes or cut off; ERR_IO: the disk does not give them. *h is filled in as far
 * as its own checksum held (h->kind 0 when not). */
int segment_reader_frame(struct segment_reader *r, struct frame_decoder *d, uint64_t offset,
                         struct frame_header *h, const uint8_t **raw, struct err *err);
/* Offset of the next intact frame header at or behind `from`, or r->size. */
uint64_t segment_reader_resync(struct segment_reader *r, uint64_t from);
