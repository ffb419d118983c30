/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/ws_trace.h"

static void the_handshake_of_the_rfc_is_answered(void **state)
{
    char accept[WS_ACCEPT_MAX];
    char key[WS_KEY_MAX];

    (void)state;
    ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ws_make_key(key);
    assert_true(ws_key_is_valid(key));
    assert_true(ws_key_is_valid("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_false(ws_key_is_valid("dGhlIHNhbXBsZSBub25jZQ="));
    assert_false(ws_key_is_valid("dGhlIHNhbXBsZSBub25jZQAA=="));
    assert_false(ws_key_is_valid("dGhlIHNhbXBsZSBub25j"));
    assert_false(ws_key_is_valid(""));
    assert_false(ws_key_is_valid("dGhlIHNhbXBsZSBub25jZ!=="));
}

/* RFC 6455 §5.7. */
static void the_examples_of_the_rfc_are_read(void **state)
{
    static const uint8_t unmasked[] = {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    static const uint8_t masked[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                     0x7f, 0x9f, 0x4d, 0x51, 0x58};
    static const uint8_t parts[] = {0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f};
    static const uint8_t ping[] = {0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    static const uint8_t pong[] = {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                   0x7f, 0x9f, 0x4d, 0x51, 0x58};

    (void)state;
    expect_with(true, false, unmasked, sizeof unmasked, "text 5 Hello\n");
    expect_with(false, false, masked, sizeof masked, "text 5 Hello\n");
    expect_with(true, false, parts, sizeof parts, "text 5 Hello\n");
    expect_with(true, false, ping, sizeof ping, "answer pong 5 Hello\n");
    expect_with(false, false, pong, sizeof pong, "pong 5 Hello\n");
    struct buf out = {0};
    ws_put_frame(&out, WS_TEXT, "Hello", 5, test_mask);
    assert_int_equal(out.len, sizeof masked);
    assert_memory_equal(out.data, masked, sizeof masked);
    buf_deinit(&out);
}

static void lengths_are_written_as_briefly_as_can_be(void **state)
{
    static const struct {
        uint64_t n;
        size_t header;
    } cases[] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}, {UINT64_MAX / 2, 10}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t header[WS_HEADER_MAX];
        assert_int_equal(ws_put_header(header, WS_BINARY, i & 1, cases[i].n), cases[i].header);
        assert_int_equal(header[0], i & 1 ? 0xc2 : 0x82);
        assert_int_equal(ws_frame_size(header, cases[i].header), cases[i].header + cases[i].n);
        for (size_t n = 0; n < cases[i].header; n++) {
            assert_int_equal(ws_frame_size(header, n), 0);
        }
    }
    uint8_t endless[10] = {0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_true(ws_frame_size(endless, 10) == UINT64_MAX);
}

static void messages_of_all_sizes_come_back(void **state)
{
    static const size_t sizes[] = {0,   1,    7,    8,    9,     125,   126,
                                   127, 1000, 4095, 4096, 65535, 65536, MAX_MESSAGE};
    uint8_t *data = x_alloc(MAX_MESSAGE);

    (void)state;
    for (size_t i = 0; i < MAX_MESSAGE; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int client = 0; client < 2; client++) {
            struct buf in = {0};
            struct buf want = {0};
            note(&want, WS_BINARY, data, sizes[i]);
            note(&want, WS_BINARY, (const uint8_t *)"end", 3);
            buf_put_u8(&want, 0);
            ws_put_frame(&in, WS_BINARY, data, sizes[i], client ? NULL : test_mask);
            ws_put_frame(&in, WS_BINARY, "end", 3, client ? NULL : test_mask);
            expect_with(client, false, in.data, in.len, (char *)want.data);
            buf_deinit(&in);
            buf_deinit(&want);
        }
    }
    mem_free(data);
}

static void fragments_are_joined_with_control_frames_between(void **state)
{
    (void)state;
    EXPECT("binary 6 abcdef\n", {0x02, "ab"}, {0x00, "cd"}, {0x80, "ef"});
    EXPECT("pong 1 x\nbinary 4 abcd\ntext 2 hi\nanswer pong 1 y\n", {0x02, "ab"}, {0x8a, "x"},
           {0x89, "y"}, {0x80, "cd"}, {0x81, "hi"});
    EXPECT("binary 0 \n", {0x02, ""}, {0x00, ""}, {0x80, ""});
    EXPECT("text 3 abc\n", {0x01, ""}, {0x00, "abc"}, {0x80, ""});
    EXPECT("close 2 \\03\\e8\nanswer close 2 \\03\\e8\n", {0x02, "ab"}, {0x88, "\x03\xe8"},
           {0x80, "never read"});
    EXPECT("answer pong 0 \npong 0 \n", {0x89, ""}, {0x89, ""});
}

static void the_order_of_fragments_is_kept(void **state)
{
    (void)state;
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x80, "x"});
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x00, "x"});
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x02, "a"}, {0x82, "x"});
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x01, "a"}, {0x01, "x"});
    EXPECT("binary 2 ab\nanswer \\03\\ea\nERROR damaged\n", {0x02, "a"}, {0x80, "b"}, {0x80, "x"});
    /* Control frames come in one piece. */
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x09, "x"});
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x08, "\x03\xe8"});
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x0a, ""}, {0x82, "x"});
}

