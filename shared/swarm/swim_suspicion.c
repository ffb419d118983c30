/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the first doubt and the verdict (Lifeguard, arXiv 1707.00788 section IV-B): a suspicion
 * begins with its longest time and each independent confirmation shortens it on a logarithmic
 * scale. Here a confirmation counts only from an accuser that is well itself, and a few witnesses,
 * chosen by the member's name, look for themselves at once.
 */
#include <math.h>

#include "shared/swarm/swim_internal.h"

static uint64_t deadline(const struct swim_suspicion *s)
{
    double least = s->min_ms;
    double most = s->max_ms;
    double ms = least;

    if (s->needed > 0) {
        ms = most - (most - least) * log(s->n_confirmed + 1.0) / log(s->needed + 1.0);
        ms = ms < least ? least : ms;
    } else if (s->unconfirmable_max) {
        ms = most;
    }
    return s->started_ns + (uint64_t)(ms * (double)SWIM_MS);
}

static void set_bounds(struct swim *swim, struct swim_suspicion *s)
{
    const struct swim_rules *rules = swim->rules;
    uint32_t n = swim->table.n_live;
    struct swim_bounds bounds = rules->suspicion(rules, n);
    /* Neither the suspect nor the first accuser can confirm. */
    uint32_t others = n > 2 ? n - 2 : 0;
    /* Twice, 8 and 16 times the least: who comes and goes every half minute is suspect for good
     * after three times, not dead and alive in turns. */
    static const uint8_t shifts[SWIM_FLAP_MOST + 1] = {0, 1, 3, 4};
    uint32_t flaps = rules->damping ? swim_flaps(swim, s->member) : 0;

    s->shift = shifts[flaps];
    if (rules->damping && s->shift < 3 && swim_refuted(swim, s->member) >= SWIM_REFUTED_OFTEN) {
        s->shift = 3; /* it is sick and lives: one of its many objections may be late */
    }
    s->min_ms = bounds.min_ms << s->shift;
    s->max_ms = bounds.max_ms > s->min_ms ? bounds.max_ms : s->min_ms;
    if (rules->few_confirm) {
        s->needed = rules->confirmations < others ? rules->confirmations : others;
    } else {
        s->needed = others < rules->confirmations ? 0 : rules->confirmations;
    }
    s->unconfirmable_max = rules->few_confirm;
}

static bool counts(const struct swim *swim, uint32_t lh)
{
    return lh <= swim->rules->healthy_most;
}

static void look_as_witness(struct swim *swim, struct swim_member *member)
{
    if (swim->rules->witnesses == 0) {
        return;
    }
    if (!swim_probe_has_room(swim, PROBE_WITNESS)) {
        swim->counters.probes_full++; /* nor is it worth a look at all members */
    } else if (swim_is_witness(swim, member)) {
        swim_probe_begin(
            swim, member, PROBE_WITNESS,
            (uint32_t)swim_random_below(&swim->random, swim->rules->witness_spread_ms + 1));
    }
}

void swim_suspicion_begin(struct swim *swim, struct swim_member *member, uint64_t from, uint32_t lh)
{
    struct swim_suspicion *s = swim_get_memory(swim, sizeof *s);

    s->timer.kind = TIMER_SUSPICION;
    s->member = member;
    s->started_ns = swim->now.mono_ns;
    s->accusers[0] = from;
    s->n_accusers = 1;
    s->told_from = from;
    s->told_lh = (uint8_t)lh;
    set_bounds(swim, s);
    s->next = swim->suspicions;
    swim->suspicions = s;
    member->suspicion = s;
    swim_set_member(swim, member, member->incarnation, SWIM_SUSPECT);
    swim->counters.suspicions++;
    swim_event(swim, SWIM_EVENT_SUSPECT, member);
    swim_timer_arm(&swim->timers, &s->timer, deadline(s));
    swim_rumor(swim, member);
    if (from != swim->self->sid) {
        look_as_witness(swim, member);
    }
}

void swim_suspicion_confirm(struct swim *swim, struct swim_member *member, uint64_t from,
                            uint32_t lh)
{
    struct swim_suspicion *s = member->suspicion;

    if (s->n_confirmed >= s->needed || s->n_accusers == SWIM_CONFIRMATIONS_MAX ||
        !counts(swim, lh) || from == member->sid) {
        return;
    }
    const struct swim_member *accuser = swim_find(swim, from);
    if (accuser == NULL || !swim_is_live(accuser)) {
        return; /* names are made up easily */
    }
    for (unsigned i = 0; i < s->n_accusers; i++) {
        if (s->accusers[i] == from) {
            return;
        }
    }
    s->accusers[s->n_accusers++] = from;
    s->n_confirmed++;
    s->told_from = from;
    s->told_lh = (uint8_t)lh;
    swim_timer_arm(&swim->timers, &s->timer, deadline(s));
    swim_rumor(swim, member); /* so that it is confirmed elsewhere too */
}

