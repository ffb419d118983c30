/* SPDX-License-Identifier: Apache-2.0
 *
 * Desired state for the rest of the node.
 */
#include <string.h>

#include "node/gossip_internal_uv.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_kv.h"

int gossip_kv_put(struct gossip *g, const struct swim_kv *kv, struct err *err)
{
    enum swim_kv_result result = SWIM_KV_BAD;

    gossip_lock(g);
    if (!g->has_left) {
        result = swim_kv_put(g->swim, gossip_now(), kv);
    }
    gossip_unlock(g);
    gossip_poke(g);
    switch (result) {
    case SWIM_KV_TAKEN:
    case SWIM_KV_OLD:
        return 0;
    case SWIM_KV_FULL:
        return err_set(err, ERR_LIMIT, "the swarm holds %d records, which is as many as it can",
                       SWIM_KV_MAX);
    default:
        return err_set(err, ERR_USAGE, "that is no record, or this node has left the swarm");
    }
}

bool gossip_kv_has(struct gossip *g, const uint8_t key[SWIM_KV_KEY_BYTES])
{
    struct swim_kv kv;

    gossip_lock(g);
    bool has = swim_kv_get(g->swim, key, &kv);
    gossip_unlock(g);
    return has;
}

struct copied {
    struct swim_kv kv;
    uint8_t value[SWIM_KV_VALUE_MAX];
};

void gossip_kv_each(struct gossip *g, void (*each)(const struct swim_kv *kv, void *arg), void *arg)
{
    struct swim_kv kv;
    uint32_t n = 0;

    gossip_lock(g);
    uint32_t count = swim_kv_count(g->swim);
    struct copied *all = x_alloc((count + 1) * sizeof *all);
    for (; n < count && swim_kv_at(g->swim, n, &kv); n++) {
        all[n].kv = kv;
        memcpy(all[n].value, kv.value, kv.n_value);
    }
    gossip_unlock(g);
    /* What is made of them takes longer than the core may wait. */
    for (uint32_t i = 0; i < n; i++) {
        all[i].kv.value = all[i].value;
        if ((all[i].kv.flags & SWIM_KV_DELETED) == 0) {
            each(&all[i].kv, arg);
        }
    }
    swim_wipe(all, (count + 1) * sizeof *all); /* a cluster key may be among them */
    mem_free(all);
}

void gossip_kv_watch(struct gossip *g, void (*changed)(void *arg), void *arg)
{
    gossip_lock(g);
    g->kv_changed = changed;
    g->kv_changed_arg = arg;
    gossip_unlock(g);
}

void gossip_kv_told(struct gossip *g)
{
    gossip_lock(g);
    bool is_new = g->kv_is_new;
    void (*changed)(void *arg) = g->kv_changed;
    g->kv_is_new = false;
    gossip_unlock(g);
    if (is_new && changed != NULL) {
        changed(g->kv_changed_arg);
    }
}

uint64_t gossip_self(struct gossip *g)
{
    gossip_lock(g);
    uint64_t self = swim_self(g->swim);
    gossip_unlock(g);
    return self;
}
