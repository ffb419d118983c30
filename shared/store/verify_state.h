/* SPDX-License-Identifier: Apache-2.0
 *
 * What a verification is, shared by its two halves: verify_sqlite.c walks the sessions, and
 * verify_segment_sqlite.c one segment. Private to the store.
 */
#pragma once

#include "shared/store/adopt.h"
#include "shared/store/verify.h"

struct verify {
    struct store *store;
    struct verify_report *report;
    verify_cb cb;
    void *arg;
    uint64_t total_bytes; /* of all segments, for progress */
};

__attribute__((format(printf, 2, 3))) void verify_find(struct verify *v, const char *fmt, ...);
void verify_progress(const struct verify *v);

/* Reads a segment from its head to its end and makes the catalogue say what stands in it. Frames
 * that are damaged keep the rows that they have: they tell how much is lost. a->session becomes the
 * last description read. ERR_DAMAGED when it is the catalogue that is wrong about more than
 * frames. */
int verify_segment(struct verify *v, struct adopt *a, const struct store_session *s,
                   struct catalogue_segment *g, struct err *err);
