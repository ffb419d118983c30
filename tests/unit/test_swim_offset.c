/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/swarm/swim_offset.h"

#define SECOND (1000 * SWIM_MS)
#define START  INT64_C(1700000000000000000) /* of our clock, at monotonic 0 */
#define AHEAD  INT64_C(7000000)             /* the peer's is */

/* A probe sent at `mono`, that took there, turn and back on the peer's side, in ns. The peer's
 * clock gains ppb on ours. */
static struct swim_stamps probe(uint64_t mono, int64_t there, int64_t turn, int64_t back,
                                int64_t ppb)
{
    int64_t t1 = START + (int64_t)mono;
    int64_t gained = (int64_t)(mono / 1000) * ppb / 1000000;

    return (struct swim_stamps){.t1 = t1,
                                .t2 = t1 + there + AHEAD + gained,
                                .t3 = t1 + there + turn + AHEAD + gained,
                                .t4 = t1 + there + turn + back,
                                .mono_ns = mono + (uint64_t)(there + turn + back)};
}

static struct swim_estimate take(struct swim_offset *offset, struct swim_stamps stamps)
{
    struct swim_estimate estimate;

    assert_true(swim_offset_take(offset, &stamps));
    assert_true(swim_offset_get(offset, stamps.mono_ns, &estimate));
    return estimate;
}

static uint64_t off_by(const struct swim_estimate *estimate, int64_t truth)
{
    return (uint64_t)llabs(estimate->theta_ns - truth);
}

static void nothing_is_known_without_a_sample(void **state)
{
    struct swim_offset offset = {0};
    struct swim_estimate estimate;

    (void)state;
    assert_false(swim_offset_get(&offset, 5, &estimate));
}

static void half_of_the_way_is_the_bound(void **state)
{
    struct swim_offset offset = {0};
    struct swim_estimate even = take(&offset, probe(SECOND, 40000, 5000, 40000, 0));

    (void)state;
    assert_in_range(off_by(&even, AHEAD), 0, 100);
    assert_in_range(even.bound_ns, 40000, 40100);
    assert_int_equal(even.age_ns, 0);
    assert_int_equal(even.drift_ppb, SWIM_DRIFT_UNKNOWN);
}

static void a_one_sided_delay_stays_inside_the_bound(void **state)
{
    struct swim_offset there = {0}, back = {0};
    struct swim_estimate a = take(&there, probe(SECOND, 90000, 0, 1000, 0));
    struct swim_estimate b = take(&back, probe(SECOND, 1000, 0, 90000, 0));

    (void)state;
    assert_in_range(off_by(&a, AHEAD), 44000, a.bound_ns);
    assert_in_range(off_by(&b, AHEAD), 44000, b.bound_ns);
}

static void two_one_sided_probes_make_an_exact_one(void **state)
{
    struct swim_offset offset = {0};
    struct swim_estimate estimate;

    (void)state;
    (void)take(&offset, probe(SECOND, 90000, 0, 1000, 0));
    estimate = take(&offset, probe(SECOND + 200000, 1000, 0, 90000, 0));
    assert_in_range(estimate.bound_ns, 1000, 1300);
    assert_in_range(off_by(&estimate, AHEAD), 0, estimate.bound_ns);
}

static void the_bound_grows_with_age(void **state)
{
    struct swim_offset offset = {0};
    struct swim_estimate estimate, later;

    (void)state;
    estimate = take(&offset, probe(SECOND, 40000, 0, 40000, 0));
    assert_true(swim_offset_get(&offset, 11 * SECOND + 80000, &later));
    assert_int_equal(later.age_ns, 10 * SECOND);
    assert_in_range(later.bound_ns - estimate.bound_ns, 10 * SECOND / 2000, 10 * SECOND / 1990);
    /* For ever: no age brings it back. */
    assert_true(swim_offset_get(&offset, UINT64_MAX, &later));
    assert_true(later.bound_ns > UINT64_MAX / 2001);
}

static void drift_allowance_rounds_up_and_does_not_wrap(void **state)
{
    (void)state;
    assert_int_equal(swim_drift_ns(0), 0);
    assert_int_equal(swim_drift_ns(1), 1);
    assert_int_equal(swim_drift_ns(1000000), 501);
    assert_int_equal(swim_drift_ns(1000001), 502);
    assert_int_equal(swim_drift_ns(UINT64_MAX), UINT64_C(9241818780928486));
}

static void nonsense_is_refused(void **state)
{
    struct swim_offset offset = {0};
    struct swim_stamps good = probe(SECOND, 1000, 1000, 1000, 0);
    struct swim_stamps bad[8];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bad[i] = good;
    }
    bad[0].t3 = bad[0].t2 - 1;           /* sent before it came */
    bad[1].t4 = bad[1].t1 - 1;           /* answered before it was asked */
    bad[2].t3 += 3000;                   /* held it for longer than it was away */
    bad[3].t4 += (int64_t)(11 * SECOND); /* delta */
    bad[4].t2 = -1;
    bad[5].t3 = SWIM_STAMP_MAX;
    bad[6].t2 = INT64_MIN;
    bad[7].t3 = INT64_MAX;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(swim_offset_take(&offset, &bad[i]));
    }
    assert_int_equal(offset.n_since, 0);
    assert_true(swim_offset_take(&offset, &good));
}

