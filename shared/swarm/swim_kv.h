/* SPDX-License-Identifier: Apache-2.0
 *
 * Desired state: records (owner, key, version, value) that spread to every node by gossip and by an
 * anti-entropy of their own, beside the members. The higher version wins; at equal versions the
 * greater bytes do, so that all end with the same. Deleting is a version too: a tombstone, whose
 * value is the swarm time at which it may be forgotten (i64 little-endian, ns, 8 bytes). Rules:
 * merge is commutative, associative and idempotent.
 */
#pragma once

#include "shared/swarm/swim.h"
#include "shared/swarm/swim_frame.h"

#define SWIM_KV_MAX     4096 /* records, tombstones included */
#define SWIM_KV_DELETED 1u
#define SWIM_KV_EXPIRES 2u /* the value begins with the swarm time at which it goes, i64 LE, ns */

struct swim_kv {
    uint64_t owner; /* sid of who made it; a label, it proves nothing */
    uint8_t key[SWIM_KV_KEY_BYTES];
    uint64_t version;
    uint8_t flags;        /* SWIM_KV_DELETED, SWIM_KV_EXPIRES */
    const uint8_t *value; /* borrowed */
    uint16_t n_value;     /* at most SWIM_KV_VALUE_MAX */
};

/* BAD: a tombstone without its time, or an order that nobody has signed who may. FULL is counted
 * (kv_full); nothing is evicted. */
enum swim_kv_result { SWIM_KV_TAKEN, SWIM_KV_OLD, SWIM_KV_FULL, SWIM_KV_TOO_LONG, SWIM_KV_BAD };

/* A record made here; the driver gives the version. Spreads when it was taken. */
enum swim_kv_result swim_kv_put(struct swim *swim, struct swim_now now, const struct swim_kv *kv);
bool swim_kv_get(const struct swim *swim, const uint8_t key[SWIM_KV_KEY_BYTES], struct swim_kv *kv);
uint32_t swim_kv_count(const struct swim *swim);
bool swim_kv_at(const struct swim *swim, uint32_t at, struct swim_kv *kv);
/* The next record that came or changed since the last call; false: none. */
bool swim_kv_next_change(struct swim *swim, struct swim_kv *kv);
uint64_t swim_kv_hash(const struct swim *swim);
/* The record behind swim_order_at, to be kept on disk and given to swim_kv_put at the next start:
 * orders are among the records that it takes, and not among those that the three above show. */
bool swim_order_record_at(const struct swim *swim, uint32_t at, struct swim_kv *kv);
