/* SPDX-License-Identifier: Apache-2.0
 *
 * --pcapng-listen ADDR:PORT=IFACE[,FILTER]: whoever connects gets the interface as a plain pcapng
 * stream, as `wireshark -k -i TCP@ADDR:PORT` and `nc` read it. There is no key to show, so it is
 * for loopback, unless --insecure says otherwise. Viewers like any other (node/viewer_uv). Loop
 * thread.
 */
#pragma once

#include "node/node.h"

/* After the relay; adds what it listens on to the node's own traffic. Sets node->pcapng. */
int pcapng_listen_open(struct node *node, struct err *err);
void pcapng_listen_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
void pcapng_listen_close(struct node *node, void (*closed)(struct node *node));
