/* SPDX-License-Identifier: Apache-2.0
 *
 * The RPC server on a real loop, with handlers of the test: answers that come later, calls that are
 * cancelled, late or abandoned, bounds, and the end. Over the UNIX socket; the channel has its own
 * tests, and tests/system/rpc.sh both.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <uv.h>

#include "node/auth.h"
#include "node/events.h"
#include "node/node.h"
#include "node/rpc.h"
#include "node/rpc_server.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/audit.h"

#define PATIENCE_NS 10000000000ULL
#define HELD_MAX    2048
#define BIG         (256u * 1024u)

/* ---- handlers of the test ---- */

static struct rpc_call *held[HELD_MAX];
static size_t n_held;
static size_t n_gone;
static size_t n_big;

static void on_gone(void *arg)
{
    (void)arg;
    n_gone++;
}

/* node.info is answered when the test says so. */
static void hold(struct rpc_call *call, struct node *node)
{
    (void)node;
    assert_true(n_held < HELD_MAX);
    rpc_call_on_gone(call, on_gone, NULL);
    held[n_held++] = rpc_call_ref(call);
}

static void release_held(void)
{
    for (size_t i = 0; i < n_held; i++) {
        if (!rpc_call_is_gone(held[i])) {
            rpc_call_reply(held[i], json_string("later"));
        }
        rpc_call_unref(held[i]);
    }
    n_held = 0;
}

static void answer(struct rpc_call *call, struct node *node)
{
    (void)node;
    rpc_call_reply(call, json_string(rpc_call_who(call)));
}

static void answer_big(struct rpc_call *call, struct node *node)
{
    struct buf result = {0};

    (void)node;
    n_big++;
    uint8_t *bytes = x_alloc(BIG);
    rpc_put_bin(&result, bytes, BIG);
    mem_free(bytes);
    rpc_call_reply_packed(call, &result);
}

static const struct rpc_handler handlers[] = {
    {"node.info", hold},      {"node.doctor", answer}, {"node.interfaces", answer_big},
    {"capture.stop", answer}, {"session.query", hold}, /* large */
};
static const struct rpc_handler_group group = {handlers, ARRAY_LEN(handlers)};

/* In place of node/rpc_groups.c. */
const struct rpc_handler_group *const rpc_handler_groups[] = {&group};
const size_t n_rpc_handler_groups = 1;

/* ---- the node ---- */

struct world {
    uv_loop_t loop;
    struct node node;
    struct node_options options;
    char folder[64];
    char database[96];
    char socket[96];
    const char *nowhere[1];
    bool is_drained;
    unsigned n_closed;
};

static int set_up(void **state)
{
    struct world *w = x_alloc(sizeof *w);
    struct err err = {0};

    signal(SIGPIPE, SIG_IGN);
    n_held = n_gone = n_big = 0;
    snprintf(w->folder, sizeof w->folder, "/tmp/pr-rpc-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->database, sizeof w->database, "%s/p.db", w->folder);
    snprintf(w->socket, sizeof w->socket, "%s/s", w->folder);
    w->nowhere[0] = RPC_NONE;
    w->options = (struct node_options){.database = w->database,
                                       .rpc_socket = w->socket,
                                       .rpc_addrs = {.items = w->nowhere, .n = 1}};
    w->node.options = &w->options;
    w->node.loop = &w->loop;
    snprintf(w->node.name, sizeof w->node.name, "box");
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(rpc_server_bind(&w->options, &err), 0);
    assert_int_equal(node_store_open(&w->node, &err), 0);
    work_open(&w->node);
    assert_int_equal(events_open(&w->node, &err), 0);
    assert_int_equal(auth_open(&w->node, &err), 0);
    assert_int_equal(rpc_server_open(&w->node, &err), 0);
    *state = w;
    return 0;
}

static void on_closed(struct node *node)
{
    container_of(node, struct world, node)->n_closed++;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];

    rpc_server_close(&w->node, on_closed);
    while (w->n_closed == 0) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    release_held();
    auth_close(&w->node);
    events_close(&w->node, on_closed);
    work_close(&w->node, on_closed);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->n_closed, 3);
    node_store_close(&w->node);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0); /* NOLINT: a name of ours */
    mem_free(w);
    return 0;
}

/* ---- a client in the same thread ---- */

struct client {
    struct world *w;
    int fd;
    struct buf in;
    bool eof;
    /* The newest message. */
    struct rpc_message message;
    struct rpc_error error;
};

