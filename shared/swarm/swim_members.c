/* SPDX-License-Identifier: Apache-2.0
 *
 * The sids stand in an array of their own: a binary search touches ten lines of cache at a thousand
 * members, and no hash has to be kept from hostile ids. Boot nonces are random when they are
 * honest, and hashed under a key of this core when they are looked up.
 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_internal.h"

#define FIRST_CAP 16u

void *swim_get_memory(struct swim *swim, size_t n)
{
    swim->heap_bytes += n;
    return x_alloc(n);
}

void *swim_grow_memory(struct swim *swim, void *p, size_t old_n, size_t n)
{
    swim->heap_bytes += n - old_n;
    return x_realloc(p, n);
}

void swim_give_memory(struct swim *swim, void *p, size_t n)
{
    if (p != NULL) {
        swim->heap_bytes -= n;
        mem_free(p);
    }
}

uint32_t swim_members_place(const struct swim_members *table, uint64_t sid)
{
    uint32_t low = 0;
    uint32_t high = table->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->sids[middle] < sid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct swim_member *swim_find(const struct swim *swim, uint64_t sid)
{
    uint32_t at = swim_members_place(&swim->table, sid);

    return at < swim->table.n && swim->table.sids[at] == sid ? swim->table.members[at] : NULL;
}

/* ---- by boot nonce ---- */

static struct swim_member **nonce_slot(const struct swim *swim,
                                       const uint8_t nonce[SWIM_NONCE_BYTES])
{
    uint8_t keyed[SWIM_NONCE_BYTES + 8];

    memcpy(keyed, nonce, SWIM_NONCE_BYTES);
    memcpy(keyed + SWIM_NONCE_BYTES, swim->random.key, 8);
    return &swim->table.by_nonce[swim_hash(keyed, sizeof keyed) & (swim->table.n_by_nonce - 1)];
}

struct swim_member *swim_find_nonce(const struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES])
{
    struct swim_member *member = *nonce_slot(swim, nonce);

    while (member != NULL && memcmp(member->boot_nonce, nonce, SWIM_NONCE_BYTES) != 0) {
        member = member->next_by_nonce;
    }
    return member;
}

static void link_nonce(struct swim *swim, struct swim_member *member)
{
    struct swim_member **slot = nonce_slot(swim, member->boot_nonce);

    member->next_by_nonce = *slot;
    *slot = member;
}

static void unlink_nonce(struct swim *swim, struct swim_member *member)
{
    struct swim_member **at = nonce_slot(swim, member->boot_nonce);

    while (*at != member) {
        at = &(*at)->next_by_nonce;
    }
    *at = member->next_by_nonce;
}

struct swim_past_life *swim_past_life(struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES])
{
    uint64_t hash = swim_hash(nonce, SWIM_NONCE_BYTES);

    for (uint32_t i = 0; i < SWIM_PAST_LIVES; i++) {
        if (swim->past_lives[i].sid != 0 && swim->past_lives[i].nonce_hash == hash) {
            return &swim->past_lives[i];
        }
    }
    return NULL;
}

static void bury_life(struct swim *swim, const struct swim_member *member)
{
    swim->past_lives[swim->at_past_life] = (struct swim_past_life){
        .nonce_hash = swim_hash(member->boot_nonce, SWIM_NONCE_BYTES),
        .highest = member->replay.highest,
        .sid = member->sid,
    };
    swim->at_past_life = (swim->at_past_life + 1) % SWIM_PAST_LIVES;
}

static struct swim_stranger *stranger_slot(struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES])
{
    return &swim->strangers[swim_hash(nonce, SWIM_NONCE_BYTES) % SWIM_STRANGERS];
}

void swim_note_stranger(struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES], uint64_t counter)
{
    struct swim_stranger *slot = stranger_slot(swim, nonce);
    uint64_t hash = swim_hash(nonce, SWIM_NONCE_BYTES);

    if (slot->nonce_hash != hash) {
        *slot = (struct swim_stranger){.nonce_hash = hash};
    }
    slot->highest = counter > slot->highest ? counter : slot->highest;
}

void swim_set_nonce(struct swim *swim, struct swim_member *member,
                    const uint8_t nonce[SWIM_NONCE_BYTES])
{
    if (memcmp(member->boot_nonce, nonce, SWIM_NONCE_BYTES) == 0) {
        return;
    }
    unlink_nonce(swim, member);
    if (member->incarnation.boot != 0) {
        bury_life(swim, member);
    }
    memcpy(member->boot_nonce, nonce, SWIM_NONCE_BYTES);
    link_nonce(swim, member);
    const struct swim_stranger *known = stranger_slot(swim, nonce);
    member->replay = (struct swim_replay){0};
    if (known->nonce_hash == swim_hash(nonce, SWIM_NONCE_BYTES)) {
        swim_replay_begin(&member->replay, known->highest);
    }
    member->offset = (struct swim_offset){0};
}

static void grow(struct swim *swim)
{
    struct swim_members *table = &swim->table;
    uint32_t cap = table->cap == 0 ? FIRST_CAP : table->cap * 2;

    table->sids = swim_grow_memory(swim, table->sids, table->cap * sizeof *table->sids,
                                   cap * sizeof *table->sids);
    table->members = swim_grow_memory(swim, table->members, table->cap * sizeof *table->members,
                                      cap * sizeof *table->members);
    swim_give_memory(swim, table->by_nonce, table->n_by_nonce * sizeof *table->by_nonce);
    table->by_nonce = swim_get_memory(swim, cap * sizeof *table->by_nonce);
    table->n_by_nonce = cap;
    table->cap = cap;
    for (uint32_t i = 0; i < table->n; i++) {
        link_nonce(swim, table->members[i]);
    }
}

