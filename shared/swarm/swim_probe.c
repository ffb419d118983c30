/* SPDX-License-Identifier: Apache-2.0
 *
 * One probe: a ping; when it is late, a few others are asked to ping as well and a stream is tried;
 * when nothing has answered by the verdict, the member is suspect. How long that takes follows from
 * the peer's round trips and from how well we are ourselves.
 */
#include "shared/swarm/swim_internal.h"

#define RTO_SLACK_US 10000

/* ---- how long to wait ---- */

void swim_take_round_trip(struct swim *swim, struct swim_member *member, uint64_t ns)
{
    uint32_t us = ns / 1000 > 10000000 ? 10000000 : (uint32_t)(ns / 1000) + 1;
    uint32_t *averages[2][2] = {{&member->srtt_us, &member->rttvar_us},
                                {&swim->srtt_us, &swim->rttvar_us}};

    /* RFC 6298 section 2: alpha 1/8, beta 1/4. */
    for (int i = 0; i < 2; i++) {
        uint32_t *srtt = averages[i][0];
        uint32_t *rttvar = averages[i][1];
        if (*srtt == 0) {
            *srtt = us;
            *rttvar = us / 2;
        } else {
            uint32_t off = *srtt > us ? *srtt - us : us - *srtt;
            *rttvar += (uint32_t)(((int64_t)off - (int64_t)*rttvar) / 4);
            *srtt += (uint32_t)(((int64_t)us - (int64_t)*srtt) / 8);
        }
    }
}

static uint64_t clamp(uint64_t v, uint64_t least, uint64_t most)
{
    return v < least ? least : v > most ? most : v;
}

/* It was suspected lately and lived: it sleeps at times. */
static bool is_slow(const struct swim *swim, const struct swim_member *member)
{
    return swim_refuted(swim, member) > 0;
}

/* Until helpers are asked, and until the verdict; ns from the ping. */
static void times_for(const struct swim *swim, const struct swim_member *member, uint64_t *late_ns,
                      uint64_t *verdict_ns)
{
    const struct swim_rules *rules = swim->rules;
    uint64_t most_ns = rules->timeout_ms * SWIM_MS;

    if (!rules->adaptive) {
        *late_ns = most_ns;
        *verdict_ns = rules->verdict_ms * SWIM_MS * (swim->lh + 1);
        return;
    }
    uint64_t srtt_us = member->srtt_us != 0 ? member->srtt_us : swim->srtt_us;
    uint64_t var_us = member->srtt_us != 0 ? member->rttvar_us : swim->rttvar_us;
    uint64_t ns = srtt_us == 0 ? most_ns : (srtt_us + 4 * var_us + RTO_SLACK_US) * 1000;
    ns = clamp(ns, rules->timeout_least_ms * SWIM_MS, most_ns) * (swim->lh + 1);
    if (is_slow(swim, member)) {
        ns *= rules->slow_factor;
    }
    /* Nor longer than of a peer that is slow, or the unwell would wait minutes for it. */
    ns = ns < most_ns * rules->slow_factor ? ns : most_ns * rules->slow_factor;
    *late_ns = ns;
    *verdict_ns = ns * 32 / 10;
}

/* ---- beginning ---- */

/* Its place, or SWIM_PROBES_MAX. When many are accused at once, witnesses want more probes than
 * there are; the routine goes on beside them. */
static uint32_t free_probe(const struct swim *swim, enum probe_kind kind)
{
    uint32_t i = kind == PROBE_ROUTINE ? 0 : SWIM_PROBES_ROUTINE;

    while (i < SWIM_PROBES_MAX && swim->probes[i].stage != PROBE_FREE) {
        i++;
    }
    return i;
}

bool swim_probe_has_room(const struct swim *swim, enum probe_kind kind)
{
    return free_probe(swim, kind) < SWIM_PROBES_MAX;
}

static struct swim_probe *probe_by_seq(struct swim *swim, uint64_t seq)
{
    for (int i = 0; i < SWIM_PROBES_MAX; i++) {
        if (swim->probes[i].stage > PROBE_WAITING &&
            (swim->probes[i].seq == seq ||
             (swim->probes[i].first_seq == seq && swim->probes[i].first_seq != 0))) {
            return &swim->probes[i];
        }
    }
    return NULL;
}

int64_t *swim_probe_t1(struct swim *swim, uint64_t seq)
{
    struct swim_probe *probe = probe_by_seq(swim, seq);

    return probe == NULL ? NULL : probe->seq == seq ? &probe->t1 : &probe->first_t1;
}

static void end_probe(struct swim *swim, struct swim_probe *probe)
{
    swim_timer_cancel(&swim->timers, &probe->timer);
    if (probe->conn != 0) {
        struct swim_conn *conn = swim_conn_find(swim, probe->conn);
        if (conn != NULL) {
            swim_conn_close(swim, conn);
        }
    }
    *probe = (struct swim_probe){0};
}

/* Only where both were well: who loses most of what it sends is not saved by one more, and would
 * be dead and alive in turns. */
