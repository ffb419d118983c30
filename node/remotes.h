/* SPDX-License-Identifier: Apache-2.0
 *
 * Interfaces of other members, NODE/IFACE: a source that follows one with live.open and live.read
 * over node/peers, so that any node relays and records any other's. Filter and snaplen are applied
 * there. One hop: what is asked of the other node is one of its own interfaces. A part of the node.
 */
#pragma once

#include "node/node.h"

struct remotes;

/* Sets node->remotes, and provides sources. */
int remotes_open(struct node *node, struct err *err);
/* The sources are closed by now. */
void remotes_close(struct node *node, void (*closed)(struct node *node));
