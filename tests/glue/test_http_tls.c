/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "node/http_server_internal_uv.h"
#include "node/server_routes.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "tests/glue/node_fixture.h"

/* ---- a viewer that is sent framed bytes, as the relay does ---- */

#define FRAME_BYTES 100000

static struct {
    struct ws_conn *conn;
    unsigned written;
    unsigned released;
    unsigned drained;
    unsigned closed;
} viewer;
static uint8_t frame_header[WS_HEADER_MAX];
static uint8_t frame_bytes[FRAME_BYTES];

static void on_release(void *arg)
{
    assert_ptr_equal(arg, &viewer);
    viewer.released++;
}

static void write_frames(unsigned n)
{
    struct iovec iov[2] = {
        {frame_header, ws_put_header(frame_header, WS_BINARY, false, FRAME_BYTES)},
        {frame_bytes, FRAME_BYTES}};

    for (unsigned i = 0; i < n && viewer.conn != NULL; i++) {
        viewer.written++;
        ws_conn_write_framed(viewer.conn, iov, 2, on_release, &viewer);
    }
}

static void on_drained(struct ws_conn *conn, void *arg)
{
    (void)conn;
    (void)arg;
    viewer.drained++;
}

static void on_ws_closed(struct ws_conn *conn, void *arg)
{
    (void)conn;
    (void)arg;
    viewer.closed++;
    viewer.conn = NULL;
}

static void on_message(struct ws_conn *conn, void *arg, enum ws_opcode opcode, const uint8_t *data,
                       size_t n)
{
    (void)arg;
    ws_conn_send(conn, opcode, data, n);
}

static void get_ws(struct exchange *ex, struct node *node)
{
    (void)node;
    memset(&viewer, 0, sizeof viewer);
    viewer.conn = exchange_upgrade(ex, &(struct ws_conn_opts){.max_message = 1u << 20,
                                                              .deflate = true,
                                                              .message = on_message,
                                                              .drained = on_drained,
                                                              .closed = on_ws_closed});
}

static const struct route routes[] = {
    {.method = "GET", .path = "/ws", .is_websocket = true, .handle = get_ws},
};
static const struct route_group test_routes = {routes, ARRAY_LEN(routes)};
static const struct route_group *const groups[] = {&server_routes, &test_routes};

static struct fixture f;
static char cert[96];
static char key[96];

static void start(bool tls, struct http_limits limits)
{
    fixture_init(&f);
    if (tls) {
        fixture_make_certificate(&f, 1, cert, key);
    }
    fixture_start(&f, &(struct fixture_opts){.groups = groups,
                                             .n_groups = ARRAY_LEN(groups),
                                             .limits = limits,
                                             .tls_cert = tls ? cert : NULL,
                                             .tls_key = tls ? key : NULL});
}

static int end(void **state)
{
    (void)state;
    fixture_end(&f);
    return 0;
}

static struct client *open_client(bool tls, int rcvbuf)
{
    return tls ? client_open_tls(&f, cert) : client_open(&f, rcvbuf);
}

/* ---- TLS ---- */

