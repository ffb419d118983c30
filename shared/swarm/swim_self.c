/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node knows and says of itself: its record, its refutations, its health (Lifeguard's local
 * health multiplier), whether it hears anybody at all, and whether another process lives with its
 * key.
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"

/* One more for each second of being late or of losing datagrams. */
#define WORSEN_GAP_NS  (1000 * SWIM_MS)
#define LATE_NS        (100 * SWIM_MS)
#define CLONE_RISE_MS  3000
#define WALL_LEAST_MS  1577836800000ull /* 2020-01-01: before this there was nothing of us */
#define BY_STREAM_MOST 3                /* probes in a row that only streams answered */
#define RENEW_GAP_NS   (60000 * SWIM_MS)
#define ISOLATED_LEAST 2 /* live members, ourselves included, below which silence means nothing */

bool swim_is_ahead(const struct swim *swim, uint64_t ms)
{
    uint64_t wall_ms = swim->now.wall_ns > 0 ? (uint64_t)swim->now.wall_ns / SWIM_MS : 0;

    return wall_ms >= WALL_LEAST_MS && ms > wall_ms + SWIM_BOOT_AHEAD_MS;
}

static void sign_record(struct swim *swim)
{
    uint8_t bytes[SWIM_RECORD_MAX];
    size_t n = swim_record_write(&swim->own, swim->crypto, swim->secret_key,
                                 swim->keyring.cluster_id, bytes);

    swim_set_record(swim, swim->self, bytes, n);
    swim_set_member(swim, swim->self, swim->own.incarnation,
                    swim->own.left ? SWIM_LEFT : SWIM_ALIVE);
    swim_rumor(swim, swim->self);
}

void swim_renew_record(struct swim *swim)
{
    swim->own.incarnation.seq++;
    sign_record(swim);
}

void swim_draw_nonce(struct swim *swim)
{
    for (int i = 0; i < SWIM_NONCE_BYTES; i += 8) {
        put_le64(swim->own.boot_nonce + i, swim_random_u64(&swim->random));
    }
    swim_set_generation(swim->own.boot_nonce, (uint32_t)swim_random_u64(&swim->random) | 1);
}

/* Under the next nonce of this life, for which nobody holds counters. */
static void renew_nonce(struct swim *swim)
{
    swim_set_generation(swim->own.boot_nonce, (uint32_t)swim_random_u64(&swim->random) | 1);
    swim_set_nonce(swim, swim->self, swim->own.boot_nonce);
    swim_renew_record(swim);
}

/* Where datagrams get through to nobody and streams do, either a path is broken or others take what
 * we say for replays. */
void swim_on_degraded(struct swim *swim)
{
    if (++swim->n_by_stream >= BY_STREAM_MOST && !swim->leaving &&
        (swim->renewed_ns == 0 || swim->now.mono_ns - swim->renewed_ns >= RENEW_GAP_NS)) {
        swim->n_by_stream = 0;
        swim->renewed_ns = swim->now.mono_ns;
        renew_nonce(swim);
    }
}

/* ---- refuting ---- */

/* It was answered, and the answer was lost on its way to whoever accuses us still. When that has
 * been told as often as rumors are, there is another. */
static void answer_again(struct swim *swim)
{
    if (swim->self->queue_tier == 0 &&
        swim->now.mono_ns - swim->refuted_ns >= SWIM_REFUTE_GAP_MS * SWIM_MS) {
        swim->refuted_ns = swim->now.mono_ns;
        swim_renew_record(swim);
    }
}

void swim_refute(struct swim *swim, struct swim_incarnation accused)
{
    int order = swim_incarnation_compare(accused, swim->own.incarnation);

    if (swim->left || order > 0) {
        return; /* nobody but us could have made it */
    }
    if (order < 0) {
        answer_again(swim);
        return;
    }
    uint64_t next_ns = swim->refuted_ns + SWIM_REFUTE_GAP_MS * SWIM_MS;
    if (swim->refuted_ns != 0 && swim->now.mono_ns < next_ns) {
        if (!swim_is_armed(swim, TIMER_REFUTE)) {
            swim_timer_arm(&swim->timers, &swim->own_timers[TIMER_REFUTE], next_ns);
        }
        return;
    }
    swim_on_refute_timer(swim);
}

void swim_on_refute_timer(struct swim *swim)
{
    if (swim->left || swim->silenced) {
        return;
    }
    swim->refuted_ns = swim->now.mono_ns;
    swim->counters.refutations++;
    swim_worsen(swim, 1);
    renew_nonce(swim);
}

/* ---- another process with our key ---- */

static void fall_silent(struct swim *swim)
{
    swim->counters.clones++;
    swim->silenced = true;
    swim_event(swim, SWIM_EVENT_CLONE, swim->self);
}

void swim_on_own_record(struct swim *swim, const struct swim_record *record)
{
    if (memcmp(record->boot_nonce, swim->own.boot_nonce, SWIM_LIFE_BYTES) == 0) {
        return;
    }
    /* Newer than we and signed with our key: it can only be another process. When it is one more
     * than ours it is an older one that has heard of us and takes its place back
     * (swim_on_clone_timer). */
    if (record->incarnation.boot == swim->own.incarnation.boot + 1) {
        fall_silent(swim);
        return;
    }
    swim->counters.clones++;
    swim->other = record->incarnation;
    swim_event(swim, SWIM_EVENT_CLONE, swim->self);
    swim_rise(swim);
}

