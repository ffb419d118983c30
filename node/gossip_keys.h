/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of cluster keys and what may be done with it. Pure: what is done to the ring, and which
 * sentence says why not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/swarm/swim_envelope.h"
#include "shared/swarm/swim_frame.h"

#define GOSSIP_RETIRE_S (24 * 3600) /* a retiring key still opens for so long */

/* A ring with what the core does not keep. */
struct gossip_ring {
    struct swim_keyring keys;
    int64_t until_s[SWIM_KEYS_MAX]; /* wall clock; when a retiring key goes. 0: stays */
    uint64_t since_ms;              /* wall clock of who made it so: the active one is active */
    uint32_t file_id;               /* the key that --cluster-key-file held when it was read last */
};

/* What the key file says now, at the start. A key that the file did not hold the last time becomes
 * the active one; another cluster begins anew. *changed: the ring is another one now. */
int gossip_ring_take_file(struct gossip_ring *ring, const uint8_t cluster_id[SWIM_CLUSTER_BYTES],
                          const uint8_t key[SWIM_KEY_BYTES], uint64_t now_ms, bool *changed,
                          struct err *err);

/* What is to become of a key, as it spreads through the swarm: a record of desired state.
 *
 *    0  u8 version 1   1  u8 state (enum swim_key_state)   2  32 bytes key, zeros when retiring
 *   34  u64 since_ms  42  i64 until_s; numbers little-endian
 */
struct gossip_key_order {
    uint32_t id;
    uint8_t state;
    uint8_t key[SWIM_KEY_BYTES];
    uint64_t since_ms;
    int64_t until_s;
};
#define GOSSIP_KEY_ORDER_BYTES 50

void gossip_key_order_place(uint32_t id, uint8_t kv_key[SWIM_KV_KEY_BYTES]);
void gossip_key_order_write(const struct gossip_key_order *order,
                            uint8_t out[GOSSIP_KEY_ORDER_BYTES]);
/* False: it is about something else, or damaged. */
bool gossip_key_order_read(const uint8_t kv_key[SWIM_KV_KEY_BYTES], const uint8_t *value, size_t n,
                           struct gossip_key_order *out);

enum gossip_ring_result { GOSSIP_RING_SAME, GOSSIP_RING_CHANGED, GOSSIP_RING_FULL };
/* In any order and any number of times: all end with the same active key. One that is a day ahead
 * of the clock says nothing. */
enum gossip_ring_result gossip_ring_apply(struct gossip_ring *ring,
                                          const struct gossip_key_order *order, int64_t now_s);
/* Takes out what was retired for long enough; true: something was. */
bool gossip_ring_expire(struct gossip_ring *ring, int64_t now_s);
/* When that is to happen next; INT64_MAX: never. */
int64_t gossip_ring_next_s(const struct gossip_ring *ring);
/* NULL: not in it. */
const struct swim_key *gossip_ring_find(const struct gossip_ring *ring, uint32_t id);
