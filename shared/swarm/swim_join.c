/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding others, and finding them again. A newcomer says HELLO to a few seeds, fills its view by a
 * stream with the first that answers, then by two more with members that it has learnt of, so that
 * not all of the load is on the seeds. After that every node goes on trying one dead member and the
 * seeds that it does not see, for ever: no partition is final.
 */
#include <string.h>

#include "shared/swarm/swim_internal.h"

#define HELLOS            3
#define RETRY_LEAST_MS    1000u
#define RETRY_MOST_MS     30000u
#define RECONNECT_MOST_MS 300000u
#define EXPIRE_MS         60000u

void swim_hello(struct swim *swim, const struct swim_addr *to)
{
    if (swim->hello_seq == 0) {
        swim->hello_seq = swim_random_u64(&swim->random) | 1;
        swim->hello_t1 = swim_clock_steady(&swim->clock, swim->now.mono_ns);
    }
    swim_post(swim, WORK_HELLO, to, 0);
}

static bool is_own(const struct swim *swim, const struct swim_addr *addr)
{
    for (unsigned i = 0; i < swim->own.n_addrs; i++) {
        if (swim_addr_is_same(addr, &swim->own.addrs[i])) {
            return true;
        }
    }
    return false;
}

static bool is_live_addr(const struct swim *swim, const struct swim_addr *addr)
{
    const struct swim_members *table = &swim->table;

    for (uint32_t i = 0; i < table->n; i++) {
        if (swim_is_live(table->members[i]) && swim_addr_is_same(&table->members[i]->addr, addr)) {
            return true;
        }
    }
    return false;
}

void swim_join(struct swim *swim, struct swim_now now, const struct swim_addr *seeds, uint32_t n)
{
    swim_look(swim, now);
    swim->n_seeds = 0;
    for (uint32_t i = 0; i < n && swim->n_seeds < SWIM_SEEDS_MAX; i++) {
        if (!is_own(swim, &seeds[i])) {
            swim->seeds[swim->n_seeds++] = seeds[i];
        }
    }
    swim->join_failures = 0;
    swim_on_join_timer(swim);
}

/* Some of the seeds that nobody live has the address of. */
static uint32_t try_seeds(struct swim *swim, uint32_t most)
{
    uint32_t n = 0;
    uint32_t start = (uint32_t)swim_random_below(&swim->random, swim->n_seeds);

    for (uint32_t i = 0; i < swim->n_seeds && n < most; i++) {
        const struct swim_addr *seed = &swim->seeds[(start + i) % swim->n_seeds];
        if (is_live_addr(swim, seed)) {
            continue;
        }
        n++;
        if (swim->rules->push_pull_ms != NULL) {
            (void)swim_stream_open(swim, seed, CONN_PUSH_PULL);
        } else {
            swim_hello(swim, seed);
        }
    }
    return n;
}

void swim_on_join_timer(struct swim *swim)
{
    if (swim->n_seeds == 0 || swim->leaving) {
        return;
    }
    bool alone = swim->table.n_live <= 1;
    if (alone) {
        swim->hello_seq = 0; /* an answer to an older one is none to this */
    }
    (void)try_seeds(swim, alone ? HELLOS : 1);
    uint32_t ms = swim->rules->seed_ms;
    if (alone) {
        uint32_t shift = swim->join_failures < 5 ? swim->join_failures++ : 5;
        ms = RETRY_LEAST_MS << shift > RETRY_MOST_MS ? RETRY_MOST_MS : RETRY_LEAST_MS << shift;
        ms = ms / 2 + (uint32_t)swim_random_below(&swim->random, ms);
    }
    if (ms > 0) {
        swim_arm(swim, TIMER_JOIN, ms);
    }
}

void swim_join_answered(struct swim *swim, const struct swim_addr *from)
{
    swim->hello_seq = 0;
    swim->join_failures = 0;
    if (swim_is_armed(swim, TIMER_JOIN)) {
        swim_arm(swim, TIMER_JOIN, swim->rules->seed_ms);
    }
    if (swim->rules->schedule && swim->settles_left == 0) {
        swim->settles_left = SWIM_SETTLE_PINGS;
        swim_arm(swim, TIMER_SETTLE, swim_random_below(&swim->random, SWIM_SETTLE_GAP_MS));
    }
    if (swim->join_syncs_left == 0 && swim->rules->join_syncs > 0) {
        swim->join_syncs_left = swim->rules->join_syncs;
        swim_arm(swim, TIMER_JOIN_SYNC, swim->rules->join_sync_gap_ms);
    }
    swim->counters.syncs++;
    (void)swim_stream_open(swim, from, CONN_DELTA);
}

