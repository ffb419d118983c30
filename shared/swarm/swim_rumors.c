/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to be told: at most one rumor a member, which is its present state, so that a newer one
 * takes the place of an older by itself. A tier is how often it was sent; lower tiers go first, and
 * in a tier fates (suspicions, deaths, farewells) before records of the living. The bytes are made
 * when they go out.
 */
#include "shared/swarm/swim_internal.h"

/* A record that does not fit may be followed by a shorter one; this many misses end the looking. */
#define MISSES_MOST 3

static void unlink_rumor(struct swim_rumors *rumors, struct swim_member *member)
{
    struct swim_member **head = &rumors->tiers[member->queue_kind][member->queue_tier - 1];

    if (member->queue_prev != NULL) {
        member->queue_prev->queue_next = member->queue_next;
    } else {
        *head = member->queue_next;
    }
    if (member->queue_next != NULL) {
        member->queue_next->queue_prev = member->queue_prev;
    }
    member->queue_next = member->queue_prev = NULL;
    member->queue_tier = 0;
    rumors->n--;
}

static void link_rumor(struct swim_rumors *rumors, struct swim_member *member, uint32_t tier)
{
    struct swim_member **head = &rumors->tiers[member->queue_kind][tier];

    member->queue_next = *head;
    member->queue_prev = NULL;
    if (*head != NULL) {
        (*head)->queue_prev = member;
    }
    *head = member;
    member->queue_tier = (uint16_t)(tier + 1);
    rumors->n++;
}

void swim_rumor_drop(struct swim *swim, struct swim_member *member)
{
    if (member->queue_tier != 0) {
        unlink_rumor(&swim->rumors, member);
    }
}

/* Each node at its own moment, or all would speak at once; a ticker is that of the start. */
static void arm_first(struct swim *swim)
{
    uint64_t interval_ns = swim->rules->gossip_interval_ms * SWIM_MS;
    uint64_t since_ns = swim->now.mono_ns - swim->started_ns;

    if (swim->rules->tickers) {
        swim_timer_arm(&swim->timers, &swim->own_timers[TIMER_GOSSIP],
                       swim->now.mono_ns + interval_ns - since_ns % interval_ns);
    } else {
        swim_arm(swim, TIMER_GOSSIP,
                 1 + swim_random_below(&swim->random, swim->rules->gossip_interval_ms));
    }
}

void swim_rumor(struct swim *swim, struct swim_member *member)
{
    swim_rumor_drop(swim, member);
    member->queue_kind = member->state == SWIM_ALIVE ? RUMOR_RECORD : RUMOR_FATE;
    link_rumor(&swim->rumors, member, 0);
    if (!swim_is_armed(swim, TIMER_GOSSIP) && swim->rules->gossip_interval_ms > 0) {
        arm_first(swim);
    }
}

static uint32_t transmissions(const struct swim *swim)
{
    uint32_t n = swim->rules->transmissions(swim->table.n_live);

    return n < 1 ? 1 : n > RUMOR_TIERS ? RUMOR_TIERS : n;
}

static struct swim_frame frame_of(const struct swim_member *member)
{
    struct swim_frame frame = {.sid = member->sid, .incarnation = member->incarnation};

    switch (member->state) {
    case SWIM_SUSPECT:
        frame.type = SWIM_SUSPECT_FRAME;
        frame.from = member->suspicion->told_from;
        frame.lh = member->suspicion->told_lh;
        break;
    case SWIM_DEAD:
        frame.type = SWIM_DEAD_FRAME;
        frame.from = member->dead_from;
        frame.lh = member->dead_confirmed;
        break;
    default:
        frame.type = member->state == SWIM_LEFT ? SWIM_LEFT_FRAME : SWIM_ALIVE_FRAME;
        frame.bin = member->record;
        frame.n_bin = member->n_record;
        break;
    }
    return frame;
}

/* One list of one tier; those that were sent are put on `sent`, linked by queue_next. */
static uint32_t fill_tier(struct swim *swim, struct pack *pack, enum rumor_kind kind, uint32_t tier,
                          struct swim_member **sent, uint32_t *misses)
{
    struct swim_member *next;
    uint32_t n = 0;

