/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.*; node/replays has the answers.
 */
#include "node/rpc_replay.h"

#include "node/replays.h"
#include "node/rpc_ask.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

/* As `replay --speed`; slower ones are never done. */
#define SPEED_MIN 1e-6

static void start(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    uint64_t now_ns = clock_wall_ns();
    const struct replay_request request = {
        .session = rpc_arg_text(args, "session_id"),
        .interface = rpc_arg_text(args, "interface"),
        .filter = rpc_arg_text(args, "filter"),
        .from_ns = rpc_arg_time_ns(args, "from", now_ns, 0),
        .to_ns = rpc_arg_time_ns(args, "to", now_ns, UINT64_MAX),
        .speed = rpc_arg_real(args, "speed", 1),
        .count = rpc_arg_count(args, "count", 0),
        .loop = rpc_arg_count(args, "loop", 1),
    };

    if (request.speed > 0 && request.speed < SPEED_MIN) {
        rpc_call_fail(call, err_name(ERR_USAGE),
                      "\"speed\" is between 0.000001 and 1000000, or 0: as fast as possible");
        return;
    }
    struct asker asker = rpc_asker(call);
    char who[RPC_ASK_WHO_MAX];
    rpc_call_set_target(call, request.session);
    replays_start(node, &request, rpc_ask_who(call, who), &asker);
}

static void stop(struct rpc_call *call, struct node *node)
{
    const char *id = rpc_arg_text(rpc_call_args(call), "replay_id");
    struct asker asker = rpc_asker(call);
    char who[RPC_ASK_WHO_MAX];

    rpc_call_set_target(call, id);
    replays_stop(node, id, rpc_ask_who(call, who), &asker);
}

static void list(struct rpc_call *call, struct node *node)
{
    struct asker asker = rpc_asker(call);

    replays_list(node, &asker);
}

static void stats(struct rpc_call *call, struct node *node)
{
    struct asker asker = rpc_asker(call);

    replays_stats(node, rpc_arg_text(rpc_call_args(call), "replay_id"), &asker);
}

static const struct rpc_handler handlers[] = {
    {"replay.start", start},
    {"replay.stop", stop},
    {"replay.list", list},
    {"replay.stats", stats},
};

const struct rpc_handler_group rpc_replay_handlers = {handlers, ARRAY_LEN(handlers)};
