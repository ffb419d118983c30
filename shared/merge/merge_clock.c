/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/merge/merge_clock.h"

#include <string.h>

#include "shared/base/mem.h"

void merge_clock_deinit(struct merge_clock *clock)
{
    mem_free(clock->legs);
    *clock = (struct merge_clock){0};
}

static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

static bool is_unknown(const struct merge_clock_sample *sample)
{
    return sample->bound_ns == MERGE_BOUND_UNKNOWN;
}

static void make_room(struct merge_clock *clock)
{
    if (clock->legs == NULL) {
        clock->legs = x_alloc(MERGE_CLOCK_MAX * sizeof *clock->legs);
    }
    if (clock->n == MERGE_CLOCK_MAX) {
        clock->n--;
        memmove(clock->legs, clock->legs + 1, clock->n * sizeof *clock->legs);
        clock->at = clock->at > 0 ? clock->at - 1 : 0;
    }
}

bool merge_clock_add(struct merge_clock *clock, const struct merge_clock_sample *sample)
{
    struct merge_clock_leg *last = clock->n > 0 ? &clock->legs[clock->n - 1] : NULL;

    if (last != NULL && sample->time_ns <= last->sample.time_ns) {
        return false;
    }
    if (last == NULL) {
        clock->era_first = *sample;
    } else {
        if (!sample->is_step) {
            last->slope = ((double)sample->offset_ns - (double)last->sample.offset_ns) /
                          (double)(sample->time_ns - last->sample.time_ns);
        }
        if (distance(sample->offset_ns, clock->era_first.offset_ns) > clock->era_first.bound_ns ||
            is_unknown(sample) != is_unknown(&clock->era_first)) {
            clock->era++;
            clock->era_first = *sample;
        }
    }
    make_room(clock);
    clock->legs[clock->n++] = (struct merge_clock_leg){.sample = *sample, .era = clock->era};
    return true;
}

/* The leg that holds at that time; the first one before the first sample. */
static const struct merge_clock_leg *find_leg(struct merge_clock *clock, uint64_t time_ns)
{
    const struct merge_clock_leg *legs = clock->legs;
    uint32_t low = 0;
    uint32_t high = clock->n; /* legs[low] holds, legs[high] does not yet */

    if ((clock->at == 0 || legs[clock->at].sample.time_ns <= time_ns) &&
        (clock->at + 1 == clock->n || time_ns < legs[clock->at + 1].sample.time_ns)) {
        return &legs[clock->at];
    }
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (legs[middle].sample.time_ns <= time_ns) {
            low = middle;
        } else {
            high = middle;
        }
    }
    clock->at = low;
    return &legs[low];
}

static uint64_t subtract(uint64_t time_ns, int64_t offset_ns)
{
    if (offset_ns >= 0) {
        return time_ns > (uint64_t)offset_ns ? time_ns - (uint64_t)offset_ns : 0;
    }
    uint64_t ahead = 0 - (uint64_t)offset_ns;
    return time_ns > UINT64_MAX - ahead ? UINT64_MAX : time_ns + ahead;
}

uint64_t merge_clock_correct(struct merge_clock *clock, uint64_t time_ns, uint32_t *era)
{
    if (clock->n == 0) {
        *era = 0;
        return time_ns;
    }
    const struct merge_clock_leg *leg = find_leg(clock, time_ns);
    int64_t offset_ns = leg->sample.offset_ns;
    *era = leg->era;
    if (leg->slope != 0 && time_ns > leg->sample.time_ns) {
        /* Between two offsets, so it fits but for the last rounding. */
        double sum = (double)(time_ns - leg->sample.time_ns) * leg->slope;
        int64_t change = sum >= 9.2e18 ? INT64_MAX : sum <= -9.2e18 ? INT64_MIN : (int64_t)sum;
        if (__builtin_add_overflow(offset_ns, change, &offset_ns)) {
            offset_ns = change > 0 ? INT64_MAX : INT64_MIN;
        }
    }
    return subtract(time_ns, offset_ns);
}

struct merge_clock_sample merge_clock_era(const struct merge_clock *clock, uint32_t era)
{
    for (uint32_t i = 0; i < clock->n; i++) {
        if (clock->legs[i].era == era) {
            return clock->legs[i].sample;
        }
    }
    return (struct merge_clock_sample){.bound_ns = MERGE_BOUND_UNKNOWN};
}
