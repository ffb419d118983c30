/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a segment file back into the catalogue: after a crash from the last known frame, for a
 * lost catalogue from the start. A torn tail is cut; a damaged frame in the middle is stepped over
 * and counted. Private to the store.
 */
#pragma once

#include "shared/store/index.h"
#include "shared/store/segment_file.h"

struct adopt {
    struct store *store;
    struct frame_decoder *decoder;
    struct index_builder *index;
    bool after_crash; /* adopt_orphans removes what is too short for a header */
    struct store_session
        session; /* the newest description read, ifaces owned; id empty when none was */
    uint64_t frames;
    uint64_t packets;
    uint64_t cut_bytes;
    uint64_t damaged_frames;
    uint64_t damaged_packets; /* as their headers say; a lower bound where a header is lost */
    uint64_t damaged_before;  /* damaged_frames when the session in hand began */
    uint64_t modified_ns;     /* when the orphan in hand was last written to */
    int64_t made;             /* the last session that was made for an orphan, or 0 */
};

void adopt_init(struct adopt *a, struct store *store);
void adopt_deinit(struct adopt *a);

/* Walks the frames of a segment from byte `offset`, entering each in the catalogue under row (whose
 * numbers grow with it). `cut`: what follows the last frame was torn by a crash and is cut off the
 * file; else it is damage, but for the beginning of a frame. The caller holds a transaction.
 * ERR_DAMAGED when the file cannot be opened as a segment. */
int adopt_segment(struct adopt *a, struct catalogue_segment *row, uint64_t offset, bool cut,
                  struct err *err);

/* Counts and indexes the packets of a frame into f and *bloom (owned by the caller, f->bloom points
 * to it); false when they are not h->n_packets packets. Where the link type of one is not known the
 * frame gets no index, so that it is read and not passed over. */
bool adopt_read_run(struct adopt *a, const uint8_t *raw, const struct frame_header *h,
                    struct catalogue_frame *f, uint8_t **bloom);
/* Keeps the description that stands in a segment in a->session, when it is of the segment's own
 * session: in an unsealed one anything may stand. */
void adopt_take_description(struct adopt *a, const struct segment_header *header,
                            const uint8_t *raw, size_t n);

/* When a segment file was last written to, in ns; 0 when it is not there. */
uint64_t adopt_modified_ns(const struct store *store, const char *file);

/* Names of all segment files, sorted (so by session, then sequence); owned by the caller: each and
 * the list. */
int adopt_list_files(const struct store *store, char ***out, size_t *n, struct err *err);
void adopt_free_files(char **files, size_t n);

/* Enters every segment file that the catalogue does not know, with its session. Used by rebuild and
 * verify. */
int adopt_orphans(struct adopt *a, uint64_t *adopted, struct err *err);
