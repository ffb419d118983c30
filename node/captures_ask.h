/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures as they are asked for from outside, over HTTP and RPC alike: what POST, GET and DELETE
 * of /api/v1/captures and the RPC methods capture.* answer. Loop thread; `encode` of the asker is
 * not used. Ids are as everywhere.
 */
#pragma once

#include "node/ask.h"
#include "node/captures.h"

/* who: for the log. The session of the capture that was started, running. */
void captures_ask_start(struct node *node, const struct capture_request *request, const char *who,
                        const struct asker *asker);
/* An array of those that run, with counters of this moment. */
void captures_ask_list(struct node *node, const struct asker *asker);
/* One of them; one that has ended is shown as its session. */
void captures_ask_one(struct node *node, const char *id, const struct asker *asker);
/* Its session, when every packet is stored. By its whole id also of one that has just ended. */
void captures_ask_stop(struct node *node, const char *id, const char *who,
                       const struct asker *asker);
