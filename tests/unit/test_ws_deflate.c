/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/ws_trace.h"

/* RFC 7692 §7.2.3: "Hello" in one block, in two, uncompressed, with a final block. */
static void the_compressed_examples_of_the_rfc_are_read(void **state)
{
    static const uint8_t simple[] = {0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t parts[] = {0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80,
                                    0x04, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t stored[] = {0xc1, 0x0b, 0x00, 0x05, 0x00, 0xfa, 0xff,
                                     0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00};
    static const uint8_t final_block[] = {0xc1, 0x08, 0xf3, 0x48, 0xcd,
                                          0xc9, 0xc9, 0x07, 0x00, 0x00};
    static const uint8_t two_blocks[] = {0xc1, 0x0d, 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00,
                                         0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t empty[] = {0xc1, 0x01, 0x00, 0xc2, 0x00};

    (void)state;
    expect_with(true, true, simple, sizeof simple, "text 5 Hello\n");
    expect_with(true, true, parts, sizeof parts, "text 5 Hello\n");
    expect_with(true, true, stored, sizeof stored, "text 5 Hello\n");
    expect_with(true, true, final_block, sizeof final_block, "text 5 Hello\n");
    expect_with(true, true, two_blocks, sizeof two_blocks, "text 5 Hello\n");
    expect_with(true, true, empty, sizeof empty, "text 0 \nbinary 0 \n");
    /* RSV1 on a continuation, on a control frame, and where nothing was agreed. */
    static const uint8_t later[] = {0x41, 0x03, 0xf2, 0x48, 0xcd, 0xc0,
                                    0x04, 0xc9, 0xc9, 0x07, 0x00};
    expect_with(true, true, later, sizeof later, "answer \\03\\ea\nERROR damaged\n");
    static const uint8_t ping[] = {0xc9, 0x00};
    expect_with(true, true, ping, sizeof ping, "answer \\03\\ea\nERROR damaged\n");
    expect_with(true, false, simple, sizeof simple, "answer \\03\\ea\nERROR damaged\n");
    static const uint8_t broken[] = {0xc1, 0x03, 0xff, 0xff, 0xff};
    expect_with(true, true, broken, sizeof broken, "answer \\03\\ea\nERROR damaged\n");
}

/* Appends the compressed message as one frame of a server. */
static void put_deflated(struct buf *out, struct ws_deflater *deflater, const void *data, size_t n,
                         uint8_t opcode)
{
    struct buf packed = {0};

    ws_deflate(deflater, data, n, &packed);
    put_raw(out, 0xc0 | opcode, packed.data, packed.len, false);
    buf_deinit(&packed);
}

static void compressed_messages_come_back(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 5000, 16384, 16383, MAX_MESSAGE};
    struct ws_deflater *deflater = ws_deflater_new();
    uint8_t *data = x_alloc(MAX_MESSAGE);

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        uint32_t random = 1;
        for (size_t i = 0; i < MAX_MESSAGE; i++) {
            random = random * 1664525 + 1013904223;
            data[i] = kind == 0 ? 'a' : (uint8_t)(random >> 24);
        }
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            struct buf in = {0};
            struct buf want = {0};
            note(&want, WS_BINARY, data, sizes[i]);
            note(&want, WS_BINARY, data, sizes[i]);
            buf_put_u8(&want, 0);
            put_deflated(&in, deflater, data, sizes[i], WS_BINARY);
            put_deflated(&in, deflater, data, sizes[i], WS_BINARY);
            expect_with(true, true, in.data, in.len, (char *)want.data);
            buf_deinit(&in);
            buf_deinit(&want);
        }
    }
    mem_free(data);
    ws_deflater_free(deflater);
}

static void zip_bombs_and_bad_text_are_refused(void **state)
{
    struct ws_deflater *deflater = ws_deflater_new();
    struct buf in = {0};
    size_t n = 64u << 20;
    uint8_t *zeros = x_alloc(n);

    (void)state;
    put_deflated(&in, deflater, zeros, n, WS_BINARY);
    if (in.len > MAX_MESSAGE) { /* the frame itself must pass */
        buf_reset(&in);
        put_deflated(&in, deflater, zeros, n / 8, WS_BINARY);
    }
    assert_true(in.len < MAX_MESSAGE);
    struct run run = feed(true, true, in.data, in.len, 0, in.len);
    assert_int_equal(run.rc, ERR_LIMIT);
    assert_string_equal((char *)run.trace.data, "answer \\03\\f1\nERROR limit\n");
    buf_deinit(&run.trace);
    buf_deinit(&run.out);
    buf_reset(&in);
    put_deflated(&in, deflater, zeros, MAX_MESSAGE + 1, WS_BINARY);
    expect_with(true, true, in.data, in.len, "answer \\03\\f1\nERROR limit\n");
    buf_reset(&in);
    put_deflated(&in, deflater, "a\xe2\x82", 3, WS_TEXT);
    expect_with(true, true, in.data, in.len, "answer \\03\\ef\nERROR usage\n");
    buf_deinit(&in);
    mem_free(zeros);
    ws_deflater_free(deflater);
}

static void offers_of_compression_are_understood(void **state)
{
    static const char *const good[] = {
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "x-webkit-deflate-frame, permessage-deflate",
        " Permessage-Deflate ; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
    };
    static const char *const bad[] = {
        "",   "permessage-deflate2",   "x", "permessage-deflate; server_max_window_bits=10",
        ",,", "x; permessage-deflate",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!ws_deflate_is_offered(good[i])) {
            fail_msg("'%s' was refused", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (ws_deflate_is_offered(bad[i])) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
    assert_false(ws_deflate_is_offered(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_compressed_examples_of_the_rfc_are_read),
        cmocka_unit_test(compressed_messages_come_back),
        cmocka_unit_test(zip_bombs_and_bad_text_are_refused),
        cmocka_unit_test(offers_of_compression_are_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
