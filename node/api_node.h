/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes about the node itself: interfaces, health, metrics, stats.
 */
#pragma once

#include "node/route.h"

extern const struct route_group api_node_routes;

/* Calls done(arg) on the loop when all counters were read anew. */
void api_node_refresh(struct node *node, void (*done)(void *arg), void *arg);
/* What /api/v1/stats and node.info say, from counters that were refreshed. New reference. */
struct json_t *api_node_stats(struct node *node);
