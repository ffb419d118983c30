/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/server_routes.h"
#include "node/work.h"
#include "node/ws_conn.h"
#include "shared/base/mem.h"
#include "tests/glue/node_fixture.h"

/* ---- the routes of this test ---- */

static void get_hello(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_reply_text(ex, 200, "hello");
}

static void post_echo(struct exchange *ex, struct node *node)
{
    size_t n;
    const uint8_t *body = exchange_body(ex, &n);

    (void)node;
    exchange_reply(ex, 200, "application/octet-stream", body, n);
}

static void get_named(struct exchange *ex, struct node *node)
{
    const char *q = exchange_query(ex, "q");

    (void)node;
    exchange_reply_json(ex, 200,
                        json_pack("{s:s, s:s?}", "name", exchange_path(ex, "name"), "q", q));
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void answer_later(void *arg, bool cancelled)
{
    struct exchange *ex = arg;

    (void)cancelled;
    exchange_reply_text(ex, 200, "later");
    exchange_unref(ex);
}

static void get_later(struct exchange *ex, struct node *node)
{
    assert_true(work_run(node, do_nothing, answer_later, exchange_ref(ex)));
}

/* A long stream, written as fast as there is room. */
#define STREAM_PIECES 3000
static struct {
    struct exchange *ex;
    unsigned left;
    unsigned drained;
    unsigned gone;
} streaming;
static uint8_t stream_piece[4096];

static void stream_on(struct exchange *ex, void *arg)
{
    (void)arg;
    streaming.drained++;
    while (streaming.left > 0) {
        streaming.left--;
        if (!exchange_write(ex, stream_piece, sizeof stream_piece)) {
            break;
        }
    }
    if (streaming.left == 0 && streaming.ex != NULL) {
        streaming.ex = NULL;
        exchange_end(ex);
        exchange_unref(ex);
    }
}

static void stream_gone(struct exchange *ex, void *arg)
{
    (void)arg;
    streaming.gone++;
    assert_true(exchange_is_gone(ex));
    assert_true(exchange_write(ex, "x", 1)); /* into nothing */
    exchange_end(ex);
    streaming.ex = NULL;
    exchange_unref(ex);
}

static const struct exchange_stream_ops stream_ops = {stream_on, stream_gone};

static void get_stream(struct exchange *ex, struct node *node)
{
    const char *known = exchange_query(ex, "length");
    uint64_t length =
        known == NULL ? HTTP_LENGTH_UNKNOWN : (uint64_t)STREAM_PIECES * sizeof stream_piece;

    (void)node;
    memset(&streaming, 0, sizeof streaming);
    streaming.ex = exchange_ref(ex);
    streaming.left = STREAM_PIECES;
    exchange_begin(ex, 200, "application/octet-stream", length, &stream_ops, NULL);
    stream_on(ex, NULL);
}

static void get_cut(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_begin(ex, 200, "text/plain", HTTP_LENGTH_UNKNOWN, NULL, NULL);
    exchange_write(ex, "half", 4);
    exchange_abort(ex);
}

static unsigned n_closed;

static void ws_echo(struct ws_conn *conn, void *arg, enum ws_opcode opcode, const uint8_t *data,
                    size_t n)
{
    (void)arg;
    ws_conn_send(conn, opcode, data, n);
}

static void ws_closed(struct ws_conn *conn, void *arg)
{
    (void)conn;
    (void)arg;
    n_closed++;
}

static void get_ws(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_add_header(ex, "Packetrecorder-Stream", "s1");
    exchange_upgrade(ex, &(struct ws_conn_opts){.max_message = 65536,
                                                .deflate = exchange_query(ex, "deflate") != NULL,
                                                .message = ws_echo,
                                                .closed = ws_closed});
}

static void upgrade_later(void *arg, bool cancelled)
{
    struct exchange *ex = arg;

    if (!cancelled) {
        get_ws(ex, exchange_node(ex));
    }
    exchange_unref(ex);
}

static void get_ws_later(struct exchange *ex, struct node *node)
{
    assert_true(work_run(node, do_nothing, upgrade_later, exchange_ref(ex)));
}

static const struct route routes[] = {
    {.method = "GET", .path = "/hello", .right = RIGHT_NONE, .handle = get_hello},
    {.method = "POST", .path = "/echo", .max_body = 1000, .handle = post_echo},
    {.method = "GET", .path = "/named/{name}", .right = RIGHT_VIEW, .handle = get_named},
    {.method = "DELETE", .path = "/named/{name}", .right = RIGHT_VIEW, .handle = get_named},
    {.method = "GET", .path = "/later", .handle = get_later},
    {.method = "GET", .path = "/stream", .handle = get_stream},
    {.method = "GET", .path = "/cut", .handle = get_cut},
    {.method = "GET", .path = "/ws", .is_websocket = true, .handle = get_ws},
    {.method = "GET", .path = "/ws-later", .is_websocket = true, .handle = get_ws_later},
};
static const struct route_group test_routes = {routes, ARRAY_LEN(routes)};
static const struct route_group *const groups[] = {&server_routes, &test_routes};

static int start(void **state)
{
    static struct fixture f;

    fixture_init(&f);
    fixture_start(&f, &(struct fixture_opts){.groups = groups, .n_groups = ARRAY_LEN(groups)});
    *state = &f;
    return 0;
}

static int end(void **state)
{
    fixture_end(*state);
    return 0;
}

/* ---- requests ---- */

static void a_request_is_answered_and_the_connection_kept(void **state)
{
    struct client *c = client_open(*state, 0);
    client_ask(c, "GET /", "packetrecorder is running\n");
    assert_true(client_has(c, "HTTP/1.1 200 OK\r\n"));
    assert_true(client_has(c, "Content-Length: 26\r\n"));
    client_ask(c, "GET /hello", "hello");
    assert_false(c->eof);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "GET /later HTTP/1.1\r\n" HOST "\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n"
                    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd"
                    "GET /later HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_await_end(c);
    assert_int_equal(client_count(c, "HTTP/1.1 200 OK"), 4);
    buf_put_u8(&c->in, 0);
    const char *text = (const char *)c->in.data;
    assert_true(strstr(text, "\r\n\r\nlater") < strstr(text, "\r\n\r\nhello"));
    assert_true(strstr(text, "\r\n\r\nhello") < strstr(text, "\r\n\r\nabcd"));
    assert_non_null(strstr(strstr(text, "abcd"), "\r\n\r\nlater"));
}

static void who_closes_its_side_still_gets_the_answer(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
    shutdown(c->fd, SHUT_WR);
    client_await_end(c);
    assert_true(client_has(c, "later"));
}

static void a_content_that_is_expected_is_asked_for(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST
                    "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    client_await(c, "HTTP/1.1 100 Continue\r\n\r\n");
    client_print(c, "12345");
    client_await(c, "\r\n\r\n12345");
}

static void a_content_that_will_be_refused_is_not_asked_for(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST
                    "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
    client_await_end(c);
    assert_false(client_has(c, "100 Continue"));
    assert_true(client_has(c, "HTTP/1.1 413 "));
    assert_true(client_has(c, "Content-Type: application/problem+json\r\n"));
    assert_true(client_has(c, "Connection: close\r\n"));
}

static void chunked_content_is_read_and_bounded(void **state)
{
    char big[1002];

    struct client *c = client_open(*state, 0);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    client_await(c, "\r\n\r\nabcdefg");
    client_forget(c);
    memset(big, 'x', sizeof big);
    client_print(c,
                 "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                 "3e9\r\n%.1001s\r\n0\r\n\r\n",
                 big);
    client_await_end(c);
    assert_true(client_has(c, "HTTP/1.1 413 "));
}

static void head_has_the_length_but_no_content(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n"
                    "HEAD /stream?length=1 HTTP/1.1\r\n" HOST "\r\n"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    client_await(c, "\r\n\r\nhello");
    assert_int_equal(client_count(c, "Content-Length: 5\r\n"), 2);
    assert_int_equal(client_count(c, "hello"), 1);
}

static void unknown_paths_and_methods_are_told(void **state)
{
    struct client *c = client_open(*state, 0);
    client_ask(c, "GET /nowhere", "}");
    assert_true(client_has(c, "HTTP/1.1 404 Not Found"));
    assert_true(client_has(c, "\"title\":\"Not Found\",\"status\":404"));
    client_ask(c, "PUT /named/x", "}");
    assert_true(client_has(c, "HTTP/1.1 405 "));
    assert_true(client_has(c, "Allow: GET, HEAD, DELETE, OPTIONS\r\n"));
    client_ask(c, "OPTIONS /named/x", "\r\n\r\n");
    assert_true(client_has(c, "HTTP/1.1 204 "));
    assert_true(client_has(c, "Allow: GET, HEAD, DELETE, OPTIONS\r\n"));
    client_ask(c, "OPTIONS *", "\r\n\r\n");
    assert_true(client_has(c, "POST"));
}

static void parameters_are_decoded(void **state)
{
    struct client *c = client_open(*state, 0);
    client_ask(c, "GET /named/a%2Fb%20c?q=x%26y+z", "{\"name\":\"a/b c\",\"q\":\"x&y z\"}");
    client_ask(c, "GET /named/?q=", "404 Not Found");
}

static void a_target_with_scheme_and_host_is_its_path_and_query(void **state)
{
    static const char named[] = "{\"name\":\"one\",\"q\":\"two\"}";

    client_ask(client_open(*state, 0), "GET http://127.0.0.1/named/one?q=two", named);
    client_ask(client_open(*state, 0), "GET HTTPS://127.0.0.1", "is running");
    client_ask(client_open(*state, 0), "GET http://127.0.0.1?q=%zz", "broken %-escape");
    client_ask(client_open(*state, 0), "GET http://127.0.0.2/named/one", "another host");
    client_ask(client_open(*state, 0), "GET foo://127.0.0.1/named/one", "HTTP/1.1 400 ");
}

static void what_is_not_http_is_said_once(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "\x16\x03\x01 hello\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    client_await_end(c);
    assert_int_equal(client_count(c, "HTTP/1.1 400 Bad Request"), 1);
    assert_int_equal(client_count(c, "HTTP/1.1 "), 1);
}

/* ---- streams ---- */

static void a_stream_is_chunked_and_follows_the_reader(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    client_await_end(c);
    assert_true(client_has(c, "Transfer-Encoding: chunked\r\n"));
    assert_memory_equal(c->in.data + c->in.len - 5, "0\r\n\r\n", 5);
    assert_true(c->in.len > (size_t)STREAM_PIECES * sizeof stream_piece);
    assert_true(streaming.drained > 1); /* it had to wait */
}

static void a_stream_to_http_1_0_ends_with_the_connection(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "GET /stream HTTP/1.0\r\n" HOST "\r\n");
    client_await_end(c);
    assert_false(client_has(c, "chunked"));
    size_t head =
        (size_t)((uint8_t *)memmem(c->in.data, c->in.len, "\r\n\r\n", 4) - c->in.data) + 4;
    assert_int_equal(c->in.len - head, (size_t)STREAM_PIECES * sizeof stream_piece);
}

