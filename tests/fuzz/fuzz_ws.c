/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket frames. The first byte says which side, whether compression was agreed and where to
 * cut: whole frames take one way through the reader and cut ones the other, and both must tell the
 * same. What the reader answers must be understood by a reader of the other side.
 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/utf8.h"
#include "shared/wire/ws.h"

#define MAX_MESSAGE 70000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void note(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    struct buf *trace = arg;

    REQUIRE(data != NULL && n <= MAX_MESSAGE);
    REQUIRE(opcode != WS_TEXT || utf8_is_valid(data, n));
    REQUIRE(opcode < WS_CLOSE || n <= 125);
    buf_printf(trace, "%d %zu ", opcode, n);
    buf_append(trace, data, n);
}

/* Of a close frame the code counts, not the words. */
static void note_answer(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    buf_printf(arg, " %d:", opcode);
    buf_append(arg, data, opcode == WS_CLOSE && n > 2 ? 2 : n);
}

static void check_answers(const struct buf *out, bool client, struct buf *trace)
{
    const struct ws_reader_opts opts = {
        .client = !client, .max_message = MAX_MESSAGE, .message = note_answer, .arg = trace};
    struct ws_reader *reader = ws_reader_new(&opts);
    struct buf none = {0};

    REQUIRE(ws_reader_feed(reader, out->data, out->len, &none, NULL) == 0);
    ws_reader_free(reader);
    buf_deinit(&none);
}

static struct buf trace(uint8_t flags, const uint8_t *data, size_t n, size_t step)
{
    struct buf trace = {0};
    struct buf out = {0};
    const struct ws_reader_opts opts = {.client = flags & 1,
                                        .deflate = flags & 2,
                                        .max_message = MAX_MESSAGE,
                                        .message = note,
                                        .arg = &trace};
    struct ws_reader *reader = ws_reader_new(&opts);
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < n; at += step) {
        size_t take = step < n - at ? step : n - at;
        uint8_t *copy = x_alloc(take);
        memcpy(copy, data + at, take);
        rc = ws_reader_feed(reader, copy, take, &out, NULL);
        mem_free(copy);
    }
    buf_printf(&trace, "%d %d", rc, ws_reader_is_closed(reader));
    check_answers(&out, flags & 1, &trace);
    ws_reader_free(reader);
    buf_deinit(&out);
    return trace;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2) {
        return 0;
    }
    struct buf whole = trace(data[0], data + 1, n - 1, n);
    struct buf parts = trace(data[0], data + 1, n - 1, (data[0] >> 2) + 1u);
    REQUIRE(whole.len == parts.len && memcmp(whole.data, parts.data, whole.len) == 0);
    buf_deinit(&whole);
    buf_deinit(&parts);
    char *text = x_alloc(n + 1);
    memcpy(text, data, n);
    (void)ws_deflate_is_offered(text);
    (void)ws_key_is_valid(text);
    mem_free(text);
    return 0;
}
