/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of cluster keys while the swarm runs. What an operator does with a key on one node
 * becomes a record of desired state, sealed as all gossip is, and every node applies what comes:
 * the core gets the ring, the others see in our meta data which keys we hold, and the ring is
 * written to the state directory by a worker.
 */
#include <inttypes.h>
#include <string.h>

#include "node/gossip_internal_uv.h"
#include "node/tag_record_sodium.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_kv.h"
#include "shared/wire/cluster_key.h"

/* ---- on the disk ---- */

struct keep {
    uv_work_t request;
    struct gossip *gossip;
    struct gossip_ring ring;
};

static void run_keep(uv_work_t *request)
{
    struct keep *keep = container_of(request, struct keep, request);
    struct err err = {0};

    if (gossip_state_put_ring(&keep->gossip->state, &keep->ring, &err) < 0) {
        log_error("%s: after a restart this node has the cluster keys of before", err.text);
    }
}

static void keep_ring(struct gossip *g);

static void on_kept(uv_work_t *request, int status)
{
    struct keep *keep = container_of(request, struct keep, request);
    struct gossip *g = keep->gossip;

    (void)status;
    swim_wipe(keep, sizeof *keep);
    mem_free(keep);
    gossip_lock(g);
    g->is_keeping = false;
    if (g->wants_keeping) {
        keep_ring(g);
    }
    gossip_unlock(g);
}

static void keep_ring(struct gossip *g)
{
    g->wants_keeping = g->is_keeping;
    if (g->is_keeping) {
        return;
    }
    struct keep *keep = x_alloc(sizeof *keep);
    keep->gossip = g;
    keep->ring = g->state.ring;
    g->is_keeping = uv_queue_work(&g->loop, &keep->request, run_keep, on_kept) == 0;
    if (!g->is_keeping) {
        swim_wipe(keep, sizeof *keep);
        mem_free(keep);
    }
}

/* ---- in force ---- */

void gossip_set_meta(struct gossip *g)
{
    uint8_t bytes[SWIM_META_MAX];

    g->meta.n_keys = 0;
    for (uint32_t i = 0; i < g->state.ring.keys.n; i++) {
        g->meta.key_ids[g->meta.n_keys++] = g->state.ring.keys.keys[i].id;
    }
    size_t n = swim_meta_write(&g->meta, bytes);
    if (n > 0) {
        (void)swim_set_meta(g->swim, gossip_now(), bytes, n);
    }
}

static void on_expired(uv_timer_t *timer);

static void arm(struct gossip *g)
{
    int64_t next_s = gossip_ring_next_s(&g->state.ring);
    int64_t now_s = (int64_t)(clock_wall_ns() / 1000000000u);

    if (next_s == INT64_MAX) {
        uv_timer_stop(&g->ring_timer);
        return;
    }
    uint64_t wait_s = next_s > now_s ? (uint64_t)(next_s - now_s) : 0;
    uv_timer_start(&g->ring_timer, on_expired, wait_s * 1000 + 1000, 0);
}

/* Gossip thread. */
static void put_in_force(struct gossip *g)
{
    swim_set_keyring(g->swim, &g->state.ring.keys);
    gossip_set_meta(g);
    keep_ring(g);
    arm(g);
    g->ring_is_new = false;
    for (uint32_t i = 0; i < g->state.ring.keys.n; i++) {
        if (g->state.ring.keys.keys[i].state == SWIM_KEY_ACTIVE) {
            log_info("the swarm's keyring has changed: %u keys, %08" PRIx32 " is used",
                     (unsigned)g->state.ring.keys.n, g->state.ring.keys.keys[i].id);
        }
    }
}

static void on_expired(uv_timer_t *timer)
{
    struct gossip *g = timer->data;

    gossip_lock(g);
    if (gossip_ring_expire(&g->state.ring, (int64_t)(clock_wall_ns() / 1000000000u))) {
        put_in_force(g);
    }
    arm(g);
    gossip_drain_core(g);
    gossip_unlock(g);
}

void gossip_ring_start(struct gossip *g)
{
    REQUIRE(uv_timer_init(&g->loop, &g->ring_timer) == 0);
    g->ring_timer.data = g;
    arm(g);
}

