/* SPDX-License-Identifier: Apache-2.0
 *
 * The interfaces of all members: those of this node, then what the others answer to node.interfaces
 * within a moment, as NODE/IFACE, the name that they are watched by here. Loop thread.
 */
#pragma once

#include "node/node.h"

struct json_t;

#define SWARM_INTERFACES_WAIT_MS  700
#define SWARM_INTERFACES_WAIT_MAX 5000

/* wait_ms: for who does not answer, at most SWARM_INTERFACES_WAIT_MAX. own: the objects of this
 * node's, moved. done comes once, now or later, with all of them, each with "node", for it to keep;
 * missing: the names of live members that
 * have not answered, or with more than there was room for; "" = none. */
void swarm_interfaces(struct node *node, struct json_t *own, uint64_t wait_ms,
                      void (*done)(void *arg, struct json_t *all, const char *missing), void *arg);
