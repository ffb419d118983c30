/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into the core from outside: nothing here changes anything.
 */
#include "shared/swarm/swim_internal.h"

static void show(const struct swim *swim, const struct swim_member *member, struct swim_view *view)
{
    *view = (struct swim_view){
        .id = member->id,
        .sid = member->sid,
        .incarnation = member->incarnation,
        .state = (enum swim_state)member->state,
        .degraded = member->degraded,
        .banned = member->banned,
        .addr = member->addr,
        .since_ns = member->since_ns,
        .load = member == swim->self ? swim->load : member->load,
        .record = member->record,
        .n_record = member->n_record,
    };
}

uint64_t swim_self(const struct swim *swim)
{
    return swim->self->sid;
}

uint32_t swim_n_members(const struct swim *swim)
{
    return swim->table.n - 1;
}

uint32_t swim_n_live(const struct swim *swim)
{
    return swim->table.n_live;
}

bool swim_member_at(const struct swim *swim, uint32_t at, struct swim_view *view)
{
    if (at >= swim->table.n) {
        return false;
    }
    show(swim, swim->table.members[at], view);
    return true;
}

bool swim_member_get(const struct swim *swim, uint64_t sid, struct swim_view *view)
{
    const struct swim_member *member = swim_find(swim, sid);

    if (member == NULL) {
        return false;
    }
    show(swim, member, view);
    return true;
}

uint64_t swim_view_hash(const struct swim *swim)
{
    uint64_t sum = 0;

    for (int i = 0; i < SWIM_BUCKETS; i++) {
        sum += swim->table.bucket_sums[i];
    }
    return sum;
}

struct swim_incarnation swim_own_incarnation(const struct swim *swim)
{
    return swim->own.incarnation;
}

bool swim_is_isolated(const struct swim *swim)
{
    return swim->isolated;
}

uint32_t swim_local_health(const struct swim *swim)
{
    return swim->lh;
}

int64_t swim_time_correction(const struct swim *swim, struct swim_now now, uint64_t *bound_ns)
{
    return swim_clock_correction(&swim->clock, now, bound_ns);
}

bool swim_time_is_agreed(const struct swim *swim)
{
    return swim->clock.since_ns != SWIM_NEVER;
}

uint64_t swim_time_settles_ns(const struct swim *swim)
{
    const struct swim_clock *clock = &swim->clock;

    if (clock->view.rank != SWIM_RANK_FREE_NEW || swim->table.n_live <= 1) {
        return 0;
    }
    return (clock->since_ns == SWIM_NEVER ? swim->now.mono_ns : clock->since_ns) +
           SWIM_CLOCK_SETTLE;
}

uint32_t swim_time_others(const struct swim *swim, uint32_t *at, uint64_t *sids, uint32_t max)
{
    uint32_t members = swim->table.n;
    uint32_t n = 0;

    for (uint32_t i = 0; i < members && n < max; i++) {
        const struct swim_member *member = swim->table.members[*at % members];
        (*at)++;
        if (member != swim->self && swim_is_live(member) &&
            member->peer.root != swim->clock.view.root) {
            sids[n++] = member->sid;
        }
    }
    return n;
}

uint64_t swim_time_root(const struct swim *swim)
{
    return swim->clock.view.root;
}

/* Both know swarm time: what follows for their steady clocks, where it says more than the probes of
 * this one pair, which may be long ago. */
static void narrow(const struct swim *swim, const struct swim_member *member, uint64_t mono_ns,
                   struct swim_estimate *estimate)
{
    struct swim_clock_view own = swim_clock_get(&swim->clock, mono_ns);
    uint64_t age_ns = mono_ns > member->peer.taken_ns ? mono_ns - member->peer.taken_ns : 0;
    struct swim_interval theirs = swim_interval_grow(member->peer.x, age_ns);
    struct swim_interval probed = {estimate->theta_ns, estimate->bound_ns};
    struct swim_interval by_swarm = {.bound_ns =
                                         swim_add_saturating(theirs.bound_ns, own.bound_ns)};

    if (own.root != member->peer.root ||
        __builtin_sub_overflow(own.x_ns, theirs.theta_ns, &by_swarm.theta_ns) ||
        !swim_interval_meet(&probed, by_swarm)) {
        return;
    }
    estimate->theta_ns = probed.theta_ns;
    estimate->bound_ns = probed.bound_ns;
}

bool swim_wall_offset_get(const struct swim *swim, struct swim_now now, uint64_t sid,
                          struct swim_wall_offset *out)
{
    const struct swim_member *member = swim_find(swim, sid);
    struct swim_estimate estimate;

    if (member == swim->self) {
        *out = (struct swim_wall_offset){.drift_ppb = 0};
        return true;
    }
    if (member == NULL || !swim_offset_get(&member->offset, now.mono_ns, &estimate)) {
        return false;
    }
    narrow(swim, member, now.mono_ns, &estimate);
    *out = (struct swim_wall_offset){
        .offset_ns = swim_clock_wall_offset(&swim->clock, &estimate, member->peer.wall_ns),
        .bound_ns = swim_add_saturating(estimate.bound_ns, 2ull * SWIM_CLOCK_STEP),
        .age_ns = estimate.age_ns,
        .drift_ppb = estimate.drift_ppb,
    };
    return true;
}

const struct swim_counters *swim_get_counters(const struct swim *swim)
{
    return &swim->counters;
}

size_t swim_memory(const struct swim *swim)
{
    return swim->heap_bytes + swim->timers.cap * sizeof(struct swim_timer *);
}
