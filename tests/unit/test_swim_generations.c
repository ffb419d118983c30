/* SPDX-License-Identifier: Apache-2.0
 *
 * A life has a nonce for each of its refutations. Datagrams may come before the record that tells
 * of theirs, and stragglers and recordings of older ones between them: none counts twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

#define OLDEST 11u
#define FIRST  13u
#define SECOND 15u
#define THIRD  17u

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peer;   /* whose generations come and go */
    struct swim_test_peer teller; /* who brings its records */
};

static void begin(struct fixture *f)
{
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    f->peer = swim_test_peer(&swim_crypto_null, 1);
    f->teller = swim_test_peer(&swim_crypto_null, 2);
    swim_set_generation(f->peer.nonce, FIRST);
    swim_test_say_alive(&f->net, &f->teller);
    swim_test_say_alive(&f->net, &f->peer);
}

/* A ping of the peer under a nonce of its life; the number of datagrams that it is answered with.
 */
static uint32_t ping_is_answered(struct fixture *f, uint32_t generation, uint64_t counter)
{
    const struct swim_frame ping = {.type = SWIM_PING, .seq = 5, .sid = f->net.swim->self->sid};
    struct swim_action action;
    uint32_t n = 0;

    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
    }
    swim_set_generation(f->peer.nonce, generation);
    f->peer.counter = counter - 1;
    swim_test_say(&f->net, &f->peer, &ping, 1);
    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        n += action.kind == SWIM_SEND;
    }
    return n;
}

static void tell_record(struct fixture *f, uint32_t generation, uint32_t seq)
{
    uint8_t record[SWIM_RECORD_MAX];
    struct swim_frame frame = {.type = SWIM_ALIVE_FRAME, .bin = record};

    swim_set_generation(f->peer.nonce, generation);
    f->peer.incarnation.seq = seq;
    frame.n_bin = swim_test_record_of(&f->net, &f->peer, false, record);
    swim_test_say(&f->net, &f->teller, &frame, 1);
}

static void a_straggler_does_not_make_what_came_before_the_record_news_again(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(ping_is_answered(&f, FIRST, 100), 1);
    assert_int_equal(ping_is_answered(&f, SECOND, 101), 1);
    assert_int_equal(ping_is_answered(&f, OLDEST, 90), 0);
    tell_record(&f, SECOND, 1);
    uint64_t replayed = swim_get_counters(f.net.swim)->replayed;
    assert_int_equal(ping_is_answered(&f, SECOND, 101), 0);
    assert_int_equal(swim_get_counters(f.net.swim)->replayed, replayed + 1);
    assert_int_equal(ping_is_answered(&f, SECOND, 102), 1);
    swim_free(f.net.swim);
}

static void what_came_behind_the_next_generation_is_no_news_either(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(ping_is_answered(&f, FIRST, 100), 1);
    assert_int_equal(ping_is_answered(&f, THIRD, 120), 1);
    assert_int_equal(ping_is_answered(&f, SECOND, 110), 0); /* only its records would count */
    tell_record(&f, SECOND, 1);
    assert_int_equal(ping_is_answered(&f, SECOND, 110), 0);
    assert_int_equal(ping_is_answered(&f, SECOND, 111), 1);
    tell_record(&f, THIRD, 2);
    assert_int_equal(ping_is_answered(&f, SECOND, 111), 0);
    assert_int_equal(ping_is_answered(&f, THIRD, 120), 0);
    assert_int_equal(ping_is_answered(&f, THIRD, 121), 1);
    swim_free(f.net.swim);
}

static void one_that_took_the_place_of_another_does_not_make_it_news(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(ping_is_answered(&f, SECOND, 110), 1);
    assert_int_equal(ping_is_answered(&f, THIRD, 120), 1);
    tell_record(&f, SECOND, 1);
    assert_int_equal(ping_is_answered(&f, SECOND, 110), 0);
    swim_free(f.net.swim);
}

/* Who has the key of the cluster sends under the peer's life, far ahead. */
static void counters_that_are_made_up_do_not_silence_the_next_generation(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(ping_is_answered(&f, OLDEST, 1ull << 60), 1);
    assert_int_equal(ping_is_answered(&f, OLDEST + 100, 1ull << 61), 1);
    assert_int_equal(ping_is_answered(&f, SECOND, 101), 0);
    tell_record(&f, SECOND, 1);
    assert_int_equal(ping_is_answered(&f, SECOND, 102), 1);
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_straggler_does_not_make_what_came_before_the_record_news_again),
        cmocka_unit_test(what_came_behind_the_next_generation_is_no_news_either),
        cmocka_unit_test(one_that_took_the_place_of_another_does_not_make_it_news),
        cmocka_unit_test(counters_that_are_made_up_do_not_silence_the_next_generation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