static void requests_and_websockets_go_over_tls(void **state)
{
    (void)state;
    start(true, (struct http_limits){0});
    struct client *c = client_open_tls(&f, cert);
    client_print(c, "GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    client_await_bytes(c, 300);
    assert_int_equal(client_count(c, "is running"), 2);
    client_forget(c);
    client_upgrade(c, "/ws", "");
    client_send_frame(c, WS_TEXT, "hi", 2);
    client_await(c, "\x81\x02hi");
    assert_int_equal(f.node.http->streams.counters.handshakes, 1);
    client_send_frame(c, WS_CLOSE, "\x03\xe8", 2);
    client_await_end(c); /* with close_notify */
    assert_int_equal(c->error, 0);
}

static void a_handshake_that_does_not_come_is_ended(void **state)
{
    (void)state;
    start(true, (struct http_limits){.handshake_ms = 50});
    client_await_end(client_open(&f, 0));
    struct client *half = client_open(&f, 0);
    client_send(half, "\x16\x03\x01\x02\x00\x01", 6);
    client_await_end(half);
    assert_int_equal(f.node.http->streams.counters.handshakes_failed, 2);
}

static void what_is_no_tls_is_ended(void **state)
{
    (void)state;
    start(true, (struct http_limits){0});
    struct client *c = client_open(&f, 0);
    client_print(c, "hello you\n\n");
    client_await_end(c);
    struct client *numbers = client_open(&f, 0);
    client_print(numbers, "0123456789");
    client_await_end(numbers);
    assert_int_equal(numbers->in.len, 0);
    assert_int_equal(f.node.http->streams.counters.handshakes_failed, 2);
}

/* A browser that was told http:// in place of https://. */
static void plain_http_is_told_that_this_is_tls(void **state)
{
    (void)state;
    start(true, (struct http_limits){.linger_ms = 20, .handshake_ms = 40, .sweep_ms = 10});
    struct client *c = client_open(&f, 0);
    client_print(c, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_await_end(c);
    assert_true(client_has(c, "HTTP/1.1 400 Bad Request\r\n"));
    assert_true(client_has(c, "this port speaks TLS: use https:// or wss://\"}"));
    assert_int_equal(c->error, 0);
    struct client *long_one = client_open(&f, 0);
    client_print(long_one, "POST /ingest HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    client_await(long_one, "400 Bad Request");
    client_print(long_one, "%0*d", 5000, 0); /* thrown away while it lingers */
    client_await_end(long_one);
    assert_int_equal(f.node.http->streams.counters.handshakes_failed, 2);
}

static void a_head_over_tls_has_its_deadline(void **state)
{
    (void)state;
    start(true, (struct http_limits){.head_ms = 50});
    client_await_end(client_open_tls(&f, cert));
    assert_int_equal(f.node.http->counters.rejected[REJECTED_SLOW], 1);
}

/* A new certificate is for new connections; running ones stay. A broken one changes nothing. */
static void a_certificate_is_read_again(void **state)
{
    struct err err = {0};
    char old_cert[128];

    (void)state;
    start(true, (struct http_limits){0});
    uint64_t old_end = http_server_certificate_end(f.node.http);
    struct client *before = client_open_tls(&f, cert);
    client_upgrade(before, "/ws", "");
    snprintf(old_cert, sizeof old_cert, "%s.old", cert);
    assert_int_equal(rename(cert, old_cert), 0);
    assert_true(http_server_reload(f.node.http, &err) < 0);
    assert_int_equal(http_server_certificate_end(f.node.http), old_end);
    client_close(client_open_tls(&f, old_cert));

    fixture_make_certificate(&f, 60, cert, key);
    assert_int_equal(http_server_reload(f.node.http, &err), 0);
    assert_true(http_server_certificate_end(f.node.http) > old_end + 50 * 86400000000000ULL);
    struct client *after = client_open_tls(&f, cert);
    client_print(after, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_await(after, "is running");
    struct client *wrong = client_open_tls(&f, old_cert);
    assert_false(tls_is_ready(wrong->tls));
    client_send_frame(before, WS_TEXT, "still", 5);
    client_await(before, "\x81\x05still");
}

static void an_expired_certificate_is_told(void **state)
{
    (void)state;
    fixture_init(&f);
    fixture_make_certificate(&f, -1, cert, key);
    fixture_start(
        &f, &(struct fixture_opts){
                .groups = groups, .n_groups = ARRAY_LEN(groups), .tls_cert = cert, .tls_key = key});
    assert_true(http_server_certificate_end(f.node.http) < clock_wall_ns());
    struct client *c = client_open_tls(&f, cert);
    assert_false(tls_is_ready(c->tls));
}

/* ---- framed writes, plain and over TLS ---- */

static bool all_came(void *arg)
{
    struct client *c = arg;

    return c->eof || c->in.len >= (size_t)viewer.written * (FRAME_BYTES + 10);
}

static void framed_writes_come_whole(bool tls)
{
    start(tls, (struct http_limits){.high_mark = 200000});
    struct client *c = open_client(tls, 4096);
    client_upgrade(c, "/ws", "");
    for (size_t i = 0; i < sizeof frame_bytes; i++) {
        frame_bytes[i] = (uint8_t)(i * 7);
    }
    c->deaf = true;
    while (ws_conn_has_room(viewer.conn)) {
        write_frames(1);
    }
    assert_true(viewer.written > 3);
    assert_true(viewer.drained == 0);
    assert_true(ws_conn_queued(viewer.conn) > 200000);
    c->deaf = false;
    assert_true(fixture_pump(&f, all_came, c));
    fixture_turns(&f, 3);
    assert_int_equal(c->in.len, (size_t)viewer.written * (FRAME_BYTES + 10));
    for (unsigned i = 0; i < viewer.written; i++) {
        const uint8_t *frame = c->in.data + (size_t)i * (FRAME_BYTES + 10);
        assert_memory_equal(frame, frame_header, 10);
        assert_memory_equal(frame + 10, frame_bytes, FRAME_BYTES);
    }
    assert_int_equal(viewer.released, viewer.written);
    assert_true(viewer.drained >= 1);
    assert_int_equal(ws_conn_queued(viewer.conn), 0);
}

static void framed_writes_come_whole_plain(void **state)
{
    (void)state;
    framed_writes_come_whole(false);
}

static void framed_writes_come_whole_over_tls(void **state)
{
    (void)state;
    framed_writes_come_whole(true);
}

static bool is_viewer_closed(void *arg)
{
    (void)arg;
    return viewer.closed > 0;
}

static void what_was_queued_is_released_once_when_it_breaks(bool tls, bool by_peer)
{
    start(tls, (struct http_limits){.high_mark = 200000});
    struct client *c = open_client(tls, 4096);
    client_upgrade(c, "/ws", "");
    c->deaf = true;
    fixture_turns(&f, 2);
    while (ws_conn_has_room(viewer.conn)) {
        write_frames(1);
    }
    write_frames(3);
    if (by_peer) {
        client_close(c);
    } else {
        ws_conn_abort(viewer.conn);
        write_frames(1); /* into nothing, but released */
    }
    assert_true(fixture_pump(&f, is_viewer_closed, NULL));
    fixture_turns(&f, 3);
    assert_int_equal(viewer.released, viewer.written);
    assert_int_equal(viewer.closed, 1);
}

static void what_was_queued_is_released_once(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        what_was_queued_is_released_once_when_it_breaks(i & 1, i & 2);
        if (i < 3) {
            fixture_end(&f);
        }
    }
}

static void the_queue_goes_out_before_the_close_frame(void **state)
{
    (void)state;
    start(false, (struct http_limits){.high_mark = 200000});
    struct client *c = client_open(&f, 4096);
    client_upgrade(c, "/ws", "");
    c->deaf = true;
    while (ws_conn_has_room(viewer.conn)) {
        write_frames(1);
    }
    ws_conn_close(viewer.conn, WS_CLOSE_GOING_AWAY, "bye");
    c->deaf = false;
    client_await(c, "bye");
    assert_int_equal(c->in.len, (size_t)viewer.written * (FRAME_BYTES + 10) + 2 + 5);
    assert_int_equal(viewer.released, viewer.written);
}

static void deflate_only_when_both_want_it(void **state)
{
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    (void)state;
    start(false, (struct http_limits){0});
    struct client *with = client_open(&f, 0);
    client_upgrade(with, "/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    assert_true(ws_conn_is_deflated(viewer.conn));
    client_send_frame(with, WS_TEXT, text, sizeof text - 1);
    client_await_bytes(with, 3);
    assert_int_equal(with->in.data[0], 0xc1); /* FIN, RSV1, text */
    assert_true(with->in.data[1] < 20);
    struct client *without = client_open(&f, 0);
    client_upgrade(without, "/ws", "");
    assert_false(ws_conn_is_deflated(viewer.conn));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, end)
    const struct CMUnitTest tests[] = {
        TEST(requests_and_websockets_go_over_tls),
        TEST(a_handshake_that_does_not_come_is_ended),
        TEST(what_is_no_tls_is_ended),
        TEST(plain_http_is_told_that_this_is_tls),
        TEST(a_head_over_tls_has_its_deadline),
        TEST(a_certificate_is_read_again),
        TEST(an_expired_certificate_is_told),
        TEST(framed_writes_come_whole_plain),
        TEST(framed_writes_come_whole_over_tls),
        TEST(what_was_queued_is_released_once),
        TEST(the_queue_goes_out_before_the_close_frame),
        TEST(deflate_only_when_both_want_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
