/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "tests/glue/limits_fixture.h"

static void post_echo(struct exchange *ex, struct node *node)
{
    size_t n;
    const uint8_t *body = exchange_body(ex, &n);

    (void)node;
    exchange_reply(ex, 200, "application/octet-stream", body, n);
}

static uint8_t piece[65536];

static void get_flood(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_begin(ex, 200, "application/octet-stream", HTTP_LENGTH_UNKNOWN, NULL, NULL);
    for (int i = 0; i < 128; i++) {
        exchange_write(ex, piece, sizeof piece); /* a handler that does not look for room */
    }
    exchange_end(ex);
}

static void get_ws(struct exchange *ex, struct node *node)
{
    (void)node;
    exchange_upgrade(ex, &(struct ws_conn_opts){.max_message = 100});
}

static const struct route routes[] = {
    {.method = "GET", .path = "/kept", .handle = get_kept},
    {.method = "POST", .path = "/echo", .max_body = 1000, .handle = post_echo},
    {.method = "GET", .path = "/flood", .handle = get_flood},
    {.method = "GET", .path = "/ws", .is_websocket = true, .handle = get_ws},
};
static const struct route_group test_routes = {routes, ARRAY_LEN(routes)};

static void start(struct http_limits limits)
{
    start_with(&test_routes, limits);
}

/* ---- deadlines ---- */

static void a_connection_without_a_request_is_ended(void **state)
{
    (void)state;
    start((struct http_limits){.head_ms = 50});
    client_await_end(client_open(&f, 0));
    assert_int_equal(rejected(REJECTED_SLOW), 1);
}

/* A byte now and then does not prolong the time for a head. */
static void a_head_that_drips_is_ended(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nX-Drip: ";
    struct client *c;

    (void)state;
    start((struct http_limits){.head_ms = 100});
    c = client_open(&f, 0);
    client_send(c, head, sizeof head - 1);
    uint64_t until_ns = clock_monotonic_ns() + 5000000000ULL;
    while (!c->eof && clock_monotonic_ns() < until_ns) {
        client_send(c, "x", 1);
        fixture_turns(&f, 2);
    }
    assert_true(c->eof);
    assert_int_equal(rejected(REJECTED_SLOW), 1);
}

static void a_content_that_drips_is_told_and_ended(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){.body_ms = 100, .linger_ms = 50});
    c = client_open(&f, 0);
    client_print(c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    uint64_t until_ns = clock_monotonic_ns() + 5000000000ULL;
    while (!c->eof && clock_monotonic_ns() < until_ns) {
        client_send(c, "x", 1);
        fixture_turns(&f, 2);
    }
    assert_true(client_has(c, "HTTP/1.1 408 "));
    assert_int_equal(rejected(REJECTED_SLOW), 1);
}

static void an_idle_connection_is_closed_in_peace(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){.idle_ms = 50});
    c = client_open(&f, 0);
    client_ask(c, "GET /", "is running");
    client_await_end(c);
    assert_int_equal(c->error, 0);
    assert_int_equal(rejected(REJECTED_SLOW), 0);
}

static void a_handler_may_take_its_time(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){.head_ms = 20, .idle_ms = 20, .body_ms = 20});
    c = client_open(&f, 0);
    client_print(c, "GET /kept HTTP/1.1\r\n" HOST "\r\n");
    fixture_turns(&f, 100);
    assert_non_null(kept);
    answer_kept();
    client_await(c, "at last");
}

static void an_answer_to_somebody_who_left_goes_nowhere(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){0});
    c = client_open(&f, 0);
    client_print(c, "GET /kept HTTP/1.1\r\n" HOST "\r\n");
    fixture_turns(&f, 10);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    client_close(c); /* with a reset */
    fixture_turns(&f, 10);
    assert_true(exchange_is_gone(kept));
    answer_kept();
    assert_int_equal(http_server_connections(f.node.http), 0);
}

