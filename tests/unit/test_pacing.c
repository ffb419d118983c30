/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/pacing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define START  UINT64_C(5000000000)
#define RECORD UINT64_C(1700000000000000000)
#define MS     UINT64_C(1000000)

static void the_first_packet_is_due_at_once(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 1);
    assert_int_equal(pacing_due(&pacing, RECORD, START), START);
    assert_int_equal(pacing.gap_ns, 0);
}

static void packets_keep_their_recorded_distance(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 1);
    pacing_due(&pacing, RECORD, START);
    assert_int_equal(pacing_due(&pacing, RECORD + 1, START), START + 1);
    assert_int_equal(pacing_due(&pacing, RECORD + 7 * MS, START), START + 7 * MS);
    assert_int_equal(pacing.gap_ns, 7 * MS - 1);
}

static void errors_of_the_sender_do_not_move_the_schedule(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 1);
    pacing_due(&pacing, RECORD, START);
    pacing_due(&pacing, RECORD + MS, START + 900 * MS);
    assert_int_equal(pacing_due(&pacing, RECORD + 1000 * MS, START + 900 * MS), START + 1000 * MS);
    assert_int_equal(pacing.n_moved, 0);
}

static void speed_divides_every_distance(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 2);
    pacing_due(&pacing, RECORD, START);
    assert_int_equal(pacing_due(&pacing, RECORD + 10 * MS, START), START + 5 * MS);
    pacing_init(&pacing, 0.5);
    pacing_due(&pacing, RECORD, START);
    assert_int_equal(pacing_due(&pacing, RECORD + 10 * MS, START), START + 20 * MS);
}

static void years_at_an_odd_speed_stay_exact_to_the_nanosecond(void **state)
{
    const uint64_t years = UINT64_C(3) * 365 * 86400 * 1000 * MS + 1;
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 4);
    pacing_due(&pacing, RECORD, 0);
    assert_int_equal(pacing_due(&pacing, RECORD + 4 * years, 0), 4 * years / 4);
}

static void speed_zero_never_waits(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 0);
    pacing_due(&pacing, RECORD, START);
    assert_int_equal(pacing_due(&pacing, RECORD + 3600 * 1000 * MS, START + 1), START + 1);
}

static void a_packet_a_little_earlier_is_due_at_once_and_moves_nothing(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 1);
    pacing_due(&pacing, RECORD, START);
    pacing_due(&pacing, RECORD + 10 * MS, START);
    assert_int_equal(pacing_due(&pacing, RECORD + 4 * MS, START), START + 10 * MS);
    assert_int_equal(pacing.gap_ns, 0);
    assert_int_equal(pacing_due(&pacing, RECORD + 12 * MS, START), START + 12 * MS);
    assert_int_equal(pacing.n_earlier, 1);
    assert_int_equal(pacing.n_steps, 0);
}

static void a_clock_set_back_goes_on_without_a_gap(void **state)
{
    const uint64_t back = RECORD - 3600 * 1000 * MS;
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 1);
    pacing_due(&pacing, RECORD, START);
    pacing_due(&pacing, RECORD + 10 * MS, START);
    assert_int_equal(pacing_due(&pacing, back, START), START + 10 * MS);
    assert_int_equal(pacing_due(&pacing, back + 3 * MS, START), START + 13 * MS);
    assert_int_equal(pacing.n_steps, 1);
}

static void a_loop_begins_at_once_and_is_no_step(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 1);
    pacing_due(&pacing, RECORD, START);
    pacing_due(&pacing, RECORD + 10 * MS, START);
    pacing_loop(&pacing);
    assert_int_equal(pacing_due(&pacing, RECORD, START), START + 10 * MS);
    assert_int_equal(pacing_due(&pacing, RECORD + 10 * MS, START), START + 20 * MS);
    assert_int_equal(pacing.n_steps + pacing.n_earlier, 0);
}

static void a_sender_that_was_stopped_does_not_catch_up_in_a_burst(void **state)
{
    struct pacing pacing;
    const uint64_t late = START + MS + PACING_LATE_MAX_NS + 1;

    (void)state;
    pacing_init(&pacing, 1);
    pacing_due(&pacing, RECORD, START);
    assert_int_equal(pacing_due(&pacing, RECORD + MS, late), late);
    assert_int_equal(pacing_due(&pacing, RECORD + 2 * MS, late), late + MS);
    assert_int_equal(pacing.n_moved, 1);
    assert_int_equal(pacing.moved_ns, PACING_LATE_MAX_NS + 1);
}

static void times_at_the_end_of_64_bits_do_not_wrap(void **state)
{
    struct pacing pacing;

    (void)state;
    pacing_init(&pacing, 0.001);
    pacing_due(&pacing, 0, START);
    assert_int_equal(pacing_due(&pacing, UINT64_MAX, START), UINT64_MAX / 2);
    pacing_loop(&pacing);
    assert_int_equal(pacing_due(&pacing, 0, START), UINT64_MAX / 2);
    assert_int_equal(pacing_due(&pacing, 5, START), UINT64_MAX / 2);
}

static void percentiles_are_at_most_three_percent_too_high(void **state)
{
    struct pacing_errors *errors = test_calloc(1, sizeof *errors);

    (void)state;
    assert_int_equal(pacing_errors_percentile(errors, 0.5), 0);
    for (uint64_t i = 1; i <= 10000; i++) {
        pacing_errors_add(errors, i * 1000);
    }
    uint64_t median = pacing_errors_percentile(errors, 0.5);
    uint64_t p99 = pacing_errors_percentile(errors, 0.99);
    assert_in_range(median, 5000000, 5150000);
    assert_in_range(p99, 9900000, 10000000);
    assert_int_equal(pacing_errors_percentile(errors, 1), 10000000);
    test_free(errors);
}

static void errors_of_any_size_have_a_bucket(void **state)
{
    struct pacing_errors *errors = test_calloc(1, sizeof *errors);

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = UINT64_C(1) << bit;
        *errors = (struct pacing_errors){0};
        pacing_errors_add(errors, value - 1);
        assert_int_equal(pacing_errors_percentile(errors, 1), value - 1);
        pacing_errors_add(errors, value);
        pacing_errors_add(errors, UINT64_MAX);
        assert_true(pacing_errors_percentile(errors, 0.6) >= value);
        assert_true(pacing_errors_percentile(errors, 0.6) - value <= value / 32);
        assert_true(pacing_errors_percentile(errors, 1) == UINT64_MAX);
    }
    test_free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_packet_is_due_at_once),
        cmocka_unit_test(packets_keep_their_recorded_distance),
        cmocka_unit_test(errors_of_the_sender_do_not_move_the_schedule),
        cmocka_unit_test(speed_divides_every_distance),
        cmocka_unit_test(years_at_an_odd_speed_stay_exact_to_the_nanosecond),
        cmocka_unit_test(speed_zero_never_waits),
        cmocka_unit_test(a_packet_a_little_earlier_is_due_at_once_and_moves_nothing),
        cmocka_unit_test(a_clock_set_back_goes_on_without_a_gap),
        cmocka_unit_test(a_loop_begins_at_once_and_is_no_step),
        cmocka_unit_test(a_sender_that_was_stopped_does_not_catch_up_in_a_burst),
        cmocka_unit_test(times_at_the_end_of_64_bits_do_not_wrap),
        cmocka_unit_test(percentiles_are_at_most_three_percent_too_high),
        cmocka_unit_test(errors_of_any_size_have_a_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