void gossip_ring_take_changes(struct gossip *g)
{
    int64_t now_s = (int64_t)(clock_wall_ns() / 1000000000u);
    struct gossip_key_order order;
    struct swim_kv kv;
    bool changed = g->ring_is_new;
    bool is_others = false;

    while (swim_kv_next_change(g->swim, &kv)) {
        if ((kv.flags & SWIM_KV_DELETED) != 0 ||
            !gossip_key_order_read(kv.key, kv.value, kv.n_value, &order)) {
            is_others =
                is_others || !tag_record_is(kv.value, kv.n_value); /* looked up when asked */
            gossip_tags_on_change(g, &kv); /* last: what it puts may free the value */
            continue;
        }
        enum gossip_ring_result result = gossip_ring_apply(&g->state.ring, &order, now_s);
        changed = changed || result == GOSSIP_RING_CHANGED;
        if (result == GOSSIP_RING_FULL) {
            log_error("cannot take the cluster key %08" PRIx32
                      ": the ring holds %d already; retire one",
                      order.id, SWIM_KEYS_MAX);
        }
        swim_wipe(&order, sizeof order);
    }
    if (changed) {
        put_in_force(g);
    }
    if (is_others && g->kv_changed != NULL) { /* before, whoever begins to watch looks at all */
        g->kv_is_new = true;
        uv_async_send(&g->tell);
    }
}

/* ---- orders of an operator; any thread ---- */

/* Locked. Who of the live lacks it. */
struct lack {
    uint32_t id;
    unsigned n;
    char name[SWIM_META_NAME_MAX + 1];
};

