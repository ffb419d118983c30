/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader is fed each input whole, byte by byte and cut in two at every place: whole frames take
 * one way through the code, cut ones the other (wslay), and both must tell the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/wire/ws.h"

#define MAX_MESSAGE 70000

static const uint8_t test_mask[4] = {0x37, 0xfa, 0x21, 0x3d};

struct run {
    struct buf trace; /* text */
    struct buf out;
    int rc;
    bool closed;
};

static void note(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    struct buf *trace = arg;
    const char *name = opcode == WS_TEXT     ? "text"
                       : opcode == WS_BINARY ? "binary"
                       : opcode == WS_PONG   ? "pong"
                                             : "close";

    assert_non_null(data);
    buf_printf(trace, "%s %zu", name, n);
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum = sum * 31 + data[i];
    }
    if (n <= 40) {
        buf_put_str(trace, " ");
        for (size_t i = 0; i < n; i++) {
            buf_printf(trace, data[i] >= ' ' && data[i] < 0x7f ? "%c" : "\\%02x", data[i]);
        }
    } else {
        buf_printf(trace, " sum %08x", sum);
    }
    buf_put_str(trace, "\n");
}

static void note_close_frame(struct run *run, bool client);

static struct run feed(bool client, bool deflate, const uint8_t *data, size_t n, size_t first,
                       size_t step)
{
    struct run run = {0};
    struct ws_reader_opts opts = {.client = client,
                                  .deflate = deflate,
                                  .max_message = MAX_MESSAGE,
                                  .message = note,
                                  .arg = &run.trace};
    struct ws_reader *reader = ws_reader_new(&opts);
    struct err err = {0};

    for (size_t at = 0; run.rc == 0 && at < n;) {
        size_t take = at == 0 && first > 0 ? first : step;
        take = take < n - at ? take : n - at;
        uint8_t *copy = x_alloc(take);
        memcpy(copy, data + at, take);
        run.rc = ws_reader_feed(reader, copy, take, &run.out, &err);
        mem_free(copy);
        at += take;
    }
    run.closed = ws_reader_is_closed(reader);
    ws_reader_free(reader);
    note_close_frame(&run, client);
    if (run.rc < 0) {
        buf_printf(&run.trace, "ERROR %s\n",
                   run.rc == ERR_DAMAGED ? "damaged"
                   : run.rc == ERR_LIMIT ? "limit"
                   : run.rc == ERR_USAGE ? "usage"
                                         : "other");
    }
    buf_put_u8(&run.trace, 0);
    return run;
}

/* The reader of the other side reads the answers, and what it says goes into the trace. */
static void note_close_frame(struct run *run, bool client)
{
    struct buf trace = {0};
    struct buf out = {0};
    struct ws_reader_opts opts = {
        .client = !client, .max_message = MAX_MESSAGE, .message = note, .arg = &trace};
    struct ws_reader *reader = ws_reader_new(&opts);

    if (run->out.len > 0) {
        assert_int_equal(ws_reader_feed(reader, run->out.data, run->out.len, &out, NULL), 0);
        char *end = trace.len > 0 ? memchr(trace.data, '\n', trace.len) : NULL;
        if (trace.len > 8 && memcmp(trace.data, "close", 5) == 0 && run->rc < 0 && end != NULL) {
            /* Of an error the code counts, not the words. */
            buf_printf(&run->trace, "answer %.6s\n", strchr((char *)trace.data, '\\'));
        } else {
            buf_printf(&run->trace, "answer %.*s", (int)trace.len, (char *)trace.data);
        }
    }
    ws_reader_free(reader);
    buf_deinit(&trace);
    buf_deinit(&out);
}

static void expect_with(bool client, bool deflate, const void *data, size_t n, const char *want)
{
    struct run whole = feed(client, deflate, data, n, 0, n);
    if (strcmp((char *)whole.trace.data, want) != 0) {
        fail_msg("got\n%s---- wanted\n%s", (char *)whole.trace.data, want);
    }
    for (size_t cut = 0; cut<n; cut += n> 2000 ? 997 : 1) {
        struct run parts = feed(client, deflate, data, n, cut, cut == 0 ? 1 : n);
        if (strcmp((char *)parts.trace.data, want) != 0) {
            fail_msg("cut at %zu got\n%s---- wanted\n%s", cut, (char *)parts.trace.data, want);
        }
        assert_int_equal(parts.closed, whole.closed);
        buf_deinit(&parts.trace);
        buf_deinit(&parts.out);
    }
    buf_deinit(&whole.trace);
    buf_deinit(&whole.out);
}

/* A frame with any first byte, masked as a client does or not. */
static void put_raw(struct buf *out, uint8_t first, const void *data, size_t n, bool masked)
{
    struct buf frame = {0};

    ws_put_frame(&frame, WS_BINARY, data, n, masked ? test_mask : NULL);
    frame.data[0] = first;
    buf_append(out, frame.data, frame.len);
    buf_deinit(&frame);
}

struct piece {
    uint8_t first; /* FIN and opcode */
    const char *text;
    size_t n; /* 0 = of the string */
};

static void expect_pieces(const struct piece *pieces, size_t n, const char *want)
{
    /* The same as server and as client. */
    for (int client = 0; client < 2; client++) {
        struct buf in = {0};
        for (size_t i = 0; i < n; i++) {
            size_t length = pieces[i].n > 0 ? pieces[i].n : strlen(pieces[i].text);
            put_raw(&in, pieces[i].first, pieces[i].text, length, !client);
        }
        expect_with(client, false, in.data, in.len, want);
        buf_deinit(&in);
    }
}

#define EXPECT(want, ...)                                                                          \
    do {                                                                                           \
        const struct piece pieces_[] = {__VA_ARGS__};                                              \
        expect_pieces(pieces_, ARRAY_LEN(pieces_), want);                                          \
    } while (0)

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
        uint8_t data[40];
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
        cmocka_unit_test(the_compressed_examples_of_the_rfc_are_read),
        cmocka_unit_test(compressed_messages_come_back),
        cmocka_unit_test(zip_bombs_and_bad_text_are_refused),
        cmocka_unit_test(offers_of_compression_are_understood),
        cmocka_unit_test(memory_that_is_missing_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
