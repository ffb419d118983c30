/* SPDX-License-Identifier: Apache-2.0 */
#include "node/gossip_keys.h"

#include <string.h>

#include "shared/base/bytes.h"

static void activate(struct gossip_ring *ring, uint32_t at)
{
    for (uint32_t i = 0; i < ring->keys.n; i++) {
        if (ring->keys.keys[i].state == SWIM_KEY_ACTIVE) {
            ring->keys.keys[i].state = SWIM_KEY_INSTALLED;
        }
    }
    ring->keys.keys[at].state = SWIM_KEY_ACTIVE;
    ring->until_s[at] = 0;
}

static uint32_t place_of(const struct gossip_ring *ring, uint32_t id)
{
    uint32_t at = 0;

    while (at < ring->keys.n && ring->keys.keys[at].id != id) {
        at++;
    }
    return at;
}

static uint32_t append(struct gossip_ring *ring, const uint8_t key[SWIM_KEY_BYTES])
{
    uint32_t at = ring->keys.n++;
    struct swim_key *slot = &ring->keys.keys[at];

    memcpy(slot->key, key, sizeof slot->key);
    slot->id = swim_key_id(key);
    slot->state = SWIM_KEY_INSTALLED;
    ring->until_s[at] = 0;
    return at;
}

int gossip_ring_take_file(struct gossip_ring *ring, const uint8_t cluster_id[SWIM_CLUSTER_BYTES],
                          const uint8_t key[SWIM_KEY_BYTES], uint64_t now_ms, bool *changed,
                          struct err *err)
{
    uint32_t id = swim_key_id(key);

    *changed = false;
    if (memcmp(ring->keys.cluster_id, cluster_id, SWIM_CLUSTER_BYTES) != 0) {
        swim_wipe(ring, sizeof *ring);
        memcpy(ring->keys.cluster_id, cluster_id, SWIM_CLUSTER_BYTES);
    }
    if (ring->keys.n > 0 && ring->file_id == id) {
        return 0; /* known, and what became of it since is in the ring */
    }
    uint32_t at = place_of(ring, id);
    if (at == ring->keys.n) {
        if (ring->keys.n == SWIM_KEYS_MAX) {
            return err_set(err, ERR_LIMIT,
                           "the ring holds %d keys already: 'manage cluster-keys retire' one of "
                           "them on a node of the swarm first",
                           SWIM_KEYS_MAX);
        }
        at = append(ring, key);
    }
    /* A first key says nothing about which one the swarm uses; a changed one is the operator's
     * word. */
    ring->since_ms = ring->keys.n == 1 ? 0 : now_ms;
    activate(ring, at);
    ring->file_id = id;
    *changed = true;
    return 0;
}

/* ---- orders ---- */

/* An order that is far ahead of the clock would have the last word for ever. */
#define ORDER_AHEAD_S (24 * 3600)

static const uint8_t prefix[12] = "cluster key";

void gossip_key_order_place(uint32_t id, uint8_t kv_key[SWIM_KV_KEY_BYTES])
{
    memcpy(kv_key, prefix, sizeof prefix);
    put_le32(kv_key + sizeof prefix, id);
}

void gossip_key_order_write(const struct gossip_key_order *order,
                            uint8_t out[GOSSIP_KEY_ORDER_BYTES])
{
    out[0] = 1;
    out[1] = order->state;
    memcpy(out + 2, order->key, SWIM_KEY_BYTES);
    put_le64(out + 34, order->since_ms);
    put_le64(out + 42, (uint64_t)order->until_s);
}

bool gossip_key_order_read(const uint8_t kv_key[SWIM_KV_KEY_BYTES], const uint8_t *value, size_t n,
                           struct gossip_key_order *out)
{
    struct gossip_key_order order = {0};

    if (memcmp(kv_key, prefix, sizeof prefix) != 0 || n != GOSSIP_KEY_ORDER_BYTES ||
        value[0] != 1 || value[1] > SWIM_KEY_RETIRING) {
        return false;
    }
    struct bytes_reader in = bytes_reader(kv_key + sizeof prefix, 4);
    order.id = bytes_le32(&in);
    order.state = value[1];
    memcpy(order.key, value + 2, sizeof order.key);
    in = bytes_reader(value + 34, 16);
    order.since_ms = bytes_le64(&in);
    order.until_s = (int64_t)bytes_le64(&in);
    if (order.state != SWIM_KEY_RETIRING && swim_key_id(order.key) != order.id) {
        return false;
    }
    *out = order;
    return true;
}

