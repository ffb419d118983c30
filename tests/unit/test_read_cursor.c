/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/read_cursor.h"

#define ID "01a21251-491e-7b6d-bcb7-8bf6f068e5c7"

static struct read_cursor sample(void)
{
    return (struct read_cursor){
        .id = ID,
        .what = UINT64_C(0x0102030405060708),
        .from_ns = 17,
        .to_ns = UINT64_MAX,
        .mark = {.stage = EXPORT_AT_BODY,
                 .next = 1001,
                 .skip = 77,
                 .offset = UINT64_C(1) << 40,
                 .packets = 1000,
                 .missing = 3,
                 .left_out = 4,
                 .n_ifaces = 64,
                 .head_sum = 0xDEADBEEF},
    };
}

static void a_cursor_comes_back_as_it_was(void **state)
{
    const struct read_cursor in = sample();
    struct read_cursor out = {0};
    char text[READ_CURSOR_TEXT];
    struct err err = {0};

    (void)state;
    read_cursor_write(&in, text);
    assert_int_equal(strlen(text), READ_CURSOR_TEXT - 1);
    assert_int_equal(read_cursor_read(text, &out, &err), 0);
    assert_string_equal(out.id, in.id);
    assert_true(out.what == in.what && out.from_ns == in.from_ns && out.to_ns == in.to_ns);
    assert_int_equal(out.mark.stage, in.mark.stage);
    assert_true(out.mark.next == in.mark.next && out.mark.skip == in.mark.skip);
    assert_true(out.mark.offset == in.mark.offset && out.mark.packets == in.mark.packets);
    assert_true(out.mark.missing == in.mark.missing && out.mark.left_out == in.mark.left_out);
    assert_int_equal(out.mark.n_ifaces, in.mark.n_ifaces);
    assert_int_equal(out.mark.head_sum, in.mark.head_sum);
}

static void every_changed_letter_is_noticed(void **state)
{
    const struct read_cursor in = sample();
    struct read_cursor out = {.from_ns = 42};
    char text[READ_CURSOR_TEXT];
    struct err err = {0};

    (void)state;
    read_cursor_write(&in, text);
    for (size_t i = 0; i < READ_CURSOR_TEXT - 1; i++) {
        char was = text[i];
        text[i] = was == '0' ? '1' : '0';
        assert_int_equal(read_cursor_read(text, &out, &err), ERR_USAGE);
        text[i] = was;
    }
    text[READ_CURSOR_TEXT - 2] = '\0';
    assert_int_equal(read_cursor_read(text, &out, &err), ERR_USAGE);
    assert_int_equal(read_cursor_read("", &out, &err), ERR_USAGE);
    assert_true(out.from_ns == 42); /* untouched */
}

/* Whole and with a good sum, but the end has no next chunk. */
static void a_stage_that_none_can_have_is_refused(void **state)
{
    struct read_cursor in = sample();
    struct read_cursor out;
    char text[READ_CURSOR_TEXT];
    struct err err = {0};

    (void)state;
    in.mark.stage = EXPORT_AT_END;
    read_cursor_write(&in, text);
    assert_int_equal(read_cursor_read(text, &out, &err), ERR_USAGE);
}

static void the_sum_tells_filters_and_formats_apart(void **state)
{
    (void)state;
    assert_true(read_cursor_sum(EXPORT_PCAPNG, NULL) == read_cursor_sum(EXPORT_PCAPNG, ""));
    assert_true(read_cursor_sum(EXPORT_PCAPNG, NULL) != read_cursor_sum(EXPORT_PCAP, NULL));
    assert_true(read_cursor_sum(EXPORT_PCAPNG, "udp") != read_cursor_sum(EXPORT_PCAPNG, "tcp"));
    assert_true(read_cursor_sum(EXPORT_PCAPNG, "udp") != read_cursor_sum(EXPORT_PCAPNG, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_comes_back_as_it_was),
        cmocka_unit_test(every_changed_letter_is_noticed),
        cmocka_unit_test(a_stage_that_none_can_have_is_refused),
        cmocka_unit_test(the_sum_tells_filters_and_formats_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
