/* SPDX-License-Identifier: Apache-2.0
 *
 * compress=zstd at the viewer's end: the messages of a connection are one zstd stream, or a frame
 * each; both are read. Memory is bounded by the window that is allowed, 8 MiB, and output comes in
 * pieces, so that a few bytes which claim gigabytes cost nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/bytes.h"
#include "shared/base/err.h"

struct viewer_zstd;

struct viewer_zstd *viewer_zstd_new(void);
void viewer_zstd_free(struct viewer_zstd *zstd); /* takes NULL */

/* A new connection. */
void viewer_zstd_reset(struct viewer_zstd *zstd);

/* The next piece of what `in` holds, which moves on: 1 with *data and *n, borrowed until the next
 * call; 0 when the input is used up; ERR_DAMAGED. */
int viewer_zstd_next(struct viewer_zstd *zstd, struct bytes_reader *in, const uint8_t **data,
                     size_t *n, struct err *err);
