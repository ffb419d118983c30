/* SPDX-License-Identifier: Apache-2.0
 *
 * session.list, query, delete, prune; node/sessions has the answers. session.read is in rpc_read.c.
 */
#include "node/rpc_sessions.h"

#include "node/rpc_ask.h"
#include "node/sessions.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

static void list(struct rpc_call *call, struct node *node)
{
    struct asker asker = rpc_asker_packing(call);

    sessions_list(node, rpc_arg_count(rpc_call_args(call), "limit", 0), &asker);
}

static void query(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    uint64_t now_ns = clock_wall_ns();
    const struct sessions_query what = {
        .id = rpc_arg_text(args, "session_id"),
        .filter = rpc_arg_text(args, "filter"),
        .cursor = rpc_arg_text(args, "cursor"),
        .from_ns = rpc_arg_time_ns(args, "from", now_ns, 0),
        .to_ns = rpc_arg_time_ns(args, "to", now_ns, UINT64_MAX),
        .limit = rpc_arg_count(args, "limit", SESSIONS_PAGE_DEFAULT),
        .with_data = rpc_arg_bool(args, "data", false),
    };

    if (what.limit == 0) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"limit\" is a number from 1 to %u",
                      SESSIONS_PAGE_MAX);
        return;
    }
    struct asker asker = rpc_asker_packing(call);
    sessions_query(node, &what, &asker);
}

static void delete_one(struct rpc_call *call, struct node *node)
{
    const char *id = rpc_arg_text(rpc_call_args(call), "session_id");
    struct asker asker = rpc_asker(call);

    rpc_call_set_target(call, id);
    sessions_delete(node, id, &asker);
}

/* For the audit, as one would type it. */
static void set_rule(struct rpc_call *call, const struct sessions_prune *what)
{
    char size[TEXT_NUMBER_MAX];
    char age[TEXT_NUMBER_MAX];
    struct buf rule = {0};

    if (what->max_bytes > 0) {
        text_format_size(what->max_bytes, size);
        buf_printf(&rule, "more than %s", size);
    }
    if (what->max_age_ns > 0) {
        text_format_duration(what->max_age_ns, age);
        buf_printf(&rule, "%solder than %s", rule.len > 0 ? ", " : "", age);
    }
    buf_put_u8(&rule, '\0');
    rpc_call_set_target(call, (const char *)rule.data);
    buf_deinit(&rule);
}

static void prune(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    const struct sessions_prune what = {
        .max_bytes = rpc_arg_size(args, "max_bytes", 0),
        .max_age_ns = rpc_arg_duration_ns(args, "max_age", 0),
        .keep_tags = rpc_arg(args, "keep_tags"),
    };

    if (what.max_bytes == 0 && what.max_age_ns == 0) {
        rpc_call_fail(call, err_name(ERR_USAGE), "give a rule: \"max_bytes\" or \"max_age\"");
        return;
    }
    set_rule(call, &what);
    struct asker asker = rpc_asker(call);
    sessions_prune(node, &what, &asker);
}

static const struct rpc_handler handlers[] = {
    {"session.list", list},
    {"session.query", query},
    {"session.delete", delete_one},
    {"session.prune", prune},
};

const struct rpc_handler_group rpc_sessions_handlers = {handlers, ARRAY_LEN(handlers)};
