/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP streams of the swarm, for its driver (gossip_streams_uv.c). Gossip thread, locked.
 */
#pragma once

#include "node/gossip_internal_uv.h"

/* Listens on TCP where the sockets are; before the thread. */
int gossip_streams_listen(struct gossip *g, struct err *err);
/* No listener and no stream is left when the loop has turned. */
void gossip_streams_stop(struct gossip *g);

/* What the core wants done; its id, or 0 for a look whether a seed has our key
 * (gossip_seed_answered). */
void gossip_stream_open(struct gossip *g, uint32_t id, const struct swim_addr *to);
void gossip_stream_write(struct gossip *g, uint32_t id, const void *bytes, size_t n);
void gossip_stream_close(struct gossip *g, uint32_t id);
