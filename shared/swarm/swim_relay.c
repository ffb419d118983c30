/* SPDX-License-Identifier: Apache-2.0
 *
 * Probes for others: who cannot reach a member itself asks us to try. The answer goes back as FACK;
 * when there is none for most of the time that was given, a NACK says that at least we are here.
 */
#include "shared/swarm/swim_internal.h"

#define TTL_MOST_MS 10000u

static struct swim_relay *relay_by(struct swim *swim, uint64_t seq)
{
    for (int i = 0; i < SWIM_RELAYS_MAX; i++) {
        if (swim_timer_is_armed(&swim->relays[i].timer) && swim->relays[i].seq == seq) {
            return &swim->relays[i];
        }
    }
    return NULL;
}

static struct swim_relay *free_relay(struct swim *swim)
{
    for (int i = 0; i < SWIM_RELAYS_MAX; i++) {
        if (!swim_timer_is_armed(&swim->relays[i].timer)) {
            return &swim->relays[i];
        }
    }
    return NULL;
}

static void answer(struct swim *swim, const struct swim_relay *relay, uint8_t type)
{
    struct swim_work *work = swim_post(swim, WORK_FRAME, &relay->asker, 0);

    if (work != NULL) {
        work->frame = (struct swim_frame){.type = type, .seq = relay->asked_seq};
    }
}

void swim_relay_on_request(struct swim *swim, const struct swim_addr *asker,
                           const struct swim_frame *request)
{
    struct swim_member *target = swim_find(swim, request->sid);
    struct swim_relay *relay = free_relay(swim);
    uint32_t ttl_ms = request->ttl_ms < TTL_MOST_MS ? request->ttl_ms : TTL_MOST_MS;

    if (target == NULL || target == swim->self || relay == NULL) {
        swim->counters.relays_full += relay == NULL ? 1 : 0;
        return;
    }
    *relay = (struct swim_relay){
        .seq = swim_random_u64(&swim->random) | 1,
        .asked_seq = request->seq,
        .target = target->sid,
        .asker = *asker,
        .sent_ns = swim->now.mono_ns,
    };
    relay->timer.kind = TIMER_RELAY;
    swim_timer_arm(&swim->timers, &relay->timer, swim->now.mono_ns + ttl_ms * SWIM_MS * 8 / 10);
    struct swim_work *work = swim_post(swim, WORK_FRAME, &target->addr, target->sid);
    if (work != NULL) {
        work->stamped = true;
        work->suspicious = true;
        work->relay = (uint8_t)(relay - swim->relays + 1);
        work->frame = (struct swim_frame){.type = SWIM_PING, .seq = relay->seq, .sid = target->sid};
    }
}

int64_t *swim_relay_t1(struct swim *swim, uint64_t seq)
{
    struct swim_relay *relay = relay_by(swim, seq);

    return relay == NULL ? NULL : &relay->t1;
}

bool swim_relay_on_ack(struct swim *swim, struct swim_member *from, const struct swim_frame *ack,
                       int64_t t4)
{
    struct swim_relay *relay = relay_by(swim, ack->seq);

    if (relay == NULL) {
        return false;
    }
    if (from != NULL && from->sid == relay->target) {
        answer(swim, relay, SWIM_FACK);
        swim_take_round_trip(swim, from, swim->now.mono_ns - relay->sent_ns);
        swim_take_clock(swim, from, ack, relay->t1, t4);
        swim_timer_cancel(&swim->timers, &relay->timer);
    }
    return true;
}

void swim_on_relay_timer(struct swim *swim, struct swim_relay *relay)
{
    answer(swim, relay, SWIM_NACK);
}
