/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node does with orders: who may give them, what they change, and whose records they keep
 * out. The admin's key decides where there is one; without it every member may, as it may join.
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"
#include "shared/swarm/swim_order.h"

#define FORGOTTEN_NS (24ll * 3600 * 1000000000)
/* By then nobody is away any more who has heard of the ban and not of its end: it may lie in the
 * files of a node that is off. It takes the place that the ban had. */
#define LIFTED_NS (3650 * FORGOTTEN_NS)

static uint64_t wall_ms(const struct swim *swim)
{
    return swim->now.wall_ns > 0 ? (uint64_t)swim->now.wall_ns / SWIM_MS : 0;
}

/* ---- what others say ---- */

bool swim_order_may(const struct swim *swim, const struct swim_kv *kv,
                    const struct swim_order *order)
{
    if (swim->has_admin && memcmp(order->public_key, swim->admin_key, SWIM_PUBLIC_BYTES) != 0) {
        return false;
    }
    /* One of the year 3000 could not be followed by another. */
    return !swim_is_ahead(swim, order->view.issued_ms) &&
           swim_order_is_signed(kv, order, swim->crypto, swim->keyring.cluster_id);
}

bool swim_order_refuses(const struct swim *swim, uint64_t sid, uint64_t boot)
{
    struct swim_order_view order;

    return swim_n_orders(swim) > 0 &&
           ((swim_kv_order(swim, SWIM_BAN, sid, &order) && order.kind == SWIM_BAN) ||
            (swim_kv_order(swim, SWIM_FORGET, sid, &order) && boot <= order.boot));
}

/* ---- obeying ---- */

static void say(struct swim *swim, enum swim_event_kind event, const struct swim_order_view *order)
{
    const struct swim_member somebody = {.sid = swim_sid(&order->id)};
    const struct swim_member *member = swim_find(swim, somebody.sid);

    swim_event(swim, event, member != NULL ? member : &somebody);
}

/* Of ourselves: who lives was not gone, so it begins a life behind that. */
static void forget(struct swim *swim, struct swim_member *member,
                   const struct swim_order_view *order)
{
    if (member == NULL || member->incarnation.boot > order->boot) {
        return;
    }
    say(swim, SWIM_EVENT_FORGOTTEN, order);
    if (member != swim->self) {
        swim_bury(swim, member);
        member->forgotten = true;
        swim_arm(swim, TIMER_EXPIRE, 0);
        return;
    }
    if (order->boot > swim->other.boot) {
        swim->other = (struct swim_incarnation){.boot = order->boot};
    }
    swim_rise(swim);
}

static void ban(struct swim *swim, struct swim_member *member, const struct swim_order_view *order)
{
    if (member != NULL && member->banned) {
        return; /* once more, by another */
    }
    if (member != NULL && member != swim->self) {
        swim_bury(swim, member);
    }
    if (member != NULL) {
        member->banned = true;
    }
    say(swim, SWIM_EVENT_BANNED, order);
}

/* It is dead to us still; who tries the dead now and then finds out that it is not. */
static void lift(struct swim *swim, struct swim_member *member, const struct swim_order_view *order)
{
    if (member != NULL) {
        member->banned = false;
        swim_try_the_dead(swim);
    }
    say(swim, SWIM_EVENT_UNBANNED, order);
}

void swim_order_apply(struct swim *swim, const struct swim_order_view *order)
{
    struct swim_member *member = swim_find(swim, swim_sid(&order->id));

    switch (order->kind) {
    case SWIM_FORGET:
        forget(swim, member, order);
        break;
    case SWIM_BAN:
        ban(swim, member, order);
        break;
    case SWIM_UNBAN:
        lift(swim, member, order);
        break;
    }
}

/* ---- ordering ---- */

bool swim_is_banned(const struct swim *swim, const struct swim_id *id)
{
    struct swim_order_view order;

    return swim_kv_order(swim, SWIM_BAN, swim_sid(id), &order) && order.kind == SWIM_BAN &&
           memcmp(&order.id, id, sizeof *id) == 0;
}

bool swim_order_at(const struct swim *swim, uint32_t at, struct swim_order_view *view)
{
    struct swim_order order;
    struct swim_kv kv;

    if (!swim_order_record_at(swim, at, &kv) || !swim_order_read(&kv, &order)) {
        return false;
    }
    *view = order.view;
    return true;
}

static enum swim_order_result judge(const struct swim *swim, enum swim_order_kind kind,
                                    const struct swim_id *id, const struct swim_member *member)
{
    if (memcmp(id, &swim->self->id, sizeof *id) == 0) {
        return SWIM_ORDER_SELF;
    }
    if (kind != SWIM_FORGET) {
        return swim_is_banned(swim, id) == (kind == SWIM_BAN) ? SWIM_ORDER_NO_CHANGE
                                                              : SWIM_ORDER_TAKEN;
    }
    if (member == NULL || member->forgotten || memcmp(id, &member->id, sizeof *id) != 0) {
        return SWIM_ORDER_UNKNOWN;
    }
    return swim_is_live(member) ? SWIM_ORDER_LIVES : SWIM_ORDER_TAKEN;
}

