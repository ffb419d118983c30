/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a suspicion lasts: by its confirmations, by how many could confirm, by who they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

#define SUSPECT 1 /* the peer that is accused */

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peers[12];
};

static void begin(struct fixture *f, uint32_t n)
{
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    for (uint32_t i = 1; i < n; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, (uint8_t)i);
        swim_test_say_alive(&f->net, &f->peers[i]);
    }
}

static void accuse(struct fixture *f, uint32_t teller, uint64_t from, uint8_t lh)
{
    const struct swim_frame frame = {.type = SWIM_SUSPECT_FRAME,
                                     .sid = f->peers[SUSPECT].sid,
                                     .incarnation = f->peers[SUSPECT].incarnation,
                                     .from = from,
                                     .lh = lh};

    swim_test_say(&f->net, &f->peers[teller], &frame, 1);
}

static const struct swim_member *suspect(const struct fixture *f)
{
    return swim_find(f->net.swim, f->peers[SUSPECT].sid);
}

/* Until the verdict, from its beginning. */
static uint64_t lasts_ms(const struct fixture *f)
{
    const struct swim_suspicion *s = suspect(f)->suspicion;

    assert_non_null(s);
    return (s->timer.due_ns - s->started_ns) / SWIM_MS;
}

static void confirmations_shorten_it_on_a_logarithmic_scale(void **state)
{
    static const uint64_t most[] = {12000, 7000, 4076, 2000}; /* log(c + 1) / log(4) */
    struct fixture f;

    (void)state;
    begin(&f, 10);
    for (uint32_t c = 0; c < 4; c++) {
        accuse(&f, 2 + c, f.peers[2 + c].sid, 0);
        assert_in_range(lasts_ms(&f), most[c] - 2, most[c] + 2);
    }
    accuse(&f, 7, f.peers[7].sid, 0);
    assert_in_range(lasts_ms(&f), 1998, 2002);
    swim_free(f.net.swim);
}

static void the_sick_the_same_the_accused_and_the_unknown_do_not_confirm(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 10);
    accuse(&f, 2, f.peers[2].sid, 0);
    accuse(&f, 3, f.peers[3].sid, 2); /* lh above healthy_most */
    accuse(&f, 3, f.peers[2].sid, 0);
    accuse(&f, 3, f.peers[SUSPECT].sid, 0);
    accuse(&f, 3, 0xdeadbeef, 0);
    assert_int_equal(suspect(&f)->suspicion->n_confirmed, 0);
    accuse(&f, 3, f.peers[3].sid, 1);
    assert_int_equal(suspect(&f)->suspicion->n_confirmed, 1);
    swim_free(f.net.swim);
}

static void few_members_need_few_confirmations(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 4); /* two others can confirm */
    accuse(&f, 2, f.peers[2].sid, 0);
    assert_in_range(lasts_ms(&f), 11998, 12002);
    accuse(&f, 3, f.peers[3].sid, 0);
    accuse(&f, 3, f.net.swim->self->sid, 0);
    assert_in_range(lasts_ms(&f), 1998, 2002);
    swim_free(f.net.swim);
    begin(&f, 2); /* nobody can: the longest */
    accuse(&f, 1, f.net.swim->self->sid, 0);
    assert_in_range(lasts_ms(&f), 11998, 12002);
    swim_free(f.net.swim);
}

static void only_its_own_newer_record_ends_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 10);
    accuse(&f, 2, f.peers[2].sid, 0);
    swim_test_say_alive(&f.net, &f.peers[SUSPECT]);
    assert_int_equal(suspect(&f)->state, SWIM_SUSPECT);
    f.peers[SUSPECT].incarnation.seq++;
    swim_test_say_alive(&f.net, &f.peers[SUSPECT]);
    assert_int_equal(suspect(&f)->state, SWIM_ALIVE);
    assert_null(suspect(&f)->suspicion);
    f.peers[SUSPECT].incarnation.seq--;
    accuse(&f, 2, f.peers[2].sid, 0); /* of the one before */
    assert_int_equal(suspect(&f)->state, SWIM_ALIVE);
    swim_free(f.net.swim);
}

