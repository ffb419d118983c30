/* SPDX-License-Identifier: Apache-2.0
 *
 * How a node comes and how it goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

#define PEERS_MOST 40

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peers[PEERS_MOST];
    struct swim_action action;
    struct swim_frame frame; /* the first of what was sent */
};

static bool next(struct fixture *f)
{
    if (!swim_next(f->net.swim, f->net.now, &f->net.scratch, &f->action)) {
        return false;
    }
    f->frame = (struct swim_frame){0};
    if (f->action.kind == SWIM_SEND) {
        struct unpack run = unpack_from(f->action.bytes + SWIM_HEAD_BYTES,
                                        f->action.n - SWIM_HEAD_BYTES - SWIM_TAG_BYTES);
        assert_true(swim_test_next_frame(&run, &f->frame));
    }
    return true;
}

static uint32_t count_actions(struct fixture *f, enum swim_action_kind kind)
{
    uint32_t n = 0;

    while (next(f)) {
        n += f->action.kind == kind ? 1 : 0;
    }
    return n;
}

static void pass(struct fixture *f, uint64_t ms)
{
    swim_test_pass(&f->net, ms);
    swim_on_time(f->net.swim, f->net.now);
}

static void begin(struct fixture *f, uint32_t n)
{
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    for (uint32_t i = 0; i < n; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, (uint8_t)(i + 1));
        swim_test_say_alive(&f->net, &f->peers[i]);
        (void)count_actions(f, SWIM_SEND);
    }
}

/* ---- joining ---- */

static void three_seeds_get_a_hello_and_never_itself(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 8; n++) {
        struct fixture f;
        struct swim_addr seeds[8];
        bool greeted[8] = {false};
        uint32_t hellos = 0;
        begin(&f, 0);
        for (uint32_t i = 0; i < n; i++) {
            seeds[i] = swim_test_addr((uint8_t)i); /* the first is its own */
        }
        swim_join(f.net.swim, f.net.now, seeds, n);
        while (next(&f)) {
            if (f.frame.type == SWIM_HELLO) {
                uint8_t i = f.action.addr.ip[3];
                assert_in_range(i, 1, n - 1);
                assert_false(greeted[i]);
                greeted[i] = true;
                hellos++;
            }
        }
        assert_int_equal(hellos, n - 1 < 3 ? n - 1 : 3);
        swim_free(f.net.swim);
    }
}

/* Nobody holds it under the others: there only its own list tells. */
static void no_address_of_its_own_gets_a_hello(void **state)
{
    struct fixture f;
    struct swim_addr seeds[SWIM_ADDRS_MAX];

    (void)state;
    begin(&f, 0);
    struct swim_config config = swim_test_config(&f.net, &swim_rules_lan);
    config.n_addrs = SWIM_ADDRS_MAX;
    for (uint8_t i = 0; i < SWIM_ADDRS_MAX; i++) {
        seeds[i] = config.addrs[i] = swim_test_addr((uint8_t)(100 + i));
    }
    swim_free(f.net.swim);
    f.net.swim = swim_new(&config, f.net.now);
    swim_join(f.net.swim, f.net.now, seeds, SWIM_ADDRS_MAX);
    assert_int_equal(count_actions(&f, SWIM_SEND), 0);
    swim_free(f.net.swim);
}

static void who_is_answered_opens_a_stream_and_compares_twice(void **state)
{
    struct fixture f;
    const struct swim_addr seed = swim_test_addr(1);
    struct swim_test_peer peer = swim_test_peer(&swim_crypto_null, 1);
    uint64_t seq = 0;
    uint32_t opened = 0;
    uint32_t sums = 0;

    (void)state;
    begin(&f, 0);
    swim_join(f.net.swim, f.net.now, &seed, 1);
    while (next(&f)) {
        seq = f.frame.type == SWIM_HELLO ? f.frame.seq : seq;
    }
    assert_true(seq != 0);
    swim_test_say_alive(&f.net, &peer);
    const struct swim_frame ack = {.type = SWIM_ACK, .seq = seq};
    swim_test_say(&f.net, &peer, &ack, 1);
    while (next(&f)) {
        if (f.action.kind == SWIM_STREAM_OPEN) {
            assert_true(swim_addr_is_same(&f.action.addr, &seed));
            opened++;
        }
    }
    assert_int_equal(opened, 1);
    for (uint32_t i = 0; i < 50; i++) {
        pass(&f, 10);
        while (next(&f)) {
            assert_int_not_equal(f.frame.type, SWIM_HELLO);
            sums += f.frame.type == SWIM_DIGEST && f.frame.state == SWIM_DIGEST_SUMS ? 1 : 0;
        }
    }
    assert_int_equal(sums, 2);
    swim_free(f.net.swim);
}

/* It was away while another key came into use. Its answer is under its own key, what begins here is
 * under the one in use; a key that the ring does not hold is answered by nothing. */
