/* SPDX-License-Identifier: Apache-2.0 */
#include "node/api_members.h"

#include "node/gossip.h"
#include "shared/base/mem.h"

static void get_members(struct exchange *ex, struct node *node)
{
    exchange_reply_json(ex, 200, gossip_members_json(node));
}

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/members",
     .right = RIGHT_VIEW,
     .summary = "The nodes of the swarm, this one too: state, addresses, clock offset and its "
                "bound, as `packetrecorder manage members --json`.",
     .answer = "application/json",
     .handle = get_members},
};

const struct route_group api_members_routes = {routes, ARRAY_LEN(routes)};
