/* SPDX-License-Identifier: Apache-2.0
 *
 * Nothing but the list of what a node serves. On its own, so that tests and measurements serve a
 * part of it without linking the rest.
 */
#include "node/route.h"

#include "node/api_captures.h"
#include "node/api_events.h"
#include "node/api_members.h"
#include "node/api_node.h"
#include "node/api_packets.h"
#include "node/api_pcap.h"
#include "node/api_sessions.h"
#include "node/relay_routes.h"
#include "node/server_routes.h"
#include "node/uplinks.h"
#include "shared/base/mem.h"

const struct route_group *const route_groups[] = {
    &server_routes,      &relay_routes,       &api_node_routes,     &api_sessions_routes,
    &api_packets_routes, &api_pcap_routes,    &api_captures_routes, &api_events_routes,
    &ingest_routes,      &api_members_routes,
};
const size_t n_route_groups = ARRAY_LEN(route_groups);
