/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/ws_internal.h"

void ws_messages_init(struct ws_messages *messages, const struct ws_reader_opts *opts)
{
    *messages = (struct ws_messages){.opts = *opts};
}

void ws_messages_deinit(struct ws_messages *messages)
{
    ws_inflater_free(messages->inflater);
    buf_deinit(&messages->content);
    buf_deinit(&messages->inflated);
}

static void answer(struct ws_messages *messages, enum ws_opcode opcode, const uint8_t *data,
                   size_t n, struct buf *out)
{
    uint8_t mask[4];

    if (messages->opts.client) {
        ws_make_mask(mask);
    }
    ws_put_frame(out, opcode, data, n, messages->opts.client ? mask : NULL);
}

static uint16_t close_code_of(int code)
{
    switch (code) {
    case ERR_LIMIT:
        return WS_CLOSE_TOO_BIG;
    case ERR_USAGE:
        return WS_CLOSE_BAD_TEXT;
    case ERR_NO_MEMORY:
        return WS_CLOSE_INTERNAL;
    default:
        return WS_CLOSE_PROTOCOL;
    }
}

int ws_messages_fail(struct ws_messages *messages, int code, struct buf *out, struct err *err,
                     const char *why)
{
    uint8_t payload[2 + WS_REASON_MAX];

    messages->failed = code;
    size_t n = ws_close_payload(close_code_of(code), why, payload);
    answer(messages, WS_CLOSE, payload, n, out);
    return err_set(err, code, "the WebSocket peer broke the rules: %s", why);
}

static bool is_control(uint8_t opcode)
{
    return (opcode & 8) != 0;
}

/* What is wrong with a header (§5.2, §5.4, §5.5), or NULL. */
static const char *wrong_header(const struct ws_messages *messages, const struct ws_frame *frame)
{
    bool first = frame->opcode == WS_TEXT || frame->opcode == WS_BINARY;
    uint8_t allowed = messages->opts.deflate && first ? 4 : 0;

    if ((frame->rsv & ~allowed) != 0) {
        return "reserved bits are set";
    }
    if (frame->masked == messages->opts.client) {
        return frame->masked ? "a server must not mask" : "a client must mask";
    }
    if (is_control(frame->opcode)) {
        if (frame->opcode > WS_PONG) {
            return "reserved opcode";
        }
        return frame->fin && frame->length <= WS_CONTROL_MAX ? NULL : "malformed frame";
    }
    if (frame->opcode > WS_BINARY) {
        return "reserved opcode";
    }
    if (first == messages->in_message) {
        return first ? "a message inside a message" : "a continuation of nothing";
    }
    return NULL;
}

int ws_messages_begin(struct ws_messages *messages, const struct ws_frame *frame, struct buf *out,
                      struct err *err)
{
    const char *wrong = wrong_header(messages, frame);

    if (wrong != NULL) {
        return ws_messages_fail(messages, ERR_DAMAGED, out, err, wrong);
    }
    messages->frame = *frame;
    messages->n_control = 0;
    if (is_control(frame->opcode)) {
        return 0;
    }
    if (frame->opcode != WS_CONTINUATION) {
        messages->in_message = true;
        messages->opcode = (enum ws_opcode)frame->opcode;
        messages->compressed = (frame->rsv & 4) != 0;
        messages->text = (struct utf8_check){0};
        buf_reset(&messages->content);
    }
    /* What DEFLATE cannot shorten it makes a little longer. */
    size_t most = messages->opts.max_message;
    most += messages->compressed ? most / 64 + 64 : 0;
    if (frame->length > most - messages->content.len) {
        return ws_messages_fail(messages, ERR_LIMIT, out, err, "message too long");
    }
    return 0;
}

