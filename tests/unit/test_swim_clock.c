/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/swarm/swim_clock.h"

#define SECOND (1000 * SWIM_MS)
#define HOUR   (INT64_C(3600) * 1000000000)
#define WALL   INT64_C(1700000000000000000)
#define MONO   (50 * SECOND) /* when clocks start here */
#define LOW    UINT64_C(0x1111111100000001)
#define MIDDLE UINT64_C(0x5555555500000001)
#define HIGH   UINT64_C(0x9999999900000001)
#define BOOT   UINT64_C(1700000000123)

static struct swim_now at(uint64_t mono_ns)
{
    return (struct swim_now){.mono_ns = mono_ns, .wall_ns = WALL + (int64_t)(mono_ns - MONO)};
}

static struct swim_clock start(uint64_t self, bool anchor)
{
    struct swim_clock clock;

    swim_clock_init(&clock, self, BOOT, anchor, 0, at(MONO));
    return clock;
}

/* `clock` hears of the timeline of `of`, whose clock is `ahead` of its own, within `bound`. */
static bool hear(struct swim_clock *clock, const struct swim_clock *of, int64_t ahead,
                 uint64_t bound, uint64_t mono_ns)
{
    struct swim_estimate offset = {.theta_ns = ahead, .bound_ns = bound};
    struct swim_clock_view view = swim_clock_get(of, mono_ns);

    return swim_clock_take(clock, &offset, &view, mono_ns, mono_ns);
}

/* Two that met and stayed together until they count as settled. */
static void settle(struct swim_clock *a, struct swim_clock *b, uint64_t mono_ns)
{
    (void)hear(a, b, 0, 1000, mono_ns);
    (void)hear(b, a, 0, 1000, mono_ns);
}

/* ---- the steady clock ---- */

static void no_step_moves_the_steady_clock(void **state)
{
    struct swim_clock clock = start(LOW, false);
    struct swim_now now = at(MONO + SECOND);

    (void)state;
    assert_int_equal(swim_clock_steady(&clock, MONO), WALL);
    assert_false(swim_clock_look(&clock, now));
    now.wall_ns += HOUR;
    assert_true(swim_clock_look(&clock, now));
    assert_false(swim_clock_look(&clock, now));
    assert_int_equal(clock.wall_ns, HOUR);
    assert_int_equal(swim_clock_steady(&clock, now.mono_ns), WALL + (int64_t)SECOND);
    assert_int_equal(swim_clock_mono(&clock, WALL + (int64_t)SECOND), MONO + SECOND);

    uint64_t bound;
    assert_int_equal(swim_clock_correction(&clock, now, &bound), -HOUR);
    assert_int_equal(bound, SWIM_CLOCK_STEP);
    struct swim_estimate offset = {.theta_ns = 5000};
    assert_int_equal(swim_clock_wall_offset(&clock, &offset, 70), 5070 - HOUR);
    assert_int_equal(swim_clock_wall_offset(&clock, &offset, INT64_MIN), INT64_MIN);
}

static void reading_the_clocks_apart_is_no_step(void **state)
{
    struct swim_clock clock = start(LOW, false);
    struct swim_now now = at(MONO + SECOND);

    (void)state;
    now.wall_ns -= SWIM_CLOCK_STEP;
    assert_false(swim_clock_look(&clock, now));
    now.wall_ns -= 1;
    assert_true(swim_clock_look(&clock, now));
}

static void receive_stamps_count_unless_a_step_spoiled_them(void **state)
{
    struct swim_clock clock = start(LOW, false);
    struct swim_now now = at(MONO + 10 * SECOND);
    int64_t steady = WALL + (int64_t)(10 * SECOND);

    (void)state;
    assert_int_equal(swim_clock_received(&clock, now, 0), steady);
    assert_int_equal(swim_clock_received(&clock, now, now.wall_ns - 7000), steady - 7000);
    assert_int_equal(swim_clock_received(&clock, now, now.wall_ns + 1), steady); /* of the future */
    assert_int_equal(swim_clock_received(&clock, now, now.wall_ns - 2 * (int64_t)SECOND), steady);
    assert_int_equal(swim_clock_received(&clock, now, INT64_MIN), steady);
    assert_int_equal(swim_clock_received(&clock, now, INT64_MAX), steady);

    /* A step of 1 ms forward: what was stamped 5 µs before it looks 1.005 ms old. */
    now.wall_ns += 1000000;
    assert_true(swim_clock_look(&clock, now));
    assert_int_equal(swim_clock_received(&clock, now, now.wall_ns - 1005000), steady);
    now.mono_ns += 3 * SWIM_MS;
    now.wall_ns += 3000000;
    assert_int_equal(swim_clock_received(&clock, now, now.wall_ns - 2000000), steady + 1000000);
    assert_int_equal(swim_clock_received(&clock, now, now.wall_ns - 3000001), steady + 3000000);
}

