/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place where what we hold of a member changes. What is heard either takes precedence over
 * what is held or does nothing, so the order in which it comes does not matter. Only a record
 * signed by the member moves its incarnation; a suspicion or a death must be about exactly the
 * incarnation that we hold.
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"

/* Between two words about clocks. */
#define CLOCK_GAP_NS (3600ull * 1000 * SWIM_MS)

int swim_precedence(struct swim_incarnation a, enum swim_state state_a, struct swim_incarnation b,
                    enum swim_state state_b)
{
    if (a.boot == b.boot && (state_a == SWIM_LEFT) != (state_b == SWIM_LEFT)) {
        return state_a == SWIM_LEFT ? 1 : -1; /* leaving is final for a life */
    }
    int order = swim_incarnation_compare(a, b);

    return order != 0 ? order : (int)state_a - (int)state_b;
}

void swim_event(struct swim *swim, enum swim_event_kind event, const struct swim_member *member)
{
    if (swim->n_events == swim->cap_events && swim->event_at > 0) {
        swim->n_events -= swim->event_at;
        memmove(swim->events, swim->events + swim->event_at, swim->n_events * sizeof *swim->events);
        swim->event_at = 0;
    }
    if (swim->n_events == SWIM_EVENTS_MAX) {
        swim->counters.events_lost++;
        swim->events_lost = true;
        return;
    }
    if (swim->n_events == swim->cap_events) {
        uint32_t cap = swim->cap_events == 0 ? 16 : swim->cap_events * 2;
        swim->events = swim_grow_memory(swim, swim->events, swim->cap_events * sizeof *swim->events,
                                        cap * sizeof *swim->events);
        swim->cap_events = cap;
    }
    swim->events[swim->n_events++] = (struct swim_event){
        .event = (uint8_t)event,
        .sid = member == NULL ? 0 : member->sid,
        .incarnation = member == NULL ? (struct swim_incarnation){0} : member->incarnation,
    };
}

static void say_up(struct swim *swim, struct swim_member *member)
{
    if (!member->up && member != swim->self) {
        member->up = true;
        swim_event(swim, SWIM_EVENT_UP, member);
    }
}

static void say_down(struct swim *swim, struct swim_member *member, enum swim_event_kind event)
{
    if (member->up) {
        member->up = false;
        swim_event(swim, event, member);
    }
}

uint32_t swim_flaps(const struct swim *swim, const struct swim_member *member)
{
    uint64_t last_ns = member->died_ns > member->refuted_ns ? member->died_ns : member->refuted_ns;

    return swim->now.mono_ns - last_ns > SWIM_FLAP_WINDOW_MS * SWIM_MS ? 0 : member->n_flaps;
}

uint32_t swim_refuted(const struct swim *swim, const struct swim_member *member)
{
    return swim->now.mono_ns - member->refuted_ns < SWIM_FLAP_WINDOW_MS * SWIM_MS
               ? member->n_refuted
               : 0;
}

static void count_refuted(struct swim *swim, struct swim_member *member)
{
    uint32_t n = swim_refuted(swim, member);

    member->n_refuted = (uint8_t)(n < SWIM_REFUTED_OFTEN ? n + 1 : n);
    member->refuted_ns = swim->now.mono_ns;
}

static void count_flap(struct swim *swim, struct swim_member *member)
{
    uint32_t flaps = swim_flaps(swim, member);

    member->n_flaps = (uint8_t)(flaps < SWIM_FLAP_MOST ? flaps + 1 : flaps);
}

static void take_alive(struct swim *swim, struct swim_member *member,
                       const struct swim_record *record, bool is_new)
{
    enum swim_state was = (enum swim_state)member->state;
    bool other_boot = !is_new && record->incarnation.boot != member->incarnation.boot;

    if (was == SWIM_SUSPECT) {
        swim_suspicion_end(swim, member);
        if (!other_boot) {
            count_refuted(swim, member);
            swim->counters.suspicions_cleared++;
        }
    }
    if (was == SWIM_DEAD && !is_new && !other_boot) {
        count_flap(swim, member);
    }
    if (other_boot) {
        say_down(swim, member, SWIM_EVENT_DOWN); /* that life is over */
        member->degraded = false;
        member->forgotten = false;
    }
    swim_set_member(swim, member, record->incarnation, SWIM_ALIVE);
    if (was == SWIM_SUSPECT && !other_boot) {
        swim_event(swim, SWIM_EVENT_CLEARED, member);
    } else if (was == SWIM_ALIVE && !other_boot) {
        swim_event(swim, SWIM_EVENT_UPDATE, member);
    }
    say_up(swim, member);
}

void swim_bury(struct swim *swim, struct swim_member *member)
{
    swim_suspicion_end(swim, member);
    swim_rumor_drop(swim, member);
    swim_set_member(swim, member, member->incarnation,
                    member->state == SWIM_LEFT ? SWIM_LEFT : SWIM_DEAD);
    member->dead_from = swim->self->sid;
    member->dead_confirmed = 0;
    member->degraded = false;
    say_down(swim, member, SWIM_EVENT_DOWN);
}

static void take_left(struct swim *swim, struct swim_member *member,
                      const struct swim_record *record)
{
    swim_suspicion_end(swim, member);
    if (record->incarnation.boot != member->incarnation.boot) {
        say_down(swim, member, SWIM_EVENT_DOWN);
    }
    swim_set_member(swim, member, record->incarnation, SWIM_LEFT);
    say_down(swim, member, SWIM_EVENT_LEFT);
}

/* Values that no honest node would sign. */
static bool is_possible(const struct swim_record *record)
{
    return record->incarnation.seq < UINT32_MAX && record->n_addrs > 0;
}

