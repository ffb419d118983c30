/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/base/tags.h"
#include "tests/support/splitmix.h"

static void what_is_a_tag(void **state)
{
    static const char *const good[] = {"a=b", "site=berlin", "k=", "rack/row=7.b", "x_Y-0=a=b c"};
    static const char *const bad[] = {"",    "=",    "=x",      "a",       "a b=c",
                                      "ä=b", "a=\n", "a=\x1b[", "a=1,b=2", "a=\x7f"};
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(tag_check(good[i], &err), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(tag_check(bad[i], &err), ERR_USAGE);
        assert_string_not_equal(err.text, "");
    }
}

static void they_are_kept_in_order_and_a_key_once(void **state)
{
    struct tags tags = {0};
    char text[TAGS_BYTES_MAX];
    struct err err = {0};

    (void)state;
    assert_int_equal(tags_add(&tags, "role=edge", &err), 0);
    assert_int_equal(tags_add(&tags, "site=berlin", &err), 0);
    assert_int_equal(tags_add(&tags, "dc=1", &err), 0);
    assert_int_equal(tags_add(&tags, "site=bonn", &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "'site'"));
    assert_int_equal(tags_add(&tags, "sit=e", &err), 0); /* another key */
    size_t n = tags_write(&tags, text);
    static const char wanted[] = "dc=1\nrole=edge\nsit=e\nsite=berlin\n";
    assert_int_equal(n, sizeof wanted - 1);
    assert_memory_equal(text, wanted, n);
    assert_true(tags_have(&tags, "role=edge"));
    assert_false(tags_have(&tags, "role=edg"));
    assert_false(tags_have(&tags, "role"));
    assert_true(tags_have_all(&tags, (const char *const[]){"dc=1", "sit=e"}, 2));
    assert_false(tags_have_all(&tags, (const char *const[]){"dc=1", "dc=2"}, 2));
    assert_true(tags_have_all(&tags, NULL, 0));
}

static void there_is_an_end_to_them(void **state)
{
    struct tags tags = {0};
    char text[TAG_MAX + 8];
    struct err err = {0};
    size_t bytes = 0;
    int rc = 0;

    (void)state;
    for (unsigned i = 0; rc == 0; i++) {
        snprintf(text, sizeof text, "k%02u=%.*s", i, TAG_MAX - 4,
                 "0123456789012345678901234567890123456789012345678901234567890123456789");
        assert_int_equal(strlen(text), TAG_MAX);
        rc = tags_add(&tags, text, &err);
        bytes += rc == 0 ? TAG_MAX + 1 : 0;
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_int_equal(bytes, 15 * (TAG_MAX + 1)); /* a 16th would be more than 1,000 */
    tags = (struct tags){0};
    rc = 0;
    for (unsigned i = 0; rc == 0; i++) {
        snprintf(text, sizeof text, "%u=", i);
        rc = tags_add(&tags, text, &err);
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_int_equal(tags.n, TAGS_MAX);
    memset(text, 'x', sizeof text);
    text[1] = '=';
    text[TAG_MAX + 1] = '\0';
    assert_int_equal(tag_check(text, &err), ERR_USAGE);
    text[TAG_MAX] = '\0';
    assert_int_equal(tag_check(text, &err), 0);
}

static void only_what_we_would_write_is_read(void **state)
{
    static const char *const bad[] = {"a=1", "a=1\n\n", "b=1\na=1\n", "a=1\na=2\n",
                                      "a\n", "\n",      "a=\x1b\n"};
    struct tags tags;

    (void)state;
    assert_true(tags_read("a=1\nb=\n", 7, &tags));
    assert_int_equal(tags.n, 2);
    assert_true(tags_read("", 0, &tags));
    assert_int_equal(tags.n, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(tags_read(bad[i], strlen(bad[i]), &tags));
        assert_int_equal(tags.n, 0);
    }
    assert_false(tags_read("a=1\0\n", 5, &tags));
}

/* Any damage gives tags that say the same when they are written, or none. */
static void damaged_ones_are_whole_or_none(void **state)
{
    static const char whole[] = "dc=1\nrole=edge\nsite=berlin\n";
    uint64_t seed = 5;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char text[sizeof whole];
        char again[TAGS_BYTES_MAX];
        struct tags tags;
        memcpy(text, whole, sizeof whole);
        size_t n = splitmix_u64(&seed) % sizeof whole;
        for (unsigned k = 0; k < 1 + i % 3 && n > 0; k++) {
            text[splitmix_u64(&seed) % n] = (char)splitmix_u64(&seed);
        }
        if (tags_read(text, n, &tags)) {
            assert_int_equal(tags_write(&tags, again), n);
            assert_memory_equal(again, text, n);
        } else {
            assert_int_equal(tags.n, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_tag),
        cmocka_unit_test(they_are_kept_in_order_and_a_key_once),
        cmocka_unit_test(there_is_an_end_to_them),
        cmocka_unit_test(only_what_we_would_write_is_read),
        cmocka_unit_test(damaged_ones_are_whole_or_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
