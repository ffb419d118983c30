/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/processors_posix.h"

static void the_first_look_has_nothing_to_compare_with(void **state)
{
    (void)state;
    struct processors two = {.n = 2};
    uint8_t percent = 77;

    assert_false(processors_look_at(&two, "5000.00 9000.00\n", &percent));
    assert_int_equal(percent, 77);
}

static void what_was_before_does_not_count(void **state)
{
    (void)state;
    struct processors two = {.n = 2};
    uint8_t percent = 77;

    (void)processors_look_at(&two, "5000.00 100.00\n", &percent); /* always busy until now */
    assert_true(processors_look_at(&two, "5005.00 107.50\n", &percent));
    assert_int_equal(percent, 25);
    assert_true(processors_look_at(&two, "5010.00 107.50\n", &percent));
    assert_int_equal(percent, 100);
}

static void it_stays_within_0_and_100(void **state)
{
    (void)state;
    struct processors two = {.n = 2};
    uint8_t percent = 77;

    (void)processors_look_at(&two, "10.00 10.00\n", &percent);
    assert_true(processors_look_at(&two, "11.00 14.00\n", &percent)); /* more idle than there was */
    assert_int_equal(percent, 0);
    assert_true(processors_look_at(&two, "12.00 13.00\n", &percent)); /* a processor went away */
    assert_int_equal(percent, 100);
}

static void what_says_nothing_is_left_out(void **state)
{
    (void)state;
    struct processors one = {.n = 1};
    uint8_t percent = 77;

    assert_false(processors_look_at(&one, "", &percent));
    assert_false(processors_look_at(&one, "up 3 days", &percent));
    assert_false(processors_look_at(&one, "10.00 4.00", &percent));
    assert_false(processors_look_at(&one, "10.05 4.00", &percent)); /* too soon */
    assert_true(processors_look_at(&one, "10.20 4.10", &percent));  /* since the first */
    assert_int_equal(percent, 50);
    assert_false(processors_look_at(&one, "9.00 4.00", &percent)); /* it went back */
    assert_true(processors_look_at(&one, "10.00 4.50", &percent));
    assert_int_equal(percent, 50);
}

static void this_host_is_looked_at(void **state)
{
    (void)state;
    struct processors here = {0};
    uint8_t percent;

    assert_false(processors_look(&here, &percent));
    assert_true(here.has_looked);
    assert_true(here.n >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_look_has_nothing_to_compare_with),
        cmocka_unit_test(what_was_before_does_not_count),
        cmocka_unit_test(it_stays_within_0_and_100),
        cmocka_unit_test(what_says_nothing_is_left_out),
        cmocka_unit_test(this_host_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
