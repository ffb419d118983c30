/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a probe waits for its answer, whom it keeps from being probed, and what ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

#define PEERS 4 /* ourselves are the first */

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peers[PEERS];
};

static void begin(struct fixture *f)
{
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    for (uint32_t i = 1; i < PEERS; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, (uint8_t)i);
        swim_test_say_alive(&f->net, &f->peers[i]);
    }
}

static struct swim_member *member(const struct fixture *f, uint32_t peer)
{
    return swim_find(f->net.swim, f->peers[peer].sid);
}

/* Suspected by another, and alive. */
static void refute(struct fixture *f, uint32_t peer)
{
    uint32_t other = peer == 1 ? 2 : 1;
    const struct swim_frame frame = {.type = SWIM_SUSPECT_FRAME,
                                     .sid = f->peers[peer].sid,
                                     .incarnation = f->peers[peer].incarnation,
                                     .from = f->peers[other].sid};

    swim_test_say(&f->net, &f->peers[other], &frame, 1);
    assert_int_equal(member(f, peer)->state, SWIM_SUSPECT);
    f->peers[peer].incarnation.seq++;
    swim_test_say_alive(&f->net, &f->peers[peer]);
    assert_int_equal(member(f, peer)->state, SWIM_ALIVE);
}

/* The probes of a peer that were sent; the last of them in *probe. */
static uint32_t probes_of(const struct fixture *f, uint32_t peer, const struct swim_probe **probe)
{
    uint32_t n = 0;

    for (int i = 0; i < SWIM_PROBES_MAX; i++) {
        const struct swim_probe *one = &f->net.swim->probes[i];
        if (one->stage > PROBE_WAITING && one->target == f->peers[peer].sid) {
            *probe = one;
            n++;
        }
    }
    return n;
}

static uint64_t waits_ms(struct fixture *f, uint32_t peer)
{
    const struct swim_probe *probe = NULL;

    swim_probes_void(f->net.swim);
    swim_probe_begin(f->net.swim, member(f, peer), PROBE_ROUTINE, 0);
    assert_int_equal(probes_of(f, peer, &probe), 1);
    return probe->late_ns / SWIM_MS;
}

static void who_was_suspected_and_lived_has_six_times_the_time_out(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    swim_take_round_trip(f.net.swim, member(&f, 1), SWIM_MS);
    swim_take_round_trip(f.net.swim, member(&f, 2), SWIM_MS);
    assert_int_equal(waits_ms(&f, 1), 50);
    refute(&f, 1);
    assert_int_equal(waits_ms(&f, 1), 6 * 50);
    assert_int_equal(waits_ms(&f, 2), 50);
    refute(&f, 1);
    assert_int_equal(waits_ms(&f, 1), 6 * 50);
    swim_test_pass(&f.net, SWIM_FLAP_WINDOW_MS + 1000);
    swim_on_time(f.net.swim, f.net.now);
    f.net.swim->lh = 0; /* it was away for long */
    assert_int_equal(waits_ms(&f, 1), 50);
    swim_free(f.net.swim);
}

/* Seed 50004095 of the random mixture: 27 s, and 86 s to the verdict. */
static void the_unwell_do_not_wait_for_the_slow_without_end(void **state)
{
    struct fixture f;
    const struct swim_probe *probe = NULL;

    (void)state;
    begin(&f);
    refute(&f, 1);
    f.net.swim->lh = swim_rules_lan.health_most; /* and no round trip is known */
    assert_int_equal(waits_ms(&f, 1), 6 * swim_rules_lan.timeout_ms);
    (void)probes_of(&f, 1, &probe);
    assert_int_equal((probe->verdict_ns - probe->sent_ns) / SWIM_MS,
                     6 * swim_rules_lan.timeout_ms * 32 / 10);
    assert_int_equal(waits_ms(&f, 2), 6 * swim_rules_lan.timeout_ms);
    swim_free(f.net.swim);
}

static void probe_timer_for(struct fixture *f, uint32_t peer)
{
    f->net.swim->scheduled = f->peers[peer].sid;
    swim_on_probe_timer(f->net.swim);
}

/* Without its timers: a core that slept forgets what it asked. */
static void pass(struct fixture *f, uint64_t ms)
{
    swim_test_pass(&f->net, ms);
    f->net.swim->now = f->net.now;
}