/* Timers are served: a core that slept gives a suspicion more time. */
static void pass(struct fixture *f, uint64_t ms)
{
    struct swim_action action;

    for (; ms > 0; ms--) {
        swim_test_pass(&f->net, 1);
        swim_on_time(f->net.swim, f->net.now);
        while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        }
    }
}

static void a_death_heard_of_too_early_is_a_suspicion(void **state)
{
    struct fixture f;
    struct swim_frame dead = {.type = SWIM_DEAD_FRAME, .lh = 3};

    (void)state;
    begin(&f, 10);
    dead.sid = f.peers[SUSPECT].sid;
    dead.incarnation = f.peers[SUSPECT].incarnation;
    dead.from = f.peers[2].sid;
    swim_test_say(&f.net, &f.peers[2], &dead, 1);
    assert_int_equal(suspect(&f)->state, SWIM_SUSPECT);
    pass(&f, swim_rules_lan.dead_doubt_ms - 1);
    swim_test_say(&f.net, &f.peers[3], &dead, 1);
    assert_int_equal(suspect(&f)->state, SWIM_SUSPECT);
    pass(&f, 1);
    swim_test_say(&f.net, &f.peers[3], &dead, 1);
    assert_int_equal(suspect(&f)->state, SWIM_DEAD);
    swim_free(f.net.swim);
}

/* It dies and comes back, each time. */
static void die_and_return(struct fixture *f)
{
    accuse(f, 2, f->peers[2].sid, 0);
    swim_declare_dead(f->net.swim, swim_find(f->net.swim, f->peers[SUSPECT].sid), 1, 0);
    swim_test_pass(&f->net, 1000);
    f->peers[SUSPECT].incarnation.seq++;
    swim_test_say_alive(&f->net, &f->peers[SUSPECT]);
}

static void who_flaps_gets_longer(void **state)
{
    struct fixture f;
    uint64_t last = 0;

    (void)state;
    begin(&f, 10);
    for (uint32_t i = 0; i <= SWIM_FLAP_MOST; i++) {
        accuse(&f, 2, f.peers[2].sid, 0);
        assert_true(suspect(&f)->suspicion->min_ms > last);
        last = suspect(&f)->suspicion->min_ms;
        die_and_return(&f);
    }
    accuse(&f, 2, f.peers[2].sid, 0);
    assert_int_equal(suspect(&f)->suspicion->min_ms, last); /* not for ever longer */
    f.peers[SUSPECT].incarnation.seq++;
    swim_test_say_alive(&f.net, &f.peers[SUSPECT]);
    swim_test_pass(&f.net, SWIM_FLAP_WINDOW_MS + 1000);
    accuse(&f, 2, f.peers[2].sid, 0);
    assert_int_equal(suspect(&f)->suspicion->min_ms, swim_rules_lan.min_ms);
    swim_free(f.net.swim);
}

static void who_objects_again_and_again_gets_longer(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 10);
    for (uint32_t i = 0; i < SWIM_REFUTED_OFTEN + 2; i++) {
        uint32_t times = i >= SWIM_REFUTED_OFTEN ? 8 : 1;
        accuse(&f, 2, f.peers[2].sid, 0);
        assert_int_equal(suspect(&f)->suspicion->min_ms, times * swim_rules_lan.min_ms);
        f.peers[SUSPECT].incarnation.seq++;
        swim_test_say_alive(&f.net, &f.peers[SUSPECT]);
    }
    swim_test_pass(&f.net, SWIM_FLAP_WINDOW_MS + 1000);
    accuse(&f, 2, f.peers[2].sid, 0);
    assert_int_equal(suspect(&f)->suspicion->min_ms, swim_rules_lan.min_ms);
    swim_free(f.net.swim);
}

