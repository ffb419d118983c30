/* SPDX-License-Identifier: Apache-2.0
 *
 * Live streams and their viewers. A stream is one kernel capture of an (interface, filter,
 * snaplen), made when the first viewer comes and kept 30 s after the last has left, so that a
 * viewer whose connection broke goes on where it was. Viewers are cursors into the stream's one
 * backlog (node/relay_ring): a slow one loses its oldest packets, is told how many, and delays
 * nobody. Loop thread, but for what says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/node.h"
#include "shared/base/buf.h"

/* How long a stream without viewers is kept. */
#define RELAY_LINGER_MS 30000

/* Sets node->relay. */
int relay_open(struct node *node, struct err *err);
/* Tells viewers the end (pcapng: last statistics) and stops all captures; done at the monotonic
 * deadline at the latest. Before http_server_drain, which closes their connections. */
void relay_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
/* All connections are gone by now. node->relay is NULL when closed is called. */
void relay_close(struct node *node, void (*closed)(struct node *node));

/* 0 when one more live capture may run: recordings (node->n_recordings) and streams are together at
 * most --max-captures. Ends for it the stream that nobody has looked at for the longest. ERR_LIMIT
 * with the way out. */
int relay_make_room(struct node *node, struct err *err);

/* Families of this module for /metrics. */
void relay_metrics(struct node *node, struct buf *out);

/* What /health and /api/v1/interfaces want to know. */
struct relay_stream_info {
    const char *id;
    const char *interface;
    const char *filter; /* the user's, "" = none */
    const char *excluded;
    uint32_t snaplen;
    bool running;    /* false: the interface is away, and tried again */
    const char *why; /* it is away; "" = it is not */
    uint32_t n_viewers;
    uint64_t packets;
    uint64_t ring_bytes;
};
void relay_streams(struct node *node, void (*each)(const struct relay_stream_info *info, void *arg),
                   void *arg);
uint32_t relay_viewers(const struct node *node);
