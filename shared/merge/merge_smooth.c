/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/merge/merge_smooth.h"

#include "shared/base/mem.h"

/* Between two samples an offset changes by some 20 millionths of the time: what quartz drifts, and
 * what chrony and ntpd turn at when they are settled. */
#define DRIFT 20e-6
/* The middle of an interval is off by a third of its bound, as a rule. */
#define PART_OF_BOUND 3
/* Readings of clocks that are nearer than that tell no drift. */
#define SPAN_LEAST_NS  1000000
#define ERROR_LEAST_NS 100

static double square(double x)
{
    return x * x;
}

static double weight_of(const struct merge_clock_sample *sample)
{
    return 1 / square((double)sample->bound_ns / PART_OF_BOUND + ERROR_LEAST_NS);
}

/* How much the change from one sample to the next counts. */
static double stiffness(const struct merge_clock_sample *sample)
{
    double span_ns = (double)(sample[1].time_ns - sample[0].time_ns);

    return 1 / square((span_ns > SPAN_LEAST_NS ? span_ns : SPAN_LEAST_NS) * DRIFT);
}

/* To offset + moved, and no further than its bound. */
static void move(struct merge_clock_sample *sample, double moved_ns)
{
    double most_ns = (double)sample->bound_ns;
    uint64_t way_ns = moved_ns >= most_ns || moved_ns <= -most_ns
                          ? sample->bound_ns
                          : (uint64_t)(moved_ns < 0 ? -moved_ns : moved_ns);
    int64_t by_ns = way_ns > INT64_MAX ? INT64_MAX : (int64_t)way_ns;
    int64_t offset_ns;

    if (__builtin_add_overflow(sample->offset_ns, moved_ns < 0 ? -by_ns : by_ns, &offset_ns) ||
        __builtin_add_overflow(sample->bound_ns, (uint64_t)by_ns, &sample->bound_ns)) {
        return;
    }
    sample->offset_ns = offset_ns;
}

static double difference(int64_t a, int64_t b)
{
    return (double)((__int128)a - b);
}

/* The sum of weight_i (x_i - offset_i)^2 and stiffness_i (x_(i+1) - x_i)^2 is least where a system
 * of equations with three diagonals holds, which is solved from both ends. Numbers are relative to
 * the first offset: a double has no nanoseconds left beside a year. */
static void smooth_run(struct merge_clock_sample *s, uint32_t n, double *factor, double *x)
{
    double before = 0;

    for (uint32_t i = 0; i < n; i++) {
        double weight = weight_of(&s[i]);
        double after = i + 1 < n ? stiffness(&s[i]) : 0;
        double pivot = weight + before + after - (i > 0 ? before * factor[i - 1] : 0);
        double offset = difference(s[i].offset_ns, s[0].offset_ns);
        x[i] = (weight * offset + (i > 0 ? before * x[i - 1] : 0)) / pivot;
        factor[i] = after / pivot;
        before = after;
    }
    for (uint32_t i = n - 1; i-- > 0;) {
        x[i] += factor[i] * x[i + 1];
    }
    int64_t first_ns = s[0].offset_ns;
    for (uint32_t i = 0; i < n; i++) {
        move(&s[i], x[i] - difference(s[i].offset_ns, first_ns));
    }
}

static bool goes_on(const struct merge_clock_sample *sample)
{
    return !sample[1].is_step && sample[1].time_ns > sample[0].time_ns &&
           sample[0].bound_ns != MERGE_BOUND_UNKNOWN && sample[1].bound_ns != MERGE_BOUND_UNKNOWN;
}

void merge_smooth(struct merge_clock_sample *samples, uint32_t n)
{
    double *room = x_alloc((size_t)(n + 1) * 2 * sizeof *room);

    for (uint32_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && goes_on(&samples[end - 1]); end++) {
        }
        if (end - first > 1) {
            smooth_run(&samples[first], end - first, room, room + n);
        }
    }
    mem_free(room);
}
