/* SPDX-License-Identifier: Apache-2.0
 *
 * The swarm, asked over RPC. All of it is answered on the loop: the core is looked at under its
 * lock for a moment, and what is to be sent or written follows on the swarm's own thread.
 */
#include "node/rpc_swarm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/gossip.h"
#include "shared/base/mem.h"
#include "shared/wire/channel.h"
#include "shared/wire/cluster_key.h"

/* NULL: the node is in no swarm, and the call was told so. */
static struct gossip *swarm_of(struct rpc_call *call, struct node *node)
{
    if (node->gossip == NULL) {
        rpc_call_fail(call, err_name(ERR_NOT_FOUND),
                      "this node is in no swarm: start it with --cluster-key-file");
    }
    return node->gossip;
}

static void members(struct rpc_call *call, struct node *node)
{
    rpc_call_reply(call, gossip_members_json(node));
}

static void join(struct rpc_call *call, struct node *node)
{
    const json_t *addresses = rpc_arg(rpc_call_args(call), "addresses");
    struct gossip *gossip = swarm_of(call, node);
    struct err err = {0};

    for (size_t i = 0; gossip != NULL && i < json_array_size(addresses); i++) {
        if (gossip_join(gossip, json_string_value(json_array_get(addresses, i)), &err) < 0) {
            rpc_call_fail_err(call, &err);
            return;
        }
    }
    if (gossip != NULL) {
        json_t *tried = json_deep_copy(addresses);
        rpc_call_reply(call, json_pack("{s:o}", "addresses", tried));
    }
}

static void on_left(void *arg)
{
    struct rpc_call *call = arg;

    if (!rpc_call_is_gone(call)) {
        rpc_call_reply(call, json_pack("{s:b}", "left", 1));
    }
    rpc_call_unref(call);
}

static void leave(struct rpc_call *call, struct node *node)
{
    struct gossip *gossip = swarm_of(call, node);

    if (gossip != NULL && gossip_has_left(gossip)) {
        rpc_call_fail(call, err_name(ERR_NOT_FOUND),
                      "the node has left its swarm already: a new start brings it back");
    } else if (gossip != NULL && !gossip_leave(gossip, on_left, rpc_call_ref(call))) {
        rpc_call_unref(call);
        rpc_call_fail(call, RPC_CODE_BUSY, "the node is leaving already");
    }
}

/* ---- orders ---- */

struct order {
    enum swim_order_kind kind;
    const char *text;  /* who is meant */
    const char *admin; /* whose key will sign it; or NULL */
    const char *given; /* signed; or NULL */
};

static bool read_order(struct rpc_call *call, struct order *order)
{
    const json_t *args = rpc_call_args(call);
    bool ban = rpc_arg_bool(args, "ban", false);
    bool unban = rpc_arg_bool(args, "unban", false);

    *order = (struct order){
        .kind = ban     ? SWIM_BAN
                : unban ? SWIM_UNBAN
                        : SWIM_FORGET,
        .text = rpc_arg_text(args, "node_id"),
        .admin = rpc_arg_text(args, "admin"),
        .given = rpc_arg_text(args, "order"),
    };
    if (ban && unban) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"ban\" and \"unban\" exclude each other");
        return false;
    }
    if (order->admin != NULL && order->given != NULL) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"admin\" and \"order\" exclude each other");
        return false;
    }
    return true;
}

static int give(struct gossip *gossip, const struct order *order, struct gossip_member *member,
                struct err *err)
{
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];

    if (order->given == NULL) {
        return gossip_order(gossip, order->kind, order->text, member, err);
    }
    if (!swim_order_parse(order->given, strlen(order->given), carried)) {
        return err_set(err, ERR_USAGE, "\"order\" is damaged");
    }
    return gossip_order_signed(gossip, order->kind, order->text, carried, member, err);
}

/* For the audit: which order it was, and about whom. */
static void set_target(struct rpc_call *call, const struct order *order, const char *who)
{
    static const char *const words[] = {
        [SWIM_FORGET] = "forget", [SWIM_BAN] = "ban", [SWIM_UNBAN] = "unban"};
    const char *draft = order->admin != NULL ? "draft to " : "";
    char *target = x_sprintf("%s%s %.200s", draft, words[order->kind], who);

    rpc_call_set_target(call, target);
    mem_free(target);
}

/* Answers with what is to be signed. */
static void draft(struct rpc_call *call, struct gossip *gossip, const struct order *order)
{
    uint8_t admin[ADMIN_PUBLIC_BYTES];
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];
    char text[SWIM_ORDER_TEXT];
    struct gossip_member member;
    struct err err = {0};

    if (admin_public_parse(order->admin, admin, &err) < 0 ||
        gossip_order_to_sign(gossip, order->kind, order->text, admin, &member, carried, &err) < 0) {
        rpc_call_fail_err(call, &err);
        return;
    }
    swim_order_print(carried, text);
    set_target(call, order, member.id);
    rpc_call_reply(call, json_pack("{s:s, s:s, s:s}", "node_id", member.id, "name",
                                   member.meta.name, "to_sign", text));
}

