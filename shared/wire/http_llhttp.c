/* SPDX-License-Identifier: Apache-2.0
 *
 * llhttp does the parsing; this file turns its callbacks into one event a call and adds what the
 * versions of llhttp do not agree on: every line ends with CR LF, no folded headers, limits for
 * heads, trailers and chunk extensions, one Host, chunked as the only transfer coding.
 *
 * Each callback that makes an event pauses llhttp, so that a call ends with the first event, and
 * the next call goes on behind it.
 */
#include "shared/wire/http.h"

/* llhttp calls a method by the name of our event. */
#define HTTP_HEAD LLHTTP_METHOD_HEAD
#include <llhttp.h>
#undef HTTP_HEAD

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "shared/base/mem.h"

#define KEPT_TEXT_BYTES 2048u /* of the text buffer between messages */

struct span {
    size_t name; /* offsets into text, which moves while it grows */
    size_t value;
};

struct http_parser {
    llhttp_t llhttp;
    llhttp_settings_t settings;
    enum http_side side;
    bool in_body; /* the head was given, its message has not ended */
    bool chunked; /* as its head says; llhttp's own flags change with trailers */
    uint16_t flags;
    struct http_head head;
    struct span spans[HTTP_HEADERS_MAX];
    struct buf text;      /* target, names and values, each with its terminator */
    size_t framing_bytes; /* bytes of the head, or since the last byte of content */
    uint8_t last;         /* the byte before, for line ends; 0 = none */
    enum http_event event;
    const uint8_t *data; /* of HTTP_BODY */
    size_t n;
    int failed;
    char why[160];
};

static int fail(struct http_parser *parser, int code, const char *why)
{
    if (parser->failed == 0) {
        parser->failed = code;
        snprintf(parser->why, sizeof parser->why, "%s", why);
    }
    return HPE_USER;
}

static struct http_parser *parser_of(llhttp_t *llhttp)
{
    return container_of(llhttp, struct http_parser, llhttp);
}

static int put_text(struct http_parser *parser, const char *at, size_t n)
{
    if (parser->in_body) {
        return 0; /* trailers: counted with the framing, otherwise ignored */
    }
    if (parser->text.len + n > HTTP_HEAD_MAX_BYTES + 2 * HTTP_HEADERS_MAX) {
        return fail(parser, ERR_LIMIT, "the head is larger than 16 KiB");
    }
    buf_append(&parser->text, at, n);
    return 0;
}

static int on_message_begin(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);

    parser->head.n_headers = 0;
    if (parser->text.cap > KEPT_TEXT_BYTES) {
        buf_deinit(&parser->text);
    }
    buf_reset(&parser->text);
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t n)
{
    return put_text(parser_of(llhttp), at, n);
}

static int on_url_complete(llhttp_t *llhttp)
{
    return put_text(parser_of(llhttp), "", 1);
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t n)
{
    struct http_parser *parser = parser_of(llhttp);
    size_t from = parser->text.len;

    if (parser->in_body) {
        return 0;
    }
    if (parser->head.n_headers == HTTP_HEADERS_MAX) {
        return fail(parser, ERR_LIMIT, "the head has more than 64 headers");
    }
    struct span *span = &parser->spans[parser->head.n_headers];
    if (span->name == SIZE_MAX) {
        span->name = from;
    }
    int rc = put_text(parser, at, n);
    for (size_t i = from; i < parser->text.len; i++) {
        uint8_t c = parser->text.data[i];
        parser->text.data[i] = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    }
    return rc;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);

    if (parser->in_body) {
        return 0;
    }
    struct span *span = &parser->spans[parser->head.n_headers];
    if (span->name == SIZE_MAX || span->name == parser->text.len) {
        return fail(parser, ERR_DAMAGED, "a header without a name");
    }
    int rc = put_text(parser, "", 1);
    span->value = parser->text.len;
    return rc;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t n)
{
    return put_text(parser_of(llhttp), at, n);
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);

    if (parser->in_body) {
        return 0;
    }
    size_t from = parser->spans[parser->head.n_headers].value;
    while (parser->text.len > from && strchr(" \t", parser->text.data[parser->text.len - 1])) {
        parser->text.len--;
    }
    parser->head.n_headers++;
    if (parser->head.n_headers < HTTP_HEADERS_MAX) {
        parser->spans[parser->head.n_headers].name = SIZE_MAX;
    }
    return put_text(parser, "", 1);
}

static size_t count(const struct http_head *head, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < head->n_headers; i++) {
        n += strcmp(head->headers[i].name, name) == 0;
    }
    return n;
}

static bool has_no_content(unsigned status)
{
    return status / 100 == 1 || status == 204 || status == 304;
}

