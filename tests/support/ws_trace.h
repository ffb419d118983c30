/* SPDX-License-Identifier: Apache-2.0
 *
 * What a WebSocket reader makes of some bytes, as text, for tests. Each input is fed whole, byte by
 * byte and cut in two at every place: whole frames take one way through the code, cut ones the
 * other (wslay), and both must tell the same.
 */
#pragma once

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

static inline void expect_with(bool client, bool deflate, const void *data, size_t n,
                               const char *want)
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
static inline void put_raw(struct buf *out, uint8_t first, const void *data, size_t n, bool masked)
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

static inline void expect_pieces(const struct piece *pieces, size_t n, const char *want)
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
