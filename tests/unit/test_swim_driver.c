/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host and the driver may do to the core: a narrow path, events that nobody takes, a
 * damaged file, a clock of 1970.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/swarm/swim_kv.h"
#include "tests/support/swim_peers.h"

#define N_PEERS 40

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peers[N_PEERS];
    uint32_t n_events[SWIM_EVENT_CLOCK + 1]; /* by the last drain */
    size_t longest[2];                       /* datagrams to the first peer, and to all others */
};

static void drain(struct fixture *f)
{
    struct swim_action action;

    memset(f->n_events, 0, sizeof f->n_events);
    memset(f->longest, 0, sizeof f->longest);
    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        if (action.kind == SWIM_EVENT) {
            f->n_events[action.event]++;
        } else if (action.kind == SWIM_SEND) {
            size_t *longest = &f->longest[!swim_addr_is_same(&action.addr, &f->peers[0].addr)];
            *longest = action.n > *longest ? action.n : *longest;
        }
    }
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){0};
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    for (uint8_t i = 0; i < N_PEERS; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, (uint8_t)(i + 1));
        swim_test_say_alive(&f->net, &f->peers[i]);
    }
    drain(f);
}

/* ---- the path ---- */

/* Both ask for more than one datagram can hold. */
static void make_it_talk(struct fixture *f)
{
    uint8_t bin[8 * 20];
    const struct swim_frame want = {.type = SWIM_WANT, .bin = bin, .n_bin = sizeof bin};

    for (size_t i = 0; i < 20; i++) {
        put_le64(bin + i * 8, f->peers[10 + i].sid);
    }
    swim_test_say(&f->net, &f->peers[0], &want, 1);
    swim_test_say(&f->net, &f->peers[1], &want, 1);
    drain(f);
}

static void a_narrow_path_gets_shorter_datagrams(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    make_it_talk(&f);
    assert_in_range(f.longest[0], SWIM_MTU_LEAST + 1, SWIM_MTU);
    swim_on_mtu(f.net.swim, f.net.now, &f.peers[0].addr, SWIM_MTU_LEAST);
    make_it_talk(&f);
    assert_in_range(f.longest[0], 1000, SWIM_MTU_LEAST);
    assert_in_range(f.longest[1], SWIM_MTU_LEAST + 1, SWIM_MTU);
    swim_on_mtu(f.net.swim, f.net.now, NULL, 100); /* nothing is said in so few */
    make_it_talk(&f);
    assert_in_range(f.longest[1], 1000, SWIM_MTU_LEAST);
    swim_free(f.net.swim);
}

static void it_is_tried_again_after_ten_minutes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    swim_on_mtu(f.net.swim, f.net.now, NULL, SWIM_MTU_LEAST);
    assert_int_equal(f.net.swim->mtu_unknown, SWIM_MTU_LEAST);
    swim_test_pass(&f.net, SWIM_MTU_MS - 61000);
    swim_on_time(f.net.swim, f.net.now);
    make_it_talk(&f);
    assert_in_range(f.longest[0], 1000, SWIM_MTU_LEAST);
    swim_test_pass(&f.net, 61000);
    swim_on_time(f.net.swim, f.net.now);
    make_it_talk(&f);
    assert_in_range(f.longest[0], SWIM_MTU_LEAST + 1, SWIM_MTU);
    assert_int_equal(f.net.swim->mtu_unknown, 0);
    swim_free(f.net.swim);
}

static void a_greater_one_than_ours_is_not_used(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.net.swim->mtu = SWIM_MTU_LEAST; /* as the config might say */
    swim_on_mtu(f.net.swim, f.net.now, NULL, 9000);
    make_it_talk(&f);
    assert_in_range(f.longest[0], 1000, SWIM_MTU_LEAST);
    swim_free(f.net.swim);
}

/* The longest things that there are. */
static void whatever_there_is_to_say_fits_the_narrowest_path(void **state)
{
    struct fixture f;
    uint8_t value[SWIM_KV_VALUE_MAX] = {0};
    struct swim_kv kv = {
        .owner = UINT64_MAX, .version = UINT64_MAX, .value = value, .n_value = sizeof value};
    const uint8_t none[SWIM_BUCKETS * 8] = {0};
    const struct swim_frame sums = {
        .type = SWIM_DIGEST, .state = SWIM_DIGEST_SUMS, .bin = none, .n_bin = sizeof none};
    uint64_t n_kv = 0;

    (void)state;
    begin(&f);
    swim_on_mtu(f.net.swim, f.net.now, NULL, SWIM_MTU_LEAST);
    assert_int_equal(swim_kv_put(f.net.swim, f.net.now, &kv), SWIM_KV_TAKEN);
    for (uint32_t i = 0; i < 100; i++) {
        swim_test_pass(&f.net, 100);
        swim_test_say(&f.net, &f.peers[0], &sums, 1);
        swim_on_time(f.net.swim, f.net.now);
        drain(&f);
        assert_in_range(f.longest[1], 0, SWIM_MTU_LEAST);
        n_kv += f.longest[0] > sizeof value || f.longest[1] > sizeof value;
    }
    assert_true(n_kv > 0);
    swim_free(f.net.swim);
}

/* ---- events ---- */

