/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/buf.h"
#include "shared/base/mem.h"

static void numbers_are_written_little_endian(void **state)
{
    static const uint8_t want[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8};
    struct buf buf = {0};

    (void)state;
    buf_put_u8(&buf, 1);
    buf_put_le16(&buf, 0x0203);
    buf_put_le32(&buf, 0x04050607);
    buf_put_le64(&buf, 0x08090a0b0c0d0e0f);
    assert_int_equal(buf.len, sizeof want);
    assert_memory_equal(buf.data, want, sizeof want);
    buf_deinit(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
}

static void what_was_appended_survives_growth(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf);
    for (uint32_t i = 0; i < 5000; i++) {
        buf_put_le32(&buf, i);
    }
    assert_int_equal(buf.len, 20000);
    assert_true(buf.cap >= buf.len);
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(get_le32(buf.data + 4 * i), i);
    }
    size_t cap = buf.cap;
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, cap);
    buf_deinit(&buf);
}

static void printf_leaves_a_terminator_that_is_not_counted(void **state)
{
    struct buf buf = {0};

    (void)state;
    buf_put_str(&buf, "eth");
    buf_printf(&buf, "%d:%s", 0, "up");
    assert_int_equal(buf.len, 7);
    assert_string_equal((char *)buf.data, "eth0:up");
    buf_deinit(&buf);
    for (int i = 0; i < 300; i++) {
        buf_printf(&buf, "%c", 'a' + i % 26);
    }
    assert_int_equal(buf.len, 300);
    assert_int_equal(strlen((char *)buf.data), 300);
    buf_deinit(&buf);
}

static void consume_moves_the_rest_to_the_front(void **state)
{
    struct buf buf = {0};

    (void)state;
    buf_put_str(&buf, "headtail");
    buf_consume(&buf, 4);
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "tail", 4);
    buf_consume(&buf, 4);
    assert_int_equal(buf.len, 0);
    buf_put_zeros(&buf, 3);
    assert_memory_equal(buf.data, "\0\0\0", 3);
    buf_deinit(&buf);
}

static void try_reserve_fails_without_harm_when_there_is_no_memory(void **state)
{
    struct buf buf = {0};

    (void)state;
    buf_put_str(&buf, "kept");
    mem_fail_after(1);
    assert_false(buf_try_reserve(&buf, 100000));
    mem_fail_after(0);
    assert_false(buf_try_reserve(&buf, SIZE_MAX));
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "kept", 4);
    assert_true(buf_try_reserve(&buf, 100000));
    assert_true(buf.cap >= 100004);
    buf_append(&buf, NULL, 0);
    assert_int_equal(buf.len, 4);
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_little_endian),
        cmocka_unit_test(what_was_appended_survives_growth),
        cmocka_unit_test(printf_leaves_a_terminator_that_is_not_counted),
        cmocka_unit_test(consume_moves_the_rest_to_the_front),
        cmocka_unit_test(try_reserve_fails_without_harm_when_there_is_no_memory),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
