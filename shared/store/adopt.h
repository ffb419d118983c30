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
    struct store_session
        session; /* the newest description read, ifaces owned; id empty when none was */
    uint64_t frames;
    uint64_t packets;
    uint64_t cut_bytes;
    uint64_t damaged_frames;
    uint64_t damaged_packets; /* as their headers say; a lower bound where a header is lost */
};

void adopt_init(struct adopt *a, struct store *store);
void adopt_deinit(struct adopt *a);

/* Walks the frames of a segment from byte `offset`, entering each in the catalogue under row (whose
 * numbers grow with it). `cut`: a torn tail is cut off the file. The caller holds a transaction.
 * ERR_DAMAGED when the file cannot be opened as a segment. */
int adopt_segment(struct adopt *a, struct catalogue_segment *row, uint64_t offset, bool cut,
                  struct err *err);

/* Names of all segment files, sorted (so by session, then sequence); owned by the caller: each and
 * the list. */
int adopt_list_files(const struct store *store, char ***out, size_t *n, struct err *err);
void adopt_free_files(char **files, size_t n);

/* Enters every segment file that the catalogue does not know, with its session. Used by rebuild and
 * verify. */
int adopt_orphans(struct adopt *a, uint64_t *adopted, struct err *err);
