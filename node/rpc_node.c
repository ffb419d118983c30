/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_node.h"

#include <jansson.h>

#include "node/api_node.h"
#include "node/devices_uv.h"
#include "node/gauges.h"
#include "node/node.h"
#include "node/node_doctor.h"
#include "node/uplinks.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

static void on_info(void *arg)
{
    struct rpc_call *call = arg;

    if (!rpc_call_is_gone(call)) {
        rpc_call_reply(call, api_node_stats(rpc_call_node(call)));
    }
    rpc_call_unref(call);
}

static void info(struct rpc_call *call, struct node *node)
{
    api_node_refresh(node, on_info, rpc_call_ref(call));
}

/* Each with the name of the node: what is asked of many is told apart. */
static void add_interfaces(json_t *answer, const json_t *interfaces, const struct node *node)
{
    for (size_t i = 0; i < json_array_size(interfaces); i++) {
        json_t *one = json_copy(json_array_get(interfaces, i));
        json_object_set_new(one, "node", to_json_text(node->name));
        json_array_append_new(answer, one);
    }
}

static void on_devices(const json_t *all, const struct interface_list *list, void *arg)
{
    struct rpc_call *call = arg;
    struct node *node = rpc_call_node(call);

    (void)list;
    if (!rpc_call_is_gone(call)) {
        json_t *answer = json_array();

        add_interfaces(answer, all, node);
        if (node->uplinks != NULL) {
            json_t *uplinks = uplinks_list(node->uplinks);
            add_interfaces(answer, uplinks, node);
            json_decref(uplinks);
        }
        rpc_call_reply(call, answer);
    }
    rpc_call_unref(call);
}

static void interfaces(struct rpc_call *call, struct node *node)
{
    devices_ask(node, on_devices, rpc_call_ref(call));
}

static void on_doctor(void *arg)
{
    struct rpc_call *call = arg;

    if (!rpc_call_is_gone(call)) {
        rpc_call_reply(call, node_doctor(rpc_call_node(call)));
    }
    rpc_call_unref(call);
}

static void doctor(struct rpc_call *call, struct node *node)
{
    gauges_refresh(node, on_doctor, rpc_call_ref(call));
}

static const struct rpc_handler handlers[] = {
    {"node.info", info},
    {"node.interfaces", interfaces},
    {"node.doctor", doctor},
};

const struct rpc_handler_group rpc_node_handlers = {handlers, ARRAY_LEN(handlers)};