void swim_rise(struct swim *swim)
{
    if (!swim_is_armed(swim, TIMER_CLONE)) {
        swim_arm(swim, TIMER_CLONE, CLONE_RISE_MS);
    }
}

void swim_on_clone_timer(struct swim *swim)
{
    if (swim->silenced || swim->left || swim->other.boot < swim->own.incarnation.boot) {
        return;
    }
    swim->own.incarnation = (struct swim_incarnation){.boot = swim->other.boot + 1};
    swim->persist_due = true;
    /* Under the old nonce nobody listens: its life is over for them. What comes of it is our own
     * echo, whatever it counts. */
    swim->self->next_highest = UINT64_MAX;
    swim_draw_nonce(swim);
    swim_set_nonce(swim, swim->self, swim->own.boot_nonce);
    sign_record(swim);
}

/* ---- health ---- */

void swim_worsen(struct swim *swim, uint32_t n)
{
    swim->lh = swim->lh + n > swim->rules->health_most ? swim->rules->health_most : swim->lh + n;
}

void swim_better(struct swim *swim)
{
    swim->lh -= swim->lh > 0 ? 1 : 0;
}

void swim_on_kernel_drops(struct swim *swim, struct swim_now now, uint32_t n)
{
    swim->now = now;
    swim->counters.kernel_drops += n;
    if (n > 0 && swim->rules->measured_health && now.mono_ns - swim->dropped_ns >= WORSEN_GAP_NS) {
        swim->dropped_ns = now.mono_ns;
        swim_worsen(swim, 1);
    }
}

void swim_on_lateness(struct swim *swim, uint64_t late_ns)
{
    if (swim->rules->measured_health && late_ns > LATE_NS &&
        swim->now.mono_ns - swim->late_ns >= WORSEN_GAP_NS) {
        swim->late_ns = swim->now.mono_ns;
        swim_worsen(swim, 1);
    }
    if (swim->rules->stall_ms > 0 && late_ns > swim->rules->stall_ms * SWIM_MS) {
        swim->counters.stalls++;
        swim_probes_void(swim);
        swim_suspicions_delay(swim, late_ns);
    }
}

/* ---- in contact with anybody ----
 *
 * What counts is an answer to something of ours, not that others are heard: who is not heard
 * accuses everybody just as who does not hear. */

void swim_contact(struct swim *swim)
{
    swim->contact_ns = swim->now.mono_ns;
    if (swim->isolated) {
        swim->isolated = false;
        swim_suspicions_restart(swim);
        swim_event(swim, SWIM_EVENT_CONNECTED, NULL);
    }
    if (swim->rules->isolation) { /* put off each time, it wakes nobody who is well */
        swim_arm(swim, TIMER_ISOLATION, swim->rules->isolated_after_ms);
    }
}

void swim_on_isolation_timer(struct swim *swim)
{
    if (swim->isolated) {
        return;
    }
    if (swim->table.n_live > ISOLATED_LEAST) {
        swim->isolated = true;
        swim->counters.isolations++;
        swim_event(swim, SWIM_EVENT_ISOLATED, NULL);
    } else {
        swim_arm(swim, TIMER_ISOLATION, swim->rules->isolated_after_ms);
    }
}

/* ---- leaving ---- */

static uint32_t log2_of(uint32_t n)
{
    uint32_t bits = 0;

    while (n > 1u << bits) {
        bits++;
    }
    return bits;
}

void swim_leave(struct swim *swim, struct swim_now now)
{
    uint32_t n;

    swim->now = now;
    if (swim->leaving) {
        return;
    }
    swim->leaving = true;
    swim->own.left = true;
    swim_renew_record(swim);
    swim->left = true;
    const uint64_t *live = swim_live(swim, &n); /* without us now */
    uint32_t tell = 4 * log2_of(n + 1) + 8;     /* it is the only time that it says so itself */
    uint32_t start = (uint32_t)swim_random_below(&swim->random, n);
    for (uint32_t i = 0; i < n && i < tell; i++) {
        /* A stride through the sorted ids is as good as chance: they are hashes. */
        const struct swim_member *member = swim_find(swim, live[(start + i) % n]);
        swim_post_frame(swim, member, &(struct swim_frame){.type = SWIM_LEFT_FRAME});
    }
    swim_arm(swim, TIMER_LEAVE, n == 0 ? 0 : SWIM_LEAVE_MS);
}

void swim_on_leave_ack(struct swim *swim, uint64_t from)
{
    uint32_t wanted = swim->table.n_live < SWIM_LEAVE_ACKS ? swim->table.n_live : SWIM_LEAVE_ACKS;

    for (uint32_t i = 0; i < swim->n_leave_acks; i++) {
        if (swim->leave_ackers[i] == from) {
            return; /* one member that knows, not two */
        }
    }
    if (!swim->leaving || !swim_is_armed(swim, TIMER_LEAVE)) {
        return;
    }
    swim->leave_ackers[swim->n_leave_acks++] = from;
    if (swim->n_leave_acks >= wanted) {
        swim_timer_cancel(&swim->timers, &swim->own_timers[TIMER_LEAVE]);
        swim_on_leave_timer(swim);
    }
}

void swim_on_leave_timer(struct swim *swim)
{
    swim->leave_done_due = true;
    swim->silenced = true;
}
