/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_kv_store.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_crypto.h"
#include "shared/swarm/swim_kv_place.h"
#include "shared/swarm/swim_order.h"

/* A record that is too long for the room left may be followed by a shorter one; so many misses end
 * the looking. */
#define MISSES_MOST 8

struct swim_kv_store *swim_kv_store_new(void)
{
    struct swim_kv_store *store = x_alloc(sizeof *store);

    store->next_death_ns = INT64_MAX;
    store->heap_bytes = sizeof *store;
    return store;
}

void swim_kv_store_free(struct swim_kv_store *store)
{
    for (uint32_t i = 0; store != NULL && i < store->n; i++) {
        mem_free(store->entries[i]);
    }
    mem_free(store);
}

uint32_t swim_kv_place(const struct swim_kv_store *store, const uint8_t key[SWIM_KV_KEY_BYTES])
{
    uint32_t lo = 0, hi = store->n;

    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;
        if (memcmp(store->entries[middle]->kv.key, key, SWIM_KV_KEY_BYTES) < 0) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

struct swim_kv_entry *swim_kv_find(const struct swim_kv_store *store,
                                   const uint8_t key[SWIM_KV_KEY_BYTES])
{
    uint32_t at = swim_kv_place(store, key);

    return at < store->n && memcmp(store->entries[at]->kv.key, key, SWIM_KV_KEY_BYTES) == 0
               ? store->entries[at]
               : NULL;
}

const struct swim_kv *swim_kv_store_get(const struct swim_kv_store *store,
                                        const uint8_t key[SWIM_KV_KEY_BYTES])
{
    const struct swim_kv_entry *entry = swim_kv_find(store, key);

    return entry == NULL ? NULL : &entry->kv;
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

int swim_kv_precedence(const struct swim_kv *a, const struct swim_kv *b)
{
    int order = compare_u64(a->version, b->version);

    order = order != 0 ? order : compare_u64(a->flags, b->flags);
    order = order != 0 ? order : compare_u64(a->owner, b->owner);
    order = order != 0 ? order : compare_u64(a->n_value, b->n_value);
    return order != 0 || a->n_value == 0 ? order : memcmp(a->value, b->value, a->n_value);
}

static bool is_deleted(const struct swim_kv *kv)
{
    return (kv->flags & SWIM_KV_DELETED) != 0;
}

int64_t swim_kv_death_ns(const struct swim_kv *kv)
{
    bool ends = (is_deleted(kv) && kv->n_value == SWIM_KV_DEATH) ||
                ((kv->flags & SWIM_KV_EXPIRES) != 0 && kv->n_value >= SWIM_KV_DEATH);

    return ends ? (int64_t)get_le64(kv->value) : INT64_MAX;
}

static uint64_t hash_of(const struct swim_kv *kv)
{
    uint8_t bytes[SWIM_KV_KEY_BYTES + 17 + SWIM_KV_VALUE_MAX];
    uint8_t *at = bytes;

    memcpy(at, kv->key, SWIM_KV_KEY_BYTES);
    at += SWIM_KV_KEY_BYTES;
    put_le64(at, kv->version);
    put_le64(at + 8, kv->owner);
    at[16] = kv->flags;
    at += 17;
    if (kv->n_value > 0) {
        memcpy(at, kv->value, kv->n_value);
    }
    return swim_hash(bytes, (size_t)(at - bytes) + kv->n_value);
}

/* ---- the queue ---- */

static void unqueue(struct swim_kv_store *store, struct swim_kv_entry *entry)
{
    if (!entry->is_queued) {
        return;
    }
    *(entry->prev != NULL ? &entry->prev->next : &store->first[entry->sends]) = entry->next;
    *(entry->next != NULL ? &entry->next->prev : &store->last[entry->sends]) = entry->prev;
    entry->next = entry->prev = NULL;
    entry->is_queued = false;
    store->n_queued--;
}

/* Behind those that wait for longer. */
static void queue(struct swim_kv_store *store, struct swim_kv_entry *entry, uint32_t sends)
{
    entry->sends = (uint16_t)sends;
    entry->prev = store->last[sends];
    *(entry->prev != NULL ? &entry->prev->next : &store->first[sends]) = entry;
    store->last[sends] = entry;
    entry->is_queued = true;
    store->n_queued++;
}

void swim_kv_store_begin_message(struct swim_kv_store *store)
{
    store->round++;
}

const struct swim_kv *swim_kv_store_rumor(struct swim_kv_store *store, size_t n_value,
                                          uint32_t most)
{
    uint32_t misses = 0;

    for (uint32_t tier = 0; tier < SWIM_KV_TIERS && store->n_queued > 0; tier++) {
        for (struct swim_kv_entry *entry = store->first[tier]; entry != NULL; entry = entry->next) {
            if (entry->round == store->round) {
                break; /* it and all behind it went into this message */
            }
            if (entry->kv.n_value > n_value) {
                if (++misses == MISSES_MOST) {
                    return NULL;
                }
                continue;
            }
            unqueue(store, entry);
            entry->round = store->round;
            if (tier + 1 < most && tier + 1 < SWIM_KV_TIERS) {
                queue(store, entry, tier + 1);
            }
            return &entry->kv;
        }
    }
    return NULL;
}

void swim_kv_store_hush(struct swim_kv_store *store, const uint8_t key[SWIM_KV_KEY_BYTES])
{
    struct swim_kv_entry *entry = swim_kv_find(store, key);

    if (entry != NULL) {
        unqueue(store, entry);
    }
}

/* ---- changing it ---- */

static void mark_changed(struct swim_kv_store *store, struct swim_kv_entry *entry, bool is_changed)
{
    store->n_changed += is_changed;
    store->n_changed -= entry->is_changed;
    entry->is_changed = is_changed;
}

static void count_hash(struct swim_kv_store *store, const struct swim_kv_entry *entry, bool add)
{
    uint64_t hash = is_deleted(&entry->kv) ? 0 : entry->hash;

    store->sums[entry->bucket] += add ? hash : 0 - hash;
}

static void drop(struct swim_kv_store *store, struct swim_kv_entry *entry)
{
    unqueue(store, entry);
    mark_changed(store, entry, false);
    count_hash(store, entry, false);
    store->n_orders -= swim_order_is_key(entry->kv.key);
    store->heap_bytes -= sizeof *entry + entry->kv.n_value;
    mem_free(entry);
}

static struct swim_kv_entry *make(struct swim_kv_store *store, const struct swim_kv *kv)
{
    struct swim_kv_entry *entry = try_alloc(sizeof *entry + kv->n_value);

    if (entry == NULL) {
        return NULL;
    }
    *entry = (struct swim_kv_entry){.kv = *kv,
                                    .hash = hash_of(kv),
                                    .bucket = swim_kv_bucket(kv->key),
                                    .round = store->round - 1};
    if (kv->n_value > 0) {
        memcpy(entry + 1, kv->value, kv->n_value);
    }
    entry->kv.value = (const uint8_t *)(entry + 1);
    store->heap_bytes += sizeof *entry + kv->n_value;
    return entry;
}

static bool has_room(const struct swim_kv_store *store, bool is_order)
{
    return is_order ? store->n_orders < SWIM_ORDERS_MAX : store->n - store->n_orders < SWIM_KV_MAX;
}

bool swim_kv_store_is_full(const struct swim_kv_store *store)
{
    return !has_room(store, true) || !has_room(store, false);
}

uint32_t swim_kv_store_orders(const struct swim_kv_store *store)
{
    uint8_t key[SWIM_KV_KEY_BYTES];

    swim_order_key(SWIM_BAN, 0, key);
    return swim_kv_place(store, key);
}

static enum swim_kv_result check(const struct swim_kv_store *store, const struct swim_kv *kv,
                                 int64_t swarm_ns, const struct swim_kv_entry *old)
{
    if (kv->n_value > SWIM_KV_VALUE_MAX) {
        return SWIM_KV_TOO_LONG;
    }
    if ((is_deleted(kv) && kv->n_value != SWIM_KV_DEATH) ||
        ((kv->flags & SWIM_KV_EXPIRES) != 0 && kv->n_value < SWIM_KV_DEATH)) {
        return SWIM_KV_BAD;
    }
    if (old != NULL) {
        return swim_kv_precedence(kv, &old->kv) > 0 ? SWIM_KV_TAKEN : SWIM_KV_OLD;
    }
    /* There is nothing that it could delete any more. */
    if (swim_kv_death_ns(kv) <= swarm_ns) {
        return SWIM_KV_OLD;
    }
    return has_room(store, swim_order_is_key(kv->key)) ? SWIM_KV_TAKEN : SWIM_KV_FULL;
}

enum swim_kv_result swim_kv_store_take(struct swim_kv_store *store, const struct swim_kv *kv,
                                       int64_t swarm_ns)
{
    swim_kv_store_expire(store, swarm_ns);

    uint32_t at = swim_kv_place(store, kv->key);
    struct swim_kv_entry *old = swim_kv_find(store, kv->key);
    enum swim_kv_result result = check(store, kv, swarm_ns, old);
    struct swim_kv_entry *entry = result == SWIM_KV_TAKEN ? make(store, kv) : NULL;

    if (entry == NULL) {
        result = result == SWIM_KV_TAKEN ? SWIM_KV_FULL : result;
        store->n_refused += result == SWIM_KV_FULL;
        return result;
    }
    if (old != NULL) {
        drop(store, old);
    } else {
        memmove(store->entries + at + 1, store->entries + at,
                (store->n - at) * sizeof *store->entries);
        store->n++;
    }
    store->entries[at] = entry;
    store->n_orders += swim_order_is_key(kv->key);
    count_hash(store, entry, true);
    mark_changed(store, entry, !swim_order_is_key(kv->key)); /* those are shown as such */
    queue(store, entry, 0);
    int64_t death = swim_kv_death_ns(kv);
    store->next_death_ns = death < store->next_death_ns ? death : store->next_death_ns;
    return SWIM_KV_TAKEN;
}

void swim_kv_store_expire(struct swim_kv_store *store, int64_t swarm_ns)
{
    uint32_t kept = 0;

    if (store->next_death_ns > swarm_ns) {
        return;
    }
    store->next_death_ns = INT64_MAX;
    for (uint32_t i = 0; i < store->n; i++) {
        struct swim_kv_entry *entry = store->entries[i];
        int64_t death = swim_kv_death_ns(&entry->kv);
        if (death <= swarm_ns) {
            drop(store, entry);
            continue;
        }
        store->next_death_ns = death < store->next_death_ns ? death : store->next_death_ns;
        store->entries[kept++] = entry;
    }
    store->n = kept;
}

uint64_t swim_kv_store_hash(const struct swim_kv_store *store)
{
    uint64_t hash = 0;

    for (uint32_t i = 0; i < SWIM_BUCKETS; i++) {
        hash += store->sums[i];
    }
    return hash;
}

bool swim_kv_store_next_change(struct swim_kv_store *store, struct swim_kv *kv)
{
    /* Round and round, so that one key that changes all the time hides no other. */
    for (uint32_t i = 0; i < store->n && store->n_changed > 0; i++) {
        struct swim_kv_entry *entry = store->entries[store->at_changed++ % store->n];
        if (entry->is_changed) {
            mark_changed(store, entry, false);
            *kv = entry->kv;
            return true;
        }
    }
    return false;
}