/* Who is doubted for longer is not buried by the word of one that has not seen it flap. */
static void the_death_of_who_flaps_is_doubted_for_longer(void **state)
{
    struct fixture f;
    struct swim_frame dead = {.type = SWIM_DEAD_FRAME, .lh = 3};

    (void)state;
    begin(&f, 10);
    die_and_return(&f);
    accuse(&f, 2, f.peers[2].sid, 0);
    dead.sid = f.peers[SUSPECT].sid;
    dead.incarnation = f.peers[SUSPECT].incarnation;
    dead.from = f.peers[3].sid;
    pass(&f, 2 * swim_rules_lan.dead_doubt_ms - 1);
    swim_test_say(&f.net, &f.peers[3], &dead, 1);
    assert_int_equal(suspect(&f)->state, SWIM_SUSPECT);
    pass(&f, 1);
    swim_test_say(&f.net, &f.peers[3], &dead, 1);
    assert_int_equal(suspect(&f)->state, SWIM_DEAD);
    swim_free(f.net.swim);
}

/* ---- who judges ---- */

/* How long until we hold it dead, at most; in steps of a tenth of a second, in which we are
 * answered by a peer so that we are not cut off. */
static uint64_t dies_after_ms(struct fixture *f, uint32_t lh, uint64_t most_ms)
{
    uint64_t ms = 0;

    while (suspect(f)->state != SWIM_DEAD && ms < most_ms) {
        f->net.swim->lh = lh;
        swim_contact(f->net.swim);
        swim_test_pass(&f->net, 100);
        /* Nothing but the verdict: probes would add accusers. */
        f->net.swim->now = f->net.now;
        const struct swim_suspicion *s = suspect(f)->suspicion;
        if (s != NULL && s->timer.due_ns <= f->net.now.mono_ns) {
            swim_on_suspicion_timer(f->net.swim, suspect(f)->suspicion);
        }
        ms += 100;
    }
    return ms;
}

static void who_is_unwell_and_alone_with_it_looks_again_four_times(void **state)
{
    static const struct {
        uint32_t lh;
        bool is_confirmed;
        uint64_t ms;
    } cases[] = {{0, false, 12000}, {1, false, 12000}, {2, false, 60000}, {8, true, 7000}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        begin(&f, 10);
        f.net.swim->lh = cases[i].lh;
        swim_accuse(f.net.swim, swim_find(f.net.swim, f.peers[SUSPECT].sid));
        if (cases[i].is_confirmed) {
            accuse(&f, 2, f.peers[2].sid, 0);
        }
        /* Before the verdict its subject is asked once more. */
        uint64_t ms = cases[i].ms + swim_rules_lan.dead_doubt_ms;
        assert_in_range(dies_after_ms(&f, cases[i].lh, 100000), ms, ms + 400);
        swim_free(f.net.swim);
    }
}

/* Unwell and alone with it one looks again; well again, its verdict waits for an answer as any. */
static void what_was_asked_before_a_new_time_is_asked_again(void **state)
{
    struct fixture f;
    uint64_t asked_ms = swim_rules_lan.max_ms + swim_rules_lan.dead_doubt_ms;

    (void)state;
    begin(&f, 10);
    swim_accuse(f.net.swim, swim_find(f.net.swim, f.peers[SUSPECT].sid));
    assert_int_equal(dies_after_ms(&f, 0, swim_rules_lan.max_ms + 1000),
                     swim_rules_lan.max_ms + 1000);
    assert_true(suspect(&f)->suspicion->asked);
    (void)dies_after_ms(&f, 2, 1000); /* meanwhile it fell ill, and takes all the time again */
    assert_false(suspect(&f)->suspicion->asked);
    assert_in_range(dies_after_ms(&f, 0, 100000), asked_ms - 600, asked_ms + 400);
    swim_free(f.net.swim);
}

/* ---- objecting ---- */

/* How many datagrams tell the accused of it when it has said a word. */
static uint32_t n_you_are(struct fixture *f)
{
    const struct swim_frame word = {.type = SWIM_NACK, .seq = 1};
    struct swim_action action;
    uint32_t n = 0;

    swim_test_say(&f->net, &f->peers[SUSPECT], &word, 1);
    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        struct swim_frame frame;
        if (action.kind != SWIM_SEND) {
            continue;
        }
        struct unpack run =
            unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
        while (swim_test_next_frame(&run, &frame)) {
            n += frame.type == SWIM_YOUARE && frame.state == SWIM_SUSPECT &&
                 frame.incarnation.seq == f->peers[SUSPECT].incarnation.seq;
        }
    }
    return n;
}

