/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened on this node, numbered, for GET /api/v1/events and later RPC: the last EVENTS_KEPT
 * are kept, so that who reconnects with Last-Event-ID misses none (or is told how many). Types:
 * "capture.started" "capture.ended" "viewer.joined" "viewer.left" "viewer.lost" "inject.refused"
 * "interface.down" "interface.up" "uplink.up" "uplink.down" "store.full" "store.ok"
 * "node.stopping".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EVENTS_KEPT 4096

struct json_t;
struct node;

/* Any thread. `data` is an object, moved. */
void events_publish(struct node *node, const char *type, struct json_t *data);
