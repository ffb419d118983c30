/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/sessions/{id}/packets; node/sessions_query has the answer.
 */
#include "node/api_packets.h"

#include "node/api_answer.h"
#include "node/sessions.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

static void on_page(void *arg, const struct answer *answer, const struct err *err)
{
    struct exchange *ex = arg;

    if (answer == NULL) {
        api_fail(ex, err);
    } else if (!exchange_is_gone(ex)) {
        exchange_reply(ex, 200, "application/json", answer->text.data, answer->text.len);
    }
    exchange_unref(ex);
}

static void get_packets(struct exchange *ex, struct node *node)
{
    struct sessions_query query = {.id = exchange_path(ex, "id"),
                                   .cursor = exchange_query(ex, "cursor")};

    if (api_query_number(ex, "limit", 1, SESSIONS_PAGE_MAX, SESSIONS_PAGE_DEFAULT, &query.limit) &&
        api_query_time(ex, "from", 0, &query.from_ns) &&
        api_query_time(ex, "to", UINT64_MAX, &query.to_ns) &&
        api_query_flag(ex, "data", &query.with_data) && api_query_filter(ex, &query.filter)) {
        sessions_query(node, &query, &(struct asker){.done = on_page, .arg = exchange_ref(ex)});
    }
}

static const struct route_param params[] = {
    {"filter", "string", "A filter expression of libpcap; only packets that match."},
    {"limit", "integer", "Packets of one page, 1 to 10000; 100 when absent."},
    {"cursor", "string", "'next' (or, to ask for what came since, 'resume') of another page."},
    {"from", "string", "First time stamp: RFC 3339, @SECONDS or -10m."},
    {"to", "string", "Last time stamp."},
    {"data", "boolean", "1: also the bytes of each packet, in hex."},
    {0},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/sessions/{id}/packets",
     .right = RIGHT_VIEW,
     .params = params,
     .summary = "Packets as {\"packets\":[…],\"next\":cursor|null,\"resume\":cursor}, in the order "
                "they were recorded; the objects of `query --json`. A page may be shorter than its "
                "limit, even empty, while 'next' is no null.",
     .answer = "application/json",
     .handle = get_packets},
};

const struct route_group api_packets_routes = {routes, ARRAY_LEN(routes)};
