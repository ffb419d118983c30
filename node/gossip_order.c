/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders of an operator about a member: forget, ban, lift the ban.
 */
#include <string.h>

#include "node/gossip_internal_uv.h"

static int refuse(enum swim_order_result result, const char *text, struct err *err)
{
    switch (result) {
    case SWIM_ORDER_TAKEN:
        return 0;
    case SWIM_ORDER_UNKNOWN:
        return err_set(err, ERR_NOT_FOUND, "no member '%.64s'", text);
    case SWIM_ORDER_LIVES:
        return err_set(err, ERR_IN_USE, "the member '%.64s' lives: stop it first, or ban it", text);
    case SWIM_ORDER_SELF:
        return err_set(err, ERR_USAGE, "'%.64s' is this node: ask another one", text);
    case SWIM_ORDER_NOT_ADMIN:
        return err_set(err, ERR_PERMISSION,
                       "only who has the swarm's admin key may order that: --admin-key-file FILE");
    case SWIM_ORDER_NO_CHANGE:
        return err_set(err, ERR_EXISTS, "that is so already of '%.64s'", text);
    case SWIM_ORDER_OLD:
        return err_set(err, ERR_IN_USE, "another order about '%.64s' came meanwhile: try again",
                       text);
    case SWIM_ORDER_NO_ORDER:
        return err_set(err, ERR_PERMISSION,
                       "that order is not signed as one of this cluster: is the admin key of it?");
    case SWIM_ORDER_FULL:
        break;
    }
    return err_set(err, ERR_LIMIT, "the swarm holds as many orders as it can: lift a ban");
}

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* 32 hex digits. */
static bool read_id(const char *text, struct swim_id *id)
{
    size_t n = 2 * sizeof id->bytes;

    if (strlen(text) != n || strspn(text, "0123456789abcdef") != n) {
        return false;
    }
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        id->bytes[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    }
    return true;
}

/* The id that is meant, and the member where it is one. */
static int find(struct gossip *g, enum swim_order_kind kind, const char *text,
                struct gossip_member *member, struct swim_id *id, struct err *err)
{
    int rc = gossip_find(g, text, member, err);

    if (rc < 0 && (kind == SWIM_FORGET || !read_id(text, id))) {
        return rc;
    }
    if (rc == 0) {
        (void)read_id(member->id, id);
    } else {
        memcpy(member->id, text, sizeof member->id);
    }
    return 0;
}

int gossip_order(struct gossip *g, enum swim_order_kind kind, const char *text,
                 struct gossip_member *out, struct err *err)
{
    struct gossip_member member = {0};
    struct swim_id id = {0};
    int rc = find(g, kind, text, &member, &id, err);

    if (rc < 0) {
        return rc;
    }
    gossip_lock(g);
    rc = refuse(swim_order(g->swim, gossip_now(), kind, &id, NULL), text, err);
    gossip_unlock(g);
    gossip_poke(g);
    *out = member;
    return rc;
}

int gossip_order_to_sign(struct gossip *g, enum swim_order_kind kind, const char *text,
                         const uint8_t admin[SWIM_PUBLIC_BYTES], struct gossip_member *out,
                         uint8_t carried[SWIM_ORDER_CARRIED_BYTES], struct err *err)
{
    struct gossip_member member = {0};
    struct swim_id id = {0};
    int rc = find(g, kind, text, &member, &id, err);

    if (rc < 0) {
        return rc;
    }
    gossip_lock(g);
    rc = refuse(swim_order_to_sign(g->swim, gossip_now(), kind, &id, admin, carried), text, err);
    gossip_unlock(g);
    *out = member;
    return rc;
}

int gossip_order_signed(struct gossip *g, enum swim_order_kind kind, const char *text,
                        const uint8_t carried[SWIM_ORDER_CARRIED_BYTES], struct gossip_member *out,
                        struct err *err)
{
    struct gossip_member member = {0};
    struct swim_order order;
    struct swim_id id = {0};
    struct swim_kv kv;
    int rc = find(g, kind, text, &member, &id, err);

    if (rc < 0) {
        return rc;
    }
    if (!swim_order_carried(carried, &kv, &order) || order.view.kind != kind ||
        memcmp(&order.view.id, &id, sizeof id) != 0) {
        return err_set(err, ERR_USAGE, "\"order\" is not the one about '%.64s'", text);
    }
    gossip_lock(g);
    rc = refuse(swim_order_signed(g->swim, gossip_now(), carried), text, err);
    gossip_unlock(g);
    gossip_poke(g);
    *out = member;
    return rc;
}
