/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a key is in the table: what swim_kv_store.c and swim_kv_list.c share.
 */
#pragma once

#include "shared/swarm/swim_crypto.h"
#include "shared/swarm/swim_kv_store.h"

/* Applications choose keys as they like: only a hash spreads them. */
static inline uint8_t swim_kv_bucket(const uint8_t key[SWIM_KV_KEY_BYTES])
{
    return (uint8_t)(swim_hash(key, SWIM_KV_KEY_BYTES) >> 58);
}
/* In the sorted array: where it is, or where it would be. */
uint32_t swim_kv_place(const struct swim_kv_store *store, const uint8_t key[SWIM_KV_KEY_BYTES]);
struct swim_kv_entry *swim_kv_find(const struct swim_kv_store *store,
                                   const uint8_t key[SWIM_KV_KEY_BYTES]);
