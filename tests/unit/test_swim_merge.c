/* SPDX-License-Identifier: Apache-2.0
 *
 * I5: what is held does not depend on the order in which it was heard, nor on how often. Over the
 * order of precedence, and over whole cores.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

struct held {
    struct swim_incarnation incarnation;
    enum swim_state state;
};

static struct held held_at(uint32_t i)
{
    return (struct held){{1 + i / 12, i / 4 % 3}, (enum swim_state)(i % 4)};
}

#define N_HELD 36

static int order_of(uint32_t a, uint32_t b)
{
    struct held x = held_at(a);
    struct held y = held_at(b);

    return swim_precedence(x.incarnation, x.state, y.incarnation, y.state);
}

static void precedence_is_a_total_order(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < N_HELD; a++) {
        for (uint32_t b = 0; b < N_HELD; b++) {
            assert_true((order_of(a, b) > 0) == (order_of(b, a) < 0));
            assert_true((order_of(a, b) == 0) == (a == b));
            for (uint32_t c = 0; c < N_HELD; c++) {
                assert_false(order_of(a, b) > 0 && order_of(b, c) > 0 && order_of(a, c) <= 0);
            }
        }
    }
}

static void a_farewell_is_final_for_its_life_and_no_other(void **state)
{
    const struct swim_incarnation left = {5, 2};

    (void)state;
    assert_true(swim_precedence(left, SWIM_LEFT, (struct swim_incarnation){5, 9}, SWIM_ALIVE) > 0);
    assert_true(swim_precedence((struct swim_incarnation){6, 0}, SWIM_ALIVE, left, SWIM_LEFT) > 0);
}

static void nothing_alive_beats_death_of_the_same_incarnation(void **state)
{
    const struct swim_incarnation i = {5, 2};

    (void)state;
    assert_true(swim_precedence(i, SWIM_DEAD, i, SWIM_ALIVE) > 0);
    assert_true(swim_precedence(i, SWIM_DEAD, i, SWIM_SUSPECT) > 0);
    assert_true(swim_precedence((struct swim_incarnation){5, 3}, SWIM_ALIVE, i, SWIM_DEAD) > 0);
}

/* ---- whole cores ---- */

#define N_PEERS   6
#define N_RECORDS (N_PEERS * 7)

struct word {
    uint8_t bytes[SWIM_RECORD_MAX];
    size_t n;
    bool left;
};

/* Of each peer: two lives with three records, and a farewell of one of them. */
static void make_words(struct swim_test_net *net, struct word words[N_RECORDS])
{
    for (uint32_t i = 0; i < N_RECORDS; i++) {
        struct swim_test_peer peer = swim_test_peer(net->crypto, (uint8_t)(1 + i / 7));
        uint32_t k = i % 7;
        peer.incarnation.boot += k < 3 ? 0 : 1;
        peer.incarnation.seq = k % 3;
        peer.nonce[0] = (uint8_t)(k < 3 ? 1 : 2);
        words[i].left = k == 6;
        if (k == 6) { /* after what it said in that life; the last one for half of them */
            peer.incarnation.boot -= i / 7 % 2;
            peer.nonce[0] = (uint8_t)(2 - i / 7 % 2);
            peer.incarnation.seq = 3;
        }
        words[i].n = swim_test_record_of(net, &peer, words[i].left, words[i].bytes);
    }
}

static void hear(struct swim_test_net *net, struct swim_test_peer *from, const struct word *word)
{
    const struct swim_frame frame = {.type = word->left ? SWIM_LEFT_FRAME : SWIM_ALIVE_FRAME,
                                     .bin = word->bytes,
                                     .n_bin = word->n};

    swim_test_say(net, from, &frame, 1);
}

/* Of those that live. Who left and was never known is not held. */
static uint64_t view_after(uint64_t seed, const struct word words[N_RECORDS], uint32_t times)
{
    struct swim_test_net net;
    struct swim_test_peer teller;
    struct swim_random random;
    uint8_t key[SWIM_SEED_BYTES] = {(uint8_t)seed};
    uint32_t order[N_RECORDS];

    swim_test_net_init(&net, &swim_crypto_null, &swim_rules_lan);
    teller = swim_test_peer(&swim_crypto_null, 99);
    swim_random_init(&random, key);
    for (uint32_t i = 0; i < N_RECORDS; i++) {
        uint32_t j = (uint32_t)swim_random_below(&random, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < N_RECORDS * times; i++) {
        hear(&net, &teller, &words[order[i % N_RECORDS]]);
    }
    uint64_t hash = swim_view_hash(net.swim);
    swim_free(net.swim);
    return hash;
}

static void cores_agree_whatever_the_order(void **state)
{
    struct swim_test_net net;
    struct word words[N_RECORDS];

    (void)state;
    swim_test_net_init(&net, &swim_crypto_null, &swim_rules_lan);
    make_words(&net, words);
    swim_free(net.swim);
    /* Twice, since who hears of a farewell alone does not take it. */
    uint64_t first = view_after(1, words, 2);
    for (uint64_t seed = 2; seed < 60; seed++) {
        assert_int_equal(view_after(seed, words, 2 + (uint32_t)(seed % 3)), first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence_is_a_total_order),
        cmocka_unit_test(a_farewell_is_final_for_its_life_and_no_other),
        cmocka_unit_test(nothing_alive_beats_death_of_the_same_incarnation),
        cmocka_unit_test(cores_agree_whatever_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
