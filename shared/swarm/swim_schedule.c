/* SPDX-License-Identifier: Apache-2.0
 *
 * Who probes whom, and when.
 *
 * Scheduled: time is cut into epochs of one probe interval of swarm time. The live ids are sorted;
 * in epoch e the node of rank r probes rank r + o(e) mod n at the phase that belongs to the target,
 * where o runs through all of 1 … n−1 in an order that all nodes compute from the cluster's id.
 * Nodes with the same view probe each member exactly once an interval, always at the same phase, so
 * a member that is gone is missed within one interval, and each pair meets within n−1 epochs. Views
 * that differ cost a probe twice or not at all.
 *
 * Round robin: a shuffled list of all, one an interval (memberlist).
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t words[2] = {a, b};

    return swim_hash(words, sizeof words);
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The epoch's place in a walk through 1 … n−1 that visits each once in n−1 epochs. */
static uint32_t offset_in(const struct swim *swim, int64_t epoch, uint32_t n)
{
    uint32_t span = n - 1;
    uint64_t cycle = (uint64_t)epoch / span;
    uint32_t at = (uint32_t)((uint64_t)epoch % span);
    uint64_t chance = mix(get_le64(swim->keyring.cluster_id), cycle);
    uint32_t step = 1 + (uint32_t)(chance % span);

    while (gcd(step, span) != 1) {
        step = step % span + 1;
    }
    return 1 + (uint32_t)(((uint64_t)step * at + (chance >> 32)) % span);
}

static uint32_t rank_of(const uint64_t *live, uint32_t n, uint64_t sid)
{
    uint32_t low = 0;
    uint32_t high = n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (live[middle] < sid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint64_t phase_ns(uint64_t sid, uint64_t interval_ns)
{
    return (uint64_t)(((unsigned __int128)mix(sid, 0x7068617365) * interval_ns) >> 64);
}

/* The next epoch's probe of ours that is still to come. */
static void arm_scheduled(struct swim *swim, const uint64_t *live, uint32_t n)
{
    int64_t interval_ns = (int64_t)(swim->rules->probe_interval_ms * SWIM_MS);
    int64_t time_ns = swim_clock_swarm_ns(&swim->clock, swim->now.mono_ns);
    int64_t epoch = (time_ns > 0 ? time_ns : 0) / interval_ns;
    uint32_t rank = rank_of(live, n, swim->self->sid);

    /* Not the same one twice; but a clock that went back begins anew. */
    if (swim->probed_epoch >= epoch && swim->probed_epoch <= epoch + 1) {
        epoch = swim->probed_epoch + 1;
    }
    for (;; epoch++) {
        uint64_t target = live[(rank + offset_in(swim, epoch, n)) % n];
        int64_t due_ns = epoch * interval_ns + (int64_t)phase_ns(target, (uint64_t)interval_ns);
        if (due_ns > time_ns) {
            swim->scheduled = target;
            swim->probed_epoch = epoch;
            swim_timer_arm(&swim->timers, &swim->own_timers[TIMER_PROBE],
                           swim->now.mono_ns + (uint64_t)(due_ns - time_ns));
            return;
        }
    }
}

void swim_probe_schedule(struct swim *swim)
{
    uint32_t n;
    const uint64_t *live = swim_live(swim, &n);

    if (swim->leaving) {
        return;
    }
    if (swim->rules->schedule && n > 1) {
        arm_scheduled(swim, live, n);
    } else {
        swim_arm(swim, TIMER_PROBE, swim->rules->probe_interval_ms);
    }
}

/* ---- round robin ---- */

static void shuffle(struct swim *swim)
{
    uint32_t n;
    const uint64_t *live = swim_live(swim, &n);

    if (swim->cap_shuffled < n) {
        swim->shuffled =
            swim_grow_memory(swim, swim->shuffled, swim->cap_shuffled * sizeof *swim->shuffled,
                             2 * (size_t)n * sizeof *swim->shuffled);
        swim->cap_shuffled = 2 * n;
    }
    if (n > 0) { /* nobody is when we have left alone */
        memcpy(swim->shuffled, live, n * sizeof *live);
    }
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)swim_random_below(&swim->random, i);
        uint64_t sid = swim->shuffled[i - 1];
        swim->shuffled[i - 1] = swim->shuffled[j];
        swim->shuffled[j] = sid;
    }
    swim->n_shuffled = n;
    swim->at_shuffled = 0;
}

static struct swim_member *next_in_turn(struct swim *swim)
{
    for (int rounds = 0; rounds < 2; rounds++) {
        while (swim->at_shuffled < swim->n_shuffled) {
            struct swim_member *member = swim_find(swim, swim->shuffled[swim->at_shuffled++]);
            if (member != NULL && member != swim->self && swim_is_live(member)) {
                return member;
            }
        }
        shuffle(swim);
    }
    return NULL;
}

struct swim_member *swim_probe_choose(struct swim *swim)
{
    if (!swim->rules->schedule) {
        return next_in_turn(swim);
    }
    struct swim_member *member = swim_find(swim, swim->scheduled);
    return member != NULL && member != swim->self && swim_is_live(member) ? member : NULL;
}

/* ---- witnesses ---- */

/* By rendezvous: the W live nodes with the greatest hashes over themselves and the accused. */
bool swim_is_witness(struct swim *swim, const struct swim_member *member)
{
    uint64_t about = mix(member->hash, 0x7769746e657373);
    uint64_t own = mix(swim->self->sid, about);
    uint32_t n;
    const uint64_t *live = swim_live(swim, &n);
    uint32_t before = 0;

    for (uint32_t i = 0; i < n && before < swim->rules->witnesses; i++) {
        before += live[i] != member->sid && mix(live[i], about) > own ? 1 : 0;
    }
    return before < swim->rules->witnesses;
}
