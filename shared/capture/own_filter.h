/* SPDX-License-Identifier: Apache-2.0
 *
 * The filter that leaves a node's own traffic out of what it captures. A node that streams what it
 * sees over the interface that it watches would otherwise feed itself. Own is what goes from or to
 * one of the host's addresses and there one of the node's ports; never one term a connection, since
 * the kernel takes 4,096 instructions and libpcap then falls silently back to copying everything.
 * Both directions, TCP or UDP. What it cannot know: addresses that NAT puts in place of ours, and
 * our packets inside of a tunnel. Pure: the addresses are arguments, the instructions are counted
 * by who compiles (OWN_FILTER_MAX_INSNS).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"

/* What the own part may compile to. */
#define OWN_FILTER_MAX_INSNS 512u

struct own_endpoint {
    const char *address; /* NULL = every address of the host */
    bool udp;
    uint16_t port_from;
    uint16_t port_to; /* = port_from for one port */
};

struct own_traffic {
    const char *const *addresses; /* of the host: "10.0.0.1", "fe80::1"; no scope, no prefix */
    size_t n_addresses;
    const struct own_endpoint *endpoints;
    size_t n_endpoints;
};

/* Appends the expression; nothing when there are no endpoints (or no address for any of them).
 * Without addresses the ports alone decide: shorter, but it hides others' traffic on these ports
 * too; for hosts whose addresses are too many. */
void own_filter_build(const struct own_traffic *own, bool with_addresses, struct buf *out);

/* "not (own) and (user's)", own first, since `vlan`, `mpls` and their like in the user's part shift
 * the offsets of all that follows. Either may be NULL or "". The user's must compile by itself
 * (filter_check): a stray bracket in it would open the own part. Owned by the caller, mem_free. */
char *own_filter_join(const char *own, const char *user);
