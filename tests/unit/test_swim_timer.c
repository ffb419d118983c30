/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap of timers, by hand and against a model that is a plain list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_random.h"
#include "shared/swarm/swim_timer.h"

static void the_earliest_is_popped_first_and_only_when_due(void **state)
{
    static const uint64_t due[] = {50, 10, 40, 20, 30};
    struct swim_timers timers = {0};
    struct swim_timer t[5] = {0};

    (void)state;
    assert_true(swim_timers_next(&timers) == UINT64_MAX);
    assert_null(swim_timers_pop(&timers, UINT64_MAX));
    for (unsigned i = 0; i < 5; i++) {
        swim_timer_arm(&timers, &t[i], due[i]);
    }
    for (uint64_t now = 10; now <= 50; now += 10) {
        assert_true(swim_timers_next(&timers) == now);
        assert_null(swim_timers_pop(&timers, now - 1));
        struct swim_timer *popped = swim_timers_pop(&timers, now);
        assert_non_null(popped);
        assert_true(popped->due_ns == now);
        assert_false(swim_timer_is_armed(popped));
    }
    assert_int_equal(timers.n, 0);
    swim_timers_deinit(&timers);
}

static void equal_times_go_in_the_order_of_arming(void **state)
{
    struct swim_timers timers = {0};
    struct swim_timer t[40] = {0};

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        swim_timer_arm(&timers, &t[i], 7);
    }
    swim_timer_arm(&timers, &t[3], 7); /* again: it goes behind the others */
    for (unsigned i = 0; i < 40; i++) {
        if (i != 3) {
            assert_ptr_equal(swim_timers_pop(&timers, 7), &t[i]);
        }
    }
    assert_ptr_equal(swim_timers_pop(&timers, 7), &t[3]);
    swim_timers_deinit(&timers);
}

static void an_armed_timer_is_moved_not_doubled(void **state)
{
    struct swim_timers timers = {0};
    struct swim_timer a = {0};
    struct swim_timer b = {0};

    (void)state;
    swim_timer_arm(&timers, &a, 10);
    swim_timer_arm(&timers, &b, 20);
    swim_timer_arm(&timers, &a, 30);
    assert_int_equal(timers.n, 2);
    assert_ptr_equal(swim_timers_pop(&timers, 100), &b);
    swim_timer_arm(&timers, &a, 5);
    assert_true(swim_timers_next(&timers) == 5);
    assert_ptr_equal(swim_timers_pop(&timers, 100), &a);
    assert_null(swim_timers_pop(&timers, 100));
    swim_timers_deinit(&timers);
}

static void a_cancelled_timer_never_acts(void **state)
{
    struct swim_timers timers = {0};
    struct swim_timer t[3] = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        swim_timer_arm(&timers, &t[i], i);
    }
    swim_timer_cancel(&timers, &t[0]);
    swim_timer_cancel(&timers, &t[0]); /* once more changes nothing */
    assert_false(swim_timer_is_armed(&t[0]));
    assert_ptr_equal(swim_timers_pop(&timers, 9), &t[1]);
    swim_timer_cancel(&timers, &t[1]); /* has acted already */
    assert_ptr_equal(swim_timers_pop(&timers, 9), &t[2]);
    assert_null(swim_timers_pop(&timers, 9));
    swim_timers_deinit(&timers);
}

static void no_token_comes_twice(void **state)
{
    struct swim_timers timers = {0};
    struct swim_timer a = {0};
    struct swim_timer b = {0};
    uint64_t last = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct swim_timer *t = i % 3 == 0 ? &a : &b;
        swim_timer_arm(&timers, t, i);
        assert_true(t->token > last);
        last = t->token;
        if (i % 5 == 0) {
            swim_timer_cancel(&timers, t);
        }
        if (i % 7 == 0) {
            (void)swim_timers_pop(&timers, UINT64_MAX);
        }
    }
    swim_timers_deinit(&timers);
    assert_false(swim_timer_is_armed(&a) || swim_timer_is_armed(&b));
    swim_timer_arm(&timers, &a, 1); /* nor after the end of the heap */
    assert_true(a.token > last);
    swim_timers_deinit(&timers);
}

#define N_TIMERS 200
#define N_STEPS  20000

static struct swim_timer *model_first(struct swim_timer *t, const bool *armed)
{
    struct swim_timer *first = NULL;

    for (unsigned i = 0; i < N_TIMERS; i++) {
        if (armed[i] && (first == NULL || t[i].due_ns < first->due_ns ||
                         (t[i].due_ns == first->due_ns && t[i].token < first->token))) {
            first = &t[i];
        }
    }
    return first;
}

static void model_step(struct swim_random *random, struct swim_timers *timers, struct swim_timer *t,
                       bool *armed, uint64_t *now)
{
    uint64_t i = swim_random_below(random, N_TIMERS);
    struct swim_timer *first;

    switch (swim_random_below(random, 4)) {
    case 0:
    case 1:
        swim_timer_arm(timers, &t[i], *now + swim_random_below(random, 64));
        armed[i] = true;
        break;
    case 2:
        swim_timer_cancel(timers, &t[i]);
        armed[i] = false;
        break;
    default:
        *now += swim_random_below(random, 4);
        first = model_first(t, armed);
        if (first != NULL && first->due_ns > *now) {
            first = NULL;
        }
        assert_ptr_equal(swim_timers_pop(timers, *now), first);
        if (first != NULL) {
            armed[first - t] = false;
        }
        break;
    }
}

static void any_order_of_calls_gives_what_a_list_gives(void **state)
{
    static const uint8_t seed[32] = {4};
    static struct swim_timer t[N_TIMERS];
    static bool armed[N_TIMERS];
    struct swim_timers timers = {0};
    struct swim_random random;
    uint64_t now = 0;

    (void)state;
    swim_random_init(&random, seed);
    for (unsigned step = 0; step < N_STEPS; step++) {
        model_step(&random, &timers, t, armed, &now);
        struct swim_timer *first = model_first(t, armed);
        assert_true(swim_timers_next(&timers) == (first == NULL ? UINT64_MAX : first->due_ns));
        uint64_t i = swim_random_below(&random, N_TIMERS);
        assert_int_equal(swim_timer_is_armed(&t[i]), armed[i]);
    }
    swim_timers_deinit(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_is_popped_first_and_only_when_due),
        cmocka_unit_test(equal_times_go_in_the_order_of_arming),
        cmocka_unit_test(an_armed_timer_is_moved_not_doubled),
        cmocka_unit_test(a_cancelled_timer_never_acts),
        cmocka_unit_test(no_token_comes_twice),
        cmocka_unit_test(any_order_of_calls_gives_what_a_list_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