static bool stream_is_gone(void *arg)
{
    (void)arg;
    return streaming.gone > 0;
}

static void a_stream_whose_reader_leaves_is_told_once(void **state)
{
    struct client *c = client_open(*state, 4096);
    client_print(c, "GET /stream HTTP/1.1\r\n" HOST "\r\n");
    client_await_bytes(c, 4096);
    client_close(c);
    assert_true(fixture_pump(*state, stream_is_gone, NULL));
    fixture_turns(*state, 5);
    assert_int_equal(streaming.gone, 1);
}

static void a_cut_answer_is_never_taken_for_a_whole_one(void **state)
{
    struct client *c = client_open(*state, 0);
    client_print(c, "GET /cut HTTP/1.1\r\n" HOST "\r\n");
    client_await_end(c);
    assert_true(client_has(c, "half"));
    assert_false(client_has(c, "\r\n0\r\n\r\n"));
}

/* ---- WebSockets ---- */

static bool is_one_closed(void *arg)
{
    (void)arg;
    return n_closed > 0;
}

static void a_websocket_echoes(void **state)
{
    struct client *c = client_open(*state, 0);
    client_upgrade(c, "/ws", "");
    client_send_frame(c, WS_TEXT, "hi", 2);
    client_await_bytes(c, 4);
    assert_memory_equal(c->in.data, "\x81\x02hi", 4);
    client_forget(c);
    client_send_frame(c, WS_PING, "p", 1);
    client_await_bytes(c, 3);
    assert_memory_equal(c->in.data, "\x8a\x01p", 3);
    client_forget(c);
    n_closed = 0;
    client_send_frame(c, WS_CLOSE, "\x03\xe8", 2);
    client_await_end(c);
    assert_memory_equal(c->in.data, "\x88\x02\x03\xe8", 4);
    client_close(c);
    assert_true(fixture_pump(*state, is_one_closed, NULL));
    fixture_turns(*state, 5);
    assert_int_equal(n_closed, 1);
}

