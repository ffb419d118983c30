/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/backoff.h"

/* The longest wait that is possible after so many failures: random % (longest + 1) == longest. */
static uint64_t longest_after(uint32_t failures)
{
    uint64_t found = 0;

    for (uint64_t random = 0; random <= BACKOFF_MAX_NS * 2; random += BACKOFF_FIRST_NS / 2) {
        struct backoff backoff = {.failures = failures};
        uint64_t wait = backoff_next_ns(&backoff, random);
        found = wait > found ? wait : found;
    }
    return found;
}

static void waits_double_up_to_fifteen_seconds(void **state)
{
    (void)state;
    assert_int_equal(longest_after(0), BACKOFF_FIRST_NS);
    assert_int_equal(longest_after(1), 2 * BACKOFF_FIRST_NS);
    assert_int_equal(longest_after(5), 32 * BACKOFF_FIRST_NS);
    assert_int_equal(longest_after(6), BACKOFF_MAX_NS);
    assert_int_equal(longest_after(UINT32_MAX), BACKOFF_MAX_NS);
}

static void each_wait_is_random_from_nothing_on(void **state)
{
    struct backoff backoff = {0};

    (void)state;
    assert_int_equal(backoff_next_ns(&backoff, 0), 0);
    assert_int_equal(backoff.failures, 1);
    assert_int_equal(backoff_next_ns(&backoff, 123456789), 123456789);
    assert_int_equal(backoff.failures, 2);
    assert_true(backoff_next_ns(&backoff, UINT64_MAX) <= 4 * BACKOFF_FIRST_NS);
}

static void success_starts_over(void **state)
{
    struct backoff backoff = {.failures = 9};

    (void)state;
    backoff_reset(&backoff);
    assert_true(backoff_next_ns(&backoff, UINT64_MAX - 7) <= BACKOFF_FIRST_NS);
    assert_int_equal(backoff.failures, 1);
}

static void the_count_of_failures_does_not_wrap(void **state)
{
    struct backoff backoff = {.failures = UINT32_MAX};

    (void)state;
    (void)backoff_next_ns(&backoff, 1);
    assert_int_equal(backoff.failures, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_fifteen_seconds),
        cmocka_unit_test(each_wait_is_random_from_nothing_on),
        cmocka_unit_test(success_starts_over),
        cmocka_unit_test(the_count_of_failures_does_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