static void send_stamps_count_when_they_can_be_no_later_than_the_truth(void **state)
{
    struct swim_clock clock = start(LOW, false);
    struct swim_now now = at(MONO + SECOND);
    int64_t steady = swim_clock_steady(&clock, now.mono_ns);
    int64_t made = steady - 60000;

    (void)state;
    assert_int_equal(swim_clock_sent(&clock, now, now.wall_ns - 9000, made), steady - 9000);
    assert_int_equal(swim_clock_sent(&clock, now, now.wall_ns, made), steady);
    /* Of the future, of before it was made, of long ago: of something else. */
    assert_int_equal(swim_clock_sent(&clock, now, now.wall_ns + 1, made), made);
    assert_int_equal(swim_clock_sent(&clock, now, now.wall_ns - 60001, made), made);
    assert_int_equal(
        swim_clock_sent(&clock, now, now.wall_ns - 11 * (int64_t)SWIM_MS, steady - (int64_t)SECOND),
        steady - (int64_t)SECOND);
    assert_int_equal(swim_clock_sent(&clock, now, INT64_MIN, made), made);
    assert_int_equal(swim_clock_sent(&clock, now, INT64_MAX, made), made);
    /* Sent 50 us ago, and then the clock was set back by 30: it would look sent 20 us ago. */
    struct swim_now set = {.mono_ns = now.mono_ns, .wall_ns = now.wall_ns - 30000};
    assert_int_equal(swim_clock_sent(&clock, set, now.wall_ns - 50000, made), made);
}

static void nonsense_of_a_wall_clock_is_survived(void **state)
{
    static const int64_t walls[] = {INT64_MIN, -1, 0, SWIM_STAMP_MAX, INT64_MAX};
    struct swim_clock clock;

    (void)state;
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        struct swim_now now = {.mono_ns = 9, .wall_ns = walls[i]};
        swim_clock_init(&clock, LOW, BOOT, false, 0, now);
        assert_int_equal(swim_clock_steady(&clock, 9), 0);
        now.wall_ns = walls[sizeof walls / sizeof walls[0] - 1 - i];
        (void)swim_clock_look(&clock, now);
        assert_in_range(swim_clock_received(&clock, now, walls[i]), 0, SWIM_STAMP_MAX - 1);
    }
    assert_int_equal(swim_clock_steady(&clock, UINT64_MAX), SWIM_STAMP_MAX - 1);
    assert_int_equal(swim_clock_steady(&clock, 0), 0);
}

/* ---- timelines ---- */

static void the_least_of_newcomers_is_the_root(void **state)
{
    struct swim_clock low = start(LOW, false), high = start(HIGH, false);

    (void)state;
    assert_false(hear(&low, &high, -700, 40, MONO + 1));
    assert_true(hear(&high, &low, 700, 40, MONO + 1));
    struct swim_clock_view view = swim_clock_get(&high, MONO + 1);
    assert_int_equal(view.root, swim_clock_get(&low, MONO + 1).root);
    assert_int_equal(view.x_ns, 700);
    assert_int_equal(view.bound_ns, 40);
    assert_int_equal(swim_clock_get(&high, MONO + 1 + SECOND).bound_ns, 40 + 501000);
    assert_int_equal(swim_clock_get(&low, MONO + 1 + SECOND).bound_ns, 0);
    assert_int_equal(swim_clock_swarm_ns(&high, MONO + 1), WALL + 1 + 700);
}

