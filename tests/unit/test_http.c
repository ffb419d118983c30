/* SPDX-License-Identifier: Apache-2.0
 *
 * Each input is fed whole, byte by byte and cut in two at every place; what comes out is written
 * down as text and must be the same every time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/wire/http.h"

static void write_head(const struct http_head *head, enum http_side side, struct buf *out)
{
    if (side == HTTP_REQUESTS) {
        buf_printf(out, "%s %s", head->method, head->target);
    } else {
        buf_printf(out, "%u", head->status);
    }
    buf_printf(out, "%s%s%s%s", head->has_body ? " body" : "", head->keep_alive ? " keep" : "",
               head->upgrade ? " upgrade" : "", head->is_http10 ? " 1.0" : "");
    if (head->content_length != HTTP_LENGTH_UNKNOWN) {
        buf_printf(out, " length=%llu", (unsigned long long)head->content_length);
    }
    for (size_t i = 0; i < head->n_headers; i++) {
        buf_printf(out, " [%s=%s]", head->headers[i].name, head->headers[i].value);
    }
    buf_put_str(out, "\n");
}

struct feeder {
    struct http_parser *parser;
    enum http_side side;
    struct buf trace;
    bool in_body; /* content of one message is written in one run */
};

/* Feeds n bytes and notes every event. False after an error. */
static bool feed(struct feeder *feeder, const void *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    struct http_piece piece;
    struct err err = {0};

    for (;;) {
        int rc = http_parser_next(feeder->parser, &in, &piece, &err);
        if (rc != HTTP_BODY && rc != HTTP_MORE && feeder->in_body) {
            buf_put_str(&feeder->trace, "\n");
            feeder->in_body = false;
        }
        if (rc < 0) {
            struct err again = {0};
            assert_int_equal(http_parser_next(feeder->parser, &in, &piece, &again), rc);
            assert_string_equal(err.text, again.text);
            buf_printf(&feeder->trace, "ERROR %s\n", rc == ERR_LIMIT ? "limit" : "damaged");
            return false;
        }
        switch (rc) {
        case HTTP_HEAD:
            write_head(piece.head, feeder->side, &feeder->trace);
            break;
        case HTTP_BODY:
            assert_true(piece.n > 0);
            buf_append(&feeder->trace, piece.data, piece.n);
            feeder->in_body = true;
            break;
        case HTTP_END:
            assert_non_null(piece.head);
            buf_put_str(&feeder->trace, "END\n");
            break;
        default:
            assert_int_equal(bytes_left(&in), 0);
            return true;
        }
    }
}

static char *run(enum http_side side, const char *text, size_t n, size_t step, size_t first,
                 bool finish)
{
    struct feeder feeder = {.parser = http_parser_new(side), .side = side};
    bool good = true;

    for (size_t at = 0; good && at < n;) {
        size_t take = at == 0 && first > 0 ? first : step;
        take = take < n - at ? take : n - at;
        /* A copy of its own, so that reading past its end is seen. */
        uint8_t *copy = x_alloc(take);
        memcpy(copy, text + at, take);
        good = feed(&feeder, copy, take);
        mem_free(copy);
        at += take;
    }
    if (good && finish) {
        struct http_piece piece;
        int rc = http_parser_finish(feeder.parser, &piece, NULL);
        buf_put_str(&feeder.trace, feeder.in_body ? "\n" : "");
        buf_put_str(&feeder.trace, rc == HTTP_END ? "END\n" : rc == HTTP_MORE ? "" : "CUT\n");
    }
    buf_put_u8(&feeder.trace, 0);
    http_parser_free(feeder.parser);
    return (char *)feeder.trace.data;
}

static void expect_n(enum http_side side, const char *text, size_t n, const char *want, bool finish)
{
    char *got = run(side, text, n, n, 0, finish);
    if (strcmp(got, want) != 0) {
        fail_msg("'%s' gave\n%s---- wanted\n%s", text, got, want);
    }
    char *bytewise = run(side, text, n, 1, 0, finish);
    assert_string_equal(bytewise, want);
    for (size_t cut = 1; cut < n && n < 4096; cut++) {
        char *parts = run(side, text, n, n, cut, finish);
        if (strcmp(parts, want) != 0) {
            fail_msg("'%s' cut at %zu gave\n%s---- wanted\n%s", text, cut, parts, want);
        }
        mem_free(parts);
    }
    mem_free(bytewise);
    mem_free(got);
}

static void expect(enum http_side side, const char *text, const char *want)
{
    expect_n(side, text, strlen(text), want, false);
}