const struct swim_key *gossip_ring_find(const struct gossip_ring *ring, uint32_t id)
{
    uint32_t at = place_of(ring, id);

    return at < ring->keys.n ? &ring->keys.keys[at] : NULL;
}

static void take_out(struct gossip_ring *ring, uint32_t at)
{
    uint32_t last = --ring->keys.n;

    ring->keys.keys[at] = ring->keys.keys[last];
    ring->until_s[at] = ring->until_s[last];
    swim_wipe(&ring->keys.keys[last], sizeof ring->keys.keys[last]);
    ring->until_s[last] = 0;
}

/* The active one is asked to go: another takes its place, or there would be none to seal with. */
static bool replace_active(struct gossip_ring *ring, uint32_t at)
{
    for (uint32_t i = 0; i < ring->keys.n; i++) {
        if (i != at && ring->keys.keys[i].state == SWIM_KEY_INSTALLED) {
            activate(ring, i);
            return true;
        }
    }
    return false;
}

static enum gossip_ring_result retire(struct gossip_ring *ring, uint32_t at,
                                      const struct gossip_key_order *order)
{
    if (at == ring->keys.n ||
        (ring->keys.keys[at].state == SWIM_KEY_RETIRING && ring->until_s[at] == order->until_s)) {
        return GOSSIP_RING_SAME;
    }
    if (ring->keys.keys[at].state == SWIM_KEY_ACTIVE && !replace_active(ring, at)) {
        return GOSSIP_RING_SAME; /* until the one that follows it is known */
    }
    ring->keys.keys[at].state = SWIM_KEY_RETIRING;
    ring->until_s[at] = order->until_s;
    return GOSSIP_RING_CHANGED;
}

enum gossip_ring_result gossip_ring_apply(struct gossip_ring *ring,
                                          const struct gossip_key_order *order, int64_t now_s)
{
    uint32_t at = place_of(ring, order->id);
    bool changed = false;

    if (order->since_ms > (uint64_t)(now_s + ORDER_AHEAD_S) * 1000) {
        return GOSSIP_RING_SAME;
    }
    if (order->state == SWIM_KEY_RETIRING) {
        enum gossip_ring_result result = retire(ring, at, order);
        return gossip_ring_expire(ring, now_s) ? GOSSIP_RING_CHANGED : result;
    }
    if (at == ring->keys.n) {
        if (ring->keys.n == SWIM_KEYS_MAX) {
            return GOSSIP_RING_FULL;
        }
        at = append(ring, order->key);
        changed = true;
    } else if (ring->keys.keys[at].state == SWIM_KEY_RETIRING) {
        ring->keys.keys[at].state = SWIM_KEY_INSTALLED;
        ring->until_s[at] = 0;
        changed = true;
    }
    if (order->state == SWIM_KEY_ACTIVE && ring->keys.keys[at].state != SWIM_KEY_ACTIVE &&
        (order->since_ms > ring->since_ms ||
         (order->since_ms == ring->since_ms && order->id > swim_keyring_active(&ring->keys)->id))) {
        activate(ring, at);
        changed = true;
    }
    if (order->state == SWIM_KEY_ACTIVE && order->since_ms > ring->since_ms) {
        ring->since_ms = order->since_ms;
        changed = true;
    }
    return changed ? GOSSIP_RING_CHANGED : GOSSIP_RING_SAME;
}

bool gossip_ring_expire(struct gossip_ring *ring, int64_t now_s)
{
    bool changed = false;

    for (uint32_t i = 0; i < ring->keys.n;) {
        if (ring->keys.keys[i].state == SWIM_KEY_RETIRING && ring->until_s[i] <= now_s) {
            take_out(ring, i);
            changed = true;
        } else {
            i++;
        }
    }
    return changed;
}

int64_t gossip_ring_next_s(const struct gossip_ring *ring)
{
    int64_t next_s = INT64_MAX;

    for (uint32_t i = 0; i < ring->keys.n; i++) {
        if (ring->keys.keys[i].state == SWIM_KEY_RETIRING && ring->until_s[i] < next_s) {
            next_s = ring->until_s[i];
        }
    }
    return next_s;
}