void swim_suspicion_end(struct swim *swim, struct swim_member *member)
{
    struct swim_suspicion *s = member->suspicion;

    if (s == NULL) {
        return;
    }
    struct swim_suspicion **at = &swim->suspicions;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    swim_timer_cancel(&swim->timers, &s->timer);
    member->suspicion = NULL;
    swim_give_memory(swim, s, sizeof *s);
}

void swim_suspicions_restart(struct swim *swim)
{
    for (struct swim_suspicion *s = swim->suspicions; s != NULL; s = s->next) {
        s->started_ns = swim->now.mono_ns;
        s->n_accusers = 1;
        s->n_confirmed = 0;
        s->asked = false;
        swim_timer_arm(&swim->timers, &s->timer, deadline(s));
        swim_rumor(swim, s->member); /* or its subject might never hear of it, and object */
    }
}

void swim_suspicions_delay(struct swim *swim, uint64_t ns)
{
    for (struct swim_suspicion *s = swim->suspicions; s != NULL; s = s->next) {
        s->started_ns += ns;
        swim_timer_arm(&swim->timers, &s->timer, deadline(s));
    }
}

/* What few confirm was told when nobody may have heard it, in a partition that is over; the rumor
 * is spent since. Before the verdict its subject is asked once more, and has time to object. */
static bool asks_once_more(struct swim *swim, struct swim_suspicion *s)
{
    uint64_t old_ns = swim->now.mono_ns - s->started_ns;

    if (s->asked || swim->rules->dead_doubt_ms == 0 || old_ns < s->max_ms * SWIM_MS / 2) {
        return false;
    }
    s->asked = true;
    if (swim_probe_has_room(swim, PROBE_WITNESS)) {
        swim_probe_begin(swim, s->member, PROBE_WITNESS, 0);
    } else {
        swim_rumor(swim, s->member);
    }
    swim_timer_arm(&swim->timers, &s->timer,
                   swim->now.mono_ns + swim->rules->dead_doubt_ms * SWIM_MS);
    return true;
}

/* Who is unwell itself and has nobody that sees the same is rather wrong than right: it looks
 * again, for a while. */
static bool is_doubtful(const struct swim *swim, const struct swim_suspicion *s)
{
    return !counts(swim, swim->lh) && s->n_confirmed == 0 && s->needed > 0 &&
           s->n_restarts < swim->rules->unwell_restarts;
}

void swim_on_suspicion_timer(struct swim *swim, struct swim_suspicion *s)
{
    bool doubtful = is_doubtful(swim, s);

    if (swim->isolated || doubtful) {
        /* Who hears nobody judges nobody. */
        s->n_restarts += doubtful;
        s->started_ns = swim->now.mono_ns;
        s->asked = false; /* what was asked before the new time is not asked at its end */
        swim_timer_arm(&swim->timers, &s->timer, deadline(s));
        return;
    }
    if (!asks_once_more(swim, s)) {
        swim_declare_dead(swim, s->member, swim->self->sid, s->n_confirmed);
    }
}

bool swim_has_objection_time(const struct swim *swim, const struct swim_suspicion *s)
{
    uint64_t ms = (uint64_t)swim->rules->dead_doubt_ms << s->shift;

    return swim->now.mono_ns - s->started_ns < ms * SWIM_MS;
}

void swim_accuse(struct swim *swim, struct swim_member *member)
{
    uint64_t gap_ns = swim->rules->new_suspects_a_second == 0
                          ? 0
                          : 1000 * SWIM_MS / swim->rules->new_suspects_a_second;

    if (swim->isolated || !swim_is_live(member)) {
        return;
    }
    if (member->state == SWIM_ALIVE) {
        if (swim->suspected_ns != 0 && swim->now.mono_ns - swim->suspected_ns < gap_ns) {
            return; /* one that is sick itself would doubt all; the next probe of it tells */
        }
        swim->suspected_ns = swim->now.mono_ns;
    }
    swim_merge_suspect(swim, member->sid, member->incarnation, swim->self->sid, swim->lh);
}
