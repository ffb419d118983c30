/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders on the disk, so that a ban outlives a swarm that is started anew as a whole. The file is
 * text: "packetrecorder orders 1", then a line for each, as swim_order_carry has it, in base64url.
 * Each proves itself by its signature, so what somebody puts into the file is no order.
 */
#include <inttypes.h>
#include <string.h>

#include "node/gossip_internal_uv.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_order.h"

#define HEAD     "packetrecorder orders 1\n"
#define FILE_MAX (sizeof HEAD + (SWIM_ORDERS_MAX + 1) * SWIM_ORDER_TEXT)

struct keep {
    uv_work_t request;
    struct gossip *gossip;
    char text[FILE_MAX];
};

/* Under the lock. */
static void write_all(const struct gossip *g, char *text)
{
    size_t at = sizeof HEAD - 1;
    struct swim_kv kv;

    memcpy(text, HEAD, at);
    for (uint32_t i = 0; i < SWIM_ORDERS_MAX && swim_order_record_at(g->swim, i, &kv); i++) {
        uint8_t carried[SWIM_ORDER_CARRIED_BYTES];
        swim_order_carry(&kv, carried);
        swim_order_print(carried, text + at);
        at += SWIM_ORDER_TEXT;
        text[at - 1] = '\n';
    }
    text[at] = '\0';
}

static void run_keep(uv_work_t *request)
{
    struct keep *keep = container_of(request, struct keep, request);
    struct err err = {0};

    if (gossip_state_put_orders(&keep->gossip->state, keep->text, &err) < 0) {
        log_error("%s: after a restart this node has to hear bans from the others", err.text);
    }
}

static void on_kept(uv_work_t *request, int status)
{
    struct keep *keep = container_of(request, struct keep, request);
    struct gossip *g = keep->gossip;

    (void)status;
    mem_free(keep);
    gossip_lock(g);
    g->keeps_orders = false;
    if (g->wants_orders_kept) {
        gossip_orders_keep(g);
    }
    gossip_unlock(g);
}

void gossip_orders_keep(struct gossip *g)
{
    g->wants_orders_kept = g->keeps_orders;
    if (g->keeps_orders) {
        return;
    }
    struct keep *keep = x_alloc(sizeof *keep);
    keep->gossip = g;
    write_all(g, keep->text);
    g->keeps_orders = uv_queue_work(&g->loop, &keep->request, run_keep, on_kept) == 0;
    if (!g->keeps_orders) {
        mem_free(keep);
    }
}

/* False: that is no order, or not of whom we obey. */
static bool take_line(struct gossip *g, const char *line, size_t n)
{
    uint8_t carried[SWIM_ORDER_CARRIED_BYTES];
    struct swim_order order;
    struct swim_kv kv;

    return swim_order_parse(line, n, carried) && swim_order_carried(carried, &kv, &order) &&
           swim_kv_put(g->swim, gossip_now(), &kv) != SWIM_KV_BAD;
}

int gossip_orders_load(struct gossip *g, struct err *err)
{
    char *text = x_alloc(FILE_MAX);
    unsigned n_bad = 0;

    int rc = gossip_state_get_orders(&g->state, text, FILE_MAX, err);
    if (rc == 0 && text[0] != '\0' && strncmp(text, HEAD, sizeof HEAD - 1) != 0) {
        rc = err_set(err, ERR_DAMAGED,
                     "'%s/orders' is damaged; without the file the node hears of bans from the "
                     "others",
                     g->state.path);
    }
    const char *line = text[0] == '\0' ? text : text + sizeof HEAD - 1;
    while (rc == 0 && *line != '\0') {
        size_t n = strcspn(line, "\n");
        n_bad += take_line(g, line, n) ? 0 : 1;
        line += n + (line[n] == '\n');
    }
    mem_free(text);
    if (n_bad > 0) {
        log_warn("%u lines of '%s/orders' do not count: damaged, of another cluster, or not signed "
                 "with the key of --swarm-admin",
                 n_bad, g->state.path);
    }
    return rc;
}