    for (struct swim_member *member = swim->rumors.tiers[kind][tier];
         member != NULL && *misses < MISSES_MOST; member = next) {
        const struct swim_frame frame = frame_of(member);
        next = member->queue_next;
        if (swim_frame_size(&frame) > pack_room(pack)) {
            (*misses)++;
            continue;
        }
        swim_frame_write(pack, &frame);
        unlink_rumor(&swim->rumors, member);
        member->queue_next = *sent;
        member->queue_tier = (uint16_t)(tier + 1); /* where it goes from; not linked */
        *sent = member;
        n++;
    }
    return n;
}

uint32_t swim_rumors_fill(struct swim *swim, struct pack *pack)
{
    struct swim_member *sent = NULL;
    uint32_t misses = 0;
    uint32_t n = 0;

    if (swim->rumors.n == 0) {
        return 0; /* as nearly always; what follows costs a logarithm */
    }
    uint32_t most = transmissions(swim);
    for (uint32_t tier = 0; tier < RUMOR_TIERS && swim->rumors.n > 0 && misses < MISSES_MOST;
         tier++) {
        n += fill_tier(swim, pack, RUMOR_FATE, tier, &sent, &misses);
        n += fill_tier(swim, pack, RUMOR_RECORD, tier, &sent, &misses);
    }
    while (sent != NULL) {
        struct swim_member *member = sent;
        uint32_t times = member->queue_tier;
        sent = member->queue_next;
        member->queue_next = NULL;
        member->queue_tier = 0;
        if (times < most) {
            link_rumor(&swim->rumors, member, times);
        }
    }
    return n;
}

void swim_rumors_known(struct swim *swim)
{
    struct swim_member **tiers = swim->rumors.tiers[RUMOR_RECORD];

    if (swim->rumors.n == 0) {
        return;
    }
    uint32_t most = transmissions(swim);
    while (tiers[most - 1] != NULL) {
        unlink_rumor(&swim->rumors, tiers[most - 1]);
    }
    for (uint32_t tier = most - 1; tier > 0; tier--) {
        tiers[tier] = tiers[tier - 1];
        for (struct swim_member *m = tiers[tier]; m != NULL; m = m->queue_next) {
            m->queue_tier = (uint16_t)(tier + 1);
        }
    }
    tiers[0] = NULL;
}

static void gossip_to(struct swim *swim, const struct swim_member *member)
{
    swim_post(swim, WORK_GOSSIP, &member->addr, member->sid);
}

/* The dead hear it for a while, so that one that lives can say so. */
static void gossip_to_the_dead(struct swim *swim)
{
    const struct swim_members *table = &swim->table;
    uint32_t n = 0;
    const struct swim_member *chosen = NULL;

    for (uint32_t i = 0; i < table->n && swim->rules->gossip_to_dead_ms > 0; i++) {
        const struct swim_member *member = table->members[i];
        if (member->state == SWIM_DEAD &&
            swim->now.mono_ns - member->since_ns < swim->rules->gossip_to_dead_ms * SWIM_MS) {
            n++;
            chosen = swim_random_below(&swim->random, n) == 0 ? member : chosen;
        }
    }
    if (chosen != NULL && swim_random_below(&swim->random, n + table->n_live) < n) {
        gossip_to(swim, chosen);
    }
}

void swim_on_gossip_timer(struct swim *swim)
{
    uint64_t told[8] = {0};
    uint32_t n = 0;

    if ((swim->rumors.n == 0 && swim_kv_n_rumors(swim) == 0) || swim->silenced) {
        return;
    }
    for (uint32_t i = 0; i < swim->rules->gossip_members && i < 8; i++) {
        const struct swim_member *member = swim_random_live(swim, 0);
        bool again = member == NULL;
        for (uint32_t j = 0; j < n && !again; j++) {
            again = told[j] == member->sid;
        }
        if (!again) {
            told[n++] = member->sid;
            gossip_to(swim, member);
        }
    }
    gossip_to_the_dead(swim);
    if (swim->rules->tickers) {
        arm_first(swim); /* a late tick does not move those behind it */
    } else {
        swim_arm(swim, TIMER_GOSSIP, swim->rules->gossip_interval_ms);
    }
}