static void a_request_is_read(void **state)
{
    (void)state;
    expect(HTTP_REQUESTS,
           "GET /connections/eth0?filter=tcp%20port%2080 HTTP/1.1\r\n"
           "Host: 127.0.0.1:8080\r\nX-Empty:\r\nX-Blanks: \t a  b \t\r\nACCEPT: */*\r\n\r\n",
           "GET /connections/eth0?filter=tcp%20port%2080 keep [host=127.0.0.1:8080] [x-empty=]"
           " [x-blanks=a  b] [accept=*/*]\nEND\n");
    expect(HTTP_REQUESTS,
           "DELETE /api/v1/captures/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
           "DELETE /api/v1/captures/1 [host=a] [connection=close]\nEND\n");
}

static void requests_follow_each_other(void **state)
{
    (void)state;
    expect(HTTP_REQUESTS,
           "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
           "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
           "GET /c HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET /a keep [host=x]\nEND\n"
           "POST /b body keep length=5 [host=x] [content-length=5]\nhello\nEND\n"
           "GET /c keep [host=x]\nEND\n");
    expect(HTTP_REQUESTS,
           "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
           "\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n",
           "POST /b keep length=0 [host=x] [content-length=0]\nEND\nGET /c keep [host=x]\nEND\n");
}

static void chunks_are_joined_and_trailers_read_over(void **state)
{
    (void)state;
    expect(
        HTTP_REQUESTS,
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n1;ext=\"v\"\r\n,\r\nA\r\n0123456789\r\n0\r\nX-Trailer: t\r\nHost: y\r\n\r\n"
        "GET /c HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /b body keep [host=x] [transfer-encoding=chunked]\nhello,0123456789\nEND\n"
        "GET /c keep [host=x]\nEND\n");
    /* Trailers that would change how the message is read: they are not looked at. */
    expect(HTTP_REQUESTS,
           "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
           "Connection: close\r\n\r\nGET /c HTTP/1.1\r\nHost: x\r\n\r\n",
           "POST /b body keep [host=x] [transfer-encoding=chunked]\na\nEND\n"
           "GET /c keep [host=x]\nEND\n");
    expect(HTTP_REQUESTS,
           "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
           "POST /b body keep [host=x] [transfer-encoding=Chunked]\nEND\n");
}

static void an_older_peer_is_understood(void **state)
{
    (void)state;
    expect(HTTP_REQUESTS, "GET / HTTP/1.0\r\n\r\n", "GET / 1.0\nEND\n");
    expect(HTTP_REQUESTS, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
           "GET / keep 1.0 [connection=keep-alive]\nEND\nGET / 1.0\nEND\n");
    /* It cannot upgrade, and what follows is HTTP still. */
    expect(HTTP_REQUESTS,
           "GET / HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: websocket\r\n\r\n"
           "GET /b HTTP/1.0\r\n\r\n",
           "GET / keep 1.0 [connection=keep-alive, upgrade] [upgrade=websocket]\nEND\n"
           "GET /b 1.0\nEND\n");
}

static void an_upgrade_leaves_the_rest_alone(void **state)
{
    static const char text[] = "GET /w HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                               "Upgrade: websocket\r\n\r\n\x81\x05hello";
    struct http_parser *parser = http_parser_new(HTTP_REQUESTS);
    struct bytes_reader in = bytes_reader(text, sizeof text - 1);
    struct http_piece piece;

    (void)state;
    assert_int_equal(http_parser_next(parser, &in, &piece, NULL), HTTP_HEAD);
    assert_true(piece.head->upgrade);
    assert_int_equal(http_parser_next(parser, &in, &piece, NULL), HTTP_END);
    assert_int_equal(bytes_left(&in), 7);
    assert_memory_equal(in.p, "\x81\x05hello", 7);
    http_parser_free(parser);
}

static void a_refused_upgrade_is_followed_by_http(void **state)
{
    (void)state;
    expect(HTTP_REQUESTS,
           "POST /w HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Content-Length: 2\r\n\r\nhi"
           "GET /w HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
           "GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
           "POST /w body keep upgrade length=2 [host=x] [connection=Upgrade] [upgrade=websocket]"
           " [content-length=2]\nhi\nEND\n"
           "GET /w keep upgrade [host=x] [connection=Upgrade] [upgrade=websocket]\nEND\n"
           "GET /b keep [host=x]\nEND\n");
}

