/* SPDX-License-Identifier: Apache-2.0
 *
 * A viewer's place in a stream, played with numbers alone: what is kept, dropped and counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/viewer_resume.h"
#include "shared/base/mem.h"

static int set_up(void **state)
{
    *state = x_alloc(sizeof(struct resume));
    return 0;
}

static int tear_down(void **state)
{
    mem_free(*state);
    return 0;
}

/* Packets from number `from` to before `to`, a microsecond apart; how many were new. */
static unsigned take(struct resume *r, uint64_t from, uint64_t to)
{
    unsigned taken = 0;

    for (uint64_t i = from; i < to; i++) {
        taken += resume_take(r, 1000000 + i * 1000, 100) ? 1 : 0;
    }
    return taken;
}

static void check_ask(const struct resume *r, const char *wanted)
{
    char text[RESUME_ASK_MAX];

    assert_true(resume_ask(r, text));
    assert_string_equal(text, wanted);
}

static void nothing_can_be_asked_for_before_a_stream_is_named(void **state)
{
    struct resume *r = *state;
    char text[RESUME_ASK_MAX];

    assert_false(resume_ask(r, text));
    assert_int_equal(resume_connected(r, NULL, NULL, false), RESUME_FIRST);
    assert_false(resume_ask(r, text));
    assert_int_equal(resume_history_from_ns(r), 0);
}

static void the_position_counts_packets_and_losses(void **state)
{
    struct resume *r = *state;

    assert_int_equal(resume_connected(r, "s1", "1000", false), RESUME_FIRST);
    assert_int_equal(take(r, 0, 10), 10);
    check_ask(r, "s1:1010");
    assert_int_equal(resume_told(r, 5, 1015), 5);
    check_ask(r, "s1:1015");
    assert_int_equal(take(r, 15, 16), 1);
    check_ask(r, "s1:1016");
    assert_int_equal(r->lost, 5);
}

static void the_same_stream_goes_on_without_a_gap(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 100);
    assert_int_equal(resume_connected(r, "s1", "100", false), RESUME_CONTINUED);
    assert_int_equal(take(r, 100, 200), 100);
    assert_int_equal(r->lost, 0);
    assert_int_equal(r->duplicates, 0);
    check_ask(r, "s1:200");
}

static void a_gap_in_the_numbers_is_a_loss_told_once(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 100);
    assert_int_equal(resume_connected(r, "s1", "130", false), RESUME_CONTINUED);
    assert_int_equal(r->lost, 30);
    assert_int_equal(resume_told(r, 30, 130), 0); /* the same, in the stream */
    assert_int_equal(r->lost, 30);
    take(r, 130, 140);
    check_ask(r, "s1:140");
}

/* A node answers with the number that was asked for or, where the stream has not come so far, with
 * its next one: then our count was wrong, and what comes is new. */
static void an_answer_behind_our_count_leaves_nothing_out(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 100);
    assert_int_equal(resume_connected(r, "s1", "60", false), RESUME_CHANGED);
    assert_int_equal(take(r, 100, 150), 50);
    assert_int_equal(r->duplicates, 0);
    assert_int_equal(r->lost, 0);
    check_ask(r, "s1:110");
    assert_int_equal(resume_told(r, 7, 117), 7);
    check_ask(r, "s1:117");
}

static void and_what_its_history_holds_comes_once(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 100);
    assert_int_equal(resume_connected(r, "s1", "60", true), RESUME_CHANGED);
    assert_int_equal(take(r, 50, 110), 10); /* from the store */
    assert_int_equal(resume_told(r, 0, 60), 0);
    assert_int_equal(take(r, 110, 120), 10);
    assert_int_equal(r->duplicates, 50);
    check_ask(r, "s1:70");
}

static void history_does_not_count_in_the_position(void **state)
{
    struct resume *r = *state;

    assert_int_equal(resume_connected(r, "s1", "500", true), RESUME_FIRST);
    assert_int_equal(take(r, 0, 20), 20);
    check_ask(r, "s1:500");
    assert_int_equal(resume_told(r, 0, 500), 0);
    assert_int_equal(take(r, 20, 25), 5);
    check_ask(r, "s1:505");
    assert_int_equal(r->from_store, 20);
}

static void a_forgotten_stream_is_joined_by_history_without_duplicates(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 10000);
    assert_int_equal(resume_history_from_ns(r), 1000000 + (10000 - RESUME_TAIL) * 1000ull);
    assert_int_equal(resume_connected(r, "s2", "0", true), RESUME_CHANGED);
    assert_int_equal(take(r, 4000, 10300), 300); /* also what is older than the tail */
    assert_int_equal(r->duplicates, 6000);
    resume_told(r, 0, 0);
    assert_int_equal(take(r, 10300, 10400), 100);
    check_ask(r, "s2:100");
    assert_int_equal(r->lost, 0);
}

static void a_jump_over_what_history_held_is_no_loss(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "500", true);
    take(r, 0, 20);
    resume_told(r, 0, 500);
    assert_int_equal(resume_told(r, 0, 503), 0); /* 500 to 502 were in the store already */
    take(r, 20, 25);
    check_ask(r, "s1:508");
    assert_int_equal(r->lost, 0);
}

