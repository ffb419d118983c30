/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders of an operator in whole swarms: they reach all, also who comes later or was away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "shared/swarm/swim_kv.h"
#include "tests/sim/sim.h"

#define NODES    16
#define SUBJECT  5 /* of orders; in the lower half */
#define OPERATOR 2 /* the node that is asked, in the same half */
#define MINUTE   60000

static bool holds_up(struct swim_sim *sim, uint32_t node)
{
    struct swim_view view;

    return swim_member_get(swim_sim_core(sim, node), swim_sim_sid(sim, SUBJECT), &view) &&
           (view.state == SWIM_ALIVE || view.state == SWIM_SUSPECT);
}

/* How many of the running others hold the subject up, in from … to − 1. */
static uint32_t n_that_hold_up(struct swim_sim *sim, uint32_t from, uint32_t to)
{
    uint32_t n = 0;

    for (uint32_t i = from; i < to; i++) {
        n += i != SUBJECT && swim_sim_is_running(sim, i) && holds_up(sim, i);
    }
    return n;
}

static bool nobody_holds_it_up(struct swim_sim *sim, uint32_t unused)
{
    (void)unused;
    return n_that_hold_up(sim, 0, NODES) == 0;
}

static bool nobody_knows_it(struct swim_sim *sim, uint32_t unused)
{
    struct swim_view view;

    (void)unused;
    for (uint32_t i = 0; i < NODES; i++) {
        if (i != SUBJECT && swim_sim_is_running(sim, i) &&
            swim_member_get(swim_sim_core(sim, i), swim_sim_sid(sim, SUBJECT), &view)) {
            return false;
        }
    }
    return true;
}

static bool all_have_the_orders(struct swim_sim *sim, uint32_t n)
{
    for (uint32_t i = 0; i < NODES; i++) {
        if (swim_sim_is_running(sim, i) && swim_n_orders(swim_sim_core(sim, i)) != n) {
            return false;
        }
    }
    return true;
}

static void order(struct swim_sim *sim, enum swim_order_kind kind)
{
    struct swim_view view;

    assert_true(swim_member_get(swim_sim_core(sim, OPERATOR), swim_sim_sid(sim, SUBJECT), &view));
    assert_int_equal(swim_order(swim_sim_core(sim, OPERATOR), swim_sim_time_of(sim, OPERATOR), kind,
                                &view.id, NULL),
                     SWIM_ORDER_TAKEN);
    swim_sim_drain(sim, OPERATOR);
}

static struct swim_sim *agreed(uint64_t seed)
{
    struct swim_sim *sim = swim_sim_new(&(struct swim_sim_opts){.seed = seed, .n_nodes = NODES});

    swim_sim_start_all(sim);
    assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 10000));
    return sim;
}

static void end(struct swim_sim *sim)
{
    if (swim_sim_failure(sim) != NULL) {
        print_error("%s\n", swim_sim_failure(sim));
    }
    assert_null(swim_sim_failure(sim));
    swim_sim_free(sim);
}

static void who_is_banned_is_out_within_two_seconds_and_stays_so(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct swim_sim *sim = agreed(seed);

        swim_sim_set_sick(sim, SUBJECT, true);
        order(sim, SWIM_BAN);
        assert_true(swim_sim_run_until(sim, nobody_holds_it_up, 0, 2000));
        swim_sim_restart(sim, SUBJECT);
        for (unsigned i = 0; i < 60; i++) {
            assert_true(swim_sim_run_for(sim, 1000));
            assert_int_equal(n_that_hold_up(sim, 0, NODES), 0);
        }
        end(sim);
    }
}

static void a_ban_reaches_who_was_cut_off_and_who_comes_later(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct swim_sim *sim = agreed(seed);

        swim_sim_set_sick(sim, SUBJECT, true);
        swim_sim_partition(sim, swim_sim_halves);
        order(sim, SWIM_BAN);
        assert_true(swim_sim_run_for(sim, 30000));
        assert_true(!all_have_the_orders(sim, 1));
        swim_sim_restart_afresh(sim, OPERATOR + 1); /* it comes back with nothing */
        swim_sim_heal(sim);
        swim_sim_set_sick(sim, SUBJECT, true);
        assert_true(swim_sim_run_until(sim, all_have_the_orders, 1, MINUTE));
        assert_int_equal(n_that_hold_up(sim, 0, NODES), 0);
        end(sim);
    }
}

static void who_is_no_longer_banned_is_back_by_itself(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct swim_sim *sim = agreed(seed);

        swim_sim_set_sick(sim, SUBJECT, true);
        order(sim, SWIM_BAN);
        assert_true(swim_sim_run_for(sim, MINUTE));
        order(sim, SWIM_UNBAN);
        assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 30000));
        end(sim);
    }
}

static void who_is_forgotten_is_unknown_to_all_until_it_lives_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct swim_sim *sim = agreed(seed);

        swim_sim_kill(sim, SUBJECT);
        assert_true(swim_sim_run_until(sim, swim_sim_all_know_gone, SUBJECT, 15000));
        order(sim, SWIM_FORGET);
        assert_true(swim_sim_run_until(sim, nobody_knows_it, 0, 2000));
        for (unsigned i = 0; i < 120; i++) {
            assert_true(swim_sim_run_for(sim, 1000));
            assert_true(nobody_knows_it(sim, 0));
        }
        swim_sim_start(sim, SUBJECT);
        assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 10000));
        end(sim);
    }
}

/* It was cut off, not gone. */
static void who_was_forgotten_wrongly_is_back_under_a_life_behind_that(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct swim_sim *sim = agreed(seed);

        swim_sim_set_sick(sim, SUBJECT, true);
        swim_sim_isolate(sim, SUBJECT);
        assert_true(swim_sim_run_until(sim, nobody_holds_it_up, 0, 30000));
        order(sim, SWIM_FORGET);
        assert_true(swim_sim_run_until(sim, nobody_knows_it, 0, 2000));
        swim_sim_heal(sim);
        assert_true(swim_sim_run_until(sim, swim_sim_all_agree, 0, 45000));
        end(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_banned_is_out_within_two_seconds_and_stays_so),
        cmocka_unit_test(a_ban_reaches_who_was_cut_off_and_who_comes_later),
        cmocka_unit_test(who_is_no_longer_banned_is_back_by_itself),
        cmocka_unit_test(who_is_forgotten_is_unknown_to_all_until_it_lives_again),
        cmocka_unit_test(who_was_forgotten_wrongly_is_back_under_a_life_behind_that),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
