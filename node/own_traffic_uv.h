/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the traffic on this host is the node's own, as a filter expression, kept true while
 * addresses come and go: a change is seen through netlink (or looked for once a second, where that
 * is not allowed), and the filters of running captures are swapped in place. Own are the addresses
 * that the node listens on and there the ports of --http-addr, --rpc-addr and --pcapng-listen. With
 * --include-self nothing is.
 */
#pragma once

#include "node/node.h"

struct own_endpoint;
struct node_sources;

/* Sets node->sources, with nothing of ours yet. */
int node_sources_open(struct node *node, struct err *err);
void node_sources_close(struct node *node, void (*closed)(struct node *node));

/* Another place that the node listens on, copied. Before node_sources_settle. */
void node_sources_add_endpoint(struct node *node, const struct own_endpoint *endpoint);
/* All that listens is listening: takes the HTTP and RPC listeners in, and makes the expression.
 * ERR_LIMIT when it is too long even without addresses. */
int node_sources_settle(struct node *node, struct err *err);