static void a_loss_after_a_gap_in_the_numbers_is_another(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 100);
    resume_connected(r, "s1", "130", false);
    take(r, 130, 140);
    assert_int_equal(resume_told(r, 10, 150), 10);
    assert_int_equal(r->lost, 40);
    check_ask(r, "s1:150");
}

static void history_may_be_in_another_order(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 3);
    take(r, 4, 5); /* 3 was behind another queue */
    resume_connected(r, "s2", "0", true);
    assert_int_equal(take(r, 4, 5), 0);
    assert_int_equal(take(r, 0, 4), 1);
    assert_int_equal(take(r, 5, 6), 1);
}

static void twins_are_told_apart_by_their_number(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    assert_true(resume_take(r, 7000, 60));
    assert_true(resume_take(r, 7000, 60));
    resume_connected(r, "s2", "0", true);
    assert_false(resume_take(r, 7000, 60));
    assert_false(resume_take(r, 7000, 60));
    assert_true(resume_take(r, 7000, 60)); /* the third was not there before */
    assert_true(resume_take(r, 7000, 61));
}

static void what_was_told_as_lost_is_not_fetched_again(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 10);
    resume_told(r, 5, 15);
    take(r, 15, 20);
    /* The tail begins with the last packet before the loss. */
    assert_int_equal(resume_history_from_ns(r), 1000000 + 9 * 1000);
    resume_connected(r, "s2", "0", true);
    assert_int_equal(take(r, 0, 10), 0);
    assert_int_equal(r->lost, 5);
}

static void a_second_break_while_history_comes_keeps_what_was_taken(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 100);
    resume_connected(r, "s2", "0", true);
    assert_int_equal(take(r, 50, 150), 50);
    assert_int_equal(resume_connected(r, "s3", "0", true), RESUME_CHANGED);
    assert_int_equal(take(r, 50, 160), 10);
}

static void without_a_store_a_new_stream_begins_at_once(void **state)
{
    struct resume *r = *state;

    resume_connected(r, "s1", "0", false);
    take(r, 0, 10);
    assert_int_equal(resume_connected(r, "s2", "3", false), RESUME_CHANGED);
    assert_true(r->plain);
    assert_int_equal(take(r, 5, 8), 3);
    check_ask(r, "s2:6");
}

static void a_strange_stream_name_is_not_sent_back(void **state)
{
    static const char *const names[] = {"", "a b", "a&resume=b", "a:1", "a\r\nX: y"};
    struct resume *r = *state;
    char text[RESUME_ASK_MAX];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        resume_connected(r, names[i], "0", false);
        assert_false(resume_ask(r, text));
    }
}

static void comments_are_read_where_they_are_ours(void **state)
{
    static const struct {
        const char *text;
        bool found;
        uint64_t lost;
        uint64_t position;
    } cases[] = {
        {"packetrecorder: lost=5 position=120", true, 5, 120},
        {"viewer lost 5 packets; packetrecorder: lost=5 position=120; more", true, 5, 120},
        {"packetrecorder: lost=0 position=18446744073709551615", true, 0, UINT64_MAX},
        {"packetrecorder: lost=7", true, 7, UINT64_MAX},
        {"packetrecorder: position=120\nmore", true, 0, 120},
        {"packetrecorder: position=120 lost=5\nviewer lost 5 packets", true, 5, 120},
        {"packetrecorder: lost= position=", false, 0, 0},
        {"packetrecorder: lost=99999999999999999999", false, 0, 0},
        {"lost=5 position=120", false, 0, 0},
        {"packetrecorder: dropped at the limit: 0", false, 0, 0},
        {"", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t lost = 0;
        uint64_t position = 0;
        assert_int_equal(
            resume_parse_comment(cases[i].text, strlen(cases[i].text), &lost, &position),
            cases[i].found);
        assert_int_equal(lost, cases[i].lost);
        assert_int_equal(position, cases[i].position);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(nothing_can_be_asked_for_before_a_stream_is_named),
        TEST(the_position_counts_packets_and_losses),
        TEST(the_same_stream_goes_on_without_a_gap),
        TEST(a_gap_in_the_numbers_is_a_loss_told_once),
        TEST(an_answer_behind_our_count_leaves_nothing_out),
        TEST(and_what_its_history_holds_comes_once),
        TEST(history_does_not_count_in_the_position),
        TEST(a_forgotten_stream_is_joined_by_history_without_duplicates),
        TEST(a_jump_over_what_history_held_is_no_loss),
        TEST(a_loss_after_a_gap_in_the_numbers_is_another),
        TEST(history_may_be_in_another_order),
        TEST(twins_are_told_apart_by_their_number),
        TEST(what_was_told_as_lost_is_not_fetched_again),
        TEST(a_second_break_while_history_comes_keeps_what_was_taken),
        TEST(without_a_store_a_new_stream_begins_at_once),
        TEST(a_strange_stream_name_is_not_sent_back),
        TEST(comments_are_read_where_they_are_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
