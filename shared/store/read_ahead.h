/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, opens and decompresses the frames of a plan on worker threads, a few ahead of whoever
 * takes them, in the plan's order. The ring of slots is the bound: 2 more than there are workers,
 * each with one decoded frame. A plan of a frame or two is decoded on the caller's thread. Private
 * to the store.
 */
#pragma once

#include "shared/store/scan_plan.h"

struct read_ahead;

/* Borrows store and plan. */
struct read_ahead *read_ahead_new(const struct store *store, const struct scan_plan *plan);
void read_ahead_free(struct read_ahead *a); /* takes NULL */

/* Index of the frame that read_ahead_next will give. */
size_t read_ahead_at(const struct read_ahead *a);

/* The next frame of the plan; its bytes are valid until the next call. 1; 0 at the plan's end; or
 * what reading it said, with *frame set all the same: ERR_DAMAGED, ERR_NOT_FOUND (deleted
 * meanwhile), ERR_KEY … The next call goes on. */
int read_ahead_next(struct read_ahead *a, const struct plan_frame **frame, const uint8_t **raw,
                    struct err *err);
