/* SPDX-License-Identifier: Apache-2.0
 *
 * What waits to be sent: how much of it, in which order, and behind what.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peer;
};

static bool next(struct fixture *f, struct swim_action *action)
{
    return swim_next(f->net.swim, f->net.now, &f->net.scratch, action);
}

static void begin(struct fixture *f)
{
    struct swim_action action;

    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    f->peer = swim_test_peer(&swim_crypto_null, 1);
    swim_test_say_alive(&f->net, &f->peer);
    while (next(f, &action)) {
    }
}

static void post(struct fixture *f, uint64_t seq)
{
    swim_post_frame(f->net.swim, swim_find(f->net.swim, f->peer.sid),
                    &(struct swim_frame){.type = SWIM_NACK, .seq = seq});
}

/* The number that went out next. */
static uint64_t sent_seq(struct fixture *f)
{
    struct swim_action action;
    struct swim_frame frame;

    assert_true(next(f, &action));
    assert_int_equal(action.kind, SWIM_SEND);
    struct unpack run =
        unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_HEAD_BYTES - SWIM_TAG_BYTES);
    assert_true(swim_test_next_frame(&run, &frame));
    assert_int_equal(frame.type, SWIM_NACK);
    return frame.seq;
}

static void a_full_ring_refuses_the_newest_and_keeps_the_order(void **state)
{
    struct fixture f;
    struct swim_action action;

    (void)state;
    begin(&f);
    for (uint64_t i = 1; i <= 10; i++) {
        post(&f, i);
    }
    for (uint64_t i = 1; i <= 4; i++) { /* so that the ring is not at its beginning */
        assert_int_equal(sent_seq(&f), i);
    }
    for (uint64_t i = 11; i <= SWIM_OUTBOX_MAX + 4; i++) {
        post(&f, i);
    }
    assert_int_equal(swim_get_counters(f.net.swim)->outbox_full, 0);
    post(&f, 9001);
    post(&f, 9002);
    assert_int_equal(swim_get_counters(f.net.swim)->outbox_full, 2);
    for (uint64_t i = 5; i <= SWIM_OUTBOX_MAX + 4; i++) {
        assert_int_equal(sent_seq(&f), i);
    }
    assert_false(next(&f, &action));
    post(&f, 9003);
    assert_int_equal(sent_seq(&f), 9003);
    swim_free(f.net.swim);
}

static void the_boot_is_persisted_before_anything_is_sent(void **state)
{
    struct fixture f;
    struct swim_action action;
    const struct swim_addr seed = swim_test_addr(1);

    (void)state;
    swim_test_net_init(&f.net, &swim_crypto_null, &swim_rules_lan);
    swim_join(f.net.swim, f.net.now, &seed, 1);
    assert_true(next(&f, &action));
    assert_int_equal(action.kind, SWIM_PERSIST);
    assert_int_equal(action.boot, swim_own_incarnation(f.net.swim).boot);
    assert_true(next(&f, &action));
    assert_int_equal(action.kind, SWIM_SEND);
    while (next(&f, &action)) {
        assert_int_not_equal(action.kind, SWIM_PERSIST);
    }
    swim_free(f.net.swim);
}

static void events_go_before_what_is_sent(void **state)
{
    struct fixture f;
    struct swim_action action;

    (void)state;
    begin(&f);
    post(&f, 1);
    f.peer = swim_test_peer(&swim_crypto_null, 2);
    swim_test_say_alive(&f.net, &f.peer);
    assert_true(next(&f, &action));
    assert_int_equal(action.kind, SWIM_EVENT);
    assert_int_equal(action.event, SWIM_EVENT_UP);
    assert_true(action.sid == f.peer.sid);
    assert_int_equal(sent_seq(&f), 1);
    swim_free(f.net.swim);
}

static void who_was_silenced_sends_nothing(void **state)
{
    struct fixture f;
    struct swim_action action;

    (void)state;
    begin(&f);
    f.net.swim->silenced = true;
    post(&f, 1);
    for (uint32_t i = 0; i < 600; i++) {
        const struct swim_frame ping = {
            .type = SWIM_PING, .seq = i + 1, .sid = swim_self(f.net.swim)};
        swim_test_say(&f.net, &f.peer, &ping, 1);
        swim_test_pass(&f.net, 100);
        swim_on_time(f.net.swim, f.net.now);
        while (next(&f, &action)) {
            assert_int_equal(action.kind, SWIM_EVENT);
        }
    }
    assert_int_equal(swim_get_counters(f.net.swim)->outbox_full, 0);
    swim_free(f.net.swim);
}

/* What waits when it finds out is not said either, but streams are closed. */
static void who_falls_silent_drops_what_waits(void **state)
{
    struct fixture f;
    struct swim_action action;
    uint8_t bytes[SWIM_RECORD_MAX];
    struct swim_test_peer self = swim_test_peer(&swim_crypto_null, 0);

    (void)state;
    begin(&f);
    post(&f, 1);
    const struct swim_addr from = swim_test_addr(9);
    swim_on_stream(f.net.swim, f.net.now, 1u << 31, SWIM_STREAM_ACCEPTED, &from, NULL, 0);
    swim_conn_close(f.net.swim, swim_conn_find(f.net.swim, 1u << 31));
    self.incarnation.boot = swim_own_incarnation(f.net.swim).boot + 1;
    size_t n = swim_test_record_of(&f.net, &self, false, bytes);
    const struct swim_frame alive = {.type = SWIM_ALIVE_FRAME, .bin = bytes, .n_bin = n};
    swim_test_say(&f.net, &f.peer, &alive, 1);
    post(&f, 2);
    assert_true(next(&f, &action));
    assert_int_equal(action.kind, SWIM_EVENT);
    assert_int_equal(action.event, SWIM_EVENT_CLONE);
    assert_true(next(&f, &action));
    assert_int_equal(action.kind, SWIM_STREAM_CLOSE);
    assert_false(next(&f, &action));
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ring_refuses_the_newest_and_keeps_the_order),
        cmocka_unit_test(the_boot_is_persisted_before_anything_is_sent),
        cmocka_unit_test(events_go_before_what_is_sent),
        cmocka_unit_test(who_was_silenced_sends_nothing),
        cmocka_unit_test(who_falls_silent_drops_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
