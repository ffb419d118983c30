/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "node/capture_failures.h"

static void the_newest_is_told_until_it_is_recorded_again(void **state)
{
    struct capture_failures failures = {0};
    size_t n = 9;

    (void)state;
    assert_null(capture_failures_newest(&failures, 0, &n));
    assert_int_equal(n, 0);
    capture_failures_note(&failures, "eth0", "gone", 10);
    capture_failures_note(&failures, "eth1", "gone too", 20);
    capture_failures_note(&failures, "eth0", "gone again", 30);
    assert_string_equal(capture_failures_newest(&failures, 30, &n)->why, "gone again");
    assert_int_equal(n, 2);
    capture_failures_mended(&failures, "eth0");
    assert_string_equal(capture_failures_newest(&failures, 30, &n)->interface, "eth1");
    assert_int_equal(n, 1);
    capture_failures_mended(&failures, "eth1");
    assert_null(capture_failures_newest(&failures, 30, &n));
}

static void an_hour_later_it_is_forgotten(void **state)
{
    struct capture_failures failures = {0};
    size_t n;

    (void)state;
    capture_failures_note(&failures, "eth0", "gone", 10);
    capture_failures_note(&failures, "eth1", "gone", 20);
    assert_non_null(capture_failures_newest(&failures, 10 + CAPTURE_FAILURE_MS, &n));
    assert_int_equal(n, 1);
    assert_null(capture_failures_newest(&failures, 20 + CAPTURE_FAILURE_MS, &n));
}

static void of_too_many_the_oldest_goes(void **state)
{
    struct capture_failures failures = {0};
    char name[16];
    size_t n;

    (void)state;
    for (int i = 0; i < CAPTURE_FAILURES_MAX + 5; i++) {
        snprintf(name, sizeof name, "eth%d", i);
        capture_failures_note(&failures, name, "gone", 1);
    }
    assert_string_equal(capture_failures_newest(&failures, 1, &n)->interface, name);
    assert_int_equal(n, CAPTURE_FAILURES_MAX);
    assert_string_equal(failures.items[0].interface, "eth5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_is_told_until_it_is_recorded_again),
        cmocka_unit_test(an_hour_later_it_is_forgotten),
        cmocka_unit_test(of_too_many_the_oldest_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