static void change_it(struct fixture *f)
{
    f->peers[0].incarnation.seq++;
    swim_test_say_alive(&f->net, &f->peers[0]);
}

static void events_that_nobody_takes_are_lost_and_that_is_said(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (uint32_t i = 0; i < SWIM_EVENTS_MAX + 5; i++) {
        change_it(&f);
    }
    assert_int_equal(swim_get_counters(f.net.swim)->events_lost, 5);
    drain(&f);
    assert_int_equal(f.n_events[SWIM_EVENT_UPDATE], SWIM_EVENTS_MAX);
    assert_int_equal(f.n_events[SWIM_EVENT_LOST], 1);
    change_it(&f);
    drain(&f);
    assert_int_equal(f.n_events[SWIM_EVENT_UPDATE], 1);
    assert_int_equal(f.n_events[SWIM_EVENT_LOST], 0);
    swim_free(f.net.swim);
}

/* A driver that is always one behind keeps up all the same. */
static void those_that_were_taken_make_room(void **state)
{
    struct fixture f;
    struct swim_action action;

    (void)state;
    begin(&f);
    change_it(&f);
    for (uint32_t i = 0; i < SWIM_EVENTS_MAX + 5; i++) {
        change_it(&f);
        assert_true(swim_next(f.net.swim, f.net.now, &f.net.scratch, &action));
        assert_int_equal(action.event, SWIM_EVENT_UPDATE);
        assert_int_equal(action.incarnation.seq, i + 1);
    }
    assert_int_equal(swim_get_counters(f.net.swim)->events_lost, 0);
    assert_in_range(f.net.swim->cap_events, 1, 1000);
    swim_free(f.net.swim);
}

/* ---- the file ---- */

static void a_boot_that_nobody_has_persisted_is_refused(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct swim_config config = swim_test_config(&f.net, &swim_rules_lan);
    config.persisted_boot = UINT64_MAX;
    assert_null(swim_new(&config, f.net.now));
    config.persisted_boot = SWIM_BOOT_MAX;
    assert_null(swim_new(&config, f.net.now));
    config.persisted_boot = SWIM_BOOT_MAX - 1;
    struct swim *swim = swim_new(&config, f.net.now);
    assert_non_null(swim);
    assert_int_equal(swim_own_incarnation(swim).boot, SWIM_BOOT_MAX);
    swim_free(swim);
    swim_free(f.net.swim);
}

/* ---- the clock ---- */

static void begin_at(struct fixture *f, int64_t wall_ms)
{
    *f = (struct fixture){0};
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    swim_free(f->net.swim);
    const struct swim_config config = swim_test_config(&f->net, &swim_rules_lan);
    f->net.now.wall_ns = wall_ms * (int64_t)SWIM_MS;
    f->net.swim = swim_new(&config, f->net.now);
    for (uint8_t i = 0; i < 2; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, (uint8_t)(i + 1));
        swim_test_say_alive(&f->net, &f->peers[i]);
    }
    drain(f);
}

static void a_host_without_a_battery_finds_the_others_and_says_that_its_clock_is_wrong(void **state)
{
    struct fixture f;

    (void)state;
    begin_at(&f, 12000);
    assert_int_equal(swim_n_live(f.net.swim), 3);
    assert_int_equal(f.n_events[SWIM_EVENT_UP], 2);
    assert_int_equal(f.n_events[SWIM_EVENT_CLOCK], 1); /* not once for each */
    assert_int_equal(swim_get_counters(f.net.swim)->boots_ahead, 2);
    assert_int_equal(swim_own_incarnation(f.net.swim).boot, 12000);
    swim_free(f.net.swim);
}

/* Five years behind is wrong as well, but whose clock it is nobody knows. */
static void with_a_likely_clock_lives_of_another_day_are_refused_and_that_is_said(void **state)
{
    struct fixture f;

    (void)state;
    begin_at(&f, (int64_t)SWIM_TEST_WALL_MS - 25 * 3600 * 1000);
    assert_int_equal(swim_n_live(f.net.swim), 1);
    assert_int_equal(f.n_events[SWIM_EVENT_CLOCK], 1);
    assert_int_equal(swim_get_counters(f.net.swim)->boots_ahead, 2);
    swim_free(f.net.swim);
    begin_at(&f, (int64_t)SWIM_TEST_WALL_MS - 23 * 3600 * 1000);
    assert_int_equal(swim_n_live(f.net.swim), 3);
    assert_int_equal(f.n_events[SWIM_EVENT_CLOCK], 0);
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_narrow_path_gets_shorter_datagrams),
        cmocka_unit_test(it_is_tried_again_after_ten_minutes),
        cmocka_unit_test(a_greater_one_than_ours_is_not_used),
        cmocka_unit_test(whatever_there_is_to_say_fits_the_narrowest_path),
        cmocka_unit_test(events_that_nobody_takes_are_lost_and_that_is_said),
        cmocka_unit_test(those_that_were_taken_make_room),
        cmocka_unit_test(a_boot_that_nobody_has_persisted_is_refused),
        cmocka_unit_test(
            a_host_without_a_battery_finds_the_others_and_says_that_its_clock_is_wrong),
        cmocka_unit_test(with_a_likely_clock_lives_of_another_day_are_refused_and_that_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
