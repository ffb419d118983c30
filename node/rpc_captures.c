/* SPDX-License-Identifier: Apache-2.0
 *
 * capture.*; node/captures_ask has the answers.
 */
#include "node/rpc_captures.h"

#include <jansson.h>

#include "node/capture_body.h"
#include "node/captures_ask.h"
#include "node/rpc_ask.h"
#include "shared/base/mem.h"

/* What is null is not there. */
static json_t *given(const json_t *args)
{
    json_t *object = json_object();
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)args, name, value)
    {
        if (!json_is_null(value)) {
            json_object_set(object, name, value);
        }
    }
    return object;
}

static void start(struct rpc_call *call, struct node *node)
{
    json_t *args = given(rpc_call_args(call));
    struct capture_body body;
    struct err err = {0};
    char who[RPC_ASK_WHO_MAX];

    if (capture_body_of(args, &body, &err) < 0) {
        rpc_call_fail_err(call, &err);
    } else {
        struct asker asker = rpc_asker(call);
        captures_ask_start(node, &body.request, rpc_ask_who(call, who), &asker);
        capture_body_deinit(&body);
    }
    json_decref(args);
}

static void stop(struct rpc_call *call, struct node *node)
{
    const char *id = rpc_arg_text(rpc_call_args(call), "session_id");
    struct asker asker = rpc_asker(call);
    char who[RPC_ASK_WHO_MAX];

    rpc_call_set_target(call, id);
    captures_ask_stop(node, id, rpc_ask_who(call, who), &asker);
}

static void list(struct rpc_call *call, struct node *node)
{
    struct asker asker = rpc_asker(call);

    captures_ask_list(node, &asker);
}

static void stats(struct rpc_call *call, struct node *node)
{
    struct asker asker = rpc_asker(call);

    captures_ask_one(node, rpc_arg_text(rpc_call_args(call), "session_id"), &asker);
}

static const struct rpc_handler handlers[] = {
    {"capture.start", start},
    {"capture.stop", stop},
    {"capture.list", list},
    {"capture.stats", stats},
};

const struct rpc_handler_group rpc_captures_handlers = {handlers, ARRAY_LEN(handlers)};
