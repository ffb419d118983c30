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
    uint8_t keyed[SWIM_LIFE_BYTES + 8];

    memcpy(keyed, nonce, SWIM_LIFE_BYTES);
    memcpy(keyed + SWIM_LIFE_BYTES, swim->random.key, 8);
    return &swim->table.by_nonce[swim_hash(keyed, sizeof keyed) & (swim->table.n_by_nonce - 1)];
}

struct swim_member *swim_find_nonce(const struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES])
{
    struct swim_member *member = *nonce_slot(swim, nonce);

    while (member != NULL && memcmp(member->boot_nonce, nonce, SWIM_LIFE_BYTES) != 0) {
        member = member->next_by_nonce;
    }
    return member;
}

static void link_nonce(struct swim *swim, struct swim_member *member)
{
    struct swim_member **slot = nonce_slot(swim, member->boot_nonce);

    while (*slot != NULL) {
        slot = &(*slot)->next_by_nonce; /* who pretends to another's nonce comes behind it */
    }
    member->next_by_nonce = NULL;
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
    uint64_t hash = swim_hash(nonce, SWIM_LIFE_BYTES);

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
        .nonce_hash = swim_hash(member->boot_nonce, SWIM_LIFE_BYTES),
        .highest = member->replay.highest > member->next_highest ? member->replay.highest
                                                                 : member->next_highest,
        .sid = member->sid,
        .left = member->state == SWIM_LEFT,
    };
    swim->at_past_life = (swim->at_past_life + 1) % SWIM_PAST_LIVES;
}

static struct swim_stranger *stranger_slot(struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES])
{
    return &swim->strangers[swim_hash(nonce, SWIM_LIFE_BYTES) % SWIM_STRANGERS];
}

void swim_note_stranger(struct swim *swim, const uint8_t nonce[SWIM_NONCE_BYTES], uint64_t counter)
{
    struct swim_stranger *slot = stranger_slot(swim, nonce);
    uint64_t hash = swim_hash(nonce, SWIM_LIFE_BYTES);

    if (slot->nonce_hash != hash) {
        *slot = (struct swim_stranger){.nonce_hash = hash};
    }
    slot->highest = counter > slot->highest ? counter : slot->highest;
}

/* What was counted under a nonce does not come again. */
static void begin_window(struct swim_member *member, uint64_t highest)
{
    member->replay = (struct swim_replay){0};
    if (highest > 0) {
        swim_replay_begin(&member->replay, highest);
    }
}

static void note_other(struct swim_member *member, uint32_t generation, uint64_t highest)
{
    if (generation != 0 && highest > member->other_highest) {
        member->other_generation = generation;
        member->other_highest = highest;
    }
}

/* A straggler, or a recording, of an older one must not put the next one out: of that the window
 * begins where it was heard last, or what it had said would be news again. */
void swim_note_generation(struct swim_member *member, uint32_t generation, uint64_t counter,
                          bool is_doubtful)
{
    if (generation == member->next_generation) {
        member->next_highest = counter > member->next_highest ? counter : member->next_highest;
    } else if (is_doubtful) {
        note_other(member, generation, counter);
    } else {
        note_other(member, member->next_generation, member->next_highest);
        member->next_generation = generation;
        member->next_highest = counter;
    }
}

/* The same life goes on. What it counted before stays known, so that recordings are. */
static void next_generation(struct swim_member *member, const uint8_t nonce[SWIM_NONCE_BYTES])
{
    uint32_t generation = swim_generation(nonce);
    uint64_t highest = member->replay.highest;

    memcpy(member->boot_nonce, nonce, SWIM_NONCE_BYTES);
    begin_window(member, generation == member->next_generation    ? member->next_highest
                         : generation == member->other_generation ? member->other_highest
                                                                  : 0);
    if (generation == member->other_generation) {
        member->other_generation = 0;
        member->other_highest = 0;
    }
    if (generation != member->next_generation) {
        note_other(member, member->next_generation, member->next_highest);
    }
    member->next_generation = 0;
    member->next_highest = highest > member->next_highest ? highest : member->next_highest;
}

void swim_set_nonce(struct swim *swim, struct swim_member *member,
                    const uint8_t nonce[SWIM_NONCE_BYTES])
{
    if (memcmp(member->boot_nonce, nonce, SWIM_NONCE_BYTES) == 0) {
        return;
    }
    if (memcmp(member->boot_nonce, nonce, SWIM_LIFE_BYTES) == 0) {
        next_generation(member, nonce);
        return;
    }
    unlink_nonce(swim, member);
    if (member->incarnation.boot != 0) {
        bury_life(swim, member);
    }
    memcpy(member->boot_nonce, nonce, SWIM_NONCE_BYTES);
    link_nonce(swim, member);
    const struct swim_past_life *past = swim_past_life(swim, nonce);
    const struct swim_stranger *known = stranger_slot(swim, nonce);
    uint64_t highest = known->nonce_hash == swim_hash(nonce, SWIM_LIFE_BYTES) ? known->highest : 0;
    if (past != NULL && past->highest > highest) {
        highest = past->highest; /* it is not over, though we thought so */
    }
    begin_window(member, highest);
    member->next_generation = member->other_generation = 0;
    member->next_highest = member->other_highest = 0;
    member->offset = (struct swim_offset){0};
    member->peer = (struct swim_peer_clock){0};
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

/* Whoever has the key can make up as many members as it likes, and each leaves a tombstone. The one
 * that is gone for the longest makes room, so that they keep nobody out for long. */
static bool make_room(struct swim *swim)
{
    struct swim_member *oldest = NULL;

    for (uint32_t i = 0; i < swim->table.n; i++) {
        struct swim_member *member = swim->table.members[i];
        if (!swim_is_live(member) && member != swim->speaker && member != swim->self &&
            (oldest == NULL || member->since_ns < oldest->since_ns)) {
            oldest = member;
        }
    }
    if (oldest == NULL) {
        swim->counters.members_full++;
        return false;
    }
    swim->counters.members_evicted++;
    swim_remove_member(swim, oldest);
    return true;
}

struct swim_member *swim_add_member(struct swim *swim, const struct swim_id *id)
{
    struct swim_members *table = &swim->table;
    uint64_t sid = swim_sid(id);

    if (table->n == SWIM_MEMBERS_MAX && !make_room(swim)) {
        return NULL;
    }
    uint32_t at = swim_members_place(table, sid);
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

/* Where sid is among the live, or n. */
static uint32_t place_in_live(const struct swim_members *table, uint64_t sid)
{
    uint32_t low = 0;
    uint32_t high = table->n_in_live;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->live[middle] < sid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < table->n_in_live && table->live[low] == sid ? low : table->n_in_live;
}

struct swim_member *swim_random_live(struct swim *swim, uint64_t but)
{
    uint32_t n;
    const uint64_t *live = swim_live(swim, &n);
    uint32_t first = place_in_live(&swim->table, swim->self->sid);
    uint32_t second = but == swim->self->sid ? n : place_in_live(&swim->table, but);

    if (first > second) {
        uint32_t greater = first;
        first = second;
        second = greater;
    }
    uint32_t n_wanted = n - (first < n) - (second < n);
    if (n_wanted == 0) {
        return NULL;
    }
    uint32_t at = (uint32_t)swim_random_below(&swim->random, n_wanted);
    at += at >= first;
    at += at >= second;
    return swim_find(swim, live[at]);
}
