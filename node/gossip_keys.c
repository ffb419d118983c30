/* SPDX-License-Identifier: Apache-2.0 */
#include "node/gossip_keys.h"

#include <string.h>

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
                          const uint8_t key[SWIM_KEY_BYTES], bool *changed, struct err *err)
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
    activate(ring, at);
    ring->file_id = id;
    *changed = true;
    return 0;
}
