/* SPDX-License-Identifier: Apache-2.0
 *
 * What calls between nodes need of the swarm: they come in at its TCP port and are handed to the
 * loop of the node, with the bytes that told what they are; the keys and members behind them are
 * looked up here.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/gossip_internal_uv.h"
#include "node/rpc_server.h"
#include "shared/base/mem.h"

#define HANDED_MAX 64 /* waiting for the loop of the node, which is never busy for long */

struct gossip_handed {
    TAILQ_ENTRY(gossip_handed) link;
    int fd;
    struct sockaddr_storage peer;
    struct buf head;
};

static void drop(struct gossip *g, struct gossip_handed *handed)
{
    TAILQ_REMOVE(&g->handed, handed, link);
    g->n_handed--;
    buf_deinit(&handed->head);
    mem_free(handed);
}

void gossip_hand_over(struct gossip *g, int fd, const struct swim_addr *peer, struct buf *head)
{
    if (g->n_handed == HANDED_MAX) {
        g->counters.streams_busy++;
        close(fd);
        return;
    }
    struct gossip_handed *handed = x_alloc(sizeof *handed);
    handed->fd = fd;
    (void)gossip_addr_to(peer, &handed->peer);
    handed->head = *head;
    *head = (struct buf){0};
    TAILQ_INSERT_TAIL(&g->handed, handed, link);
    g->n_handed++;
    uv_async_send(&g->tell);
}

void gossip_take_handed(struct gossip *g)
{
    for (;;) {
        gossip_lock(g);
        struct gossip_handed *handed = TAILQ_FIRST(&g->handed);
        struct gossip_handed one = {.fd = -1};
        if (handed != NULL) {
            one = *handed;
            handed->head = (struct buf){0};
            drop(g, handed);
        }
        gossip_unlock(g);
        if (one.fd < 0) {
            return;
        }
        rpc_server_adopt(g->node, one.fd, &one.peer, &one.head);
        buf_deinit(&one.head);
    }
}

void gossip_drop_handed(struct gossip *g)
{
    while (!TAILQ_EMPTY(&g->handed)) {
        close(TAILQ_FIRST(&g->handed)->fd);
        drop(g, TAILQ_FIRST(&g->handed));
    }
}

bool gossip_calls_key(struct gossip *g, const char *key_id, struct gossip_calls_key *out)
{
    const struct swim_key *key = NULL;
    uint32_t id;

    gossip_lock(g);
    if (key_id == NULL) {
        key = swim_keyring_active(&g->state.ring.keys);
    } else if (channel_cluster_key_id_parse(key_id, &id)) {
        key = swim_keyring_find(&g->state.ring.keys, id);
    }
    if (key != NULL) {
        channel_cluster_key_id(key->id, out->key_id);
        memcpy(out->psk, key->key, sizeof out->psk);
    }
    gossip_unlock(g);
    return key != NULL;
}

const struct channel_node *gossip_calls_node(const struct gossip *g)
{
    return &g->calls_node;
}

bool gossip_member_of_key(struct gossip *g, const uint8_t *public_key, struct gossip_member *out)
{
    struct swim_id id = swim_id_of(public_key);
    struct swim_view view;

    gossip_lock(g);
    bool found = swim_member_get(g->swim, swim_sid(&id), &view) &&
                 memcmp(view.id.bytes, id.bytes, sizeof id.bytes) == 0;
    if (found) {
        gossip_show(g, gossip_now(), &view, out);
        found = !out->is_banned && !out->is_self;
    }
    gossip_unlock(g);
    return found;
}

bool gossip_member(struct gossip *g, uint64_t sid, struct gossip_member *out)
{
    struct swim_view view;

    gossip_lock(g);
    bool found = swim_member_get(g->swim, sid, &view);
    if (found) {
        gossip_show(g, gossip_now(), &view, out);
    }
    gossip_unlock(g);
    return found;
}
