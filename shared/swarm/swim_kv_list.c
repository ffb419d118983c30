/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_kv_place.h"

#define OPEN_END 1u

/* What an entry says of a record. */
struct claim {
    const uint8_t *key;
    uint64_t version;
    uint32_t tag;
    bool is_deleted;
};

static struct claim claim_of(const struct swim_kv_entry *entry)
{
    return (struct claim){.key = entry->kv.key,
                          .version = entry->kv.version,
                          .tag = (uint32_t)entry->hash,
                          .is_deleted = (entry->kv.flags & SWIM_KV_DELETED) != 0};
}

static void put_claim(uint8_t out[SWIM_KV_ENTRY], const struct claim *claim)
{
    memcpy(out, claim->key, SWIM_KV_KEY_BYTES);
    put_le64(out + 16, claim->version);
    put_le32(out + 24, claim->tag);
    out[28] = claim->is_deleted ? SWIM_KV_DELETED : 0;
}

static struct claim get_claim(const uint8_t in[SWIM_KV_ENTRY])
{
    return (struct claim){.key = in,
                          .version = get_le64(in + 16),
                          .tag = get_le32(in + 24),
                          .is_deleted = (in[28] & SWIM_KV_DELETED) != 0};
}

size_t swim_kv_store_write_sums(const struct swim_kv_store *store, uint8_t out[SWIM_KV_SUMS_BYTES])
{
    out[0] = SWIM_KV_SUMS;
    for (size_t i = 0; i < SWIM_BUCKETS; i++) {
        put_le64(out + 1 + i * 8, store->sums[i]);
    }
    return SWIM_KV_SUMS_BYTES;
}

uint64_t swim_kv_store_differing(const struct swim_kv_store *store, const uint8_t *bytes, size_t n)
{
    uint64_t buckets = 0;

    if (n != SWIM_KV_SUMS_BYTES || bytes[0] != SWIM_KV_SUMS) {
        return 0;
    }
    for (size_t i = 0; i < SWIM_BUCKETS; i++) {
        buckets |= (uint64_t)(get_le64(bytes + 1 + i * 8) != store->sums[i]) << i;
    }
    return buckets;
}

static bool is_in(uint64_t buckets, uint8_t bucket)
{
    return (buckets >> bucket & 1) != 0;
}

size_t swim_kv_store_write_list(const struct swim_kv_store *store, uint64_t buckets, uint32_t *at,
                                uint8_t *out, size_t max)
{
    size_t n = SWIM_KV_LIST_HEAD;
    uint32_t i = *at;

    memset(out, 0, SWIM_KV_LIST_HEAD);
    out[0] = SWIM_KV_LIST;
    put_le64(out + 2, buckets);
    if (i > 0 && i < store->n) {
        memcpy(out + 10, store->entries[i]->kv.key, SWIM_KV_KEY_BYTES);
    }
    for (; i < store->n; i++) {
        const struct swim_kv_entry *entry = store->entries[i];
        const struct claim claim = claim_of(entry);
        if (!is_in(buckets, entry->bucket)) {
            continue;
        }
        if (n + SWIM_KV_ENTRY > max) {
            break;
        }
        put_claim(out + n, &claim);
        n += SWIM_KV_ENTRY;
    }
    if (i < store->n) {
        memcpy(out + 26, store->entries[i]->kv.key, SWIM_KV_KEY_BYTES);
    } else {
        out[1] = OPEN_END;
    }
    *at = i;
    return n;
}

size_t swim_kv_store_write_wanted(const struct swim_kv_store *store,
                                  const uint8_t (*keys)[SWIM_KV_KEY_BYTES], uint32_t *n_keys,
                                  uint8_t *out, size_t max)
{
    size_t n = 1;
    uint32_t i = 0;

    out[0] = SWIM_KV_WANTED;
    for (; i < *n_keys && n + SWIM_KV_ENTRY <= max; i++) {
        const struct swim_kv_entry *entry = swim_kv_find(store, keys[i]);
        struct claim claim = {.key = keys[i]};
        if (entry != NULL) {
            claim = claim_of(entry);
        }
        put_claim(out + n, &claim);
        n += SWIM_KV_ENTRY;
    }
    *n_keys = i;
    return n;
}

static void add_key(struct swim_kv_keys *keys, const uint8_t key[SWIM_KV_KEY_BYTES])
{
    if (keys->n < ARRAY_LEN(keys->keys)) {
        memcpy(keys->keys[keys->n++], key, SWIM_KV_KEY_BYTES);
    }
}