/* What llhttp leaves open, or does not see the same way in all its versions. */
static int check_head(struct http_parser *parser)
{
    const struct http_head *head = &parser->head;
    const char *coding = http_header(head, "transfer-encoding");
    unsigned minor = llhttp_get_http_minor(&parser->llhttp);

    if (llhttp_get_http_major(&parser->llhttp) != 1 || minor > 1) {
        return fail(parser, ERR_DAMAGED, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    if (coding != NULL && (count(head, "transfer-encoding") > 1 || minor == 0 ||
                           strcasecmp(coding, "chunked") != 0)) {
        return fail(parser, ERR_DAMAGED, "a transfer coding other than chunked");
    }
    if (coding != NULL && http_header(head, "content-length") != NULL) {
        return fail(parser, ERR_DAMAGED, "both a content length and a transfer coding");
    }
    if (count(head, "content-length") > 1) {
        return fail(parser, ERR_DAMAGED, "more than one content length");
    }
    if (coding != NULL && parser->side == HTTP_RESPONSES &&
        has_no_content((unsigned)llhttp_get_status_code(&parser->llhttp))) {
        return fail(parser, ERR_DAMAGED, "a transfer coding of no content");
    }
    size_t hosts = count(head, "host");
    if (parser->side == HTTP_REQUESTS && (hosts > 1 || (hosts == 0 && minor == 1))) {
        return fail(parser, ERR_DAMAGED, hosts == 0 ? "no Host header" : "two Host headers");
    }
    return 0;
}

static void describe_message(struct http_parser *parser)
{
    llhttp_t *llhttp = &parser->llhttp;
    struct http_head *head = &parser->head;
    bool chunked = (llhttp->flags & F_CHUNKED) != 0;
    bool sized = (llhttp->flags & F_CONTENT_LENGTH) != 0;

    parser->chunked = chunked;
    head->content_length = sized ? llhttp->content_length : HTTP_LENGTH_UNKNOWN;
    head->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
    head->is_http10 = llhttp_get_http_minor(llhttp) == 0;
    if (parser->side == HTTP_REQUESTS) {
        bool connect = llhttp_get_method(llhttp) == HTTP_CONNECT;
        head->method = llhttp_method_name((llhttp_method_t)llhttp_get_method(llhttp));
        head->target = (const char *)parser->text.data;
        head->has_body = chunked || (sized && llhttp->content_length > 0);
        /* Nobody asks for another protocol in HTTP/1.0 (RFC 9110 §7.8). */
        head->upgrade = llhttp_get_upgrade(llhttp) && !connect && !head->is_http10;
        head->keep_alive = head->keep_alive && !connect;
        return;
    }
    head->status = (unsigned)llhttp_get_status_code(llhttp);
    head->upgrade = llhttp_get_upgrade(llhttp) && head->status == 101;
    if (has_no_content(head->status)) {
        llhttp->flags |= F_SKIPBODY; /* a length may stand there all the same (RFC 9110 §8.6) */
        head->has_body = false;
    } else {
        head->has_body = chunked || !sized || llhttp->content_length > 0;
    }
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);

    for (size_t i = 0; i < parser->head.n_headers; i++) {
        parser->head.headers[i] = (struct http_header){
            .name = (const char *)parser->text.data + parser->spans[i].name,
            .value = (const char *)parser->text.data + parser->spans[i].value,
        };
    }
    int rc = check_head(parser);
    if (rc != 0) {
        return rc;
    }
    describe_message(parser);
    parser->flags = llhttp->flags;
    parser->event = HTTP_HEAD;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t n)
{
    struct http_parser *parser = parser_of(llhttp);

    if (n == 0) {
        return 0;
    }
    parser->data = (const uint8_t *)at;
    parser->n = n;
    parser->event = HTTP_BODY;
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);

    /* Whether another message follows is for the head to say, not for a trailer. */
    llhttp->flags = parser->flags;
    parser->event = HTTP_END;
    return HPE_PAUSED;
}

struct http_parser *http_parser_new(enum http_side side)
{
    struct http_parser *parser = x_alloc(sizeof *parser);

    llhttp_settings_init(&parser->settings);
    parser->settings.on_message_begin = on_message_begin;
    parser->settings.on_url = on_url;
    parser->settings.on_url_complete = on_url_complete;
    parser->settings.on_header_field = on_header_field;
    parser->settings.on_header_field_complete = on_header_field_complete;
    parser->settings.on_header_value = on_header_value;
    parser->settings.on_header_value_complete = on_header_value_complete;
    parser->settings.on_headers_complete = on_headers_complete;
    parser->settings.on_body = on_body;
    parser->settings.on_message_complete = on_message_complete;
    llhttp_init(&parser->llhttp, side == HTTP_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE,
                &parser->settings);
    parser->side = side;
    parser->spans[0].name = SIZE_MAX;
    return parser;
}