static void responses_are_read(void **state)
{
    (void)state;
    expect(HTTP_RESPONSES,
           "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
           "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\n0\r\n\r\n",
           "100 keep\nEND\n404 body keep length=2 [content-length=2]\n{}\nEND\n204 keep\nEND\n"
           "200 body keep [transfer-encoding=chunked]\nabc\nEND\n");
    expect(HTTP_RESPONSES,
           "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
           "101 keep upgrade [connection=upgrade] [upgrade=websocket]\nEND\n");
    expect(HTTP_RESPONSES,
           "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
           "304 keep length=5 [content-length=5]\nEND\n204 keep\nEND\n");
    expect(HTTP_RESPONSES, "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "ERROR damaged\n");
    /* Without saying which protocol it is none. */
    expect(HTTP_RESPONSES, "HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 keep\nEND\n");
}

static void a_response_may_end_with_its_connection(void **state)
{
    static const char text[] = "HTTP/1.0 200 OK\r\n\r\nto the end";
    static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    static const char part[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx";

    (void)state;
    expect_n(HTTP_RESPONSES, text, sizeof text - 1, "200 body 1.0\nto the end\nEND\n", true);
    expect_n(HTTP_RESPONSES, whole, sizeof whole - 1,
             "200 body keep length=1 [content-length=1]\nx\nEND\n", true);
    expect_n(HTTP_RESPONSES, part, sizeof part - 1,
             "200 body keep length=3 [content-length=3]\nx\nCUT\n", true);
    for (size_t n = 1; n < 20; n++) {
        const char *want = n == 19 ? "" : "CUT\n"; /* the head is whole at 19 */
        char *got = run(HTTP_RESPONSES, text, n, n, 0, true);
        assert_string_equal(got, n == 19 ? "200 body 1.0\nEND\n" : want);
        mem_free(got);
    }
}

static void smuggling_is_refused(void **state)
{
    static const char *const heads[] = {
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5, 5\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: -5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
        "Content-Length: 5 5\r\n\r\nhello",
        "Content-Length:\r\n\r\n",
        "Content-Length: 18446744073709551616\r\n\r\nhello",
        "Content-Length : 5\r\n\r\nhello",
        " Content-Length: 5\r\n\r\nhello",
        "X: a\r\n Content-Length: 5\r\n\r\n",
        "X: a\r\n\tfolded\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\013chunked\r\n\r\n0\r\n\r\n",
        "Host: b\r\n\r\n",
        "X: a\nContent-Length: 5\r\n\r\nhello",
        "X: a\rContent-Length: 5\r\n\r\nhello",
        "X: a\n\n",
        "X\r\n\r\n",
        ": a\r\n\r\n",
        "X y: a\r\n\r\n",
        "X(: a\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        char text[512];
        snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\n%s", heads[i]);
        expect(HTTP_REQUESTS, text, "ERROR damaged\n");
    }
}

static void broken_start_lines_are_refused(void **state)
{
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\n\r\n", /* no Host */
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /* TLS to a plain port */
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        expect(HTTP_REQUESTS, texts[i], "ERROR damaged\n");
    }
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
    expect_n(HTTP_REQUESTS, nul, sizeof nul - 1, "ERROR damaged\n", false);
}

static void broken_chunks_are_refused(void **state)
{
    static const char *const bodies[] = {
        "x\r\n",        "-1\r\n",     "5 \r\nhello", "5\nhello\r\n", "5\r\nhello\n0\r\n\r\n",
        "5\rhello\r\n", "0x5\r\n",    "\r\n",        " 5\r\nhello",  "ffffffffffffffffff\r\n",
        "5;a\rb\r\n",   "5;a\nb\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        char text[256];
        char want[256];
        snprintf(text, sizeof text,
                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s", bodies[i]);
        snprintf(want, sizeof want,
                 "POST / body keep [host=a] [transfer-encoding=chunked]\n%sERROR "
                 "damaged\n",
                 strstr(bodies[i], "\r\nhello\n") != NULL ? "hello\n" : "");
        expect(HTTP_REQUESTS, text, want);
    }
    /* A chunk that is longer than told. */
    expect(HTTP_REQUESTS,
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
           "POST / body keep [host=a] [transfer-encoding=chunked]\nab\nERROR damaged\n");
}

/* Text of a head, n bytes of `fill` after the fixed beginning. */
static struct buf bomb(const char *start, const char *fill, size_t n)
{
    struct buf text = {0};

    buf_put_str(&text, start);
    for (size_t i = 0; i < n; i++) {
        buf_put_str(&text, fill);
    }
    return text;
}

static void header_bombs_hit_a_limit(void **state)
{
    static const struct {
        const char *start;
        const char *fill;
        size_t n;
    } bombs[] = {
        {"GET /", "a", 17000},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "a", 17000},
        {"GET / HTTP/1.1\r\nHost: a\r\n", "a", 17000},
        {"GET / HTTP/1.1\r\nHost: a\r\n", "A: b\r\n", 65},
        {"GET / HTTP/1.1\r\nHost: a\r\nX:", " ", 17000},
        {"", "\r\n", 9000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bombs); i++) {
        struct buf text = bomb(bombs[i].start, bombs[i].fill, bombs[i].n);
        char *whole = run(HTTP_REQUESTS, (char *)text.data, text.len, text.len, 0, false);
        char *bytes = run(HTTP_REQUESTS, (char *)text.data, text.len, 1, 0, false);
        if (strcmp(whole, "ERROR limit\n") != 0 || strcmp(bytes, "ERROR limit\n") != 0) {
            fail_msg("bomb %zu: %s, %s", i, whole, bytes);
        }
        mem_free(whole);
        mem_free(bytes);
        buf_deinit(&text);
    }
}

static void as_many_headers_as_are_allowed_are_read(void **state)
{
    struct buf text = bomb("GET / HTTP/1.1\r\nHost: a\r\n", "A: b\r\n", HTTP_HEADERS_MAX - 1);

    (void)state;
    buf_put_str(&text, "\r\n");
    struct http_parser *parser = http_parser_new(HTTP_REQUESTS);
    struct bytes_reader in = bytes_reader(text.data, text.len);
    struct http_piece piece;
    assert_int_equal(http_parser_next(parser, &in, &piece, NULL), HTTP_HEAD);
    assert_int_equal(piece.head->n_headers, HTTP_HEADERS_MAX);
    http_parser_free(parser);
    buf_deinit(&text);
}

static void chunk_extensions_and_trailers_are_limited(void **state)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;";
    static const char trailer[] =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";

    (void)state;
    struct buf texts[] = {bomb(head, "a", 17000), bomb(trailer, "A: b\r\n", 3000)};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t step = 1; step <= texts[i].len; step += texts[i].len - 1) {
            char *got = run(HTTP_REQUESTS, (char *)texts[i].data, texts[i].len, step, 0, false);
            assert_non_null(strstr(got, "ERROR limit\n"));
            mem_free(got);
        }
        buf_deinit(&texts[i]);
    }
}

