/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into the core from outside: nothing here changes anything.
 */
#include "shared/swarm/swim_internal.h"

static void show(const struct swim_member *member, struct swim_view *view)
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
        .load = member->load,
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
    show(swim->table.members[at], view);
    return true;
}

bool swim_member_get(const struct swim *swim, uint64_t sid, struct swim_view *view)
{
    const struct swim_member *member = swim_find(swim, sid);

    if (member == NULL) {
        return false;
    }
    show(member, view);
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

const struct swim_counters *swim_get_counters(const struct swim *swim)
{
    return &swim->counters;
}

size_t swim_memory(const struct swim *swim)
{
    return swim->heap_bytes + swim->timers.cap * sizeof(struct swim_timer *);
}
