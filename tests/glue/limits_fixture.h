/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of what a node's HTTP server bounds: a server with limits and routes of the test, a
 * request that stays open until it is answered, and what was turned away.
 */
#pragma once

#include "node/http_server_internal_uv.h"
#include "node/server_routes.h"
#include "shared/base/mem.h"
#include "tests/glue/node_fixture.h"

static struct fixture f;
static const struct route_group *groups[] = {&server_routes, NULL /* the test's */};
static struct exchange *kept; /* a request whose answer is not given yet */

static void get_kept(struct exchange *ex, struct node *node)
{
    (void)node;
    kept = exchange_ref(ex);
}

static void answer_kept(void)
{
    exchange_reply_text(kept, 200, "at last");
    exchange_unref(kept);
    kept = NULL;
}

static void start_with(const struct route_group *routes, struct http_limits limits)
{
    groups[1] = routes;
    fixture_init(&f);
    fixture_start(&f, &(struct fixture_opts){
                          .groups = groups, .n_groups = ARRAY_LEN(groups), .limits = limits});
}

static int end(void **state)
{
    (void)state;
    fixture_end(&f);
    return 0;
}

static uint64_t rejected(enum rejected reason)
{
    return f.node.http->counters.rejected[reason];
}