/* ---- the sums ---- */

static uint64_t hash_of(const struct swim_member *member, struct swim_incarnation incarnation)
{
    uint8_t bytes[SWIM_ID_BYTES + 12];

    memcpy(bytes, member->id.bytes, SWIM_ID_BYTES);
    put_le64(bytes + SWIM_ID_BYTES, incarnation.boot);
    put_le32(bytes + SWIM_ID_BYTES + 8, incarnation.seq);
    return swim_hash(bytes, sizeof bytes);
}

void swim_set_member(struct swim *swim, struct swim_member *member,
                     struct swim_incarnation incarnation, enum swim_state state)
{
    struct swim_members *table = &swim->table;
    uint64_t *sum = &table->bucket_sums[swim_bucket(member->sid)];
    bool was_live = swim_is_live(member);
    bool same_life = member->incarnation.boot == incarnation.boot;

    if (was_live && (!same_life || state == SWIM_DEAD || state == SWIM_LEFT) &&
        swim_root_is_of(swim->clock.view.root, member->sid, member->incarnation.boot)) {
        swim_clock_lose_root(&swim->clock, swim->now.mono_ns);
    }
    if (was_live) {
        *sum -= member->hash;
        table->n_live--;
    }
    if (swim_incarnation_compare(member->incarnation, incarnation) != 0) {
        member->incarnation = incarnation;
        member->hash = hash_of(member, incarnation);
    }
    if (member->state != state) {
        member->state = (uint8_t)state;
        member->since_ns = swim->now.mono_ns;
    }
    if (swim_is_live(member)) {
        *sum += member->hash;
        table->n_live++;
    }
    table->live_is_stale = table->live_is_stale || was_live != swim_is_live(member);
}

/* ---- coming and going ---- */

struct swim_member *swim_add_member(struct swim *swim, const struct swim_id *id)
{
    struct swim_members *table = &swim->table;
    uint64_t sid = swim_sid(id);
    uint32_t at = swim_members_place(table, sid);

    if (table->n == SWIM_MEMBERS_MAX) {
        swim->counters.members_full++;
        return NULL;
    }
    if (table->n == table->cap) {
        grow(swim);
    }
    struct swim_member *member = swim_get_memory(swim, sizeof *member);
    member->id = *id;
    member->sid = sid;
    member->state = SWIM_DEAD;
    member->since_ns = swim->now.mono_ns;
    memmove(&table->sids[at + 1], &table->sids[at], (table->n - at) * sizeof *table->sids);
    memmove(&table->members[at + 1], &table->members[at],
            (table->n - at) * sizeof(struct swim_member *));
    table->sids[at] = sid;
    table->members[at] = member;
    table->n++;
    link_nonce(swim, member);
    return member;
}

static void free_member(struct swim *swim, struct swim_member *member)
{
    swim_give_memory(swim, member->record, member->n_record);
    swim_give_memory(swim, member, sizeof *member);
}

void swim_remove_member(struct swim *swim, struct swim_member *member)
{
    struct swim_members *table = &swim->table;
    uint32_t at = swim_members_place(table, member->sid);

    REQUIRE(!swim_is_live(member));
    swim_suspicion_end(swim, member);
    swim_rumor_drop(swim, member);
    unlink_nonce(swim, member);
    bury_life(swim, member);
    table->n--;
    memmove(&table->sids[at], &table->sids[at + 1], (table->n - at) * sizeof *table->sids);
    memmove(&table->members[at], &table->members[at + 1],
            (table->n - at) * sizeof(struct swim_member *));
    free_member(swim, member);
}

void swim_set_record(struct swim *swim, struct swim_member *member, const uint8_t *bytes, size_t n)
{
    if (member->n_record != n) {
        member->record = swim_grow_memory(swim, member->record, member->n_record, n);
        member->n_record = (uint16_t)n;
    }
    memcpy(member->record, bytes, n);
}

void swim_members_deinit(struct swim *swim)
{
    struct swim_members *table = &swim->table;

    for (uint32_t i = 0; i < table->n; i++) {
        swim_suspicion_end(swim, table->members[i]);
        free_member(swim, table->members[i]);
    }
    swim_give_memory(swim, table->sids, table->cap * sizeof *table->sids);
    swim_give_memory(swim, table->members, table->cap * sizeof *table->members);
    swim_give_memory(swim, table->by_nonce, table->n_by_nonce * sizeof *table->by_nonce);
    swim_give_memory(swim, table->live, table->cap_live * sizeof *table->live);
}

/* ---- the live ---- */

const uint64_t *swim_live(struct swim *swim, uint32_t *n)
{
    struct swim_members *table = &swim->table;

    if (table->live_is_stale) {
        if (table->cap_live < table->n_live) {
            table->live = swim_grow_memory(swim, table->live, table->cap_live * sizeof *table->live,
                                           table->cap * sizeof *table->live);
            table->cap_live = table->cap;
        }
        table->n_in_live = 0;
        for (uint32_t i = 0; i < table->n; i++) {
            if (swim_is_live(table->members[i])) {
                table->live[table->n_in_live++] = table->sids[i];
            }
        }
        table->live_is_stale = false;
    }
    *n = table->n_in_live;
    return table->live;
}

struct swim_member *swim_random_live(struct swim *swim, uint64_t but)
{
    uint32_t n;
    const uint64_t *live = swim_live(swim, &n);

    /* At most two of n are not wanted, so a few draws find another when there is one. */
    for (int tries = 0; tries < 64; tries++) {
        uint64_t sid = live[swim_random_below(&swim->random, n)];
        if (sid != but && sid != swim->self->sid) {
            return swim_find(swim, sid);
        }
    }
    return NULL;
}
