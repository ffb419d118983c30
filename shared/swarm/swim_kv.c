/* SPDX-License-Identifier: Apache-2.0
 *
 * Desired state in the core's messages: rumors behind those of members; a hash in every ping; who
 * differs for a while is sent sums, answers with a list of the buckets that differ, and is brought
 * and asked for what the list shows. All by datagram, for only differences travel.
 */
#include "shared/swarm/swim_kv.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_internal.h"
#include "shared/swarm/swim_kv_store.h"
#include "shared/swarm/swim_order.h"

/* A KV frame without its value, at the most. */
#define FRAME_BYTES 48
/* Records that one list moves by one message of ours; the next exchange goes on. */
#define KEYS_MOST 64
/* With a full table nothing that is lacking can be had: tables differ for long. */
#define FULL_GAP_NS (30000 * SWIM_MS)
#define KEY_SIDS    (SWIM_KV_KEY_BYTES / 8)

struct swim_kv_state {
    struct swim_kv_store *store; /* owned */
    size_t counted;              /* bytes of it that are in heap_bytes */
    uint64_t differs_ns;         /* since when, 0: not */
    uint64_t synced_ns;
    uint64_t refused_ns; /* the last order that was, 0: none */
};

static struct swim_kv_state *state_of(struct swim *swim)
{
    if (swim->kv == NULL) {
        swim->kv = swim_get_memory(swim, sizeof *swim->kv);
        swim->kv->store = swim_kv_store_new();
    }
    return swim->kv;
}

static void count_memory(struct swim *swim)
{
    swim->heap_bytes += swim->kv->store->heap_bytes - swim->kv->counted;
    swim->kv->counted = swim->kv->store->heap_bytes;
}

void swim_kv_deinit(struct swim *swim)
{
    if (swim->kv != NULL) {
        swim->heap_bytes -= swim->kv->counted;
        swim_kv_store_free(swim->kv->store);
        swim_give_memory(swim, swim->kv, sizeof *swim->kv);
        swim->kv = NULL;
    }
}

static int64_t swarm_now(const struct swim *swim)
{
    return swim_clock_swarm_ns(&swim->clock, swim->now.mono_ns);
}

/* An order that is not older than what is held is looked at; false: it must not count. */
static bool admit_order(struct swim *swim, const struct swim_kv *kv, struct swim_order *order)
{
    const struct swim_kv *old = swim_kv_store_get(swim->kv->store, kv->key);

    if (!swim_order_read(kv, order)) {
        return false;
    }
    return (old != NULL && swim_kv_precedence(kv, old) <= 0) || swim_order_may(swim, kv, order);
}

/* by_sync: whoever brought it does so for all; it need not be gossiped. */
static enum swim_kv_result take(struct swim *swim, const struct swim_kv *kv, bool by_sync)
{
    struct swim_kv_store *store = state_of(swim)->store;
    bool is_order = swim_order_is_key(kv->key);
    struct swim_order order;

    if (is_order && !admit_order(swim, kv, &order)) {
        swim->counters.bad_orders++;
        swim->kv->refused_ns = swim->now.mono_ns;
        return SWIM_KV_BAD;
    }
    enum swim_kv_result result = swim_kv_store_take(store, kv, swarm_now(swim));

    count_memory(swim);
    swim->counters.kv_full += result == SWIM_KV_FULL;
    if (result == SWIM_KV_TAKEN && is_order) {
        swim_order_apply(swim, &order.view);
    }
    if (result == SWIM_KV_TAKEN && by_sync) {
        swim_kv_store_hush(store, kv->key);
    } else if (result == SWIM_KV_TAKEN && !swim_is_armed(swim, TIMER_GOSSIP) &&
               swim->rules->gossip_interval_ms > 0) {
        swim_arm(swim, TIMER_GOSSIP,
                 1 + swim_random_below(&swim->random, swim->rules->gossip_interval_ms));
    }
    return result;
}

/* ---- anti-entropy ---- */

