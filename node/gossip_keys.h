/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of cluster keys and what may be done with it. Pure: what is done to the ring, and which
 * sentence says why not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/swarm/swim_envelope.h"

#define GOSSIP_RETIRE_S (24 * 3600) /* a retiring key still opens for so long */

/* A ring with what the core does not keep. */
struct gossip_ring {
    struct swim_keyring keys;
    int64_t until_s[SWIM_KEYS_MAX]; /* wall clock; when a retiring key goes. 0: stays */
    uint32_t file_id;               /* the key that --cluster-key-file held when it was read last */
};

/* What the key file says now, at the start. A key that the file did not hold the last time becomes
 * the active one; another cluster begins anew. *changed: the ring is another one now. */
int gossip_ring_take_file(struct gossip_ring *ring, const uint8_t cluster_id[SWIM_CLUSTER_BYTES],
                          const uint8_t key[SWIM_KEY_BYTES], bool *changed, struct err *err);
