/* SPDX-License-Identifier: Apache-2.0
 *
 * The interfaces of this host in what the others are told of it. A change is told at once, further
 * ones once in TELL_MS at most: each is sent through the whole swarm, and on a host with containers
 * devices come and go all day.
 */
#include "node/gossip_internal_uv.h"
#include "shared/base/mem.h"

#define TELL_MS 10000u

void gossip_tell_interfaces(struct gossip *g, const struct devices_summary *ifaces)
{
    gossip_lock(g);
    g->ifaces = *ifaces;
    bool is_new = g->ifaces.digest != g->meta.iface_digest || g->ifaces.n != g->meta.iface_count;
    gossip_unlock(g);
    if (is_new) {
        gossip_poke(g);
    }
}

static void on_rested(uv_timer_t *timer)
{
    struct gossip *g = timer->data;

    gossip_lock(g);
    gossip_interfaces_go_on(g);
    gossip_drain_core(g);
    gossip_unlock(g);
}

void gossip_interfaces_describe(struct gossip *g)
{
    g->ifaces = devices_summary(g->node);
    g->meta.iface_count = g->ifaces.n;
    g->meta.iface_digest = g->ifaces.digest;
}

void gossip_interfaces_start(struct gossip *g)
{
    REQUIRE(uv_timer_init(&g->loop, &g->ifaces_timer) == 0);
    g->ifaces_timer.data = g;
    g->ifaces_rest_ms = TELL_MS;
}

void gossip_interfaces_go_on(struct gossip *g)
{
    bool is_same = g->ifaces.digest == g->meta.iface_digest && g->ifaces.n == g->meta.iface_count;

    if (is_same || g->has_left || uv_is_active((uv_handle_t *)&g->ifaces_timer)) {
        return;
    }
    g->meta.iface_count = g->ifaces.n;
    g->meta.iface_digest = g->ifaces.digest;
    gossip_set_meta(g);
    uv_timer_start(&g->ifaces_timer, on_rested, g->ifaces_rest_ms, 0);
}