static void a_reader_that_stopped_is_ended(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){.stall_ms = 100, .max_queued = 64u << 20});
    c = client_open(&f, 4096);
    client_print(c, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
    client_await_bytes(c, 1000);
    c->deaf = true;
    uint64_t until_ns = clock_monotonic_ns() + 5000000000ULL;
    while (http_server_connections(f.node.http) > 0 && clock_monotonic_ns() < until_ns) {
        fixture_turns(&f, 1);
    }
    assert_int_equal(http_server_connections(f.node.http), 0);
    assert_int_equal(f.node.http->streams.counters.stalled, 1);
}

/* A reader that takes a little all the time is slow, not gone. */
static void a_slow_reader_is_served_to_the_end(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){.stall_ms = 500, .max_queued = 64u << 20});
    c = client_open(&f, 131072);
    client_print(c, "GET /flood HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    c->deaf = true;
    fixture_turns(&f, 20);
    for (int i = 0; i < 24; i++) {
        static uint8_t some[65536];
        ssize_t got = recv(c->fd, some, sizeof some, MSG_DONTWAIT);
        assert_true(got > 0);
        buf_append(&c->in, some, (size_t)got);
        uint64_t until_ns = clock_monotonic_ns() + 50000000ULL;
        while (clock_monotonic_ns() < until_ns) {
            fixture_turns(&f, 1);
        }
    }
    c->deaf = false;
    client_await_end(c);
    assert_memory_equal(c->in.data + c->in.len - 5, "0\r\n\r\n", 5);
}

/* ---- bounds ---- */

static void a_head_of_any_size_costs_little(void **state)
{
    struct client *c;
    char name[64];

    (void)state;
    start((struct http_limits){.linger_ms = 50});
    c = client_open(&f, 0);
    client_print(c, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 3000 && !c->eof; i++) {
        snprintf(name, sizeof name, "X-%d: aaaaaaaaaaaaaaaaaaaa\r\n", i);
        client_send(c, name, strlen(name));
    }
    client_await_end(c);
    assert_true(client_has(c, "HTTP/1.1 431 "));
    assert_int_equal(rejected(REJECTED_TOO_LARGE), 1);
}

