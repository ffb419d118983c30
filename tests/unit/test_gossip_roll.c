/* SPDX-License-Identifier: Apache-2.0
 *
 * What members are called and asked for by, where names collide or were chosen to mislead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/gossip.h"
#include "shared/base/mem.h"

#define ONE   "1234abcd00000000000000000000aaaa"
#define OTHER "99887766000000000000000000000bbb"
#define THIRD "deadbeef00000000000000000000cccc"

static struct gossip_roll *roll;

static struct gossip_member member(const char *name, const char *id, enum gossip_state_word state)
{
    struct gossip_member out = {.has_meta = true, .state = state};

    (void)snprintf(out.meta.name, sizeof out.meta.name, "%s", name);
    (void)snprintf(out.id, sizeof out.id, "%s", id);
    out.sid = (uint64_t)(unsigned char)id[31];
    return out;
}

static void given(const struct gossip_member *some, size_t n)
{
    struct gossip_member *all = x_alloc(n * sizeof *all);

    memcpy(all, some, n * sizeof *all);
    gossip_label_all(all, n);
    roll = gossip_roll_of(all, n);
}

static void given_names(const char *one, const char *other)
{
    const struct gossip_member some[] = {member(one, ONE, GOSSIP_ALIVE),
                                         member(other, OTHER, GOSSIP_ALIVE)};

    given(some, 2);
}

static int tear_down(void **state)
{
    (void)state;
    gossip_roll_free(roll);
    roll = NULL;
    return 0;
}

static const char *label_of(const char *id)
{
    return gossip_roll_label(roll, (uint64_t)(unsigned char)id[31]);
}

static void is_called(const char *id, const char *label)
{
    assert_string_equal(label_of(id), label);
}

static void finds(const char *text, const char *id)
{
    struct gossip_member found = {0};

    assert_int_equal(gossip_roll_find(roll, text, &found, NULL), 0);
    assert_string_equal(found.id, id);
}

static void refuses(const char *text, int code)
{
    struct gossip_member found;

    assert_int_equal(gossip_roll_find(roll, text, &found, NULL), code);
}

static void a_name_of_its_own_is_the_label(void **state)
{
    (void)state;
    given_names("a", "b");
    is_called(ONE, "a");
    is_called(OTHER, "b");
    finds("a", ONE);
    finds("a@1234abcd", ONE);
    finds("a@1234abcd0000", ONE);
    finds("a@" ONE, ONE);
    finds("1234abcd", ONE);
    finds(OTHER, OTHER);
    refuses("a@99887766", ERR_NOT_FOUND);
    refuses("a@1234abc", ERR_NOT_FOUND);
    refuses("a@", ERR_NOT_FOUND);
    refuses("@1234abcd", ERR_NOT_FOUND);
    refuses("1234abc", ERR_NOT_FOUND);
    refuses("", ERR_NOT_FOUND);
}

static void two_of_one_name_have_digits(void **state)
{
    struct gossip_member found;
    struct err err = {0};

    (void)state;
    given_names("b", "b");
    is_called(ONE, "b@1234abcd");
    is_called(OTHER, "b@99887766");
    finds("b@1234abcd", ONE);
    finds("b@99887766", OTHER);
    assert_int_equal(gossip_roll_find(roll, "b", &found, &err), ERR_AMBIGUOUS);
    assert_non_null(strstr(err.text, "say 'b@1234abcd'"));
}

static void who_alone_lives_of_a_name_has_it(void **state)
{
    static const enum gossip_state_word gone[] = {GOSSIP_DEAD, GOSSIP_LEFT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct gossip_member some[] = {member("b", ONE, gone[i]),
                                             member("b", OTHER, GOSSIP_SUSPECT)};
        given(some, 2);
        is_called(ONE, "b@1234abcd");
        is_called(OTHER, "b");
        finds("b", OTHER);
        finds("b@1234abcd", ONE);
        finds("b@99887766", OTHER);
        gossip_roll_free(roll);
    }
    const struct gossip_member both[] = {member("b", ONE, GOSSIP_DEAD),
                                         member("b", OTHER, GOSSIP_LEFT)};
    given(both, 2);
    is_called(ONE, "b@1234abcd");
    refuses("b", ERR_AMBIGUOUS);
    gossip_roll_free(roll);
    given(both, 1);
    is_called(ONE, "b");
    finds("b", ONE);
}

static void who_has_no_name_is_called_by_its_id(void **state)
{
    struct gossip_member some[] = {member("", ONE, GOSSIP_ALIVE), member("", OTHER, GOSSIP_ALIVE)};

    (void)state;
    some[1].has_meta = false;
    given(some, 2);
    is_called(ONE, ONE);
    is_called(OTHER, OTHER);
    finds(ONE, ONE);
}

static void a_name_may_have_an_at(void **state)
{
    (void)state;
    given_names("web@rack", "web@rack");
    is_called(ONE, "web@rack@1234abcd");
    finds("web@rack@99887766", OTHER);
    refuses("web@rack", ERR_AMBIGUOUS);
    gossip_roll_free(roll);
    given_names("web@rack", "web");
    is_called(ONE, "web@rack");
    is_called(OTHER, "web");
    finds("web@rack", ONE);
    finds("web@rack@1234abcd", ONE);
}

/* The second calls itself as the first is shown, or could be asked for. */
static void a_name_like_a_label_takes_nobodys_place(void **state)
{
    (void)state;
    given_names("b", "b@1234abcd");
    is_called(ONE, "b");
    is_called(OTHER, "b@1234abcd@99887766");
    finds("b@1234abcd", ONE);
    finds("b@1234abcd@99887766", OTHER);
    gossip_roll_free(roll);

    const struct gossip_member three[] = {member("b", ONE, GOSSIP_ALIVE),
                                          member("b@1234abcd", OTHER, GOSSIP_ALIVE),
                                          member("b", THIRD, GOSSIP_ALIVE)};
    given(three, 3);
    is_called(ONE, "b@1234abcd");
    is_called(OTHER, "b@1234abcd@99887766");
    finds("b@1234abcd", ONE);
    finds("b@deadbeef", THIRD);
    gossip_roll_free(roll);

    given_names("b", "c@1234abcd"); /* like no one's, but who comes next may be called c */
    is_called(OTHER, "c@1234abcd@99887766");
    finds("c@1234abcd", OTHER);
}

