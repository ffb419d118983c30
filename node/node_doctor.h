/* SPDX-License-Identifier: Apache-2.0
 *
 * What keeps the node from its work, for who may view: the public checks of health.h, and those
 * that say more of this host (rights, keys, listeners, descriptors, the swarm).
 * Nothing blocks.
 */
#pragma once

struct json_t;
struct node;

/* {"ok", "status", "checks": [{"name", "ok", "detail"}]}. New reference. */
struct json_t *node_doctor(struct node *node);