static struct client dial(struct world *w)
{
    struct client c = {.w = w, .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    snprintf(at.sun_path, sizeof at.sun_path, "%s", w->socket);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&at, sizeof at), 0);
    return c;
}

static void hang_up(struct client *c)
{
    close(c->fd);
    buf_deinit(&c->in);
}

static void turn(struct world *w)
{
    struct pollfd fd = {.fd = uv_backend_fd(&w->loop), .events = POLLIN};

    uv_run(&w->loop, UV_RUN_NOWAIT);
    poll(&fd, 1, 1);
}

static void turns(struct world *w, unsigned n)
{
    while (n-- > 0) {
        turn(w);
    }
}

static void begin(struct client *c, uint32_t id, const char *method, uint64_t deadline_ms)
{
    struct buf out = {0};

    rpc_put_request(&out, id, method, (struct rpc_span){0}, deadline_ms);
    while (send(c->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        assert_int_equal(errno, EAGAIN);
        turn(c->w);
    }
    buf_deinit(&out);
}

static bool take_message(struct client *c)
{
    struct rpc_scan scan = {0};

    if (rpc_scan(&scan, c->in.data, c->in.len, RPC_RESPONSE_MAX) != RPC_SCAN_WHOLE) {
        return false;
    }
    assert_int_equal(rpc_decode(c->in.data, scan.at, &c->message, NULL, NULL), 0);
    c->error = (struct rpc_error){0};
    if (c->message.error.bytes != NULL) {
        assert_int_equal(rpc_decode_error(c->message.error, &c->error, NULL), 0);
    }
    buf_consume(&c->in, scan.at); /* spans are not used after this */
    return true;
}

/* The next message of the node; false at the end of the connection. */
static bool await(struct client *c)
{
    uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;

    while (!take_message(c)) {
        uint8_t piece[65536];
        ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n > 0) {
            buf_append(&c->in, piece, (size_t)n);
        } else if (n == 0 || errno != EAGAIN) {
            return false;
        } else {
            assert_true(clock_monotonic_ns() < until_ns);
            turn(c->w);
        }
    }
    return true;
}

static void await_code(struct client *c, uint32_t id, const char *code)
{
    assert_true(await(c));
    assert_int_equal(c->message.kind, RPC_RESPONSE);
    assert_int_equal(c->message.id, id);
    assert_string_equal(c->error.code, code);
}

static void await_held(struct world *w, size_t n)
{
    uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;

    while (n_held < n) {
        assert_true(clock_monotonic_ns() < until_ns);
        turn(w);
    }
}

/* ---- calls ---- */

static void calls_are_answered_in_the_order_they_are_done(void **state)
{
    struct client c = dial(*state);

    begin(&c, 1, "node.info", 0);
    begin(&c, 2, "node.doctor", 0);
    await_code(&c, 2, "");
    await_held(*state, 1);
    release_held();
    await_code(&c, 1, "");
    hang_up(&c);
}

static void a_cancelled_call_is_told_to_who_works_for_it(void **state)
{
    struct client c = dial(*state);
    struct buf out = {0};

    begin(&c, 7, "node.info", 0);
    await_held(*state, 1);
    rpc_put_cancel(&out, 7);
    assert_int_equal(send(c.fd, out.data, out.len, 0), (ssize_t)out.len);
    buf_deinit(&out);
    await_code(&c, 7, RPC_CODE_CANCELLED);
    assert_int_equal(n_gone, 1);
    assert_true(rpc_call_is_gone(held[0]));
    rpc_call_reply(held[0], json_string("nobody hears this"));
    begin(&c, 8, "node.doctor", 0);
    await_code(&c, 8, "");
    hang_up(&c);
}

static void a_deadline_travels_with_the_call(void **state)
{
    struct client c = dial(*state);
    uint64_t began_ns = clock_monotonic_ns();

    begin(&c, 1, "node.info", 40);
    begin(&c, 2, "node.info", 5000);
    begin(&c, 3, "node.info", 20);
    await_code(&c, 3, RPC_CODE_DEADLINE);
    assert_true(clock_monotonic_ns() - began_ns >= 20000000);
    await_code(&c, 1, RPC_CODE_DEADLINE);
    assert_true(clock_monotonic_ns() - began_ns >= 40000000);
    assert_int_equal(n_gone, 2);
    assert_false(rpc_call_is_gone(held[1]));
    hang_up(&c);
}