static bool pings_again(const struct swim *swim, const struct swim_probe *probe,
                        const struct swim_member *member)
{
    return swim->rules->ping_again && probe->kind == PROBE_ROUTINE && probe->first_seq == 0 &&
           swim->lh == 0 && !is_slow(swim, member);
}

static void post_ping(struct swim *swim, struct swim_probe *probe, const struct swim_member *member)
{
    probe->seq = swim_random_u64(&swim->random) | 1;
    probe->sent_ns = swim->now.mono_ns;
    struct swim_work *work = swim_post(swim, WORK_FRAME, &member->addr, member->sid);
    if (work != NULL) {
        work->stamped = true;
        work->suspicious = member->state != SWIM_ALIVE;
        work->probe = (uint8_t)(probe - swim->probes + 1);
        work->frame = (struct swim_frame){.type = SWIM_PING, .seq = probe->seq, .sid = member->sid};
    }
    swim_timer_arm(&swim->timers, &probe->timer,
                   probe->sent_ns + probe->late_ns < probe->verdict_ns
                       ? probe->sent_ns + probe->late_ns
                       : probe->verdict_ns);
}

static void send_ping(struct swim *swim, struct swim_probe *probe, const struct swim_member *member)
{
    uint64_t verdict_ns;

    times_for(swim, member, &probe->late_ns, &verdict_ns);
    probe->stage = PROBE_DIRECT;
    probe->verdict_ns =
        swim->now.mono_ns + verdict_ns + (pings_again(swim, probe, member) ? probe->late_ns : 0);
    swim->counters.probes++;
    post_ping(swim, probe, member);
}

/* A lost datagram is the likeliest cause, and another one costs less than helpers, and far less
 * than a suspicion that all hear of. An answer to either counts, each with its own stamps. */
static void ping_again(struct swim *swim, struct swim_probe *probe,
                       const struct swim_member *member)
{
    probe->first_seq = probe->seq;
    probe->first_sent_ns = probe->sent_ns;
    probe->first_t1 = probe->t1;
    post_ping(swim, probe, member);
}

void swim_probe_begin(struct swim *swim, struct swim_member *member, enum probe_kind kind,
                      uint32_t delay_ms)
{
    uint32_t at = free_probe(swim, kind);

    if (at == SWIM_PROBES_MAX) {
        swim->counters.probes_full++;
        return;
    }
    struct swim_probe *probe = &swim->probes[at];
    *probe = (struct swim_probe){.kind = (uint8_t)kind, .target = member->sid};
    probe->timer.kind = TIMER_PROBING;
    if (delay_ms == 0) {
        send_ping(swim, probe, member);
    } else {
        probe->stage = PROBE_WAITING;
        swim_timer_arm(&swim->timers, &probe->timer, swim->now.mono_ns + delay_ms * SWIM_MS);
    }
}

/* In this interval: what is late for longer tells nothing, and who probes nobody has no answer. */
static bool is_probed(const struct swim *swim, uint64_t sid)
{
    uint64_t interval_ns = swim->rules->probe_interval_ms * SWIM_MS;

    for (int i = 0; i < SWIM_PROBES_MAX; i++) {
        const struct swim_probe *probe = &swim->probes[i];
        if (probe->stage != PROBE_FREE && probe->target == sid &&
            (probe->stage == PROBE_WAITING || swim->now.mono_ns - probe->sent_ns < interval_ns)) {
            return true;
        }
    }
    return false;
}

static bool is_any_routine(const struct swim *swim)
{
    for (int i = 0; i < SWIM_PROBES_MAX; i++) {
        if (swim->probes[i].stage != PROBE_FREE && swim->probes[i].kind == PROBE_ROUTINE) {
            return true;
        }
    }
    return false;
}

void swim_on_probe_timer(struct swim *swim)
{
    /* memberlist's loop waits for the verdict before it goes on; ours need not. */
    if (!swim->silenced && (swim->rules->adaptive || !is_any_routine(swim))) {
        struct swim_member *member = swim_probe_choose(swim);
        if (member != NULL && !is_probed(swim, member->sid)) {
            swim_probe_begin(swim, member, PROBE_ROUTINE, 0);
        }
    }
    swim_probe_schedule(swim);
}

/* A wake-up costs more than what is done in it. */
void swim_probe_while_awake(struct swim *swim)
{
    const struct swim_timer *timer = &swim->own_timers[TIMER_PROBE];

    if (timer->at != 0 &&
        timer->due_ns <= swim->now.mono_ns + swim->rules->probe_early_ms * SWIM_MS) {
        swim_on_probe_timer(swim);
    }
}

/* ---- late ---- */