/* A machine was paused and its clock with it: what was known before is void. */
static void a_contradiction_begins_anew(void **state)
{
    struct swim_offset offset = {0};
    struct swim_estimate estimate;
    struct swim_stamps paused = probe(3 * SECOND, 50000, 0, 50000, 0);

    (void)state;
    (void)take(&offset, probe(SECOND, 1000, 0, 1000, 0));
    paused.t2 -= (int64_t)SECOND;
    paused.t3 -= (int64_t)SECOND;
    estimate = take(&offset, paused);
    assert_in_range(off_by(&estimate, AHEAD - (int64_t)SECOND), 0, estimate.bound_ns);
    assert_in_range(estimate.bound_ns, 50000, 50200);
    assert_int_equal(estimate.drift_ppb, SWIM_DRIFT_UNKNOWN);
}

static void an_overtaken_answer_is_aged_not_believed_fresh(void **state)
{
    struct swim_offset offset = {0};
    struct swim_estimate estimate;
    struct swim_stamps late = probe(SECOND, 1000, 0, 1000, 250000);
    struct swim_stamps fresh = probe(11 * SECOND, 9000000, 0, 9000000, 250000);

    (void)state;
    (void)take(&offset, fresh);
    assert_true(swim_offset_take(&offset, &late));
    assert_true(swim_offset_get(&offset, fresh.mono_ns, &estimate));
    assert_int_equal(estimate.age_ns, 0);
    assert_in_range(off_by(&estimate, AHEAD + 11 * 250000), 0, estimate.bound_ns);
    assert_in_range(estimate.bound_ns, 4000000, 5100000);
}

static void drift_is_told_when_its_error_is_small(void **state)
{
    struct swim_offset offset = {0};
    struct swim_estimate estimate = {0};

    (void)state;
    /* 2 ms of bound against 2 s of span: nothing to say. */
    (void)take(&offset, probe(SECOND, 1000000, 0, 1000000, 40000));
    estimate = take(&offset, probe(3 * SECOND, 1000000, 0, 1000000, 40000));
    assert_int_equal(estimate.drift_ppb, SWIM_DRIFT_UNKNOWN);
    for (uint64_t s = 4; s < 2000; s++) {
        estimate = take(&offset, probe(s * SECOND, 40000, 0, 40000, 40000));
        assert_in_range(off_by(&estimate, AHEAD + (int64_t)s * 40000), 0, estimate.bound_ns);
    }
    assert_in_range(estimate.drift_ppb, 39000, 41000);
    assert_in_range(offset.last_ns - offset.since_ns[0], SWIM_DRIFT_SPAN, 2 * SWIM_DRIFT_SPAN);
}

static void a_peer_takes_at_most_its_bytes(void **state)
{
    (void)state;
    assert_in_range(sizeof(struct swim_offset), 1, 128);
}

/* UBSan watches; what is taken keeps its promises of range. */
static void extremes_are_harmless(void **state)
{
    static const int64_t ends[] = {INT64_MIN,          INT64_MIN + 1,  -1,       0, 1, START,
                                   SWIM_STAMP_MAX - 1, SWIM_STAMP_MAX, INT64_MAX};
    enum { N = sizeof ends / sizeof ends[0] };
    static const uint64_t monos[] = {0, SECOND, UINT64_MAX};
    struct swim_offset offset = {0};
    uint32_t taken = 0;

    (void)state;
    for (uint32_t i = 0; i < N * N * N * N * 3; i++) {
        struct swim_stamps stamps = {ends[i % N], ends[i / N % N], ends[i / N / N % N],
                                     ends[i / N / N / N % N], monos[i / N / N / N / N]};
        struct swim_estimate estimate;

        taken += swim_offset_take(&offset, &stamps);
        if (swim_offset_get(&offset, monos[i % 3], &estimate)) {
            assert_true(llabs(estimate.theta_ns) <= SWIM_STAMP_MAX / 4 * 5);
        }
    }
    assert_true(taken > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_without_a_sample),
        cmocka_unit_test(half_of_the_way_is_the_bound),
        cmocka_unit_test(a_one_sided_delay_stays_inside_the_bound),
        cmocka_unit_test(two_one_sided_probes_make_an_exact_one),
        cmocka_unit_test(the_bound_grows_with_age),
        cmocka_unit_test(drift_allowance_rounds_up_and_does_not_wrap),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_contradiction_begins_anew),
        cmocka_unit_test(an_overtaken_answer_is_aged_not_believed_fresh),
        cmocka_unit_test(drift_is_told_when_its_error_is_small),
        cmocka_unit_test(a_peer_takes_at_most_its_bytes),
        cmocka_unit_test(extremes_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
