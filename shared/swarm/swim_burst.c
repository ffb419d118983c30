/* SPDX-License-Identifier: Apache-2.0
 *
 * Pings for their time stamps alone, a few in a row to members that somebody named: of several the
 * quickest says most. They have their own places and their own pace, so that they take nothing from
 * probes, and an answer or none says nothing about who is well.
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"

static struct swim_burst_target *target_of(struct swim_burst *burst, uint64_t sid)
{
    for (uint32_t i = 0; i < burst->n; i++) {
        if (burst->targets[i].sid == sid) {
            return &burst->targets[i];
        }
    }
    return NULL;
}

uint32_t swim_burst(struct swim *swim, struct swim_now now, const uint64_t *sids, uint32_t n)
{
    struct swim_burst *burst = &swim->burst;
    uint32_t taken = 0;

    swim_look(swim, now);
    for (uint32_t i = 0; i < n; i++) {
        const struct swim_member *member = swim_find(swim, sids[i]);
        struct swim_burst_target *target = target_of(burst, sids[i]);
        if (member == NULL || member == swim->self || !swim_is_live(member) ||
            (target == NULL && burst->n == SWIM_BURST_TARGETS)) {
            continue;
        }
        taken++;
        if (target == NULL) {
            burst->targets[burst->n++] =
                (struct swim_burst_target){.sid = sids[i], .n_left = SWIM_BURST_PINGS};
        }
    }
    if (burst->n > 0 && !swim_is_armed(swim, TIMER_BURST)) {
        swim_arm(swim, TIMER_BURST, 0);
    }
    return taken;
}

static void ping(struct swim *swim, const struct swim_member *member)
{
    struct swim_burst *burst = &swim->burst;
    uint32_t at = burst->next_ping++ % SWIM_BURST_WAITING;
    struct swim_burst_ping *waiting = &burst->waiting[at];
    struct swim_work *work = swim_post(swim, WORK_FRAME, &member->addr, member->sid);

    *waiting = (struct swim_burst_ping){0};
    if (work == NULL) {
        return;
    }
    waiting->seq = swim_random_u64(&swim->random) | 1;
    waiting->sid = member->sid;
    work->stamped = true;
    work->burst = (uint16_t)(at + 1);
    work->frame = (struct swim_frame){.type = SWIM_PING, .seq = waiting->seq, .sid = member->sid};
    swim->counters.burst_pings++;
}

void swim_on_burst_timer(struct swim *swim)
{
    struct swim_burst *burst = &swim->burst;

    if (burst->n == 0 || swim->leaving || swim->silenced) {
        burst->n = 0;
        return;
    }
    burst->at = burst->at >= burst->n ? 0 : burst->at;
    struct swim_burst_target *target = &burst->targets[burst->at];
    const struct swim_member *member = swim_find(swim, target->sid);
    bool goes_on = member != NULL && swim_is_live(member) && --target->n_left > 0;
    if (member != NULL && swim_is_live(member)) {
        ping(swim, member);
    }
    if (goes_on) {
        burst->at++;
    } else {
        *target = burst->targets[--burst->n];
    }
    if (burst->n > 0) {
        swim_arm(swim, TIMER_BURST, SWIM_BURST_GAP_MS);
    }
}

static struct swim_burst_ping *waiting_by_seq(struct swim *swim, uint64_t seq)
{
    for (uint32_t i = 0; i < SWIM_BURST_WAITING; i++) {
        if (swim->burst.waiting[i].seq == seq) {
            return seq == 0 ? NULL : &swim->burst.waiting[i];
        }
    }
    return NULL;
}

int64_t *swim_burst_t1(struct swim *swim, uint64_t seq)
{
    struct swim_burst_ping *waiting = waiting_by_seq(swim, seq);

    return waiting == NULL ? NULL : &waiting->t1;
}

bool swim_burst_on_ack(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                       int64_t t4)
{
    struct swim_burst_ping *waiting = waiting_by_seq(swim, ack->seq);

    if (waiting == NULL) {
        return false;
    }
    if (from != NULL && from->sid == waiting->sid) {
        swim_take_clock(swim, from, ack, waiting->t1, t4);
    }
    *waiting = (struct swim_burst_ping){0};
    return true;
}