static void ask_helpers(struct swim *swim, struct swim_probe *probe,
                        const struct swim_member *target)
{
    uint64_t asked[8] = {0};

    for (uint32_t tries = 0; probe->n_helpers < swim->rules->indirect_probes && tries < 16;
         tries++) {
        const struct swim_member *helper = swim_random_live(swim, target->sid);
        bool again = helper == NULL || helper->state != SWIM_ALIVE || probe->n_helpers == 8;
        for (uint32_t i = 0; i < probe->n_helpers && !again; i++) {
            again = asked[i] == helper->sid;
        }
        if (again) {
            continue;
        }
        asked[probe->n_helpers++] = helper->sid;
        uint64_t left_ns = probe->verdict_ns - swim->now.mono_ns;
        swim_post_frame(swim, helper,
                        &(struct swim_frame){.type = SWIM_PINGREQ,
                                             .seq = probe->seq,
                                             .sid = target->sid,
                                             .ttl_ms = (uint32_t)(left_ns / SWIM_MS)});
    }
}

static void go_indirect(struct swim *swim, struct swim_probe *probe, struct swim_member *target)
{
    probe->stage = PROBE_INDIRECT;
    swim->counters.probes_indirect++;
    if (probe->kind == PROBE_ROUTINE) {
        ask_helpers(swim, probe, target); /* witnesses are several anyway */
    }
    if (swim->rules->tcp_ping) {
        probe->conn = swim_stream_ping(swim, target, probe->seq);
    }
    swim_timer_arm(&swim->timers, &probe->timer, probe->verdict_ns);
}

/* ---- the verdict ---- */

static void give_verdict(struct swim *swim, struct swim_probe *probe, struct swim_member *target)
{
    swim->counters.probes_failed++;
    if (probe->by_stream) {
        swim->counters.probes_by_stream++;
        target->degraded = swim->rules->tcp_saves;
        end_probe(swim, probe);
        if (swim->rules->tcp_saves) {
            swim_on_degraded(swim);
        }
        return;
    }
    /* Lifeguard: helpers that did not even say no point to ourselves. */
    if (probe->n_helpers > 0) {
        uint32_t missing = (uint32_t)probe->n_helpers - probe->n_nacks;
        swim_worsen(swim, missing);
    } else {
        swim_worsen(swim, 1);
    }
    end_probe(swim, probe);
    swim_accuse(swim, target);
}

void swim_on_probing_timer(struct swim *swim, struct swim_probe *probe)
{
    struct swim_member *target = swim_find(swim, probe->target);

    if (target == NULL || !swim_is_live(target) || swim->silenced ||
        (probe->kind == PROBE_CLOCK && probe->stage != PROBE_WAITING)) {
        end_probe(swim, probe);
    } else if (probe->stage == PROBE_WAITING) {
        send_ping(swim, probe, target);
    } else if (probe->stage == PROBE_DIRECT && pings_again(swim, probe, target)) {
        ping_again(swim, probe, target);
    } else if (probe->stage == PROBE_DIRECT && swim->now.mono_ns < probe->verdict_ns) {
        go_indirect(swim, probe, target);
    } else {
        give_verdict(swim, probe, target);
    }
}

void swim_probes_void(struct swim *swim)
{
    for (int i = 0; i < SWIM_PROBES_MAX; i++) {
        if (swim->probes[i].stage != PROBE_FREE) {
            end_probe(swim, &swim->probes[i]);
        }
    }
}

/* ---- answers ---- */

/* One answer is enough for all that were asked. */
static void end_probes_of(struct swim *swim, uint64_t sid)
{
    for (int i = 0; i < SWIM_PROBES_MAX; i++) {
        if (swim->probes[i].stage > PROBE_WAITING && swim->probes[i].target == sid) {
            end_probe(swim, &swim->probes[i]);
        }
    }
}

bool swim_probe_on_ack(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                       int64_t t4)
{
    struct swim_probe *probe = probe_by_seq(swim, ack->seq);

    if (probe == NULL) {
        return false;
    }
    swim_contact(swim);
    if (from != NULL && from->sid == probe->target) {
        bool is_first = ack->seq == probe->first_seq;
        swim_take_round_trip(
            swim, from, swim->now.mono_ns - (is_first ? probe->first_sent_ns : probe->sent_ns));
        swim_take_clock(swim, from, ack, is_first ? probe->first_t1 : probe->t1, t4);
        from->load = ack->load;
        from->degraded = false;
        swim->n_by_stream = 0;
        swim_better(swim);
        end_probes_of(swim, from->sid);
    }
    return true;
}

void swim_probe_on_fack(struct swim *swim, uint64_t seq)
{
    struct swim_probe *probe = probe_by_seq(swim, seq);

    if (probe != NULL && probe->stage == PROBE_INDIRECT) {
        swim_contact(swim);
        swim_better(swim);
        end_probe(swim, probe);
    }
}

void swim_probe_on_nack(struct swim *swim, uint64_t seq)
{
    struct swim_probe *probe = probe_by_seq(swim, seq);

    if (probe != NULL && probe->n_nacks < probe->n_helpers) {
        swim_contact(swim);
        probe->n_nacks++;
    }
}

void swim_probe_on_stream(struct swim *swim, uint64_t seq)
{
    struct swim_probe *probe = probe_by_seq(swim, seq);

    if (probe != NULL) {
        probe->by_stream = true;
        probe->conn = 0; /* it is being closed already */
    }
}