static void a_view_ages_on_its_way(void **state)
{
    struct swim_clock low = start(LOW, false), high = start(HIGH, false);
    struct swim_clock_view view = swim_clock_get(&low, MONO);
    struct swim_estimate offset = {.bound_ns = 40};

    (void)state;
    assert_true(swim_clock_take(&high, &offset, &view, MONO, MONO + SECOND));
    assert_int_equal(swim_clock_get(&high, MONO + SECOND).bound_ns, 40 + 501000);
}

static void a_newcomer_follows_whoever_settled(void **state)
{
    struct swim_clock middle = start(MIDDLE, false), high = start(HIGH, false);
    struct swim_clock low = start(LOW, false);
    uint64_t now = MONO + 2 + SWIM_CLOCK_SETTLE;

    (void)state;
    settle(&middle, &high, MONO + 1);
    assert_int_equal(swim_clock_get(&middle, now).rank, SWIM_RANK_FREE);
    assert_false(hear(&high, &low, 0, 0, now));
    assert_true(hear(&low, &high, 0, 0, now));
    assert_int_equal(swim_clock_get(&low, now).root, middle.own_root);
    /* Whoever is told that it settled need not wait. */
    assert_int_equal(swim_clock_get(&low, now).rank, SWIM_RANK_FREE);
}

static void nobody_settles_alone(void **state)
{
    struct swim_clock low = start(LOW, false);

    (void)state;
    assert_int_equal(swim_clock_get(&low, MONO + 1000 * SECOND).rank, SWIM_RANK_FREE_NEW);
}

static void an_anchor_wins_even_over_what_settled(void **state)
{
    struct swim_clock low = start(LOW, false), middle = start(MIDDLE, false);
    struct swim_clock high = start(HIGH, true);
    uint64_t now = MONO + 2 + SWIM_CLOCK_SETTLE;

    (void)state;
    settle(&low, &middle, MONO + 1);
    assert_false(hear(&high, &low, 0, 0, now));
    assert_true(hear(&low, &high, 0, 0, now));
    assert_int_equal(swim_clock_get(&low, now).rank, SWIM_RANK_ANCHOR_NEW);
    assert_true(hear(&middle, &low, 0, 0, now));
    assert_int_equal(swim_clock_get(&middle, now).root, high.own_root);
}

static void swarm_time_goes_on_without_its_root(void **state)
{
    struct swim_clock low = start(LOW, false), middle = start(MIDDLE, false);
    struct swim_clock high = start(HIGH, false);
    uint64_t now = MONO + SECOND;

    (void)state;
    assert_true(hear(&middle, &low, 900, 10, now));
    assert_true(hear(&high, &low, 300, 10, now));
    swim_clock_lose_root(&middle, now);
    swim_clock_lose_root(&high, now);
    assert_int_equal(swim_clock_get(&middle, now).x_ns, 900);
    assert_int_equal(swim_clock_get(&middle, now).bound_ns, 0);
    assert_true(swim_root_is_of(middle.view.root, MIDDLE, BOOT));
    assert_int_equal(swim_clock_get(&middle, now).rank, SWIM_RANK_FREE_NEW);
    assert_true(hear(&high, &middle, -600, 10, now));
    assert_int_equal(swim_clock_get(&high, now).x_ns, 300);
    /* Newcomers would not follow survivors that count as new. */
    now += SWIM_CLOCK_SETTLE;
    swim_clock_lose_root(&high, now);
    assert_int_equal(high.view.rank, SWIM_RANK_FREE);
    /* A root cannot be lost by itself. */
    uint64_t root = middle.view.root;
    swim_clock_lose_root(&middle, now);
    assert_int_equal(middle.view.root, root);
}

/* The first timeline had x = 0, the second has 900: not the same time, so not the same root. */
static void each_timeline_of_a_node_is_another_root(void **state)
{
    struct swim_clock low = start(LOW, false), middle = start(MIDDLE, false);
    uint64_t first = middle.view.root;

    (void)state;
    assert_true(hear(&middle, &low, 900, 10, MONO));
    swim_clock_lose_root(&middle, MONO);
    assert_true(middle.view.root < first); /* it wins over what is left of the first */
    assert_true(swim_root_is_of(first, MIDDLE, BOOT));
    assert_false(swim_root_is_of(first, HIGH, BOOT));
    for (uint64_t boot = BOOT + 1; boot < BOOT + 100000; boot += 1 + boot / 7 % 999) {
        assert_false(swim_root_is_of(first, MIDDLE, boot));
    }
}

