/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/pacing.h"

#define FAR_FUTURE_NS (UINT64_MAX / 2)

void pacing_init(struct pacing *pacing, double speed)
{
    *pacing = (struct pacing){.speed = speed};
}

void pacing_loop(struct pacing *pacing)
{
    pacing->is_new_loop = pacing->has_started;
}

/* From here on time_ns stands where the schedule is now. */
static void rebase(struct pacing *pacing, uint64_t time_ns)
{
    pacing->base_ns = time_ns;
    pacing->base_offset_ns = pacing->offset_ns;
}

/* Moves offset_ns on to the packet recorded at time_ns. */
static void advance(struct pacing *pacing, uint64_t time_ns)
{
    uint64_t passed = pacing->offset_ns - pacing->base_offset_ns;
    uint64_t highest_ns = pacing->base_ns + passed;

    if (pacing->is_new_loop) {
        pacing->is_new_loop = false;
        rebase(pacing, time_ns);
    } else if (time_ns >= highest_ns) {
        uint64_t room = FAR_FUTURE_NS - pacing->offset_ns;
        uint64_t gap = time_ns - highest_ns;
        pacing->offset_ns += gap < room ? gap : room;
    } else if (highest_ns - time_ns > PACING_STEP_NS) {
        pacing->n_steps++;
        rebase(pacing, time_ns);
    } else {
        pacing->n_earlier++;
    }
}

/* long double has the 64 bits of mantissa that nanoseconds over years need. */
static uint64_t scaled(uint64_t offset_ns, double speed)
{
    if (speed == 1.0) {
        return offset_ns;
    }
    long double scaled = (long double)offset_ns / (long double)speed;
    return scaled >= (long double)FAR_FUTURE_NS ? FAR_FUTURE_NS : (uint64_t)scaled;
}

uint64_t pacing_due(struct pacing *pacing, uint64_t time_ns, uint64_t now_ns)
{
    if (!pacing->has_started) {
        pacing->has_started = true;
        pacing->start_ns = now_ns;
        rebase(pacing, time_ns);
    }
    advance(pacing, time_ns);
    if (pacing->speed == 0) {
        return now_ns;
    }
    uint64_t after = scaled(pacing->offset_ns, pacing->speed);
    pacing->gap_ns = after - pacing->after_ns;
    pacing->after_ns = after;
    uint64_t due =
        after < FAR_FUTURE_NS - pacing->start_ns ? pacing->start_ns + after : FAR_FUTURE_NS;
    if (due < now_ns && now_ns - due > PACING_LATE_MAX_NS) {
        pacing->n_moved++;
        pacing->moved_ns += now_ns - due;
        pacing->start_ns += now_ns - due;
        due = now_ns;
    }
    return due;
}

/* Values below 64 have a bucket each; above, the five bits behind the highest one choose. */
static uint32_t bucket_of(uint64_t value)
{
    if (value < 64) {
        return (uint32_t)value;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - 5;
    return 32 * shift + (uint32_t)(value >> shift);
}

static uint64_t bucket_top(uint32_t bucket)
{
    if (bucket < 64) {
        return bucket;
    }
    uint32_t shift = bucket / 32 - 1;
    uint64_t first = (uint64_t)(bucket - 32 * shift) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void pacing_errors_add(struct pacing_errors *errors, uint64_t error_ns)
{
    errors->n++;
    errors->buckets[bucket_of(error_ns)]++;
    if (error_ns > errors->max_ns) {
        errors->max_ns = error_ns;
    }
}

uint64_t pacing_errors_percentile(const struct pacing_errors *errors, double share)
{
    double wanted = share * (double)errors->n;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < PACING_BUCKETS && errors->n > 0; i++) {
        seen += errors->buckets[i];
        if (errors->buckets[i] > 0 && (double)seen >= wanted) {
            uint64_t top = bucket_top(i);
            return top < errors->max_ns ? top : errors->max_ns;
        }
    }
    return 0;
}
