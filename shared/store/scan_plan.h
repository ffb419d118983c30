/* SPDX-License-Identifier: Apache-2.0
 *
 * Which frames a scan has to read: those whose time range and index may hold a match. Made once
 * from the catalogue, about 64 bytes a frame. Private to the store.
 */
#pragma once

#include "shared/packet/filter.h"
#include "shared/store/catalogue_sqlite.h"
#include "shared/store/scan.h"

struct plan_frame {
    uint32_t session; /* index into scan_spec.sessions */
    uint32_t segment; /* index into scan_plan.segments */
    uint64_t offset;
    uint64_t first_number;
    uint64_t min_ns;
    uint64_t max_ns;
    uint32_t number;
    uint32_t raw_len;
    uint32_t n_packets;
};

struct scan_plan {
    struct plan_frame *frames; /* owned; recorded order */
    size_t n_frames;
    struct catalogue_segment *segments; /* owned */
    size_t n_segments;
    uint64_t all_frames;
    uint64_t packets; /* in the candidates */
};

/* filters: NULL = everything matches. */
int scan_plan_make(struct store *store, const struct scan_spec *spec, struct filter_set *filters,
                   struct scan_plan *out, struct err *err);
/* True while the catalogue has the segment. Rows go before files: a file that is missing while its
 * row is there was not deleted by us. */
bool scan_plan_names(struct store *store, const struct catalogue_segment *segment);
void scan_plan_deinit(struct scan_plan *plan);