/* Nobody is its source any more: following it, all bounds would grow for ever. */
static void an_abandoned_timeline_is_outbid_by_who_founded_it(void **state)
{
    struct swim_clock low = start(LOW, false), middle = start(MIDDLE, false);
    struct swim_clock high = start(HIGH, false), other = start(HIGH + 1, true);
    uint64_t now = MONO + SECOND;

    (void)state;
    assert_true(hear(&high, &middle, 0, 10, now)); /* stays on the first one */
    assert_true(hear(&middle, &low, 900, 10, now));
    swim_clock_lose_root(&middle, now);
    assert_true(hear(&middle, &other, 0, 10, now));
    high.view.rank = SWIM_RANK_ANCHOR;
    uint64_t abandoned = high.view.root;
    assert_true(hear(&middle, &high, 0, 10, now));
    assert_true(middle.view.root == middle.own_root && middle.own_root < abandoned);
    assert_int_equal(swim_clock_get(&middle, now).rank, SWIM_RANK_ANCHOR);
    assert_true(hear(&high, &middle, 0, 10, now));
    assert_int_equal(high.view.root, middle.own_root);
}

static void the_own_timeline_comes_back_exact(void **state)
{
    struct swim_clock low = start(LOW, false), middle = start(MIDDLE, false);
    struct swim_clock high = start(HIGH, false);

    (void)state;
    assert_true(hear(&high, &middle, 0, 10, MONO));
    assert_true(hear(&middle, &low, 900, 10, MONO));
    high.view.rank = SWIM_RANK_FREE; /* settled meanwhile */
    assert_true(hear(&middle, &high, 5, 10, MONO));
    assert_int_equal(swim_clock_get(&middle, MONO + SECOND).x_ns, 0);
    assert_int_equal(swim_clock_get(&middle, MONO + SECOND).bound_ns, 0);
}

static void what_two_say_is_cut_to_what_both_allow(void **state)
{
    struct swim_clock low = start(LOW, false), high = start(HIGH, false);

    (void)state;
    assert_true(hear(&high, &low, 1000, 100, MONO));
    assert_false(hear(&high, &low, 1150, 100, MONO));
    assert_int_equal(swim_clock_get(&high, MONO).x_ns, 1075);
    assert_int_equal(swim_clock_get(&high, MONO).bound_ns, 25);
}

static void a_contradiction_is_believed_when_it_insists(void **state)
{
    struct swim_clock low = start(LOW, false), high = start(HIGH, false);

    (void)state;
    assert_true(hear(&high, &low, 1000, 100, MONO));
    (void)hear(&high, &low, 5000, 100, MONO);
    (void)hear(&high, &low, 5000, 100, MONO);
    (void)hear(&high, &low, 1000, 100, MONO); /* one that agrees: the doubts are over */
    (void)hear(&high, &low, 5000, 100, MONO);
    (void)hear(&high, &low, 5000, 100, MONO);
    assert_int_equal(swim_clock_get(&high, MONO).x_ns, 1000);
    (void)hear(&high, &low, 5000, 100, MONO);
    assert_int_equal(swim_clock_get(&high, MONO).x_ns, 5000);
    /* Not by a root, of its own clock. */
    uint64_t x = (uint64_t)low.view.x_ns;
    for (int i = 0; i < 5; i++) {
        (void)hear(&low, &high, 77777, 1, MONO);
    }
    assert_int_equal(low.view.x_ns, x);
}

static void bounds_travel_rounded_up_with_their_rank(void **state)
{
    struct swim_clock_view view = {.bound_ns = 47001, .rank = SWIM_RANK_FREE}, back = {0};

    (void)state;
    assert_int_equal(swim_clock_pack_bound(&view), 48 << 2 | 2);
    swim_clock_unpack_bound(48 << 2 | 2, &back);
    assert_int_equal(back.bound_ns, 48000);
    assert_int_equal(back.rank, SWIM_RANK_FREE);
    view.bound_ns = UINT64_MAX;
    swim_clock_unpack_bound(swim_clock_pack_bound(&view), &back);
    assert_int_equal(back.bound_ns, UINT64_MAX);
    swim_clock_unpack_bound(UINT64_MAX, &back);
    assert_int_equal(back.bound_ns, UINT64_MAX);
}

