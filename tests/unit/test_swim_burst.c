/* SPDX-License-Identifier: Apache-2.0
 *
 * Bursts of pings that measure clocks: who is asked, at which pace, what an answer brings, and that
 * neither it nor silence says who is well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

#define N_PEERS 3

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peers[N_PEERS + 1];
    uint32_t n_pings[N_PEERS + 1];
    uint64_t round_trip_ns; /* of answers; 0: none is given */
    int64_t offset_ns;      /* of the peers' clocks */
    uint64_t root;          /* the timeline that they say they follow */
    enum swim_rank rank;
    uint64_t sent_after_ns; /* a ping was made; 0: the core is not told */
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){0};
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    for (uint8_t i = 1; i <= N_PEERS; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, i);
        swim_test_say_alive(&f->net, &f->peers[i]);
    }
    /* What a newcomer does on its own is not what is looked at. */
    f->net.swim->settles_left = 0;
    swim_timer_cancel(&f->net.swim->timers, &f->net.swim->own_timers[TIMER_PROBE]);
}

static void answer(struct fixture *f, struct swim_test_peer *peer, const struct swim_frame *ping)
{
    int64_t half = (int64_t)(f->sent_after_ns + f->round_trip_ns / 2);
    struct swim_frame ack = {.type = SWIM_ACK,
                             .seq = ping->seq,
                             .root = f->root,
                             .x_bound_ns = f->rank, /* packed: a bound of 0 */
                             .t2 = ping->t1 + half + f->offset_ns,
                             .t3 = ping->t1 + half + f->offset_ns};

    f->net.now.mono_ns += f->round_trip_ns;
    f->net.now.wall_ns += (int64_t)f->round_trip_ns;
    swim_test_say(&f->net, peer, &ack, 1);
}

static void tell_sent(struct fixture *f, uint64_t ping)
{
    if (f->sent_after_ns > 0) {
        f->net.now.mono_ns += f->sent_after_ns;
        f->net.now.wall_ns += (int64_t)f->sent_after_ns;
        swim_on_sent(f->net.swim, f->net.now, ping + 1, f->net.now.wall_ns); /* nobody's */
        swim_on_sent(f->net.swim, f->net.now, ping, f->net.now.wall_ns);
    }
}

/* Takes what the core sends; counts its pings, and answers them. */
static void drain(struct fixture *f)
{
    struct swim_action action;

    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        struct swim_frame frame;
        if (action.kind != SWIM_SEND) {
            continue;
        }
        struct unpack run =
            unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
        if (!swim_test_next_frame(&run, &frame) || frame.type != SWIM_PING) {
            continue;
        }
        for (int i = 1; i <= N_PEERS; i++) {
            if (frame.sid == f->peers[i].sid) {
                f->n_pings[i]++;
                assert_int_equal(action.ping, frame.seq);
                tell_sent(f, action.ping);
                if (f->round_trip_ns > 0) {
                    answer(f, &f->peers[i], &frame);
                }
            }
        }
    }
}

static void pass(struct fixture *f, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        swim_test_pass(&f->net, 1);
        if (swim_deadline(f->net.swim) <= f->net.now.mono_ns) {
            swim_on_time(f->net.swim, f->net.now);
        }
        drain(f);
    }
}

static void eight_pings_go_to_each_at_a_pace(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    drain(&f);
    memset(f.n_pings, 0, sizeof f.n_pings);
    const uint64_t sids[] = {f.peers[1].sid, f.peers[2].sid};
    assert_int_equal(swim_burst(f.net.swim, f.net.now, sids, 2), 2);
    pass(&f, 2);
    assert_in_range(f.n_pings[1] + f.n_pings[2], 1, 2);
    pass(&f, 2 * SWIM_BURST_PINGS * SWIM_BURST_GAP_MS);
    assert_int_equal(f.n_pings[1], SWIM_BURST_PINGS);
    assert_int_equal(f.n_pings[2], SWIM_BURST_PINGS);
    assert_int_equal(f.n_pings[3], 0);
    assert_int_equal(swim_get_counters(f.net.swim)->burst_pings, 2 * SWIM_BURST_PINGS);
    swim_free(f.net.swim);
}

static void who_is_asked_again_meanwhile_is_asked_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    drain(&f);
    memset(f.n_pings, 0, sizeof f.n_pings);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(swim_burst(f.net.swim, f.net.now, &f.peers[1].sid, 1), 1);
    }
    pass(&f, 4 * SWIM_BURST_PINGS * SWIM_BURST_GAP_MS);
    assert_int_equal(f.n_pings[1], SWIM_BURST_PINGS);
    swim_free(f.net.swim);
}

static void strangers_and_oneself_are_not_asked(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    const uint64_t sids[] = {0, 4711, swim_self(f.net.swim)};
    assert_int_equal(swim_burst(f.net.swim, f.net.now, sids, 3), 0);
    swim_free(f.net.swim);
}

static void the_quickest_answer_bounds_the_clock(void **state)
{
    struct fixture f;
    struct swim_wall_offset offset;

    (void)state;
    begin(&f);
    drain(&f);
    f.round_trip_ns = 40000;
    f.offset_ns = -400 * (int64_t)SWIM_MS;
    (void)swim_burst(f.net.swim, f.net.now, &f.peers[1].sid, 1);
    pass(&f, 2 * SWIM_BURST_PINGS * SWIM_BURST_GAP_MS);
    assert_true(swim_wall_offset_get(f.net.swim, f.net.now, f.peers[1].sid, &offset));
    int64_t error = offset.offset_ns - f.offset_ns;
    assert_true((uint64_t)(error < 0 ? -error : error) <= offset.bound_ns);
    /* Half the round trip, what both clocks may drift in those ms, how exactly a wall clock is
     * told.
     */
    assert_in_range(offset.bound_ns, 20000, 20000 + 20000 + 2 * SWIM_CLOCK_STEP);
    swim_free(f.net.swim);
}