static void calls_are_gone_with_their_connection(void **state)
{
    struct client c = dial(*state);
    uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;

    begin(&c, 1, "node.info", 0);
    begin(&c, 2, "node.info", 60000);
    await_held(*state, 2);
    hang_up(&c);
    while (n_gone < 2) {
        assert_true(clock_monotonic_ns() < until_ns);
        turn(*state);
    }
    assert_true(rpc_call_is_gone(held[0]) && rpc_call_is_gone(held[1]));
}

static void query(struct client *c, uint32_t n)
{
    for (uint32_t i = 1; i <= n; i++) {
        struct buf args = {0};
        struct buf out = {0};
        rpc_put_map(&args, 1);
        rpc_put_text(&args, "session_id");
        rpc_put_text(&args, "last");
        rpc_put_request(&out, i, "session.query", (struct rpc_span){args.data, args.len}, 0);
        assert_int_equal(send(c->fd, out.data, out.len, MSG_NOSIGNAL), out.len);
        buf_deinit(&out);
        buf_deinit(&args);
    }
}

static void large_calls_wait_until_there_is_room_for_their_answers(void **state)
{
    enum { ALL = RPC_UNSENT_MAX / RPC_LARGE_ANSWER, CONNS = ALL / RPC_CONN_LARGE_MAX + 1 };
    struct client c[CONNS];
    struct client other = dial(*state);

    c[0] = dial(*state);
    query(&c[0], 20);
    await_held(*state, RPC_CONN_LARGE_MAX);
    for (size_t i = 1; i < CONNS; i++) {
        c[i] = dial(*state);
        query(&c[i], RPC_CONN_LARGE_MAX);
    }
    await_held(*state, ALL);
    begin(&other, 1, "node.doctor", 0); /* small ones do not wait */
    await_code(&other, 1, "");
    assert_int_equal(n_held, ALL);
    release_held();
    await_held(*state,
               2 * RPC_CONN_LARGE_MAX); /* the next eight of the first, and the last eight */
    release_held();
    await_held(*state, 20 - 2 * RPC_CONN_LARGE_MAX);
    release_held();
    for (uint32_t i = 0; i < 20; i++) {
        assert_true(await(&c[0]));
        assert_string_equal(c[0].error.code, "");
    }
    for (size_t i = 0; i < CONNS; i++) {
        hang_up(&c[i]);
    }
    hang_up(&other);
}

static void an_id_is_used_once_at_a_time(void **state)
{
    struct client c = dial(*state);

    begin(&c, 5, "node.info", 0);
    begin(&c, 5, "node.doctor", 0);
    await_code(&c, 5, RPC_CODE_BAD_REQUEST);
    await_held(*state, 1);
    release_held();
    await_code(&c, 5, "");
    begin(&c, 5, "node.doctor", 0);
    await_code(&c, 5, "");
    hang_up(&c);
}

static void a_method_without_a_handler_is_refused(void **state)
{
    struct client c = dial(*state);

    begin(&c, 1, "session.list", 0);
    await_code(&c, 1, RPC_CODE_NOT_IMPLEMENTED);
    begin(&c, 2, "session.lis", 0);
    await_code(&c, 2, RPC_CODE_UNKNOWN_METHOD);
    assert_non_null(strstr(c.error.message, "session.list"));
    assert_string_equal(c.error.node, "box");
    hang_up(&c);
}

/* ---- bounds ---- */

static void more_calls_than_may_be_in_flight_wait_unread(void **state)
{
    struct client c = dial(*state);
    const uint32_t n = RPC_CONN_CALLS_MAX + 100;

    for (uint32_t i = 0; i < n; i++) {
        begin(&c, i, "node.info", 0);
    }
    await_held(*state, RPC_CONN_CALLS_MAX);
    turns(*state, 50);
    assert_int_equal(n_held, RPC_CONN_CALLS_MAX);
    release_held();
    await_held(*state, 100);
    release_held();
    for (uint32_t i = 0; i < n; i++) {
        assert_true(await(&c));
        assert_string_equal(c.error.code, "");
    }
    hang_up(&c);
}

static void who_takes_no_answers_is_not_read(void **state)
{
    struct client c = dial(*state);

    for (uint32_t i = 0; i < 500; i++) {
        begin(&c, i, "node.interfaces", 0);
    }
    turns(*state, 200);
    assert_true(n_big > 0 && n_big < 20); /* what the kernel and the high mark hold */
    for (uint32_t i = 0; i < 500; i++) {
        await_code(&c, i, "");
    }
    assert_int_equal(n_big, 500);
    hang_up(&c);
}