static void headers_are_found_and_lists_searched(void **state)
{
    struct http_head head = {
        .headers = {{"connection", "keep-alive , Upgrade"}, {"x", "1"}, {"connection", "a,,b"}},
        .n_headers = 3,
    };

    (void)state;
    assert_string_equal(http_header(&head, "x"), "1");
    assert_null(http_header(&head, "y"));
    assert_true(http_header_has(&head, "connection", "upgrade"));
    assert_true(http_header_has(&head, "connection", "keep-alive"));
    assert_true(http_header_has(&head, "connection", "B"));
    assert_false(http_header_has(&head, "connection", "keep"));
    assert_false(http_header_has(&head, "connection", "upgrade2"));
    assert_false(http_header_has(&head, "connection", ""));
    assert_string_equal(http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(http_status_text(999), "");
}

static void what_is_written_can_be_read(void **state)
{
    struct buf out = {0};

    (void)state;
    http_put_request(&out, "POST", "/a b\r\nX: y?q=\xc3\xa4#f");
    http_put_header(&out, "Host", "%s", "h:1");
    http_put_header(&out, "X-Split", "%s", "a\r\nY: injected\r\n\r\n");
    http_put_header(&out, "Transfer-Encoding", "chunked");
    http_put_end(&out);
    http_put_chunk(&out, "hello", 5);
    http_put_chunk(&out, ", you", 5);
    http_put_last_chunk(&out);
    expect_n(HTTP_REQUESTS, (char *)out.data, out.len,
             "POST /a%20b%0D%0AX:%20y?q=%C3%A4%23f body keep [host=h:1]"
             " [x-split=a  Y: injected] [transfer-encoding=chunked]\nhello, you\nEND\n",
             false);
    buf_reset(&out);
    http_put_status(&out, 416);
    http_put_header(&out, "Content-Length", "%d", 0);
    http_put_end(&out);
    expect_n(HTTP_RESPONSES, (char *)out.data, out.len,
             "416 keep length=0 [content-length=0]\nEND\n", false);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(requests_follow_each_other),
        cmocka_unit_test(chunks_are_joined_and_trailers_read_over),
        cmocka_unit_test(an_older_peer_is_understood),
        cmocka_unit_test(an_upgrade_leaves_the_rest_alone),
        cmocka_unit_test(a_refused_upgrade_is_followed_by_http),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(a_response_may_end_with_its_connection),
        cmocka_unit_test(smuggling_is_refused),
        cmocka_unit_test(broken_start_lines_are_refused),
        cmocka_unit_test(broken_chunks_are_refused),
        cmocka_unit_test(header_bombs_hit_a_limit),
        cmocka_unit_test(as_many_headers_as_are_allowed_are_read),
        cmocka_unit_test(chunk_extensions_and_trailers_are_limited),
        cmocka_unit_test(headers_are_found_and_lists_searched),
        cmocka_unit_test(what_is_written_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