static bool holds(const struct swim_meta *meta, uint32_t id)
{
    for (uint8_t i = 0; i < meta->n_keys; i++) {
        if (meta->key_ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void count_lacking(struct gossip *g, struct lack *lack)
{
    struct gossip_member one;
    struct swim_view view;
    struct swim_now now = gossip_now();

    for (uint32_t i = 0; swim_member_at(g->swim, i, &view); i++) {
        gossip_show(g, now, &view, &one);
        if (one.state < GOSSIP_DEAD && !one.is_self && !holds(&one.meta, lack->id)) {
            lack->n++;
            memcpy(lack->name, one.meta.name, sizeof lack->name);
        }
    }
}

static int put_order(struct gossip *g, struct gossip_key_order *order, struct err *err)
{
    uint8_t value[GOSSIP_KEY_ORDER_BYTES];
    struct swim_kv kv = {.owner = swim_self(g->swim), .value = value, .n_value = sizeof value};
    struct swim_kv before;
    uint64_t now_ms = clock_wall_ns() / 1000000u;

    order->since_ms = now_ms > g->state.ring.since_ms ? now_ms : g->state.ring.since_ms + 1;
    gossip_key_order_place(order->id, kv.key);
    gossip_key_order_write(order, value);
    kv.version = swim_kv_get(g->swim, kv.key, &before) && before.version >= now_ms
                     ? before.version + 1
                     : now_ms;
    enum swim_kv_result result = swim_kv_put(g->swim, gossip_now(), &kv);
    swim_wipe(value, sizeof value);
    if (result == SWIM_KV_OLD) { /* behind the last version there is none */
        return err_set(err, ERR_IN_USE,
                       "somebody who has the cluster key has written over what is ordered of the "
                       "key %08" PRIx32 ", for good: only a new cluster keeps such a member out",
                       order->id);
    }
    if (result != SWIM_KV_TAKEN) {
        return err_set(err, ERR_LIMIT, "the swarm holds too many records to spread another one");
    }
    if (gossip_ring_apply(&g->state.ring, order, (int64_t)(now_ms / 1000)) == GOSSIP_RING_CHANGED) {
        g->ring_is_new = true; /* the gossip thread puts it in force */
    }
    return 0;
}

static int add(struct gossip *g, const char *text, struct err *err)
{
    struct cluster_key *key = cluster_key_new();
    struct gossip_key_order order = {.state = SWIM_KEY_INSTALLED};
    int rc = cluster_key_parse(text, key, err);

    if (rc == 0 && memcmp(key->cluster, g->state.ring.keys.cluster_id, SWIM_CLUSTER_BYTES) != 0) {
        rc = err_set(err, ERR_KEY,
                     "that key is of another cluster: 'keys cluster-new --of FILE' makes another "
                     "key for this one");
    }
    if (rc == 0) {
        memcpy(order.key, key->key, sizeof order.key);
        order.id = swim_key_id(order.key);
        if (gossip_ring_find(&g->state.ring, order.id) == NULL &&
            g->state.ring.keys.n == SWIM_KEYS_MAX) {
            rc = err_set(err, ERR_LIMIT, "the ring holds %d keys already: retire one first",
                         SWIM_KEYS_MAX);
        }
    }
    rc = rc == 0 ? put_order(g, &order, err) : rc;
    swim_wipe(&order, sizeof order);
    cluster_key_free(key);
    return rc;
}

static int not_held(uint32_t id, struct err *err)
{
    return err_set(
        err, ERR_NOT_FOUND,
        "this node holds no cluster key %08" PRIx32 ": 'manage cluster-keys list' shows them", id);
}

/* Of use: who cannot read what is sealed with it. Of retire: who would be left with nothing. */
static int check_holders(struct gossip *g, uint32_t id, const char *what, struct err *err)
{
    struct lack lack = {.id = id};

    count_lacking(g, &lack);
    return lack.n == 0 ? 0
                       : err_set(err, ERR_IN_USE,
                                 "%u live member%s not hold the key %08" PRIx32
                                 " yet ('%s' for one), and could not be talked to %s: wait, or "
                                 "--force it",
                                 lack.n, lack.n == 1 ? " does" : "s do", id, lack.name, what);
}

static int use(struct gossip *g, uint32_t id, bool force, struct err *err)
{
    const struct swim_key *key = gossip_ring_find(&g->state.ring, id);
    struct gossip_key_order order = {.id = id, .state = SWIM_KEY_ACTIVE};

    if (key == NULL) {
        return not_held(id, err);
    }
    int rc = force ? 0 : check_holders(g, id, "any more", err);
    if (rc == 0) {
        memcpy(order.key, key->key, sizeof order.key);
        rc = put_order(g, &order, err);
        swim_wipe(&order, sizeof order);
    }
    return rc;
}

static int retire(struct gossip *g, uint32_t id, bool force, struct err *err)
{
    const struct swim_key *active = swim_keyring_active(&g->state.ring.keys);
    struct gossip_key_order order = {.id = id, .state = SWIM_KEY_RETIRING};

    if (active == NULL || gossip_ring_find(&g->state.ring, id) == NULL) {
        return not_held(id, err);
    }
    if (active->id == id) {
        return err_set(err, ERR_IN_USE,
                       "the swarm seals with the key %08" PRIx32 ": 'use' another one first", id);
    }
    int rc = force ? 0 : check_holders(g, active->id, "when this one is gone", err);
    if (rc == 0) {
        order.until_s = (int64_t)(clock_wall_ns() / 1000000000u) + GOSSIP_RETIRE_S;
        rc = put_order(g, &order, err);
    }
    return rc;
}

int gossip_ring_do(struct gossip *g, const struct gossip_ring_action *action, struct err *err)
{
    int rc = 0;

    gossip_lock(g);
    switch (action->what) {
    case GOSSIP_RING_LIST:
        break;
    case GOSSIP_RING_ADD:
        rc = add(g, action->text, err);
        break;
    case GOSSIP_RING_USE:
        rc = use(g, action->id, action->force, err);
        break;
    case GOSSIP_RING_RETIRE:
        rc = retire(g, action->id, action->force, err);
        break;
    }
    gossip_unlock(g);
    gossip_poke(g);
    return rc;
}

void gossip_ring_get(struct gossip *g, struct gossip_ring *out)
{
    gossip_lock(g);
    *out = g->state.ring;
    gossip_unlock(g);
    for (uint32_t i = 0; i < out->keys.n; i++) {
        swim_wipe(out->keys.keys[i].key, SWIM_KEY_BYTES);
    }
}
