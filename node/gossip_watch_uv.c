/* SPDX-License-Identifier: Apache-2.0
 *
 * Follows what of this host the others are told: its addresses, when netlink says that they have
 * changed. What --advertise-addr says does not change.
 */
#include <string.h>
#include <unistd.h>

#include "node/gossip_internal_uv.h"
#include "shared/base/mem.h"
#include "shared/capture/local_addresses_posix.h"

#define SETTLE_MS 100 /* addresses often change several at a time */

static bool is_same(const struct gossip *g, const struct swim_addr *addrs, uint8_t n)
{
    bool same = n == g->n_addrs;

    for (uint8_t i = 0; same && i < n; i++) {
        same = swim_addr_is_same(&addrs[i], &g->addrs[i]);
    }
    return same;
}

static void on_settled(uv_timer_t *timer)
{
    struct gossip *g = timer->data;
    struct swim_addr addrs[SWIM_ADDRS_MAX];
    char text[GOSSIP_ADDR_TEXT];

    gossip_lock(g);
    uint8_t n =
        gossip_own_addrs(g->node->options, g->sockets, g->n_sockets, gossip_first_seed(g), addrs);
    if (n > 0 && !is_same(g, addrs, n) && swim_set_addrs(g->swim, gossip_now(), addrs, n)) {
        memcpy(g->addrs, addrs, sizeof g->addrs);
        g->n_addrs = n;
        gossip_addr_text(&addrs[0], text);
        log_info("this host's addresses have changed: the swarm reaches it at %s", text);
    }
    gossip_drain_core(g);
    gossip_unlock(g);
}

static void on_changed(uv_poll_t *poll, int status, int events)
{
    struct gossip *g = poll->data;

    (void)status;
    (void)events;
    local_addresses_forget(g->watch_fd);
    uv_timer_start(&g->watch_timer, on_settled, SETTLE_MS, 0);
}

void gossip_watch_start(struct gossip *g)
{
    struct err err = {0};

    REQUIRE(uv_timer_init(&g->loop, &g->watch_timer) == 0);
    g->watch_timer.data = g->watch.data = g;
    g->watch_fd = g->node->options->advertise_addrs.n > 0 ? -1 : local_addresses_watch(&err);
    if (g->watch_fd < 0) {
        if (err.text[0] != '\0') {
            log_info("%s: when this host's address changes, the node has to be started again",
                     err.text);
        }
        return;
    }
    REQUIRE(uv_poll_init(&g->loop, &g->watch, g->watch_fd) == 0);
    REQUIRE(uv_poll_start(&g->watch, UV_READABLE, on_changed) == 0);
}

void gossip_watch_deinit(struct gossip *g)
{
    if (g->watch_fd > 0) {
        close(g->watch_fd);
    }
}