static void forget(struct rpc_call *call, struct node *node)
{
    struct gossip_member member;
    struct err err = {0};
    struct order order;
    struct gossip *gossip = swarm_of(call, node); /* without one the call is answered */

    if (gossip == NULL || !read_order(call, &order)) {
        return;
    }
    set_target(call, &order, order.text);
    if (order.admin != NULL) {
        draft(call, gossip, &order);
        return;
    }
    if (give(gossip, &order, &member, &err) < 0) {
        rpc_call_fail_err(call, &err);
        return;
    }
    set_target(call, &order, member.id);
    rpc_call_reply(call, json_pack("{s:s, s:s, s:b}", "node_id", member.id, "name",
                                   member.meta.name, "banned", (int)(order.kind == SWIM_BAN)));
}

/* ---- keys ---- */

struct tally {
    struct gossip_ring ring;
    json_t *lacking[SWIM_KEYS_MAX];
    uint32_t held[SWIM_KEYS_MAX];
};

static void count_member(const struct gossip_member *member, void *arg)
{
    struct tally *tally = arg;

    if (member->state >= GOSSIP_DEAD) {
        return;
    }
    for (uint32_t i = 0; i < tally->ring.keys.n; i++) {
        bool has = false;
        for (uint8_t k = 0; k < member->meta.n_keys; k++) {
            has = has || member->meta.key_ids[k] == tally->ring.keys.keys[i].id;
        }
        if (has || member->is_self) { /* whose own record may be a moment behind */
            tally->held[i]++;
        } else {
            json_array_append_new(tally->lacking[i], json_string(member->label));
        }
    }
}

static json_t *ring_json(struct gossip *gossip)
{
    static const char *const words[] = {"installed", "active", "retiring"};
    struct tally tally = {0};
    json_t *list = json_array();
    char id[CHANNEL_KEY_ID_CHARS + 1];

    gossip_ring_get(gossip, &tally.ring);
    for (uint32_t i = 0; i < tally.ring.keys.n; i++) {
        tally.lacking[i] = json_array();
    }
    gossip_members(gossip, count_member, &tally);
    for (uint32_t i = 0; i < tally.ring.keys.n; i++) {
        channel_cluster_key_id(tally.ring.keys.keys[i].id, id);
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:o}", "key_id", id, "state",
                                              words[tally.ring.keys.keys[i].state], "held_by",
                                              (int)tally.held[i], "lacking", tally.lacking[i]));
    }
    return list;
}

static bool read_action(struct rpc_call *call, struct gossip_ring_action *action)
{
    const json_t *args = rpc_call_args(call);
    const char *word = rpc_arg_text(args, "action");
    const char *id = rpc_arg_text(args, "key_id");
    char *target = x_sprintf("%s%s%.64s", word == NULL ? "list" : word, id == NULL ? "" : " ",
                             id == NULL ? "" : id);

    rpc_call_set_target(call, target); /* for the audit: what was done as well */
    mem_free(target);
    action->what = word == NULL || strcmp(word, "list") == 0 ? GOSSIP_RING_LIST
                   : strcmp(word, "add") == 0                ? GOSSIP_RING_ADD
                   : strcmp(word, "use") == 0                ? GOSSIP_RING_USE
                                                             : GOSSIP_RING_RETIRE;
    action->text = rpc_arg_text(args, "key");
    action->force = rpc_arg_bool(args, "force", false);
    if (action->what == GOSSIP_RING_ADD && action->text == NULL) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"key\" is missing: prc_CLUSTERID_KEY");
        return false;
    }
    if ((action->what == GOSSIP_RING_USE || action->what == GOSSIP_RING_RETIRE) &&
        (id == NULL || !channel_cluster_key_id_parse(id, &action->id))) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"key_id\" is eight digits, as listed");
        return false;
    }
    return true;
}

static void keys(struct rpc_call *call, struct node *node)
{
    struct gossip *gossip = swarm_of(call, node);
    struct gossip_ring_action action = {0};
    struct err err = {0};

    if (gossip == NULL || !read_action(call, &action)) {
        return;
    }
    if (gossip_ring_do(gossip, &action, &err) < 0) {
        rpc_call_fail_err(call, &err);
    } else {
        rpc_call_reply(call, ring_json(gossip));
    }
}

static const struct rpc_handler handlers[] = {
    {"swarm.members", members}, {"swarm.join", join}, {"swarm.leave", leave},
    {"swarm.forget", forget},   {"swarm.keys", keys},
};

const struct rpc_handler_group rpc_swarm_handlers = {handlers, ARRAY_LEN(handlers)};
