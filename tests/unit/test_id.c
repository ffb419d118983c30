/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/id.h"
#include "shared/base/mem.h"

/* The example of RFC 9562, appendix A.6. */
#define RFC_TEXT "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
#define RFC_MS   0x017f22e279b0ULL

static const uint8_t rfc_random[ID_RANDOM_BYTES] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc,
                                                    0x0c, 0x0c, 0x07, 0x39, 0x8f};

static void the_example_of_the_rfc_is_made(void **state)
{
    struct id id = id_make(RFC_MS, rfc_random);
    char text[ID_TEXT_MAX];

    (void)state;
    id_format(&id, text);
    assert_string_equal(text, RFC_TEXT);
    assert_int_equal(id_unix_ms(&id), RFC_MS);
}

static void version_and_variant_stand_whatever_is_random(void **state)
{
    uint8_t random[ID_RANDOM_BYTES];

    (void)state;
    for (int fill = 0; fill < 256; fill += 255) {
        memset(random, fill, sizeof random);
        struct id id = id_make(1, random);
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_int_equal(id.bytes[15], fill);
    }
}

static void ids_sort_by_their_millisecond(void **state)
{
    static const uint8_t zeros[ID_RANDOM_BYTES];
    uint8_t ones[ID_RANDOM_BYTES];
    char first_text[ID_TEXT_MAX];
    char second_text[ID_TEXT_MAX];

    (void)state;
    memset(ones, 255, sizeof ones);
    struct id first = id_make(255, ones);
    struct id second = id_make(256, zeros);
    id_format(&first, first_text);
    id_format(&second, second_text);
    assert_true(id_compare(&first, &second) < 0);
    assert_true(id_compare(&second, &first) > 0);
    assert_int_equal(id_compare(&first, &first), 0);
    assert_true(strcmp(first_text, second_text) < 0);
}

static void text_comes_back_in_either_case(void **state)
{
    struct id want = id_make(RFC_MS, rfc_random);
    struct id id = {{0}};

    (void)state;
    assert_true(id_parse(RFC_TEXT, &id));
    assert_int_equal(id_compare(&id, &want), 0);
    assert_true(id_parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", &id));
    assert_int_equal(id_compare(&id, &want), 0);
}

static void text_that_is_no_id_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "017f22e2",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        "017f22e2+79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e27-9b0-7cc3-98c4-dc0c0c07398f",
    };
    struct id id = {{42}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_false(id_parse(texts[i], &id));
    }
    assert_int_equal(id.bytes[0], 42);
}

static void a_prefix_of_eight_characters_is_enough(void **state)
{
    struct id id = id_make(RFC_MS, rfc_random);

    (void)state;
    assert_true(id_has_prefix(&id, "017f22e2"));
    assert_true(id_has_prefix(&id, "017F22E2-79"));
    assert_true(id_has_prefix(&id, RFC_TEXT));
    assert_false(id_has_prefix(&id, "017f22e"));
    assert_false(id_has_prefix(&id, ""));
    assert_false(id_has_prefix(&id, "017f22e3"));
    assert_false(id_has_prefix(&id, RFC_TEXT "0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc_is_made),
        cmocka_unit_test(version_and_variant_stand_whatever_is_random),
        cmocka_unit_test(ids_sort_by_their_millisecond),
        cmocka_unit_test(text_comes_back_in_either_case),
        cmocka_unit_test(text_that_is_no_id_is_refused),
        cmocka_unit_test(a_prefix_of_eight_characters_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
