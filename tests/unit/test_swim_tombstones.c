/* SPDX-License-Identifier: Apache-2.0
 *
 * How long the gone are remembered: told of for half of their time, known for all of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/swarm/swim_digest.h"
#include "tests/support/swim_peers.h"

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer gone, teller;
    struct swim_member *member;
};

static void drain(struct fixture *f)
{
    struct swim_action action;

    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
    }
}

static void begin(struct fixture *f, enum swim_state state)
{
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    f->gone = swim_test_peer(&swim_crypto_null, 1);
    f->teller = swim_test_peer(&swim_crypto_null, 2);
    swim_test_say_alive(&f->net, &f->teller);
    swim_test_say_alive(&f->net, &f->gone);
    f->member = swim_find(f->net.swim, f->gone.sid);
    if (state == SWIM_DEAD) {
        swim_declare_dead(f->net.swim, f->member, f->teller.sid, 3);
    } else {
        uint8_t record[SWIM_RECORD_MAX];
        struct swim_frame frame = {.type = SWIM_LEFT_FRAME, .bin = record};
        frame.n_bin = swim_test_record_of(&f->net, &f->gone, true, record);
        swim_test_say(&f->net, &f->teller, &frame, 1);
    }
    assert_int_equal(f->member->state, state);
    drain(f);
}

/* How often the answers to sums that all differ, and to a wish, name it or say what became of it.
 */
static uint32_t n_told_of(struct fixture *f)
{
    uint8_t bin[8];
    const struct swim_frame want = {.type = SWIM_WANT, .bin = bin, .n_bin = sizeof bin};
    uint8_t others[SWIM_BUCKETS * 8];
    const struct swim_frame sums = {
        .type = SWIM_DIGEST, .state = SWIM_DIGEST_SUMS, .bin = others, .n_bin = sizeof others};
    struct swim_action action;
    uint32_t n = 0;

    put_le64(bin, f->gone.sid);
    memset(others, 0xff, sizeof others);
    drain(f);
    swim_test_say(&f->net, &f->teller, &sums, 1);
    swim_test_say(&f->net, &f->teller, &want, 1);
    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        struct swim_frame frame;
        if (action.kind != SWIM_SEND) {
            continue;
        }
        struct unpack run =
            unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
        while (swim_test_next_frame(&run, &frame)) {
            struct swim_digest_list list;
            struct swim_digest_entry entry;
            n += (frame.type == SWIM_DEAD_FRAME && frame.sid == f->gone.sid) ||
                 frame.type == SWIM_LEFT_FRAME;
            if (frame.type != SWIM_DIGEST || !swim_digest_open(frame.bin, frame.n_bin, 0, &list)) {
                continue;
            }
            while (swim_digest_next(&list, &entry) > 0) {
                n += entry.sid == f->gone.sid;
            }
        }
    }
    return n;
}

static void the_gone_are_told_of_for_half_of_their_time(void **state)
{
    static const enum swim_state states[] = {SWIM_DEAD, SWIM_LEFT};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(states); i++) {
        struct fixture f;
        begin(&f, states[i]);
        uint64_t kept_ms =
            states[i] == SWIM_DEAD ? swim_rules_lan.dead_kept_ms : swim_rules_lan.left_kept_ms;
        swim_test_pass(&f.net, kept_ms / 2 - 1000);
        assert_int_equal(n_told_of(&f), 2); /* in the list, and what was wanted */
        swim_test_pass(&f.net, 2000);
        assert_int_equal(n_told_of(&f), 0);
        assert_ptr_equal(swim_find(f.net.swim, f.gone.sid), f.member);
        swim_test_pass(&f.net, kept_ms / 2);
        swim_on_time(f.net.swim, f.net.now);
        drain(&f);
        assert_null(swim_find(f.net.swim, f.gone.sid));
        swim_free(f.net.swim);
    }
}

/* Else it would be remembered anew by each in turn, and never be gone. */
static void a_late_farewell_does_not_renew_the_memory(void **state)
{
    (void)state;
    for (uint32_t late = 0; late < 2; late++) {
        struct fixture f;
        uint8_t record[SWIM_RECORD_MAX];
        struct swim_frame frame = {.type = SWIM_LEFT_FRAME, .bin = record};
        begin(&f, SWIM_DEAD);
        swim_test_pass(&f.net, swim_rules_lan.dead_kept_ms / 2 - 1000 + late * 2000);
        frame.n_bin = swim_test_record_of(&f.net, &f.gone, true, record);
        swim_test_say(&f.net, &f.teller, &frame, 1);
        assert_int_equal(f.member->state, late ? SWIM_DEAD : SWIM_LEFT);
        swim_free(f.net.swim);
    }
}

