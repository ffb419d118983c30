/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/packet_cursor.h"

#define ID    "01a21251-491e-7b6d-bcb7-8bf6f068e5c7"
#define OTHER "01a21251-491e-7b6d-bcb7-8bf6f068e5c8"

static void a_cursor_comes_back_as_it_was(void **state)
{
    static const uint64_t numbers[] = {0, 1, 1000, UINT64_MAX};
    char text[PACKET_CURSOR_TEXT];
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uint64_t number = 42;
        packet_cursor_write(ID, numbers[i], text);
        assert_int_equal(strlen(text), PACKET_CURSOR_TEXT - 1);
        assert_int_equal(packet_cursor_read(text, ID, &number, &err), 0);
        assert_true(number == numbers[i]);
    }
}

static void it_is_good_for_its_session_only(void **state)
{
    char text[PACKET_CURSOR_TEXT];
    struct err err = {0};
    uint64_t number = 42;

    (void)state;
    packet_cursor_write(ID, 5, text);
    assert_int_equal(packet_cursor_read(text, OTHER, &number, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "another session"));
    assert_int_equal(number, 42);
}

static void every_changed_letter_is_noticed(void **state)
{
    char text[PACKET_CURSOR_TEXT];
    struct err err = {0};
    uint64_t number;

    (void)state;
    packet_cursor_write(ID, 123456, text);
    for (size_t i = 0; i < PACKET_CURSOR_TEXT - 1; i++) {
        char was = text[i];
        text[i] = was == '0' ? '1' : '0';
        assert_int_equal(packet_cursor_read(text, ID, &number, &err), ERR_USAGE);
        text[i] = 'g';
        assert_int_equal(packet_cursor_read(text, ID, &number, &err), ERR_USAGE);
        text[i] = was;
    }
    assert_int_equal(packet_cursor_read("", ID, &number, &err), ERR_USAGE);
    text[PACKET_CURSOR_TEXT - 2] = '\0';
    assert_int_equal(packet_cursor_read(text, ID, &number, &err), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_comes_back_as_it_was),
        cmocka_unit_test(it_is_good_for_its_session_only),
        cmocka_unit_test(every_changed_letter_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
