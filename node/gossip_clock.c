/* SPDX-License-Identifier: Apache-2.0
 *
 * This node's clock against the swarm's and against those of other members.
 */
#include "node/gossip_internal_uv.h"

static void worst_of(const struct gossip *g, struct swim_now now, const uint64_t *sids, size_t n,
                     struct gossip_clock *out)
{
    for (size_t i = 0; i < n; i++) {
        struct swim_wall_offset offset;
        uint64_t bound_ns = UINT64_MAX;
        if (swim_wall_offset_get(g->swim, now, sids[i], &offset)) {
            bound_ns = offset.bound_ns;
        }
        if (bound_ns > out->worst_bound_ns) {
            out->worst_bound_ns = bound_ns;
            out->worst = sids[i];
        }
    }
}

bool gossip_clock_get(struct gossip *g, const uint64_t *sids, size_t n, struct gossip_clock *out)
{
    gossip_lock(g);
    struct swim_now now = gossip_now();
    *out = (struct gossip_clock){
        .time_ns = (uint64_t)now.wall_ns,
        .root = swim_time_root(g->swim),
    };
    out->offset_ns = -swim_time_correction(g->swim, now, &out->bound_ns);
    worst_of(g, now, sids, n, out);
    bool is_member = !g->has_left;
    gossip_unlock(g);
    return is_member;
}

bool gossip_clock_of(struct gossip *g, uint64_t sid, struct swim_wall_offset *out)
{
    gossip_lock(g);
    bool is_known = !g->has_left && swim_wall_offset_get(g->swim, gossip_now(), sid, out);
    gossip_unlock(g);
    return is_known;
}

void gossip_clock_measure(struct gossip *g, const uint64_t *sids, size_t n)
{
    gossip_lock(g);
    if (!g->has_left && !g->is_closing) {
        struct swim_now now = gossip_now();
        uint64_t keeper = swim_time_keeper(g->swim);
        (void)swim_burst(g->swim, now, &keeper, 1);
        (void)swim_burst(g->swim, now, sids, (uint32_t)n);
        uv_async_send(&g->poke);
    }
    gossip_unlock(g);
}