static void reserved_bits_and_opcodes_are_refused(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        bool known = opcode == 1 || opcode == 2 || (opcode >= 8 && opcode <= 10);
        if (opcode > 0 && !known) {
            EXPECT("answer \\03\\ea\nERROR damaged\n", {(uint8_t)(0x80 | opcode), "x"});
        }
        for (uint8_t rsv = 0x10; rsv < 0x80; rsv += 0x10) {
            EXPECT("answer \\03\\ea\nERROR damaged\n", {(uint8_t)(0x80 | rsv | opcode), "x"});
        }
    }
}

static void masks_must_be_as_the_side_demands(void **state)
{
    struct buf in = {0};

    (void)state;
    ws_put_frame(&in, WS_BINARY, "x", 1, NULL);
    expect_with(false, false, in.data, in.len, "answer \\03\\ea\nERROR damaged\n");
    buf_reset(&in);
    ws_put_frame(&in, WS_BINARY, "x", 1, test_mask);
    expect_with(true, false, in.data, in.len, "answer \\03\\ea\nERROR damaged\n");
    buf_deinit(&in);
}

static void lengths_must_be_brief_and_have_63_bits(void **state)
{
    static const uint8_t frames[][16] = {
        {0x82, 126, 0, 5, 'h', 'e', 'l', 'l', 'o'},
        {0x82, 126, 0, 125, 'h', 'e', 'l', 'l', 'o'},
        {0x82, 127, 0, 0, 0, 0, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o'},
        {0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 'h', 'e', 'l', 'l', 'o'},
        {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o'},
        {0x89, 126, 0, 126, 'h', 'e', 'l', 'l', 'o'},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        expect_with(true, false, frames[i], 16, "answer \\03\\ea\nERROR damaged\n");
    }
}

static void long_messages_hit_the_limit(void **state)
{
    uint8_t *data = x_alloc(MAX_MESSAGE + 1);

    (void)state;
    EXPECT("answer \\03\\f1\nERROR limit\n", {0x82, (char *)data, MAX_MESSAGE + 1});
    EXPECT("answer \\03\\f1\nERROR limit\n", {0x02, (char *)data, MAX_MESSAGE}, {0x80, "x"});
    EXPECT("answer \\03\\f1\nERROR limit\n", {0x02, "x"}, {0x00, (char *)data, MAX_MESSAGE});
    mem_free(data);
    /* The announcement is enough, nothing is reserved for it. */
    static const uint8_t huge[] = {0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'};
    expect_with(true, false, huge, sizeof huge, "answer \\03\\f1\nERROR limit\n");
}

static void text_must_be_utf8_across_fragments(void **state)
{
    (void)state;
    EXPECT("text 6 \\e2\\82\\ac\\c3\\a4x\n", {0x01, "\xe2"}, {0x00, "\x82"},
           {0x80, "\xac\xc3\xa4x"});
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x01, "\xe2"}, {0x00, "\x82"}, {0x80, "x"});
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x81, "\xe2\x82"});
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x01, "ok"}, {0x80, "\xc3"});
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x81, "\xed\xa0\x80"});
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x81, "\xc0\xaf"});
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x81, "\xf4\x90\x80\x80"});
    /* The end of a message is the end of its last character. */
    EXPECT("text 1 a\nanswer \\03\\ef\nERROR usage\n", {0x81, "a"}, {0x81, "\x82\xac"});
    /* Binary may hold anything, also between the fragments of a text a ping. */
    EXPECT("binary 2 \\ff\\c0\n", {0x82, "\xff\xc0"});
    EXPECT("text 3 \\e2\\82\\ac\nanswer pong 1 \\ff\n", {0x01, "\xe2"}, {0x89, "\xff"},
           {0x80, "\x82\xac"});
}

