/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a clock stood likeliest, by samples of which some are better than others.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/merge/merge_smooth.h"

#define US       1000
#define MS       (1000 * (int64_t)US)
#define S        (1000 * MS)
#define START_NS (1700000000 * (uint64_t)S)
#define MANY     200u

static struct merge_clock_sample sample(int64_t at_ns, int64_t offset_ns, uint64_t bound_ns)
{
    return (struct merge_clock_sample){
        .time_ns = START_NS + (uint64_t)at_ns, .offset_ns = offset_ns, .bound_ns = bound_ns};
}

static void one_bad_sample_moves_the_others_little(void **state)
{
    const int64_t far = 1700 * MS;
    struct merge_clock_sample s[] = {sample(0, far, 50 * US),
                                     sample(300 * MS, far + 4 * US, 115 * US),
                                     sample(4 * S, far + 400 * US, 1000 * US)};

    (void)state;
    merge_smooth(s, 3);
    assert_true(llabs(s[0].offset_ns - far) < 5 * US);
    assert_true(llabs(s[1].offset_ns - far) < 5 * US);
    assert_true(llabs(s[2].offset_ns - far) < 40 * US);
    assert_true(s[2].bound_ns > 1360 * US); /* its interval is what it was */
}

static void a_clock_that_drifts_is_followed(void **state)
{
    struct merge_clock_sample s[5];

    (void)state;
    for (int64_t i = 0; i < 5; i++) {
        s[i] = sample(i * 60 * S, i * 60 * 15 * US, 60 * US); /* 15 millionths */
    }
    merge_smooth(s, 5);
    for (int64_t i = 0; i < 5; i++) {
        assert_true(llabs(s[i].offset_ns - i * 60 * 15 * US) < 2 * US);
    }
}

static int64_t noise(unsigned *seed, int64_t most)
{
    *seed = *seed * 1103515245 + 12345;
    return (int64_t)(*seed >> 8) % (2 * most + 1) - most;
}

/* Middles that are off by anything within their bounds, of which one in four is wide. */
static void on_the_whole_they_are_nearer_the_truth(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 50; seed++) {
        struct merge_clock_sample s[MANY];
        int64_t truth[MANY];
        double before = 0;
        double after = 0;
        unsigned luck = seed;
        for (int64_t i = 0; i < MANY; i++) {
            int64_t bound_ns = (i % 4 == 1 ? 2000 : 60) * US;
            truth[i] = (int64_t)(MS * sin((double)i / 40)) - 400 * MS;
            s[i] = sample(i * 10 * S, truth[i] + noise(&luck, bound_ns), (uint64_t)bound_ns);
            before += fabs((double)(s[i].offset_ns - truth[i]));
        }
        merge_smooth(s, MANY);
        for (int64_t i = 0; i < MANY; i++) {
            int64_t error = llabs(s[i].offset_ns - truth[i]);
            assert_true((uint64_t)error <= s[i].bound_ns);
            after += (double)error;
        }
        assert_true(after * 3 < before);
    }
}

static void nothing_is_carried_across_a_step_or_what_is_unknown(void **state)
{
    struct merge_clock_sample s[] = {
        sample(0, 0, 50 * US),         sample(1 * S, 30 * US, 50 * US),
        sample(2 * S, 5 * S, 50 * US), sample(3 * S, 0, MERGE_BOUND_UNKNOWN),
        sample(4 * S, 7 * S, 50 * US), sample(4 * S, 9 * S, 50 * US), /* not newer */
    };
    struct merge_clock_sample was[6];

    (void)state;
    s[2].is_step = true;
    memcpy(was, s, sizeof s);
    merge_smooth(s, 6);
    assert_true(s[0].offset_ns > 0 && s[1].offset_ns < 30 * US && s[0].offset_ns < s[1].offset_ns);
    for (size_t i = 2; i < 6; i++) {
        assert_int_equal(s[i].offset_ns, was[i].offset_ns);
        assert_int_equal(s[i].bound_ns, was[i].bound_ns);
    }
}

/* Quartz would not: what the bounds say holds. */
static void no_sample_leaves_its_bounds(void **state)
{
    struct merge_clock_sample s[] = {sample(0, 0, 10), sample(1, 5 * S, 20),
                                     sample(2, -5 * S, MERGE_BOUND_UNKNOWN - 1)};

    (void)state;
    merge_smooth(s, 3);
    assert_true(llabs(s[0].offset_ns) <= 10 && s[0].bound_ns <= 20);
    assert_true(llabs(s[1].offset_ns - 5 * S) <= 20 && s[1].bound_ns <= 40);
    assert_true(s[2].offset_ns >= -5 * S); /* a bound that had to grow too far: left */
}

static void whatever_a_node_says_is_no_harm(void **state)
{
    static const int64_t offsets[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MAX};
    static const uint64_t bounds[] = {0, UINT64_MAX - 1, UINT64_MAX, 1, (uint64_t)INT64_MAX + 5};
    static const uint64_t times[] = {0, 1, UINT64_MAX - 1, UINT64_MAX, 7};
    struct merge_clock_sample s[5];

    (void)state;
    for (size_t i = 0; i < 125 * 25; i++) {
        for (size_t k = 0; k < 5; k++) {
            s[k] = (struct merge_clock_sample){.time_ns = times[(k + i / 125) % 5],
                                               .offset_ns = offsets[(k * i + i / 5) % 5],
                                               .bound_ns = bounds[(k + i / 25) % 5]};
        }
        merge_smooth(s, 1 + i % 5);
    }
    merge_smooth(s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_bad_sample_moves_the_others_little),
        cmocka_unit_test(a_clock_that_drifts_is_followed),
        cmocka_unit_test(on_the_whole_they_are_nearer_the_truth),
        cmocka_unit_test(nothing_is_carried_across_a_step_or_what_is_unknown),
        cmocka_unit_test(no_sample_leaves_its_bounds),
        cmocka_unit_test(whatever_a_node_says_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
