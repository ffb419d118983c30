/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_live.h"

#include "shared/base/mem.h"

static void not_yet(struct rpc_call *call, struct node *node)
{
    (void)node;
    rpc_call_fail(call, RPC_CODE_NOT_IMPLEMENTED, "this node cannot do %s",
                  rpc_call_method(call)->name);
}

static const struct rpc_handler handlers[] = {
    {"live.open", not_yet},
    {"live.read", not_yet},
    {"live.close", not_yet},
};

const struct rpc_handler_group rpc_live_handlers = {handlers, ARRAY_LEN(handlers)};