static void who_asks_under_an_old_key_is_answered_under_it(void **state)
{
    struct fixture f;
    struct swim_test_peer peer = swim_test_peer(&swim_crypto_null, 1);
    uint8_t record[SWIM_RECORD_MAX];
    uint32_t answers = 0;

    (void)state;
    begin(&f, 0);
    const uint32_t old = f.net.ring.keys[0].id;
    const uint32_t active = f.net.ring.keys[1].id;
    f.net.ring.keys[0].state = SWIM_KEY_ACTIVE; /* the peer's ring */
    f.net.ring.n = 1;
    f.net.unbound = true;
    struct swim_frame hello = {.type = SWIM_HELLO, .seq = 5, .bin = record};
    hello.n_bin = swim_test_record_of(&f.net, &peer, false, record);
    swim_test_say(&f.net, &peer, &hello, 1);
    while (next(&f)) {
        if (f.action.kind == SWIM_SEND) {
            assert_int_equal(get_be32(f.action.bytes + 4), old);
            answers++;
        }
    }
    assert_int_equal(answers, 2);
    for (uint32_t i = 0; i < 30; i++) {
        pass(&f, 50);
        while (next(&f)) {
            assert_true(f.action.kind != SWIM_SEND || get_be32(f.action.bytes + 4) == active);
            answers += f.action.kind == SWIM_SEND ? 1 : 0;
        }
    }
    assert_true(answers > 2);
    f.net.ring.keys[0].id++;
    hello.seq++;
    swim_test_say(&f.net, &peer, &hello, 1);
    assert_int_equal(count_actions(&f, SWIM_SEND), 0);
    assert_int_equal(swim_get_counters(f.net.swim)->foreign_key, 1);
    swim_free(f.net.swim);
}

static void who_is_alone_tries_again_with_growing_gaps(void **state)
{
    struct fixture f;
    const struct swim_addr seed = swim_test_addr(1);
    uint64_t last_ms = 0;
    uint32_t k = 0;

    (void)state;
    begin(&f, 0);
    swim_join(f.net.swim, f.net.now, &seed, 1);
    (void)count_actions(&f, SWIM_SEND);
    for (uint64_t ms = 10; k < 9; ms += 10) {
        bool hello = false;
        pass(&f, 10);
        while (next(&f)) {
            hello = hello || f.frame.type == SWIM_HELLO;
        }
        if (hello) {
            uint64_t base = k < 5 ? 1000ull << k : 30000;
            assert_in_range(ms - last_ms, base / 2, base * 3 / 2 + 10);
            last_ms = ms;
            k++;
        }
        assert_true(ms < 400000);
    }
    swim_free(f.net.swim);
}

/* ---- leaving ---- */

static void farewells_go_to_so_many_distinct_members(void **state)
{
    static const uint32_t cases[][2] = {{1, 1}, {12, 12}, {40, 32}}; /* 4 log2(n) + 8 at most */

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct fixture f;
        uint64_t told[PEERS_MOST];
        uint32_t n = 0;
        begin(&f, cases[c][0]);
        swim_leave(f.net.swim, f.net.now);
        while (next(&f)) {
            for (uint32_t i = 0; f.frame.type == SWIM_LEFT_FRAME && i < n; i++) {
                assert_true(told[i] != f.action.sid);
            }
            if (f.frame.type == SWIM_LEFT_FRAME) {
                assert_true(n < PEERS_MOST);
                told[n++] = f.action.sid;
            }
        }
        assert_int_equal(n, cases[c][1]);
        swim_free(f.net.swim);
    }
}

static void nothing_is_said_any_more(struct fixture *f)
{
    for (uint32_t i = 0; i < 100; i++) {
        const struct swim_frame ping = {
            .type = SWIM_PING, .seq = i + 1, .sid = swim_self(f->net.swim)};
        swim_test_say(&f->net, &f->peers[0], &ping, 1);
        f->peers[0].incarnation.seq++; /* something to tell of */
        swim_test_say_alive(&f->net, &f->peers[0]);
        pass(f, 100);
        while (next(f)) {
            assert_int_equal(f->action.kind, SWIM_EVENT);
        }
    }
}

static void three_members_that_know_are_enough(void **state)
{
    static const uint32_t ackers[] = {0, 1, 1, 2}; /* one of them says it twice */
    const struct swim_frame ack = {.type = SWIM_LEAVEACK};
    struct fixture f;

    (void)state;
    begin(&f, 12);
    swim_leave(f.net.swim, f.net.now);
    assert_int_equal(count_actions(&f, SWIM_LEAVE_DONE), 0);
    for (uint32_t i = 0; i < 4; i++) {
        swim_test_say(&f.net, &f.peers[ackers[i]], &ack, 1);
        assert_int_equal(count_actions(&f, SWIM_LEAVE_DONE), i == 3 ? 1 : 0);
    }
    nothing_is_said_any_more(&f);
    swim_free(f.net.swim);
}

static void a_second_is_enough(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 12);
    swim_leave(f.net.swim, f.net.now);
    for (uint32_t i = 1; i <= 100; i++) {
        assert_int_equal(count_actions(&f, SWIM_LEAVE_DONE), 0);
        pass(&f, 10);
    }
    pass(&f, 1); /* a tick of the timers */
    assert_int_equal(count_actions(&f, SWIM_LEAVE_DONE), 1);
    nothing_is_said_any_more(&f);
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_seeds_get_a_hello_and_never_itself),
        cmocka_unit_test(no_address_of_its_own_gets_a_hello),
        cmocka_unit_test(who_is_answered_opens_a_stream_and_compares_twice),
        cmocka_unit_test(who_asks_under_an_old_key_is_answered_under_it),
        cmocka_unit_test(who_is_alone_tries_again_with_growing_gaps),
        cmocka_unit_test(farewells_go_to_so_many_distinct_members),
        cmocka_unit_test(three_members_that_know_are_enough),
        cmocka_unit_test(a_second_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
