/* SPDX-License-Identifier: Apache-2.0
 *
 * The table behind swim_kv.h: records in the order of their keys, bounded, nothing is ever evicted.
 * Of two records of a key the greater stays, by (version, flags, owner, value): a total order, so
 * that any order of any number of arrivals ends with the same. A tombstone keeps what is older out
 * until its time (of the swarm), which its value says: 8 bytes, i64 little-endian, ns. Hashes leave
 * tombstones out, so that forgetting them at different moments makes no two tables differ.
 *
 * What is to be gossiped waits in tiers by how often it was sent. What changed waits for the
 * application. Anti-entropy: 64 bucket sums show which buckets differ, lists of these show which
 * keys do. All of it goes as bytes in DIGEST part 3:
 *
 *    0  u8 0 sums     1  64 × u64
 *    0  u8 1 list     1  u8 1: open end   2  u64 buckets   10  first key   26  next key   42
 * entries 0  u8 2 wanted   1  entries: bring what is newer entry of 29 bytes: key 16, u64 version,
 * u32 of its hash, u8 flags; all little-endian
 *
 * A list names all records whose bucket is in the mask and first ≤ key < next.
 */
#pragma once

#include "shared/swarm/swim_kv.h"

#define SWIM_KV_TIERS      64
#define SWIM_KV_ENTRY      29
#define SWIM_KV_LIST_HEAD  42
#define SWIM_KV_DEATH      8 /* bytes of a tombstone's value */
#define SWIM_KV_SUMS_BYTES (1 + SWIM_BUCKETS * 8)

enum swim_kv_digest { SWIM_KV_SUMS, SWIM_KV_LIST, SWIM_KV_WANTED };

struct swim_kv_entry {
    struct swim_kv kv; /* its value stands behind the entry */
    uint64_t hash;
    uint8_t bucket;
    bool is_changed; /* and not yet shown */
    uint16_t sends;
    uint32_t round; /* of the message it went into last */
    bool is_queued;
    struct swim_kv_entry *next, *prev; /* in its tier */
};

struct swim_kv_store {
    struct swim_kv_entry *entries[SWIM_KV_MAX + SWIM_ORDERS_MAX]; /* owned */
    uint32_t n;
    uint32_t n_orders; /* of them: they have places of their own, that no other record takes */
    uint32_t n_changed, at_changed;
    uint32_t n_queued;
    uint32_t round;
    struct swim_kv_entry *first[SWIM_KV_TIERS], *last[SWIM_KV_TIERS];
    uint64_t sums[SWIM_BUCKETS];
    int64_t next_death_ns; /* of the tombstones, the first; INT64_MAX: none */
    size_t heap_bytes;
    uint64_t n_refused; /* because it was full */
};

struct swim_kv_store *swim_kv_store_new(void);
void swim_kv_store_free(struct swim_kv_store *store);

/* > 0: a stays, < 0: b does, 0: they are the same. Of one key. */
int swim_kv_precedence(const struct swim_kv *a, const struct swim_kv *b);
/* Taken ones are told of, and shown. swarm_ns: now, for tombstones whose time has come. */
enum swim_kv_result swim_kv_store_take(struct swim_kv_store *store, const struct swim_kv *kv,
                                       int64_t swarm_ns);
/* NULL: not there. Borrowed until the store is changed. */
const struct swim_kv *swim_kv_store_get(const struct swim_kv_store *store,
                                        const uint8_t key[SWIM_KV_KEY_BYTES]);
/* Forgets the tombstones whose time has come; costs nothing when there is none. */
void swim_kv_store_expire(struct swim_kv_store *store, int64_t swarm_ns);
uint64_t swim_kv_store_hash(const struct swim_kv_store *store);
/* The next record that came or changed; false: none. */
bool swim_kv_store_next_change(struct swim_kv_store *store, struct swim_kv *kv);
/* No more can be taken of one kind or the other. */
bool swim_kv_store_is_full(const struct swim_kv_store *store);
/* Where the first order is; they stand together. */
uint32_t swim_kv_store_orders(const struct swim_kv_store *store);
/* When a tombstone may be forgotten, or a record goes by itself; INT64_MAX: never. */
int64_t swim_kv_death_ns(const struct swim_kv *kv);

/* ---- gossip ---- */
/* A message begins: each record goes into it once. */
void swim_kv_store_begin_message(struct swim_kv_store *store);
/* The least sent record that takes at most n_value bytes of value, which is then sent once more;
 * after `most` times it is no longer told. NULL: none. */
const struct swim_kv *swim_kv_store_rumor(struct swim_kv_store *store, size_t n_value,
                                          uint32_t most);

/* It is not told any more. */
void swim_kv_store_hush(struct swim_kv_store *store, const uint8_t key[SWIM_KV_KEY_BYTES]);

/* ---- anti-entropy (swim_kv_list.c) ---- */
size_t swim_kv_store_write_sums(const struct swim_kv_store *store, uint8_t out[SWIM_KV_SUMS_BYTES]);
/* Which buckets differ from theirs; 0: none, or no sums. */
uint64_t swim_kv_store_differing(const struct swim_kv_store *store, const uint8_t *bytes, size_t n);
/* A piece of the list of some buckets, from the *at-th record on, which it moves; the bytes
 * written, at most max ≥ SWIM_KV_LIST_HEAD + SWIM_KV_ENTRY. All of it is said when *at is store->n.
 */
size_t swim_kv_store_write_list(const struct swim_kv_store *store, uint64_t buckets, uint32_t *at,
                                uint8_t *out, size_t max);
/* Of what is asked for: our versions, or 0. The number of keys that went into max bytes is *n. */
size_t swim_kv_store_write_wanted(const struct swim_kv_store *store,
                                  const uint8_t (*keys)[SWIM_KV_KEY_BYTES], uint32_t *n_keys,
                                  uint8_t *out, size_t max);

struct swim_kv_keys {
    uint32_t n;
    uint8_t keys[SWIM_KV_MAX + SWIM_ORDERS_MAX][SWIM_KV_KEY_BYTES];
};
/* A list or what is wanted, of theirs, against ours: what they lack and what we do. What does not
 * fit waits for the next time. False: neither, or damaged. */
bool swim_kv_store_compare(const struct swim_kv_store *store, const uint8_t *bytes, size_t n,
                           struct swim_kv_keys *bring, struct swim_kv_keys *want);