static void frames_behind_the_request_are_not_lost(void **state)
{
    static const char *const paths[] = {"/ws", "/ws-later"};
    static const uint8_t mask[4] = {9, 8, 7, 6};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf all = {0};
        struct client *c = client_open(*state, 0);
        buf_printf(&all,
                   "GET %s HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   paths[i]);
        ws_put_frame(&all, WS_BINARY, "first", 5, mask);
        ws_put_frame(&all, WS_BINARY, "second", 6, mask);
        client_send(c, all.data, all.len);
        buf_deinit(&all);
        client_await(c, "\x82\x05"
                        "first\x82\x06"
                        "second");
        client_send_frame(c, WS_BINARY, "third", 5);
        client_await(c, "\x82\x05"
                        "third");
        client_close(c);
    }
}

static void what_is_no_upgrade_is_told_how(void **state)
{
    struct client *c = client_open(*state, 0);
    client_ask(c, "GET /ws", "}");
    assert_true(client_has(c, "HTTP/1.1 426 "));
    assert_true(client_has(c, "Sec-WebSocket-Version: 13\r\n"));
    client_forget(c);
    client_print(c, "GET /ws HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n");
    client_await(c, "HTTP/1.1 400 ");
}

int main(void)
{
#define IN_NODE(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        IN_NODE(a_request_is_answered_and_the_connection_kept),
        IN_NODE(pipelined_requests_are_answered_in_order),
        IN_NODE(who_closes_its_side_still_gets_the_answer),
        IN_NODE(a_content_that_is_expected_is_asked_for),
        IN_NODE(a_content_that_will_be_refused_is_not_asked_for),
        IN_NODE(chunked_content_is_read_and_bounded),
        IN_NODE(head_has_the_length_but_no_content),
        IN_NODE(unknown_paths_and_methods_are_told),
        IN_NODE(parameters_are_decoded),
        IN_NODE(a_target_with_scheme_and_host_is_its_path_and_query),
        IN_NODE(what_is_not_http_is_said_once),
        IN_NODE(a_stream_is_chunked_and_follows_the_reader),
        IN_NODE(a_stream_to_http_1_0_ends_with_the_connection),
        IN_NODE(a_stream_whose_reader_leaves_is_told_once),
        IN_NODE(a_cut_answer_is_never_taken_for_a_whole_one),
        IN_NODE(a_websocket_echoes),
        IN_NODE(frames_behind_the_request_are_not_lost),
        IN_NODE(what_is_no_upgrade_is_told_how),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