void swim_kv_compare(struct swim *swim, struct swim_member *from, uint32_t khash)
{
    uint64_t now = swim->now.mono_ns;

    if (swim->kv != NULL) {
        swim_kv_store_expire(swim->kv->store, swarm_now(swim));
        count_memory(swim);
    }
    if (khash == (uint32_t)swim_kv_hash(swim)) {
        if (swim->kv != NULL) {
            swim->kv->differs_ns = 0;
        }
        return;
    }
    struct swim_kv_state *kv = state_of(swim);
    /* Nor can they be made the same while others hold an order that is none to us. */
    bool is_refused = kv->refused_ns != 0 && now - kv->refused_ns < 2 * FULL_GAP_NS;
    uint64_t gap_ns = is_refused || swim_kv_store_is_full(kv->store)
                          ? FULL_GAP_NS
                          : swim->rules->sync_gap_ms * SWIM_MS;
    if (kv->differs_ns == 0) {
        kv->differs_ns = now;
    }
    if (now - kv->differs_ns >= swim->rules->differs_ms * SWIM_MS &&
        (kv->synced_ns == 0 || now - kv->synced_ns >= gap_ns)) {
        kv->synced_ns = now;
        swim->counters.syncs++;
        swim_post(swim, WORK_KV, &from->addr, from->sid);
    }
}

/* As sids: what is to be done with the keys, then these. */
static void post_keys(struct swim *swim, const struct swim_message *to, enum swim_kv_digest what,
                      const struct swim_kv_keys *keys)
{
    uint64_t sids[1 + KEYS_MOST * KEY_SIDS] = {what};
    uint32_t n = keys->n < KEYS_MOST ? keys->n : KEYS_MOST;

    if (n > 0) {
        memcpy(sids + 1, keys->keys, (size_t)n * SWIM_KV_KEY_BYTES);
        swim_post_sids(swim, WORK_KV, to, sids, 1 + n * KEY_SIDS);
    }
}

void swim_kv_on_list(struct swim *swim, const struct swim_message *m,
                     const struct swim_frame *frame)
{
    struct swim_kv_keys bring, want;
    struct swim_kv_store *store = state_of(swim)->store;

    if (m->conn != 0) {
        return;
    }
    uint64_t differing = swim_kv_store_differing(store, frame->bin, frame->n_bin);
    if (differing != 0) {
        struct swim_work *work =
            swim_post(swim, WORK_KV, m->from, m->sender == NULL ? 0 : m->sender->sid);
        if (work != NULL) {
            work->mask = differing;
        }
    } else if (swim_kv_store_compare(store, frame->bin, frame->n_bin, &bring, &want)) {
        post_keys(swim, m, SWIM_KV_LIST, &bring);
        post_keys(swim, m, SWIM_KV_WANTED, &want);
    }
}

static void put_digest(struct pack *pack, const uint8_t *bytes, size_t n)
{
    swim_frame_write(pack,
                     &(struct swim_frame){
                         .type = SWIM_DIGEST, .state = SWIM_DIGEST_KV, .bin = bytes, .n_bin = n});
}

static void put_record(struct pack *pack, const struct swim_kv *kv)
{
    swim_frame_write(pack, &(struct swim_frame){.type = SWIM_KV,
                                                .sid = kv->owner,
                                                .key = kv->key,
                                                .version = kv->version,
                                                .state = kv->flags,
                                                .bin = kv->value,
                                                .n_bin = kv->n_value});
}

static bool put_brought(const struct swim_kv_store *store, struct swim_work *work,
                        const uint64_t *sids, struct pack *pack)
{
    swim_frame_write(pack, &(struct swim_frame){.type = SWIM_SYNC, .state = SWIM_SYNC_DELTA});
    size_t before = pack_length(pack);
    for (; work->at < work->n_sids; work->at += KEY_SIDS) {
        const struct swim_kv *kv =
            swim_kv_store_get(store, (const uint8_t *)(const void *)(sids + work->at));
        if (kv == NULL) {
            continue; /* forgotten meanwhile */
        }
        if ((size_t)kv->n_value + FRAME_BYTES <= pack_room(pack)) {
            put_record(pack, kv);
        } else if (pack_length(pack) > before) {
            return false;
        }
    }
    return true;
}

bool swim_kv_write(struct swim *swim, struct swim_work *work, struct pack *pack)
{
    const struct swim_kv_store *store = state_of(swim)->store;
    const uint64_t *sids = work->sids != NULL ? work->sids : work->inline_sids;
    uint8_t bytes[SWIM_BIN_MAX];

    if (work->mask != 0) {
        put_digest(pack, bytes,
                   swim_kv_store_write_list(store, work->mask, &work->at, bytes, sizeof bytes));
        return work->at >= store->n;
    }
    if (work->n_sids == 0) {
        put_digest(pack, bytes, swim_kv_store_write_sums(store, bytes));
        return true;
    }
    work->at += work->at == 0; /* behind what is to be done */
    if (sids[0] == SWIM_KV_LIST) {
        return put_brought(store, work, sids, pack);
    }
    uint32_t n = (work->n_sids - work->at) / KEY_SIDS;
    const uint8_t(*keys)[SWIM_KV_KEY_BYTES] = (const void *)(sids + work->at);
    put_digest(pack, bytes, swim_kv_store_write_wanted(store, keys, &n, bytes, sizeof bytes));
    work->at += n * KEY_SIDS;
    return work->at >= work->n_sids;
}