int ws_messages_content(struct ws_messages *messages, const uint8_t *data, size_t n,
                        struct buf *out, struct err *err)
{
    if (is_control(messages->frame.opcode)) {
        memcpy(messages->control + messages->n_control, data, n);
        messages->n_control += n;
        return 0;
    }
    if (messages->opcode == WS_TEXT && !messages->compressed &&
        !utf8_check_feed(&messages->text, data, n)) {
        return ws_messages_fail(messages, ERR_USAGE, out, err, "text that is not UTF-8");
    }
    /* Grows with what came, not with what was announced. */
    if (!buf_try_reserve(&messages->content, n)) {
        return ws_messages_fail(messages, ERR_NO_MEMORY, out, err, "no memory");
    }
    buf_append(&messages->content, data, n);
    return 0;
}

/* Codes that may stand in a close frame: §7.4 and the registry up to 1014. */
static bool is_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static int take_close(struct ws_messages *messages, struct buf *out, struct err *err)
{
    const uint8_t *data = messages->control;
    size_t n = messages->n_control;

    if (n == 1 || (n >= 2 && !is_close_code(get_be16(data)))) {
        return ws_messages_fail(messages, ERR_DAMAGED, out, err,
                                "close frame without a valid code");
    }
    if (n > 2 && !utf8_is_valid(data + 2, n - 2)) {
        return ws_messages_fail(messages, ERR_USAGE, out, err, "close reason that is not UTF-8");
    }
    messages->closed = true;
    /* The same code back, without the reason (§5.5.1). */
    answer(messages, WS_CLOSE, data, n >= 2 ? 2 : 0, out);
    messages->opts.message(messages->opts.arg, WS_CLOSE, data, n);
    return 0;
}

static int take_control(struct ws_messages *messages, struct buf *out, struct err *err)
{
    switch (messages->frame.opcode) {
    case WS_CLOSE:
        return take_close(messages, out, err);
    case WS_PING:
        answer(messages, WS_PONG, messages->control, messages->n_control, out);
        return 0;
    default:
        messages->opts.message(messages->opts.arg, WS_PONG, messages->control, messages->n_control);
        return 0;
    }
}

static void give(struct ws_messages *messages, const uint8_t *data, size_t n)
{
    messages->opts.message(messages->opts.arg, messages->opcode, n > 0 ? data : (const uint8_t *)"",
                           n);
}

static int give_inflated(struct ws_messages *messages, const uint8_t *data, size_t n,
                         struct buf *out, struct err *err)
{
    struct buf *inflated = &messages->inflated;

    if (messages->inflater == NULL) {
        messages->inflater = ws_inflater_new();
    }
    buf_reset(inflated);
    int rc = ws_inflate(messages->inflater, data, n, messages->opts.max_message, inflated);
    if (rc < 0) {
        return ws_messages_fail(messages, rc, out, err,
                                rc == ERR_LIMIT       ? "message too long when inflated"
                                : rc == ERR_NO_MEMORY ? "no memory"
                                                      : "broken compression");
    }
    if (messages->opcode == WS_TEXT && !utf8_is_valid(inflated->data, inflated->len)) {
        return ws_messages_fail(messages, ERR_USAGE, out, err, "text that is not UTF-8");
    }
    give(messages, inflated->data, inflated->len);
    if (inflated->cap > WS_KEPT_BYTES) {
        buf_deinit(inflated);
    }
    return 0;
}

int ws_messages_end(struct ws_messages *messages, const uint8_t *all, struct buf *out,
                    struct err *err)
{
    if (is_control(messages->frame.opcode)) {
        return take_control(messages, out, err);
    }
    if (!messages->frame.fin) {
        return 0;
    }
    messages->in_message = false;
    if (!messages->compressed && messages->opcode == WS_TEXT &&
        !utf8_check_is_whole(&messages->text)) {
        return ws_messages_fail(messages, ERR_USAGE, out, err, "text that is not UTF-8");
    }
    const uint8_t *data = all != NULL ? all : messages->content.data;
    size_t n = all != NULL ? (size_t)messages->frame.length : messages->content.len;
    int rc = 0;
    if (messages->compressed) {
        rc = give_inflated(messages, data, n, out, err);
    } else {
        give(messages, data, n);
    }
    if (messages->content.cap > WS_KEPT_BYTES) {
        buf_deinit(&messages->content);
    }
    buf_reset(&messages->content);
    return rc;
}