/* A clock that is wrong keeps a node out of the swarm, or it out of the node: that must be seen. */
static bool boot_is_believed(struct swim *swim, uint64_t sid, uint64_t boot)
{
    uint64_t wall_ms = swim->now.wall_ns > 0 ? (uint64_t)swim->now.wall_ns / SWIM_MS : 0;

    if (boot <= wall_ms + SWIM_BOOT_AHEAD_MS) {
        return true;
    }
    swim->counters.boots_ahead++;
    if (swim->clock_told_ns == 0 || swim->now.mono_ns - swim->clock_told_ns >= CLOCK_GAP_NS) {
        const struct swim_member of = {.sid = sid, .incarnation = {.boot = boot}};
        swim->clock_told_ns = swim->now.mono_ns;
        swim_event(swim, SWIM_EVENT_CLOCK, &of);
    }
    return !swim_is_ahead(swim, boot);
}

static struct swim_member *admit(struct swim *swim, const struct swim_id *id,
                                 const struct swim_record *record)
{
    const struct swim_past_life *past = swim_past_life(swim, record->boot_nonce);

    /* Whom we never knew and who left is nobody to us; nor who left so long ago that the tombstone
     * is gone, and whose record somebody kept. */
    return record->left || (past != NULL && past->left) ? NULL : swim_add_member(swim, id);
}

struct swim_member *swim_merge_record(struct swim *swim, const uint8_t *bytes, size_t n,
                                      bool by_sync)
{
    struct swim_record record;
    bool is_new = false;

    if (!swim_record_read(bytes, n, &record)) {
        swim->counters.bad_records++;
        return NULL;
    }
    const struct swim_id id = swim_id_of(record.public_key);
    struct swim_member *member = swim_find(swim, swim_sid(&id));
    enum swim_state state = record.left ? SWIM_LEFT : SWIM_ALIVE;
    if (member != swim->self && swim_order_refuses(swim, swim_sid(&id), record.incarnation.boot)) {
        swim->counters.refused_by_order++;
        swim->refused_sid = swim_sid(&id);
        return NULL;
    }
    if (member != NULL && (memcmp(&member->id, &id, sizeof id) != 0 ||
                           swim_precedence(record.incarnation, state, member->incarnation,
                                           (enum swim_state)member->state) <= 0)) {
        return memcmp(&member->id, &id, sizeof id) == 0 ? member : NULL; /* nothing new */
    }
    if (member != NULL && record.left && swim_is_fading(swim, member)) {
        return member; /* soon it is forgotten, and that is not put off */
    }
    if (!is_possible(&record) ||
        !swim_record_is_signed(bytes, n, &record, swim->crypto, swim->keyring.cluster_id)) {
        swim->counters.bad_records++;
        return NULL;
    }
    if (!boot_is_believed(swim, swim_sid(&id), record.incarnation.boot)) {
        return NULL;
    }
    if (member == swim->self) {
        swim_on_own_record(swim, &record);
        return NULL;
    }
    if (member == NULL) {
        member = admit(swim, &id, &record);
        is_new = true;
    }
    if (member == NULL) {
        return NULL;
    }
    swim_set_record(swim, member, bytes, n);
    swim_set_nonce(swim, member, record.boot_nonce);
    member->addr = record.addrs[0];
    if (record.left) {
        take_left(swim, member, &record);
    } else {
        take_alive(swim, member, &record, is_new);
    }
    if (!by_sync || swim->rules->gossip_synced) {
        swim_rumor(swim, member);
    }
    return member;
}

void swim_merge_suspect(struct swim *swim, uint64_t sid, struct swim_incarnation incarnation,
                        uint64_t from, uint32_t lh)
{
    struct swim_member *member = swim_find(swim, sid);

    if (member == swim->self) {
        swim_refute(swim, incarnation);
        return;
    }
    if (member == NULL || swim_incarnation_compare(member->incarnation, incarnation) != 0) {
        return;
    }
    if (member->state == SWIM_ALIVE) {
        swim_suspicion_begin(swim, member, from, lh);
    } else if (member->state == SWIM_SUSPECT) {
        swim_suspicion_confirm(swim, member, from, lh);
    }
}

void swim_declare_dead(struct swim *swim, struct swim_member *member, uint64_t from,
                       uint32_t confirmed)
{
    swim_suspicion_end(swim, member);
    swim_set_member(swim, member, member->incarnation, SWIM_DEAD);
    member->dead_from = from;
    member->dead_confirmed = (uint8_t)confirmed;
    member->died_ns = swim->now.mono_ns;
    member->degraded = false;
    swim->counters.deaths++;
    say_down(swim, member, SWIM_EVENT_DOWN);
    swim_rumor(swim, member);
    swim_try_the_dead(swim);
}

void swim_merge_dead(struct swim *swim, uint64_t sid, struct swim_incarnation incarnation,
                     uint64_t from, uint32_t confirmed, bool by_sync)
{
    struct swim_member *member = swim_find(swim, sid);

    if (member == swim->self) {
        swim_refute(swim, incarnation);
        return;
    }
    if (member == NULL || swim_incarnation_compare(member->incarnation, incarnation) != 0 ||
        !swim_is_live(member)) {
        return;
    }
    /* The word of one is not enough while its subject had no time to object: then it is a suspicion
     * more (swarm.md S6). Nor is that of another half of a partition. */
    bool doubted = by_sync || member->state != SWIM_SUSPECT ||
                   swim_has_objection_time(swim, member->suspicion);
    if (doubted && (by_sync || swim->rules->dead_doubt_ms > 0)) {
        swim_merge_suspect(swim, sid, incarnation, from, by_sync ? UINT8_MAX : 0);
    } else {
        swim_declare_dead(swim, member, from, confirmed);
    }
}
