/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/clock_samples.h"

#include <string.h>

#include "shared/base/mem.h"

/* A sample that says something else than the line through its neighbours. */
#define COST_OWN (UINT64_MAX / 2)
/* Of samples that lie equally well on the line, that in the smallest gap goes: one ppm of it. */
#define GAP_SHARE 1000000u

void clock_samples_deinit(struct clock_samples *samples)
{
    mem_free(samples->list);
    *samples = (struct clock_samples){0};
}

static uint64_t distance(__int128 a, __int128 b)
{
    __int128 d = a > b ? a - b : b - a;

    return d > COST_OWN / 2 ? COST_OWN / 2 : (uint64_t)d;
}

/* What is lost with `at`, which has neighbours. */
static uint64_t cost_of(const struct clock_sample *at)
{
    const struct clock_sample *before = at - 1;
    const struct clock_sample *after = at + 1;

    if (at->is_step || after->is_step || at->root != before->root || at->root != after->root ||
        at->time_ns < before->time_ns || after->time_ns <= at->time_ns) {
        return COST_OWN;
    }
    __int128 gap = (__int128)after->time_ns - before->time_ns;
    __int128 gained = (__int128)after->offset_ns - before->offset_ns;
    __int128 line = before->offset_ns + gained * (at->time_ns - before->time_ns) / gap;

    return distance(line, at->offset_ns) + (uint64_t)gap / GAP_SHARE;
}

static void thin(struct clock_samples *samples)
{
    uint32_t least = 1;
    uint64_t least_cost = UINT64_MAX;

    for (uint32_t i = 1; i + 1 < samples->n; i++) {
        uint64_t cost = cost_of(&samples->list[i]);
        if (cost < least_cost) {
            least = i;
            least_cost = cost;
        }
    }
    samples->list[least + 1].is_step |= samples->list[least].is_step;
    memmove(&samples->list[least], &samples->list[least + 1],
            (samples->n - least - 1) * sizeof *samples->list);
    samples->n--;
}

void clock_samples_add(struct clock_samples *samples, const struct clock_sample *sample)
{
    if (samples->list == NULL) {
        samples->list = x_alloc((CLOCK_SAMPLES_MAX + 1) * sizeof *samples->list);
    }
    samples->list[samples->n++] = *sample;
    if (samples->n > CLOCK_SAMPLES_MAX) {
        thin(samples);
    }
}

static bool has(const struct clock_samples *samples, const struct clock_sample *sample)
{
    for (uint32_t i = 0; i < samples->n; i++) {
        if (samples->list[i].time_ns == sample->time_ns &&
            samples->list[i].offset_ns == sample->offset_ns) {
            return true;
        }
    }
    return false;
}

void clock_samples_join(struct clock_samples *samples, const struct clock_samples *more)
{
    for (uint32_t i = 0; i < more->n; i++) {
        if (!has(samples, &more->list[i])) {
            clock_samples_add(samples, &more->list[i]);
        }
    }
}
