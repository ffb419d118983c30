/* SPDX-License-Identifier: Apache-2.0
 *
 * The replays of the node: sessions that are sent again, asked for over RPC. They go on when the
 * client is gone, until their end or replay.stop; what came of the last ones can be asked for. Off
 * unless --allow-inject is given. A part of the node; loop thread.
 */
#pragma once

#include "node/ask.h"
#include "node/replay_run_posix.h"

#define REPLAYS_MAX  4u  /* at once, each a thread that may take most of a processor */
#define REPLAYS_KEPT 16u /* that ended, the newest */

/* Sets node->replays. */
int replays_open(struct node *node, struct err *err);
/* Stops all. */
void replays_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
void replays_close(struct node *node, void (*closed)(struct node *node));

/* The answers are objects of replay_run_json; `encode` of the asker is not used. */

/* When it sends, or why it cannot: ERR_PERMISSION (no --allow-inject), ERR_LIMIT, ERR_NOT_FOUND,
 * ERR_FILTER, ERR_UNSUPPORTED (an interface that takes no frames), … who: for the log. */
void replays_start(struct node *node, const struct replay_request *request, const char *who,
                   const struct asker *asker);
/* When it has ended; at once of one that has. By its id or 8 characters of it at least. */
void replays_stop(struct node *node, const char *id, const char *who, const struct asker *asker);
/* An array, oldest first: those that run and those that ended last. */
void replays_list(struct node *node, const struct asker *asker);
void replays_stats(struct node *node, const char *id, const struct asker *asker);

/* Families of this module for /metrics. */
void replays_metrics(struct node *node, struct buf *out);