/* UBSan watches. */
static void extremes_of_a_peer_are_harmless(void **state)
{
    static const int64_t ends[] = {
        INT64_MIN,          -SWIM_STAMP_MAX, -SWIM_STAMP_MAX + 1, -WALL, -1, 0, 1, WALL,
        SWIM_STAMP_MAX - 1, INT64_MAX};
    static const uint64_t bounds[] = {0, 1, SWIM_STAMP_MAX, UINT64_MAX};
    enum { N = sizeof ends / sizeof ends[0] };
    struct swim_clock clock = start(HIGH, false);

    (void)state;
    for (uint32_t i = 0; i < N * N * 4 * 4 * 4; i++) {
        struct swim_estimate offset = {.theta_ns = ends[i % N], .bound_ns = bounds[i / 100 % 4]};
        struct swim_clock_view view = {.root = i % 7 + 1,
                                       .x_ns = ends[i / N % N],
                                       .bound_ns = bounds[i / 400 % 4],
                                       .rank = i / 1600 % 4};
        (void)swim_clock_take(&clock, &offset, &view, (uint64_t)ends[i % 5], MONO + i);
        assert_in_range(swim_clock_swarm_ns(&clock, MONO + i), 0, SWIM_STAMP_MAX + SECOND);
        if (i % 50 == 0) {
            swim_clock_lose_root(&clock, MONO + i);
        }
    }
    assert_true(clock.n_founded > 10);
}

static void what_the_last_life_knew_goes_on(void **state)
{
    static const int64_t nonsense[] = {INT64_MIN, INT64_MAX, -WALL - 1, SWIM_STAMP_MAX / 2};
    struct swim_clock clock;
    uint64_t bound;

    (void)state;
    swim_clock_init(&clock, LOW, BOOT, false, -30 * (int64_t)SECOND, at(MONO));
    assert_int_equal(swim_clock_swarm_ns(&clock, MONO), WALL - 30 * (int64_t)SECOND);
    assert_int_equal(swim_clock_correction(&clock, at(MONO + SECOND), &bound),
                     -30 * (int64_t)SECOND);
    struct swim_clock_view view = swim_clock_get(&clock, MONO + SECOND);
    assert_int_equal(view.x_ns, -30 * (int64_t)SECOND);
    assert_int_equal(view.rank, SWIM_RANK_FREE_NEW); /* it moves nobody's time all the same */
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        swim_clock_init(&clock, LOW, BOOT, false, nonsense[i], at(MONO));
        assert_int_equal(swim_clock_swarm_ns(&clock, MONO), WALL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_step_moves_the_steady_clock),
        cmocka_unit_test(reading_the_clocks_apart_is_no_step),
        cmocka_unit_test(receive_stamps_count_unless_a_step_spoiled_them),
        cmocka_unit_test(send_stamps_count_when_they_can_be_no_later_than_the_truth),
        cmocka_unit_test(nonsense_of_a_wall_clock_is_survived),
        cmocka_unit_test(the_least_of_newcomers_is_the_root),
        cmocka_unit_test(a_view_ages_on_its_way),
        cmocka_unit_test(a_newcomer_follows_whoever_settled),
        cmocka_unit_test(nobody_settles_alone),
        cmocka_unit_test(an_anchor_wins_even_over_what_settled),
        cmocka_unit_test(swarm_time_goes_on_without_its_root),
        cmocka_unit_test(each_timeline_of_a_node_is_another_root),
        cmocka_unit_test(an_abandoned_timeline_is_outbid_by_who_founded_it),
        cmocka_unit_test(the_own_timeline_comes_back_exact),
        cmocka_unit_test(what_two_say_is_cut_to_what_both_allow),
        cmocka_unit_test(a_contradiction_is_believed_when_it_insists),
        cmocka_unit_test(bounds_travel_rounded_up_with_their_rank),
        cmocka_unit_test(extremes_of_a_peer_are_harmless),
        cmocka_unit_test(what_the_last_life_knew_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