/* In a partition that is over, or its objection was lost. Who had no time to object yet is told by
 * gossip and witnesses anyway. */
static void who_speaks_and_has_not_objected_is_told(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 10);
    assert_int_equal(n_you_are(&f), 0);
    accuse(&f, 2, f.peers[2].sid, 0);
    pass(&f, swim_rules_lan.dead_doubt_ms - 1);
    assert_int_equal(n_you_are(&f), 0);
    pass(&f, 1);
    assert_int_equal(n_you_are(&f), 1);
    pass(&f, 249);
    assert_int_equal(n_you_are(&f), 0); /* four times a second are enough */
    pass(&f, 1);
    assert_int_equal(n_you_are(&f), 1);
    f.peers[SUSPECT].incarnation.seq++;
    swim_test_say_alive(&f.net, &f.peers[SUSPECT]);
    pass(&f, 1000);
    assert_int_equal(n_you_are(&f), 0);
    swim_free(f.net.swim);
}

static uint32_t n_told(struct fixture *f)
{
    struct swim_action action;
    uint32_t n = 0;

    for (uint32_t i = 0; i < 30; i++) {
        swim_test_pass(&f->net, 100);
        swim_on_time(f->net.swim, f->net.now);
        while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
            struct swim_frame frame;
            if (action.kind != SWIM_SEND) {
                continue;
            }
            struct unpack run =
                unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
            while (swim_test_next_frame(&run, &frame)) {
                n += frame.type == SWIM_ALIVE_FRAME && frame.n_bin == f->net.swim->self->n_record &&
                     memcmp(frame.bin, f->net.swim->self->record, frame.n_bin) == 0;
            }
        }
    }
    return n;
}

/* What it answered was lost, or they would not say so still. */
static void who_is_accused_of_what_it_has_answered_answers_again(void **state)
{
    struct fixture f;
    struct swim_frame frame = {.type = SWIM_SUSPECT_FRAME};

    (void)state;
    begin(&f, 10);
    frame.sid = f.net.swim->self->sid;
    frame.incarnation = swim_own_incarnation(f.net.swim);
    frame.from = f.peers[2].sid;
    swim_test_say(&f.net, &f.peers[2], &frame, 1);
    assert_int_equal(swim_own_incarnation(f.net.swim).seq, 1);
    assert_true(n_told(&f) > 3);
    assert_int_equal(n_told(&f), 0);
    swim_test_say(&f.net, &f.peers[3], &frame, 1);
    assert_int_equal(swim_own_incarnation(f.net.swim).seq, 2);
    swim_test_say(&f.net, &f.peers[4], &frame, 1); /* that is under way */
    assert_int_equal(swim_own_incarnation(f.net.swim).seq, 2);
    assert_true(n_told(&f) > 3);
    frame.incarnation.seq = 9; /* nobody but we could have made it */
    swim_test_say(&f.net, &f.peers[3], &frame, 1);
    assert_int_equal(n_told(&f), 0);
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirmations_shorten_it_on_a_logarithmic_scale),
        cmocka_unit_test(the_sick_the_same_the_accused_and_the_unknown_do_not_confirm),
        cmocka_unit_test(few_members_need_few_confirmations),
        cmocka_unit_test(only_its_own_newer_record_ends_it),
        cmocka_unit_test(a_death_heard_of_too_early_is_a_suspicion),
        cmocka_unit_test(who_flaps_gets_longer),
        cmocka_unit_test(who_objects_again_and_again_gets_longer),
        cmocka_unit_test(the_death_of_who_flaps_is_doubted_for_longer),
        cmocka_unit_test(who_is_unwell_and_alone_with_it_looks_again_four_times),
        cmocka_unit_test(what_was_asked_before_a_new_time_is_asked_again),
        cmocka_unit_test(who_speaks_and_has_not_objected_is_told),
        cmocka_unit_test(who_is_accused_of_what_it_has_answered_answers_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