/* ---- orders ---- */

void swim_kv_tell_orders(struct swim *swim, const struct swim_message *to, uint64_t sid)
{
    struct swim_kv_keys keys = {.n = 0};
    static const enum swim_order_kind kinds[] = {SWIM_BAN, SWIM_FORGET};

    for (unsigned i = 0; i < ARRAY_LEN(kinds) && swim->kv != NULL; i++) {
        swim_order_key(kinds[i], sid, keys.keys[keys.n]);
        keys.n += swim_kv_store_get(swim->kv->store, keys.keys[keys.n]) != NULL;
    }
    post_keys(swim, to, SWIM_KV_LIST, &keys);
}

bool swim_kv_order(const struct swim *swim, enum swim_order_kind kind, uint64_t sid,
                   struct swim_order_view *view)
{
    uint8_t key[SWIM_KV_KEY_BYTES];
    struct swim_order order;

    if (swim_n_orders(swim) == 0) {
        return false;
    }
    swim_order_key(kind, sid, key);
    const struct swim_kv *kv = swim_kv_store_get(swim->kv->store, key);
    if (kv == NULL || !swim_order_read(kv, &order)) {
        return false;
    }
    *view = order.view;
    return true;
}

uint32_t swim_n_orders(const struct swim *swim)
{
    return swim->kv == NULL ? 0 : swim->kv->store->n_orders;
}

bool swim_order_record_at(const struct swim *swim, uint32_t at, struct swim_kv *kv)
{
    if (at >= swim_n_orders(swim)) {
        return false;
    }
    *kv = swim->kv->store->entries[swim_kv_store_orders(swim->kv->store) + at]->kv;
    return true;
}

/* ---- gossip ---- */

void swim_kv_on_frame(struct swim *swim, const struct swim_frame *frame, bool by_sync)
{
    struct swim_kv kv = {.owner = frame->sid,
                         .version = frame->version,
                         .flags = frame->state,
                         .value = frame->bin,
                         .n_value = (uint16_t)frame->n_bin};

    memcpy(kv.key, frame->key, sizeof kv.key);
    (void)take(swim, &kv, by_sync);
}

uint32_t swim_kv_n_rumors(const struct swim *swim)
{
    return swim->kv == NULL ? 0 : swim->kv->store->n_queued;
}

void swim_kv_fill(struct swim *swim, struct pack *pack)
{
    const struct swim_kv *kv;

    if (swim_kv_n_rumors(swim) == 0) {
        return;
    }
    uint32_t most = swim->rules->transmissions(swim->table.n_live);
    swim_kv_store_begin_message(swim->kv->store);
    while (pack_room(pack) >= FRAME_BYTES &&
           (kv = swim_kv_store_rumor(swim->kv->store, pack_room(pack) - FRAME_BYTES, most)) !=
               NULL) {
        put_record(pack, kv);
    }
}

/* ---- for the application ---- */

enum swim_kv_result swim_kv_put(struct swim *swim, struct swim_now now, const struct swim_kv *kv)
{
    swim_look(swim, now);
    return take(swim, kv, false);
}

bool swim_kv_get(const struct swim *swim, const uint8_t key[SWIM_KV_KEY_BYTES], struct swim_kv *kv)
{
    const struct swim_kv *found = swim->kv == NULL ? NULL : swim_kv_store_get(swim->kv->store, key);

    if (found != NULL) {
        *kv = *found;
    }
    return found != NULL;
}

uint32_t swim_kv_count(const struct swim *swim)
{
    return swim->kv == NULL ? 0 : swim->kv->store->n - swim->kv->store->n_orders;
}

bool swim_kv_at(const struct swim *swim, uint32_t at, struct swim_kv *kv)
{
    if (at >= swim_kv_count(swim)) {
        return false;
    }
    const struct swim_kv_store *store = swim->kv->store;
    *kv = store->entries[at < swim_kv_store_orders(store) ? at : at + store->n_orders]->kv;
    return true;
}

bool swim_kv_next_change(struct swim *swim, struct swim_kv *kv)
{
    return swim->kv != NULL && swim_kv_store_next_change(swim->kv->store, kv);
}

uint64_t swim_kv_hash(const struct swim *swim)
{
    return swim->kv == NULL ? 0 : swim_kv_store_hash(swim->kv->store);
}
