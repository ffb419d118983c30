/* SPDX-License-Identifier: Apache-2.0
 *
 * The sessions that are being read with session.read. A reading stays open between the calls, and
 * while the client takes one chunk the next is made. It is found by the cursor that the next call
 * brings, on whatever connection; without one that fits a call opens its own. Bounded: as many as
 * the store lends readers for (STORE_DOWNLOADS_MAX), of which one that nobody asked for a moment
 * makes room; closed when nobody came for READINGS_IDLE_MS. A part of the node; loop thread.
 */
#pragma once

#include "node/node.h"
#include "node/reading.h"

#define READINGS_IDLE_MS 5000u

/* Sets node->readings. */
int readings_open(struct node *node, struct err *err);
void readings_close(struct node *node, void (*closed)(struct node *node));

struct reading_asker {
    /* On the loop, once: a packed answer, whose bytes may be moved, or NULL and the error. NULL
     * twice: nobody waits any more. */
    void (*done)(void *arg, struct buf *packed, const struct err *err);
    /* True when nobody waits any more: the chunk is kept for whoever comes with its cursor. */
    bool (*is_gone)(void *arg);
    void *arg;
};

/* The chunk of at most max_bytes that spec->cursor points at. Texts are copied. */
void readings_next(struct node *node, const struct reading_spec *spec, size_t max_bytes,
                   const struct reading_asker *asker);

/* Families of this module for /metrics. */
void readings_metrics(struct node *node, struct buf *out);