static void what_a_ping_waited_before_it_went_out_does_not_count(void **state)
{
    struct fixture f;
    struct swim_wall_offset offset;

    (void)state;
    begin(&f);
    drain(&f);
    f.round_trip_ns = 10000;
    f.sent_after_ns = 400000;
    (void)swim_burst(f.net.swim, f.net.now, &f.peers[1].sid, 1);
    pass(&f, 2 * SWIM_BURST_PINGS * SWIM_BURST_GAP_MS);
    assert_true(swim_wall_offset_get(f.net.swim, f.net.now, f.peers[1].sid, &offset));
    assert_in_range(offset.bound_ns, 5000, 5000 + 20000 + 2 * SWIM_CLOCK_STEP);
    assert_in_range(offset.offset_ns + 20000, 0, 40000);
    swim_free(f.net.swim);
}

static void neither_answers_nor_silence_say_who_is_well(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    drain(&f);
    struct swim *swim = f.net.swim;
    swim->lh = 5;
    swim->srtt_us = 777;
    (void)swim_burst(swim, f.net.now, &f.peers[1].sid, 1);
    pass(&f, 4 * SWIM_BURST_PINGS * SWIM_BURST_GAP_MS);
    f.round_trip_ns = 1000;
    (void)swim_burst(swim, f.net.now, &f.peers[2].sid, 1);
    pass(&f, 4 * SWIM_BURST_PINGS * SWIM_BURST_GAP_MS);
    assert_int_equal(f.n_pings[2], SWIM_BURST_PINGS);
    assert_int_equal(swim->lh, 5);
    assert_int_equal(swim->srtt_us, 777);
    assert_int_equal(swim->counters.probes, 0);
    assert_int_equal(swim->counters.probes_failed, 0);
    assert_int_equal(swim->counters.suspicions, 0);
    for (int i = 0; i < SWIM_PROBES_MAX; i++) {
        assert_int_equal(swim->probes[i].stage, PROBE_FREE);
    }
    swim_free(swim);
}

/* ---- who founds a swarm ---- */

static void alone_time_is_settled(void **state)
{
    struct swim_test_net net = {0};

    (void)state;
    swim_test_net_init(&net, &swim_crypto_null, &swim_rules_lan);
    assert_true(swim_time_settles_ns(net.swim) <= net.now.mono_ns);
    swim_free(net.swim);
}

static void a_new_swarm_settles_some_seconds_after_the_first_word(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    drain(&f);
    assert_int_equal(swim_time_settles_ns(f.net.swim), f.net.swim->now.mono_ns + SWIM_CLOCK_SETTLE);
    f.root = swim_time_root(f.net.swim);
    f.rank = SWIM_RANK_FREE_NEW;
    f.round_trip_ns = SWIM_MS;
    assert_int_equal(swim_burst(f.net.swim, f.net.now, &f.peers[1].sid, 1), 1);
    pass(&f, 30);
    uint64_t settles_ns = swim_time_settles_ns(f.net.swim);
    assert_true(settles_ns > f.net.now.mono_ns);
    pass(&f, 100);
    assert_int_equal(swim_time_settles_ns(f.net.swim), settles_ns); /* it comes nearer now */
    f.rank = SWIM_RANK_FREE;
    (void)swim_burst(f.net.swim, f.net.now, &f.peers[2].sid, 1);
    pass(&f, 30);
    assert_true(swim_time_settles_ns(f.net.swim) <=
                f.net.now.mono_ns); /* others have long agreed */
    swim_free(f.net.swim);
}

static void those_of_another_time_are_told_in_a_round(void **state)
{
    struct fixture f;
    uint64_t sids[N_PEERS + 1];
    uint32_t at = 0;

    (void)state;
    begin(&f);
    drain(&f);
    assert_int_equal(swim_time_others(f.net.swim, &at, sids, N_PEERS + 1), N_PEERS);
    for (uint32_t i = 0; i < N_PEERS; i++) { /* one at a time: each once */
        assert_int_equal(swim_time_others(f.net.swim, &at, &sids[i], 1), 1);
        for (uint32_t k = 0; k < i; k++) {
            assert_int_not_equal(sids[k], sids[i]);
        }
    }
    f.root = swim_time_root(f.net.swim);
    f.round_trip_ns = SWIM_MS;
    (void)swim_burst(f.net.swim, f.net.now, &f.peers[2].sid, 1);
    pass(&f, 30);
    uint32_t n = swim_time_others(f.net.swim, &at, sids, N_PEERS + 1);
    assert_int_equal(n, N_PEERS - 1);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_not_equal(sids[i], f.peers[2].sid);
    }
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_pings_go_to_each_at_a_pace),
        cmocka_unit_test(who_is_asked_again_meanwhile_is_asked_once),
        cmocka_unit_test(strangers_and_oneself_are_not_asked),
        cmocka_unit_test(the_quickest_answer_bounds_the_clock),
        cmocka_unit_test(what_a_ping_waited_before_it_went_out_does_not_count),
        cmocka_unit_test(neither_answers_nor_silence_say_who_is_well),
        cmocka_unit_test(alone_time_is_settled),
        cmocka_unit_test(a_new_swarm_settles_some_seconds_after_the_first_word),
        cmocka_unit_test(those_of_another_time_are_told_in_a_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