void swim_on_join_sync_timer(struct swim *swim)
{
    const struct swim_member *peer = swim_random_live(swim, 0);

    if (swim->join_syncs_left == 0 || peer == NULL) {
        return;
    }
    swim->counters.syncs++;
    swim_post(swim, WORK_SUMS, &peer->addr, peer->sid);
    if (--swim->join_syncs_left > 0) {
        swim_arm(swim, TIMER_JOIN_SYNC, swim->rules->join_sync_gap_ms);
    }
}

/* Probes follow from swarm time, which would else be known only after some of them. */
void swim_on_settle_timer(struct swim *swim)
{
    struct swim_member *peer = swim_random_live(swim, 0);

    if (swim->settles_left == 0 || swim->leaving) {
        return;
    }
    if (peer != NULL) {
        swim_probe_begin(swim, peer, PROBE_CLOCK, 0);
    }
    if (--swim->settles_left > 0) {
        swim_arm(swim, TIMER_SETTLE, SWIM_SETTLE_GAP_MS);
    }
}

/* ---- the dead ---- */

static struct swim_member *random_dead(struct swim *swim)
{
    struct swim_member *chosen = NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < swim->table.n; i++) {
        struct swim_member *member = swim->table.members[i];
        if (member->state == SWIM_DEAD && !member->banned && !member->forgotten &&
            swim_random_below(&swim->random, ++n) == 0) {
            chosen = member;
        }
    }
    return chosen;
}

void swim_try_the_dead(struct swim *swim)
{
    if (!swim_is_armed(swim, TIMER_RECONNECT) && swim->rules->reconnect_ms > 0) {
        swim_arm(swim, TIMER_RECONNECT,
                 swim_random_below(&swim->random, swim->rules->reconnect_ms));
    }
}

void swim_on_reconnect_timer(struct swim *swim)
{
    struct swim_member *dead = swim->leaving ? NULL : random_dead(swim);

    if (dead == NULL) {
        return; /* armed again by the next death */
    }
    struct swim_work *work = swim_post(swim, WORK_HELLO, &dead->addr, dead->sid);
    if (work != NULL) {
        work->suspicious = true;
    }
    /* The longer it is gone, the less often: to RECONNECT_MOST_MS. */
    uint64_t gone_ms = (swim->now.mono_ns - dead->since_ns) / SWIM_MS;
    uint64_t ms = swim->rules->reconnect_ms;
    ms = gone_ms / 10 > ms ? gone_ms / 10 : ms;
    ms = ms > RECONNECT_MOST_MS ? RECONNECT_MOST_MS : ms;
    swim_arm(swim, TIMER_RECONNECT, ms / 2 + swim_random_below(&swim->random, ms));
}

/* ---- tombstones ---- */

static uint64_t kept_ns(const struct swim *swim, const struct swim_member *member)
{
    return member->state == SWIM_DEAD   ? swim->rules->dead_kept_ms * SWIM_MS
           : member->state == SWIM_LEFT ? swim->rules->left_kept_ms * SWIM_MS
                                        : SWIM_NEVER;
}

bool swim_is_fading(const struct swim *swim, const struct swim_member *member)
{
    return swim->now.mono_ns - member->since_ns >= kept_ns(swim, member) / 2;
}

static void widen_paths(struct swim *swim)
{
    if (swim->mtu_ns == 0 || swim->now.mono_ns - swim->mtu_ns < SWIM_MTU_MS * SWIM_MS) {
        return;
    }
    swim->mtu_ns = 0;
    swim->mtu_unknown = 0;
    for (uint32_t i = 0; i < swim->table.n; i++) {
        swim->table.members[i]->mtu = 0;
    }
}

void swim_on_expire_timer(struct swim *swim)
{
    for (uint32_t i = swim->table.n; i-- > 0;) {
        struct swim_member *member = swim->table.members[i];
        bool is_over = swim->now.mono_ns - member->since_ns >= kept_ns(swim, member);
        if (member != swim->self && (is_over || member->forgotten)) {
            swim_remove_member(swim, member);
        }
    }
    widen_paths(swim);
    swim_arm(swim, TIMER_EXPIRE, EXPIRE_MS);
}