static void more_than_may_wait_ends_the_connection(void **state)
{
    struct client *c;

    (void)state;
    start((struct http_limits){.max_queued = 1u << 20});
    c = client_open(&f, 4096);
    client_print(c, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
    client_await_end(c);
    assert_int_equal(f.node.http->streams.counters.overfull, 1);
    assert_true(c->in.len < 9u << 20);
}

/* Requests without end to a server whose answers are not read: memory stays bounded. */
static void pipeline_without_reading(struct http_limits limits)
{
    static char requests[64 * 1024];
    static const char one[] = "GET /openapi.json HTTP/1.1\r\n" HOST "\r\n";
    size_t n = 0;
    size_t taken = 0;
    struct client *c;

    start(limits);
    while (n + sizeof one < sizeof requests) {
        memcpy(requests + n, one, sizeof one - 1);
        n += sizeof one - 1;
    }
    c = client_open(&f, 4096);
    c->deaf = true;
    for (int i = 0; i < 400; i++) {
        ssize_t sent = send(c->fd, requests, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        taken += sent > 0 ? (size_t)sent : 0;
        fixture_turns(&f, 1);
        if (sent < 0 && errno == EAGAIN && i > 100) {
            break;
        }
    }
    assert_true(stream_queued(LIST_FIRST(&f.node.http->streams.all)) < 256 * 1024);
    assert_true(f.node.http->counters.requests < 3000);
    assert_true(taken > 100 * 1024);
    /* What did not fit whole ends at some byte: only that all is answered again counts. */
    uint64_t before = f.node.http->counters.requests;
    c->deaf = false;
    uint64_t until_ns = clock_monotonic_ns() + 5000000000ULL;
    while (f.node.http->counters.requests < before + 100 && clock_monotonic_ns() < until_ns) {
        fixture_turns(&f, 1);
    }
    assert_true(f.node.http->counters.requests >= before + 100);
}

static void pipelining_without_reading_stops_the_server_from_reading(void **state)
{
    (void)state;
    pipeline_without_reading((struct http_limits){.high_mark = 65536});
}

/* The queue that a viewer may have is not for answers that nobody reads. */
static void pipelining_without_reading_costs_little_whatever_viewers_may_have(void **state)
{
    (void)state;
    pipeline_without_reading((struct http_limits){.high_mark = 4u * 1024u * 1024u});
}

/* ---- the end ---- */

static bool is_drained;

static void on_drained(struct node *node)
{
    (void)node;
    is_drained = true;
}

static bool drained(void *arg)
{
    (void)arg;
    return is_drained;
}

static void draining_finishes_what_runs_and_says_goodbye(void **state)
{
    (void)state;
    start((struct http_limits){0});
    struct client *running = client_open(&f, 0);
    struct client *idle = client_open(&f, 0);
    struct client *ws = client_open(&f, 0);
    struct client *silent = client_open(&f, 0);
    client_print(running, "GET /kept HTTP/1.1\r\n" HOST "\r\n");
    client_print(idle, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_await(idle, "is running");
    client_upgrade(ws, "/ws", "");
    is_drained = false;
    uint64_t began_ns = clock_monotonic_ns();
    http_server_drain(f.node.http, began_ns + 5000000000ULL, on_drained);
    client_await_end(idle);
    client_await_end(silent);
    client_close(silent);
    client_await(ws, "\x03\xe9"
                     "the node is ending");
    client_send_frame(ws, WS_CLOSE, "\x03\xe9", 2);
    client_await_end(ws);
    client_close(idle);
    client_close(ws);
    fixture_turns(&f, 10);
    assert_false(is_drained); /* one still runs */
    answer_kept();
    client_await_end(running);
    assert_true(client_has(running, "at last"));
    assert_true(client_has(running, "Connection: close\r\n"));
    client_close(running);
    assert_true(fixture_pump(&f, drained, NULL));
    assert_true(clock_monotonic_ns() - began_ns < 4000000000ULL); /* not by the deadline */
}

static void who_upgrades_while_it_drains_is_told_too(void **state)
{
    (void)state;
    start((struct http_limits){0});
    struct client *ws = client_open(&f, 0);
    client_print(ws, "GET /kept HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    fixture_turns(&f, 10);
    http_server_drain(f.node.http, clock_monotonic_ns() + 5000000000ULL, on_drained);
    fixture_turns(&f, 10);
    assert_non_null(exchange_upgrade(kept, &(struct ws_conn_opts){.max_message = 100}));
    exchange_unref(kept);
    kept = NULL;
    client_await(ws, "\x03\xe9"
                     "the node is ending");
}

static void draining_ends_in_time_whatever_peers_do(void **state)
{
    (void)state;
    start((struct http_limits){0});
    struct client *running = client_open(&f, 0);
    client_print(running, "GET /kept HTTP/1.1\r\n" HOST "\r\n");
    struct client *ws = client_open(&f, 0);
    client_upgrade(ws, "/ws", "");
    ws->deaf = true;
    client_open(&f, 0);
    fixture_turns(&f, 10);
    is_drained = false;
    uint64_t began_ns = clock_monotonic_ns();
    http_server_drain(f.node.http, began_ns + 200000000ULL, on_drained);
    assert_true(fixture_pump(&f, drained, NULL));
    assert_true(clock_monotonic_ns() - began_ns < 1500000000ULL);
    assert_true(exchange_is_gone(kept));
    answer_kept();
}

/* ---- WebSockets ---- */

static void a_silent_websocket_is_pinged_and_ended(void **state)
{
    (void)state;
    start((struct http_limits){.ping_ms = 50, .pong_ms = 50});
    struct client *c = client_open(&f, 0);
    client_upgrade(c, "/ws", "");
    client_await_bytes(c, 2);
    assert_memory_equal(c->in.data, "\x89\x00", 2);
    client_send_frame(c, WS_PONG, "", 0);
    client_await_bytes(c, 4); /* alive: the next ping */
    client_await_end(c);
    assert_int_equal(rejected(REJECTED_SILENT), 1);
    assert_int_equal(c->in.len, 4);
}

static void a_message_that_is_too_long_is_said(void **state)
{
    char text[101] = {0};

    (void)state;
    start((struct http_limits){.linger_ms = 50});
    struct client *c = client_open(&f, 0);
    client_upgrade(c, "/ws", "");
    client_send_frame(c, WS_BINARY, text, sizeof text);
    client_await_end(c);
    assert_memory_equal(c->in.data, "\x88", 1);
    assert_memory_equal(c->in.data + 2, "\x03\xf1", 2); /* 1009 */
}

static bool nobody_is_connected(void *arg)
{
    (void)arg;
    return http_server_connections(f.node.http) == 0;
}

static void who_does_not_answer_a_close_frame_is_ended(void **state)
{
    (void)state;
    start((struct http_limits){.linger_ms = 50});
    struct client *c = client_open(&f, 0);
    client_upgrade(c, "/ws", "");
    ws_conn_close(LIST_FIRST(&f.node.http->sockets), WS_CLOSE_NORMAL, "");
    ws_conn_close(LIST_FIRST(&f.node.http->sockets), WS_CLOSE_POLICY, "again");
    client_await_end(c);
    assert_int_equal(c->in.len, 4);
    /* The client sees the end a turn of the loop before the server has closed its handle. */
    assert_true(fixture_pump(&f, nobody_is_connected, NULL));
}

/* Pings without end from somebody who reads no pong: what waits stays bounded, and nothing is lost.
 */
static void pings_without_reading_stop_the_server_from_reading(void **state)
{
    static uint8_t pings[64 * 131];
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct buf frame = {0};
    uint8_t content[125] = {0};

    (void)state;
    start((struct http_limits){.high_mark = 65536, .max_queued = 400000});
    ws_put_frame(&frame, WS_PING, content, sizeof content, mask);
    assert_int_equal(frame.len, 131);
    for (int i = 0; i < 64; i++) {
        memcpy(pings + i * 131, frame.data, frame.len);
    }
    buf_deinit(&frame);
    struct client *c = client_open(&f, 4096);
    client_upgrade(c, "/ws", "");
    c->deaf = true;
    ssize_t sent = 0;
    size_t total = 0;
    for (int i = 0; i < 20000 && sent >= 0; i++) {
        sent = send(c->fd, pings, sizeof pings, MSG_DONTWAIT | MSG_NOSIGNAL);
        total += sent > 0 ? (size_t)sent : 0;
        uv_run(&f.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(http_server_connections(f.node.http), 1);
    c->deaf = false;
    client_await_bytes(c, total / 131 * 127);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, end)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_without_a_request_is_ended),
        TEST(a_head_that_drips_is_ended),
        TEST(a_content_that_drips_is_told_and_ended),
        TEST(an_idle_connection_is_closed_in_peace),
        TEST(a_handler_may_take_its_time),
        TEST(an_answer_to_somebody_who_left_goes_nowhere),
        TEST(a_reader_that_stopped_is_ended),
        TEST(a_slow_reader_is_served_to_the_end),
        TEST(a_head_of_any_size_costs_little),
        TEST(more_than_may_wait_ends_the_connection),
        TEST(pipelining_without_reading_stops_the_server_from_reading),
        TEST(pipelining_without_reading_costs_little_whatever_viewers_may_have),
        TEST(draining_finishes_what_runs_and_says_goodbye),
        TEST(who_upgrades_while_it_drains_is_told_too),
        TEST(draining_ends_in_time_whatever_peers_do),
        TEST(a_silent_websocket_is_pinged_and_ended),
        TEST(pings_without_reading_stop_the_server_from_reading),
        TEST(a_message_that_is_too_long_is_said),
        TEST(who_does_not_answer_a_close_frame_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
