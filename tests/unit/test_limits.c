/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/capture/counter.h"
#include "shared/capture/limits.h"

static void a_count_ends_with_exactly_that_packet(void **state)
{
    struct limits limits = limits_make(3, 0, 0);

    (void)state;
    assert_int_equal(limits_take(&limits, 100, 1), LIMITS_TAKE);
    assert_int_equal(limits_take(&limits, 100, 2), LIMITS_TAKE);
    assert_int_equal(limits_take(&limits, 100, 3), LIMITS_TAKE_LAST);
}

static void bytes_are_reached_exactly_or_not_exceeded(void **state)
{
    struct limits exact = limits_make(0, 200, 0);
    struct limits short_of = limits_make(0, 199, 0);

    (void)state;
    assert_int_equal(limits_take(&exact, 100, 1), LIMITS_TAKE);
    assert_int_equal(limits_take(&exact, 100, 1), LIMITS_TAKE_LAST);
    assert_int_equal(limits_take(&short_of, 100, 1), LIMITS_TAKE);
    assert_int_equal(limits_take(&short_of, 100, 1), LIMITS_REFUSE);
    assert_int_equal(short_of.bytes_left, 99);
}

static void nothing_set_is_no_limit(void **state)
{
    struct limits limits = limits_make(0, 0, 0);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(limits_take(&limits, 262144, UINT64_MAX - 1), LIMITS_TAKE);
    }
}

static void empty_packets_count_as_packets_alone(void **state)
{
    struct limits limits = limits_make(2, 1, 0);

    (void)state;
    assert_int_equal(limits_take(&limits, 0, 1), LIMITS_TAKE);
    assert_int_equal(limits_take(&limits, 0, 1), LIMITS_TAKE_LAST);
}

static void the_span_begins_with_the_first_packet(void **state)
{
    struct limits limits = limits_make(0, 0, 50);

    (void)state;
    limits_start_span(&limits, 1000);
    assert_int_equal(limits_take(&limits, 10, 1000), LIMITS_TAKE);
    assert_int_equal(limits_take(&limits, 10, 1049), LIMITS_TAKE);
    assert_int_equal(limits_take(&limits, 10, 900), LIMITS_TAKE);
    assert_int_equal(limits_take(&limits, 10, 1050), LIMITS_REFUSE);
}

static void a_span_past_the_end_of_time_is_no_limit(void **state)
{
    struct limits limits = limits_make(0, 0, 50);

    (void)state;
    limits_start_span(&limits, UINT64_MAX - 10);
    assert_int_equal(limits_take(&limits, 10, UINT64_MAX - 1), LIMITS_TAKE);
}

static void a_counter_goes_on_where_32_bits_wrap(void **state)
{
    struct counter counter = {0};

    (void)state;
    assert_int_equal(counter_update(&counter, 0xfffffff0u), 0xfffffff0u);
    assert_true(counter_update(&counter, 0x10u) == 0x100000010ull);
    assert_true(counter_update(&counter, 0x10u) == 0x100000010ull);
    assert_true(counter_update(&counter, 0x0fu) == 0x20000000full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_count_ends_with_exactly_that_packet),
        cmocka_unit_test(bytes_are_reached_exactly_or_not_exceeded),
        cmocka_unit_test(nothing_set_is_no_limit),
        cmocka_unit_test(empty_packets_count_as_packets_alone),
        cmocka_unit_test(the_span_begins_with_the_first_packet),
        cmocka_unit_test(a_span_past_the_end_of_time_is_no_limit),
        cmocka_unit_test(a_counter_goes_on_where_32_bits_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
