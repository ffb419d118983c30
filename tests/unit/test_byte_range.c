/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/byte_range.h"
#include "shared/base/mem.h"

#define LENGTH 1000

static void assert_part(const char *header, uint64_t first, uint64_t last)
{
    uint64_t a = 0;
    uint64_t b = 0;

    assert_int_equal(byte_range_parse(header, LENGTH, &a, &b), BYTE_RANGE_PART);
    assert_int_equal(a, first);
    assert_int_equal(b, last);
}

static void one_range_is_a_part(void **state)
{
    (void)state;
    assert_part("bytes=0-0", 0, 0);
    assert_part("bytes=0-999", 0, 999);
    assert_part("bytes=10-", 10, 999);
    assert_part("bytes=990-5000", 990, 999);
    assert_part("bytes=-1", 999, 999);
    assert_part("bytes=-5000", 0, 999);
    assert_part("bytes=5-99999999999999999999999", 5, 999);
    assert_part("bytes=-99999999999999999999999", 0, 999);
    assert_part("Bytes= 5-6 ", 5, 6);
}

static void beyond_the_end_is_none(void **state)
{
    static const char *const headers[] = {"bytes=1000-", "bytes=1000-2000", "bytes=-0",
                                          "bytes=99999999999999999999999-"};
    uint64_t a = 7;
    uint64_t b = 7;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        assert_int_equal(byte_range_parse(headers[i], LENGTH, &a, &b), BYTE_RANGE_NONE);
    }
    assert_int_equal(byte_range_parse("bytes=-5", 0, &a, &b), BYTE_RANGE_NONE);
    assert_int_equal(a, 7);
}

static void everything_else_is_the_whole(void **state)
{
    static const char *const headers[] = {"",           "bytes",     "bytes=",    "bytes=-",
                                          "bytes=a-b",  "bytes=5-4", "lines=0-1", "bytes=0-1,3-4",
                                          "bytes=0-1x", "bytes=+1-2"};
    uint64_t a;
    uint64_t b;

    (void)state;
    assert_int_equal(byte_range_parse(NULL, LENGTH, &a, &b), BYTE_RANGE_WHOLE);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        assert_int_equal(byte_range_parse(headers[i], LENGTH, &a, &b), BYTE_RANGE_WHOLE);
    }
}

static void a_tag_is_found_in_a_list(void **state)
{
    (void)state;
    assert_true(etag_is_listed("\"a\"", "\"a\"", false));
    assert_true(etag_is_listed("\"x, y\", \"a\"", "\"a\"", false));
    assert_true(etag_is_listed("*", "\"a\"", false));
    assert_true(etag_is_listed("\"b\" , W/\"a\"", "\"a\"", true));
    assert_false(etag_is_listed("W/\"a\"", "\"a\"", false));
    assert_false(etag_is_listed("\"b\"", "\"a\"", true));
    assert_false(etag_is_listed("\"a", "\"a\"", true));
    assert_false(etag_is_listed("a", "\"a\"", true));
    assert_false(etag_is_listed("Wed, 25 Nov 2026 10:00:00 GMT", "\"a\"", true));
    assert_false(etag_is_listed("", "\"a\"", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_is_a_part),
        cmocka_unit_test(beyond_the_end_is_none),
        cmocka_unit_test(everything_else_is_the_whole),
        cmocka_unit_test(a_tag_is_found_in_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