/* Nor is one asked for that somebody else has just put up. */
static void a_younger_tombstone_of_another_is_not_wanted(void **state)
{
    struct fixture f;
    uint8_t bin[8 + SWIM_DIGEST_ENTRY];
    const struct swim_frame list = {
        .type = SWIM_DIGEST, .state = SWIM_DIGEST_LIST, .bin = bin, .n_bin = sizeof bin};
    struct swim_action action;

    (void)state;
    begin(&f, SWIM_DEAD);
    put_le64(bin, 1ull << swim_bucket(f.gone.sid));
    put_le64(bin + 8, f.gone.sid);
    put_le64(bin + 16, f.gone.incarnation.boot);
    put_le32(bin + 24, f.gone.incarnation.seq);
    bin[28] = SWIM_LEFT;
    for (uint32_t late = 0; late < 2; late++) {
        uint32_t n_wants = 0;
        swim_test_pass(&f.net, swim_rules_lan.dead_kept_ms / 2 - 1000 + late * 2000);
        drain(&f);
        swim_test_say(&f.net, &f.teller, &list, 1);
        while (swim_next(f.net.swim, f.net.now, &f.net.scratch, &action)) {
            struct swim_frame frame;
            struct unpack run =
                unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
            while (action.kind == SWIM_SEND && swim_test_next_frame(&run, &frame)) {
                n_wants += frame.type == SWIM_WANT;
            }
        }
        assert_int_equal(n_wants, late ? 0 : 1);
    }
    swim_free(f.net.swim);
}

/* The record of the dead without its death, or before it, would bring it to life again for as long
 * as a suspicion lasts: whoever holds it dead has nothing to learn of when it died. */
static void nothing_is_exchanged_of_whom_both_hold_dead(void **state)
{
    struct fixture f;
    uint8_t bin[8 + SWIM_DIGEST_ENTRY];
    const struct swim_frame list = {
        .type = SWIM_DIGEST, .state = SWIM_DIGEST_LIST, .bin = bin, .n_bin = sizeof bin};
    static const struct {
        int boot, seq;
        enum swim_state state;
        bool is_wanted;
    } cases[] = {{0, 1, SWIM_DEAD, false},   {1, 0, SWIM_DEAD, false}, {0, 1, SWIM_SUSPECT, true},
                 {1, 0, SWIM_SUSPECT, true}, {0, 1, SWIM_ALIVE, true}, {0, 0, SWIM_DEAD, false}};

    (void)state;
    begin(&f, SWIM_DEAD);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct swim_action action;
        uint32_t n_wants = 0;
        put_le64(bin, 1ull << swim_bucket(f.gone.sid));
        put_le64(bin + 8, f.gone.sid);
        put_le64(bin + 16, f.gone.incarnation.boot + (uint64_t)cases[i].boot);
        put_le32(bin + 24, f.gone.incarnation.seq + (uint32_t)cases[i].seq);
        bin[28] = (uint8_t)cases[i].state;
        drain(&f);
        swim_test_say(&f.net, &f.teller, &list, 1);
        while (swim_next(f.net.swim, f.net.now, &f.net.scratch, &action)) {
            struct swim_frame frame;
            struct unpack run =
                unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
            while (action.kind == SWIM_SEND && swim_test_next_frame(&run, &frame)) {
                n_wants += frame.type == SWIM_WANT;
            }
        }
        assert_int_equal(n_wants, cases[i].is_wanted);
    }
    swim_free(f.net.swim);
}

static void a_sign_of_life_is_taken_at_any_time(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, SWIM_DEAD);
    swim_test_pass(&f.net, swim_rules_lan.dead_kept_ms - 1000);
    f.gone.incarnation.seq++;
    swim_test_say_alive(&f.net, &f.gone);
    assert_int_equal(f.member->state, SWIM_ALIVE);
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gone_are_told_of_for_half_of_their_time),
        cmocka_unit_test(a_late_farewell_does_not_renew_the_memory),
        cmocka_unit_test(a_younger_tombstone_of_another_is_not_wanted),
        cmocka_unit_test(nothing_is_exchanged_of_whom_both_hold_dead),
        cmocka_unit_test(a_sign_of_life_is_taken_at_any_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