static bool is_admin(const struct swim *swim, const uint8_t *public_key)
{
    return !swim->has_admin || memcmp(public_key, swim->admin_key, SWIM_PUBLIC_BYTES) == 0;
}

static struct swim_order_view to_give(const struct swim *swim, enum swim_order_kind kind,
                                      const struct swim_id *id, const struct swim_member *member)
{
    int64_t swarm_ns = swim_clock_swarm_ns(&swim->clock, swim->now.mono_ns);
    struct swim_order_view before;
    struct swim_order_view view = {.kind = kind,
                                   .id = *id,
                                   .issued_ms = wall_ms(swim),
                                   .boot = kind == SWIM_FORGET ? member->incarnation.boot : 0,
                                   .until_ns = kind == SWIM_BAN      ? INT64_MAX
                                               : kind == SWIM_FORGET ? swarm_ns + FORGOTTEN_NS
                                                                     : swarm_ns + LIFTED_NS};

    /* Behind the one before it, whatever the clocks of both say. */
    if (swim_kv_order(swim, kind, swim_sid(id), &before) && view.issued_ms <= before.issued_ms) {
        view.issued_ms = before.issued_ms + 1;
    }
    view.issued_ms = view.issued_ms < view.boot ? view.boot : view.issued_ms;
    view.issued_ms += view.issued_ms == 0;
    return view;
}

static enum swim_order_result put(struct swim *swim, const struct swim_kv *kv)
{
    switch (swim_kv_put(swim, swim->now, kv)) {
    case SWIM_KV_TAKEN:
        return SWIM_ORDER_TAKEN;
    case SWIM_KV_OLD:
        return SWIM_ORDER_OLD;
    case SWIM_KV_BAD:
        return SWIM_ORDER_NO_ORDER;
    case SWIM_KV_FULL:
    case SWIM_KV_TOO_LONG:
        break;
    }
    return SWIM_ORDER_FULL;
}

enum swim_order_result swim_order(struct swim *swim, struct swim_now now, enum swim_order_kind kind,
                                  const struct swim_id *id,
                                  const uint8_t admin_secret[SWIM_SECRET_BYTES])
{
    const uint8_t *secret = admin_secret != NULL ? admin_secret : swim->secret_key;
    const struct swim_member *member = swim_find(swim, swim_sid(id));
    uint8_t value[SWIM_ORDER_BYTES];

    swim_look(swim, now);
    if (!is_admin(swim, secret + SWIM_SECRET_BYTES - SWIM_PUBLIC_BYTES)) {
        return SWIM_ORDER_NOT_ADMIN;
    }
    enum swim_order_result result = judge(swim, kind, id, member);
    if (result != SWIM_ORDER_TAKEN) {
        return result;
    }
    struct swim_order_view view = to_give(swim, kind, id, member);
    const struct swim_kv kv =
        swim_order_write(&view, swim->crypto, secret, swim->keyring.cluster_id, value);
    return put(swim, &kv);
}

enum swim_order_result swim_order_to_sign(struct swim *swim, struct swim_now now,
                                          enum swim_order_kind kind, const struct swim_id *id,
                                          const uint8_t admin_public[SWIM_PUBLIC_BYTES],
                                          uint8_t *carried)
{
    const struct swim_member *member = swim_find(swim, swim_sid(id));
    uint8_t value[SWIM_ORDER_BYTES];

    swim_look(swim, now);
    if (!is_admin(swim, admin_public)) {
        return SWIM_ORDER_NOT_ADMIN;
    }
    enum swim_order_result result = judge(swim, kind, id, member);
    if (result == SWIM_ORDER_TAKEN) {
        struct swim_order_view view = to_give(swim, kind, id, member);
        const struct swim_kv kv = swim_order_draft(&view, admin_public, value);
        swim_order_carry(&kv, carried);
    }
    return result;
}

enum swim_order_result swim_order_signed(struct swim *swim, struct swim_now now,
                                         const uint8_t *carried)
{
    struct swim_order order;
    struct swim_kv kv;

    swim_look(swim, now);
    if (!swim_order_carried(carried, &kv, &order)) {
        return SWIM_ORDER_NO_ORDER;
    }
    if (!is_admin(swim, order.public_key)) {
        return SWIM_ORDER_NOT_ADMIN;
    }
    enum swim_order_result result =
        judge(swim, order.view.kind, &order.view.id, swim_find(swim, swim_sid(&order.view.id)));
    return result == SWIM_ORDER_TAKEN ? put(swim, &kv) : result;
}
