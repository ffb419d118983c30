/* SPDX-License-Identifier: Apache-2.0
 *
 * Transmitting what clients send: one thread an interface, which opens it at the first frame and
 * sends in batches, behind a bounded queue. Frames that cannot go out are counted by reason; a
 * client may watch them in /metrics and in events. Off unless both --allow-inject and the client's
 * key allow it. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "shared/base/buf.h"

/* What may wait for one interface. */
#define INJECT_QUEUE_FRAMES 8192u
#define INJECT_QUEUE_BYTES  (8u * 1024u * 1024u)

/* Sets node->inject. */
int inject_hub_open(struct node *node, struct err *err);
/* Sends what is queued, at most until the monotonic deadline. */
void inject_hub_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
void inject_hub_close(struct node *node, void (*closed)(struct node *node));

/* One frame as it shall be on the wire, copied. 0 when it is queued, or when it was counted as one
 * that cannot go out (empty, too long, malformed, queue full). Negative when nothing of this client
 * ever can, with the reason for its close frame: ERR_PERMISSION (no right, or --allow-inject is not
 * given), ERR_UNSUPPORTED (loopback and what transmits no frames), ERR_NOT_FOUND. */
int inject_hub_frame(struct node *node, const char *interface, bool has_right, const uint8_t *data,
                     size_t n, struct err *err);

/* Families of this module for /metrics. */
void inject_hub_metrics(struct node *node, struct buf *out);