static void a_name_like_an_id_takes_nobodys_place(void **state)
{
    (void)state;
    given_names("a", ONE);
    is_called(OTHER, ONE "@99887766");
    finds(ONE, ONE);
    finds(ONE "@99887766", OTHER);
    gossip_roll_free(roll);

    given_names("a", "1234abcd0000"); /* as Docker calls hosts */
    is_called(OTHER, "1234abcd0000");
    finds("1234abcd0000", OTHER);
    finds("1234abcd00000", ONE);
    finds("1234abcd", ONE);
}

static void ids_that_begin_alike_are_whole(void **state)
{
    static const char near[] = "1234abcd11111111111111111111dddd";
    const struct gossip_member some[] = {member("b", ONE, GOSSIP_ALIVE),
                                         member("b", near, GOSSIP_ALIVE),
                                         member("b", OTHER, GOSSIP_ALIVE)};

    (void)state;
    given(some, 3);
    is_called(ONE, ONE);
    is_called(near, near);
    is_called(OTHER, "b@99887766");
    refuses("b@1234abcd", ERR_AMBIGUOUS);
    refuses("1234abcd", ERR_AMBIGUOUS);
    finds("b@1234abcd1", near);
}

static void the_longest_name_fits(void **state)
{
    char name[SWIM_META_NAME_MAX + 1] = {0};
    char label[GOSSIP_LABEL_TEXT];

    (void)state;
    memset(name, 'n', SWIM_META_NAME_MAX);
    given_names(name, name);
    (void)snprintf(label, sizeof label, "%s@99887766", name);
    is_called(OTHER, label);
    finds(label, OTHER);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_of_its_own_is_the_label),
        TEST(two_of_one_name_have_digits),
        TEST(who_alone_lives_of_a_name_has_it),
        TEST(who_has_no_name_is_called_by_its_id),
        TEST(a_name_may_have_an_at),
        TEST(a_name_like_a_label_takes_nobodys_place),
        TEST(a_name_like_an_id_takes_nobodys_place),
        TEST(ids_that_begin_alike_are_whole),
        TEST(the_longest_name_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