/* Equal versions with other bytes go both ways: whoever has the lesser ones takes the others. */
static void compare(const struct swim_kv_entry *mine, const struct claim *theirs,
                    struct swim_kv_keys *bring, struct swim_kv_keys *want)
{
    struct claim ours = claim_of(mine);
    bool differs = ours.version == theirs->version && ours.tag != theirs->tag;

    if (ours.version > theirs->version || differs) {
        add_key(bring, ours.key);
    }
    if (ours.version < theirs->version || differs) {
        add_key(want, ours.key);
    }
}

static bool compare_wanted(const struct swim_kv_store *store, struct bytes_reader *in,
                           struct swim_kv_keys *bring)
{
    static const uint32_t bytes_most = (SWIM_KV_MAX + SWIM_ORDERS_MAX) * SWIM_KV_ENTRY;

    if (bytes_left(in) > bytes_most || bytes_left(in) % SWIM_KV_ENTRY != 0) {
        return false;
    }
    while (bytes_left(in) > 0) {
        struct claim theirs = get_claim(bytes_take(in, SWIM_KV_ENTRY));
        const struct swim_kv_entry *mine = swim_kv_find(store, theirs.key);
        if (mine != NULL &&
            (mine->kv.version > theirs.version ||
             (mine->kv.version == theirs.version && (uint32_t)mine->hash != theirs.tag))) {
            add_key(bring, theirs.key);
        }
    }
    return true;
}

/* Ours that stand before `key` and that they would have named, had they them. */
static uint32_t bring_before(const struct swim_kv_store *store, uint32_t at, const uint8_t *key,
                             uint64_t buckets, struct swim_kv_keys *bring)
{
    for (; at < store->n &&
           (key == NULL || memcmp(store->entries[at]->kv.key, key, SWIM_KV_KEY_BYTES) < 0);
         at++) {
        const struct swim_kv_entry *mine = store->entries[at];
        if (is_in(buckets, mine->bucket) && (mine->kv.flags & SWIM_KV_DELETED) == 0) {
            add_key(bring, mine->kv.key);
        }
    }
    return at;
}

static bool compare_list(const struct swim_kv_store *store, struct bytes_reader *in,
                         struct swim_kv_keys *bring, struct swim_kv_keys *want)
{
    bool is_open = bytes_u8(in) == OPEN_END;
    uint64_t buckets = bytes_le64(in);
    const uint8_t *last = bytes_take(in, SWIM_KV_KEY_BYTES);
    const uint8_t *next = bytes_take(in, SWIM_KV_KEY_BYTES);

    if (in->failed || bytes_left(in) % SWIM_KV_ENTRY != 0) {
        return false;
    }
    uint32_t at = swim_kv_place(store, last);
    bool is_first = true;
    while (bytes_left(in) > 0) {
        struct claim theirs = get_claim(bytes_take(in, SWIM_KV_ENTRY));
        int order = memcmp(theirs.key, last, SWIM_KV_KEY_BYTES);
        if (order < 0 || (order == 0 && !is_first) ||
            (!is_open && memcmp(theirs.key, next, SWIM_KV_KEY_BYTES) >= 0)) {
            return false; /* out of order, or outside of what it covers */
        }
        is_first = false;
        last = theirs.key;
        at = bring_before(store, at, theirs.key, buckets, bring);
        if (at < store->n &&
            memcmp(store->entries[at]->kv.key, theirs.key, SWIM_KV_KEY_BYTES) == 0) {
            compare(store->entries[at++], &theirs, bring, want);
        } else if (!theirs.is_deleted) {
            add_key(want, theirs.key); /* a tombstone of what we do not have is of no use */
        }
    }
    (void)bring_before(store, at, is_open ? NULL : next, buckets, bring);
    return true;
}

bool swim_kv_store_compare(const struct swim_kv_store *store, const uint8_t *bytes, size_t n,
                           struct swim_kv_keys *bring, struct swim_kv_keys *want)
{
    struct bytes_reader in = bytes_reader(bytes, n);
    uint8_t kind = bytes_u8(&in);

    bring->n = want->n = 0;
    if (in.failed) {
        return false;
    }
    return kind == SWIM_KV_LIST     ? compare_list(store, &in, bring, want)
           : kind == SWIM_KV_WANTED ? compare_wanted(store, &in, bring)
                                    : false;
}