static void a_probe_that_is_late_does_not_keep_from_the_next(void **state)
{
    struct fixture f;
    const struct swim_probe *probe = NULL;

    (void)state;
    begin(&f);
    f.net.swim->lh = swim_rules_lan.health_most;
    probe_timer_for(&f, 1);
    assert_int_equal(probes_of(&f, 1, &probe), 1);
    pass(&f, swim_rules_lan.probe_interval_ms - 1);
    probe_timer_for(&f, 1);
    assert_int_equal(probes_of(&f, 1, &probe), 1);
    pass(&f, 1);
    probe_timer_for(&f, 1);
    assert_int_equal(probes_of(&f, 1, &probe), 2);
    swim_free(f.net.swim);
}

static void one_answer_ends_all_probes_of_who_gave_it(void **state)
{
    struct fixture f;
    const struct swim_probe *probe = NULL;
    const struct swim_probe *other = NULL;
    struct swim_frame ack = {.type = SWIM_ACK};

    (void)state;
    begin(&f);
    swim_probe_begin(f.net.swim, member(&f, 2), PROBE_ROUTINE, 0);
    swim_probe_begin(f.net.swim, member(&f, 1), PROBE_WITNESS, 0);
    swim_probe_begin(f.net.swim, member(&f, 1), PROBE_ROUTINE, 0);
    assert_int_equal(probes_of(&f, 1, &probe), 2);
    ack.seq = probe->seq;
    swim_test_say(&f.net, &f.peers[3], &ack, 1); /* not its own */
    assert_int_equal(probes_of(&f, 1, &probe), 2);
    swim_test_say(&f.net, &f.peers[1], &ack, 1);
    assert_int_equal(probes_of(&f, 1, &probe), 0);
    assert_int_equal(probes_of(&f, 2, &other), 1);
    swim_free(f.net.swim);
}

static void ping(struct fixture *f, uint64_t seq)
{
    const struct swim_frame frame = {.type = SWIM_PING, .seq = seq, .sid = f->net.swim->self->sid};

    swim_test_say(&f->net, &f->peers[1], &frame, 1);
}

static void at_ms_before_the_probe(struct fixture *f, uint64_t ms)
{
    uint64_t due_ns = f->net.swim->own_timers[TIMER_PROBE].due_ns;
    uint64_t ahead_ns = due_ns - ms * SWIM_MS - f->net.now.mono_ns;

    assert_true(due_ns > f->net.now.mono_ns + ms * SWIM_MS);
    f->net.now.mono_ns += ahead_ns;
    f->net.now.wall_ns += (int64_t)ahead_ns;
}

static void who_is_pinged_shortly_before_its_own_probe_sends_it_then(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    const uint64_t *probes = &f.net.swim->counters.probes;
    uint64_t early_ms = swim_rules_lan.probe_early_ms;
    do { /* the first is armed before anybody is known, and one that is not that near is wanted */
        at_ms_before_the_probe(&f, 0);
        swim_on_time(f.net.swim, f.net.now);
    } while (f.net.swim->own_timers[TIMER_PROBE].due_ns <
             f.net.now.mono_ns + (early_ms + 2) * SWIM_MS);
    uint64_t before = *probes;
    int64_t epoch = f.net.swim->probed_epoch;
    at_ms_before_the_probe(&f, early_ms + 1);
    ping(&f, 1);
    assert_int_equal(*probes, before);
    assert_int_equal(f.net.swim->probed_epoch, epoch);

    at_ms_before_the_probe(&f, early_ms);
    ping(&f, 2);
    assert_int_equal(*probes, before + 1);
    assert_int_equal(f.net.swim->probed_epoch, epoch + 1); /* and each epoch has one */
    f.net.unbound = true;
    at_ms_before_the_probe(&f, 1);
    ping(&f, 3); /* it may be a recording */
    assert_int_equal(*probes, before + 1);
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_suspected_and_lived_has_six_times_the_time_out),
        cmocka_unit_test(the_unwell_do_not_wait_for_the_slow_without_end),
        cmocka_unit_test(a_probe_that_is_late_does_not_keep_from_the_next),
        cmocka_unit_test(one_answer_ends_all_probes_of_who_gave_it),
        cmocka_unit_test(who_is_pinged_shortly_before_its_own_probe_sends_it_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