static void close_frames_are_answered_with_their_code(void **state)
{
    static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                    1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const uint16_t bad[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                                   1016, 1100, 2000, 2999, 5000, 65535};

    (void)state;
    EXPECT("close 0 \nanswer close 0 \n", {0x88, ""}, {0x82, "never read"});
    EXPECT("answer \\03\\ea\nERROR damaged\n", {0x88, "\x03"});
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        char code[5] = {(char)(good[i] >> 8), (char)good[i], 'b', 'y', 'e'};
        char want[128];
        struct buf trace = {0};
        note(&trace, WS_CLOSE, (uint8_t *)code, 5);
        buf_put_str(&trace, "answer ");
        note(&trace, WS_CLOSE, (uint8_t *)code, 2);
        snprintf(want, sizeof want, "%.*s", (int)trace.len, (char *)trace.data);
        buf_deinit(&trace);
        EXPECT(want, {0x88, code, 5});
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char code[2] = {(char)(bad[i] >> 8), (char)bad[i]};
        EXPECT("answer \\03\\ea\nERROR damaged\n", {0x88, code, 2});
    }
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x88, "\x03\xe8\xff"});
    EXPECT("answer \\03\\ef\nERROR usage\n", {0x88, "\x03\xe8\xe2\x82"});
    EXPECT("close 5 \\03\\e8\\e2\\82\\ac\nanswer close 2 \\03\\e8\n",
           {0x88, "\x03\xe8\xe2\x82\xac"});
}

static void reasons_are_cut_at_a_character(void **state)
{
    uint8_t out[2 + WS_REASON_MAX];
    char reason[200];

    (void)state;
    assert_int_equal(ws_close_payload(1001, "bye", out), 5);
    assert_memory_equal(out,
                        "\x03\xe9"
                        "bye",
                        5);
    assert_int_equal(ws_close_payload(1001, NULL, out), 2);
    assert_int_equal(ws_close_payload(1001, "\xff", out), 2);
    memset(reason, 'a', sizeof reason);
    memcpy(reason + 121, "\xe2\x82\xac", 4);
    assert_int_equal(ws_close_payload(1001, reason, out), 2 + 121);
    memcpy(reason + 120, "\xe2\x82\xac", 4);
    assert_int_equal(ws_close_payload(1001, reason, out), 2 + 123);
}

static void masking_is_the_same_at_each_length(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        uint8_t data[40] = {0};
        struct buf out = {0};
        for (size_t i = 0; i < n; i++) {
            data[i] = (uint8_t)(i * 37);
        }
        ws_put_frame(&out, WS_BINARY, data, n, test_mask);
        assert_int_equal(out.len, 6 + n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(out.data[6 + i], data[i] ^ test_mask[i % 4]);
        }
        buf_deinit(&out);
    }
}

static void memory_that_is_missing_ends_the_connection(void **state)
{
    for (unsigned nth = 1; nth < 3; nth++) {
        struct buf in = {0};
        put_raw(&in, 0x02, "abc", 3, true);
        put_raw(&in, 0x80, "def", 3, true);
        mem_fail_after(nth);
        struct run run = feed(false, false, in.data, in.len, 0, in.len);
        mem_fail_after(0);
        assert_int_equal(run.rc, ERR_NO_MEMORY);
        assert_non_null(strstr((char *)run.trace.data, "answer \\03\\f3\n"));
        buf_deinit(&run.trace);
        buf_deinit(&run.out);
        buf_deinit(&in);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handshake_of_the_rfc_is_answered),
        cmocka_unit_test(the_examples_of_the_rfc_are_read),
        cmocka_unit_test(lengths_are_written_as_briefly_as_can_be),
        cmocka_unit_test(messages_of_all_sizes_come_back),
        cmocka_unit_test(fragments_are_joined_with_control_frames_between),
        cmocka_unit_test(the_order_of_fragments_is_kept),
        cmocka_unit_test(reserved_bits_and_opcodes_are_refused),
        cmocka_unit_test(masks_must_be_as_the_side_demands),
        cmocka_unit_test(lengths_must_be_brief_and_have_63_bits),
        cmocka_unit_test(long_messages_hit_the_limit),
        cmocka_unit_test(text_must_be_utf8_across_fragments),
        cmocka_unit_test(close_frames_are_answered_with_their_code),
        cmocka_unit_test(reasons_are_cut_at_a_character),
        cmocka_unit_test(masking_is_the_same_at_each_length),
        cmocka_unit_test(memory_that_is_missing_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