void http_parser_free(struct http_parser *parser)
{
    if (parser != NULL) {
        buf_deinit(&parser->text);
        mem_free(parser);
    }
}

/* Looks at bytes that are no content: each CR is followed by LF and each LF follows a CR, no line
 * begins with a blank. Parsers that differ here can be played against each other (RFC 9112 §2.2,
 * §5.2, §11.2). */
static void check_lines(struct http_parser *parser, const uint8_t *from, const uint8_t *to)
{
    uint8_t last = parser->last;

    for (const uint8_t *p = from; p < to; p++) {
        if ((*p == '\n') != (last == '\r')) {
            fail(parser, ERR_DAMAGED, "a line that does not end with CR LF");
        } else if (last == '\n' && (*p == ' ' || *p == '\t')) {
            fail(parser, ERR_DAMAGED, "a line that begins with a blank");
        }
        last = *p;
    }
    parser->last = last;
    parser->framing_bytes += (size_t)(to - from);
    if (parser->framing_bytes > HTTP_HEAD_MAX_BYTES) {
        fail(parser, ERR_LIMIT,
             parser->in_body ? "chunk sizes or trailers larger than 16 KiB"
                             : "the head is larger than 16 KiB");
    }
}

static void check_framing(struct http_parser *parser, const uint8_t *from, const uint8_t *to)
{
    if (parser->in_body && !parser->chunked && parser->event != HTTP_END) {
        return; /* all of it is content */
    }
    if (parser->event != HTTP_BODY) {
        check_lines(parser, from, to);
        return;
    }
    check_lines(parser, from, parser->data);
    parser->last = 0;
    parser->framing_bytes = 0;
    check_lines(parser, parser->data + parser->n, to);
}

/* Runs llhttp to its next event or the end of the input. */
static void run(struct http_parser *parser, struct bytes_reader *in)
{
    llhttp_t *llhttp = &parser->llhttp;
    bool again;

    do {
        const uint8_t *from = in->p == NULL ? (const uint8_t *)"" : in->p;
        size_t n = bytes_left(in);
        llhttp_resume(llhttp);
        llhttp_resume_after_upgrade(llhttp);
        llhttp_errno_t rc = llhttp_execute(llhttp, (const char *)from, n);
        const uint8_t *to = rc == HPE_OK ? from + n : (const uint8_t *)llhttp_get_error_pos(llhttp);
        /* After an upgrade that was refused the next message follows like any other. */
        again = rc == HPE_PAUSED_UPGRADE;
        if (rc != HPE_OK && rc != HPE_PAUSED && !again) {
            const char *reason = llhttp_get_error_reason(llhttp);
            fail(parser, ERR_DAMAGED, reason == NULL ? "not HTTP" : reason);
            return;
        }
        check_framing(parser, from, to);
        if (in->p != NULL) {
            in->p += to - from;
        }
    } while (again && parser->failed == 0);
}

static int told(const struct http_parser *parser, struct err *err)
{
    return err_set(err, parser->failed, "no valid HTTP %s: %s",
                   parser->side == HTTP_REQUESTS ? "request" : "response", parser->why);
}

/* What changes with the event that was met. */
static enum http_event take_event(struct http_parser *parser, struct http_piece *piece)
{
    enum http_event event = parser->event;

    if (event == HTTP_HEAD || event == HTTP_END) {
        parser->in_body = event == HTTP_HEAD;
        parser->framing_bytes = 0;
        parser->last = 0;
    }
    piece->head = parser->in_body || event == HTTP_END ? &parser->head : NULL;
    if (event == HTTP_BODY) {
        piece->data = parser->data;
        piece->n = parser->n;
    }
    if (event == HTTP_END) {
        parser->spans[0].name = SIZE_MAX;
    }
    return event;
}

int http_parser_next(struct http_parser *parser, struct bytes_reader *in, struct http_piece *piece,
                     struct err *err)
{
    *piece = (struct http_piece){0};
    parser->event = HTTP_MORE;
    if (parser->failed == 0) {
        run(parser, in);
    }
    if (parser->failed != 0) {
        return told(parser, err);
    }
    return (int)take_event(parser, piece);
}

int http_parser_finish(struct http_parser *parser, struct http_piece *piece, struct err *err)
{
    *piece = (struct http_piece){0};
    parser->event = HTTP_MORE;
    if (parser->failed != 0) {
        return told(parser, err);
    }
    llhttp_resume(&parser->llhttp);
    llhttp_resume_after_upgrade(&parser->llhttp);
    llhttp_errno_t rc = llhttp_finish(&parser->llhttp);
    if (parser->event != HTTP_END && (rc != HPE_OK || parser->framing_bytes > 0)) {
        fail(parser, ERR_DAMAGED, "it ends before it is complete");
        return told(parser, err);
    }
    return (int)take_event(parser, piece);
}