static void what_is_no_message_ends_the_connection_with_a_word(void **state)
{
    struct client c = dial(*state);

    assert_int_equal(send(c.fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_true(await(&c));
    assert_int_equal(c.message.kind, RPC_NOTIFICATION);
    assert_string_equal(c.message.method, RPC_CLOSING);
    assert_false(await(&c));
    hang_up(&c);
}

/* ---- the end ---- */

static void on_drained(struct node *node)
{
    container_of(node, struct world, node)->is_drained = true;
}

static void a_drain_waits_for_the_calls_that_run(void **state)
{
    struct world *w = *state;
    struct client busy = dial(w);
    struct client idle = dial(w);

    begin(&busy, 1, "node.info", 0);
    begin(&idle, 1, "node.doctor", 0);
    await_code(&idle, 1, "");
    await_held(w, 1);
    rpc_server_drain(&w->node, clock_monotonic_ns() + PATIENCE_NS, on_drained);
    assert_int_not_equal(access(w->socket, F_OK), 0);
    assert_true(await(&idle));
    assert_string_equal(idle.message.method, RPC_CLOSING);
    begin(&busy, 2, "node.doctor", 0);
    await_code(&busy, 2, RPC_CODE_ENDING);
    assert_false(w->is_drained);
    release_held();
    await_code(&busy, 1, "");
    assert_true(await(&busy));
    assert_string_equal(busy.message.method, RPC_CLOSING);
    hang_up(&busy);
    hang_up(&idle);
    while (!w->is_drained) {
        turn(w);
    }
}

static void a_drain_ends_at_its_deadline(void **state)
{
    struct world *w = *state;
    struct client c = dial(w);

    begin(&c, 1, "node.info", 0);
    await_held(w, 1);
    rpc_server_drain(&w->node, clock_monotonic_ns() + 50000000, on_drained);
    assert_false(await(&c));
    while (!w->is_drained) {
        turn(w);
    }
    assert_int_equal(n_gone, 1);
    hang_up(&c);
}

/* ---- the audit ---- */

static int count_entries(struct store *store, void *arg, struct err *err)
{
    struct store_audit_entry *entries = NULL;
    size_t *n = arg;
    int rc = store_audit_list(store, 10, &entries, n, err);

    if (rc == 0 && *n == 1) {
        assert_string_equal(entries[0].method, "capture.stop");
        assert_string_equal(entries[0].target, "office");
        assert_string_equal(entries[0].outcome, "ok");
        assert_non_null(strstr(entries[0].who, "uid "));
    }
    mem_free(entries);
    return rc;
}

static void what_changes_something_is_written_down(void **state)
{
    struct world *w = *state;
    struct client c = dial(w);
    struct buf args = {0};
    struct buf out = {0};
    struct err err = {0};
    size_t n = 0;
    uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;

    rpc_put_map(&args, 1);
    rpc_put_text(&args, "session_id");
    rpc_put_text(&args, "office");
    rpc_put_request(&out, 1, "capture.stop", (struct rpc_span){args.data, args.len}, 0);
    assert_int_equal(send(c.fd, out.data, out.len, 0), (ssize_t)out.len);
    await_code(&c, 1, "");
    begin(&c, 2, "capture.stop", 0); /* changes nothing: session_id is missing */
    await_code(&c, 2, "usage");
    while (n == 0) {
        assert_true(clock_monotonic_ns() < until_ns);
        turn(w);
        (void)node_store_peek(w->node.store, count_entries, &n, &err);
    }
    assert_int_equal(n, 1);
    buf_deinit(&args);
    buf_deinit(&out);
    hang_up(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_answered_in_the_order_they_are_done),
        TEST(a_cancelled_call_is_told_to_who_works_for_it),
        TEST(a_deadline_travels_with_the_call),
        TEST(calls_are_gone_with_their_connection),
        TEST(an_id_is_used_once_at_a_time),
        TEST(a_method_without_a_handler_is_refused),
        TEST(more_calls_than_may_be_in_flight_wait_unread),
        TEST(who_takes_no_answers_is_not_read),
        TEST(what_is_no_message_ends_the_connection_with_a_word),
        TEST(large_calls_wait_until_there_is_room_for_their_answers),
        TEST(a_drain_waits_for_the_calls_that_run),
        TEST(a_drain_ends_at_its_deadline),
        TEST(what_changes_something_is_written_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
