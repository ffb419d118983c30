/* SPDX-License-Identifier: Apache-2.0
 *
 * live.open, live.read and live.close on a real loop, over the UNIX socket, with real capture
 * sessions whose packets are made up and numbered.
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
#include <uv.h>

#include "node/auth.h"
#include "node/events.h"
#include "node/relay_internal_uv.h"
#include "node/rpc.h"
#include "node/rpc_live.h"
#include "node/rpc_server.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/rpc_live.h"
#include "tests/support/fake_node_source.h"
#include "tests/support/pcapng_reading.h"

#define PATIENCE_NS 10000000000ULL
#define MIB         (1024u * 1024u)

/* In place of node/rpc_groups.c. */
const struct rpc_handler_group *const rpc_handler_groups[] = {&rpc_live_handlers};
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
    unsigned n_closed;
};

static int set_up(void **state)
{
    struct world *w = x_alloc(sizeof *w);
    struct err err = {0};

    signal(SIGPIPE, SIG_IGN);
    memset(&fake_interface, 0, sizeof fake_interface);
    fake_interface.time_ns = clock_wall_ns() + 1000000000u;
    snprintf(w->folder, sizeof w->folder, "/tmp/pr-live-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->database, sizeof w->database, "%s/p.db", w->folder);
    snprintf(w->socket, sizeof w->socket, "%s/s", w->folder);
    w->nowhere[0] = RPC_NONE;
    w->options = (struct node_options){.database = w->database,
                                       .rpc_socket = w->socket,
                                       .rpc_addrs = {.items = w->nowhere, .n = 1},
                                       .max_captures = 2,
                                       .backlog_bytes = 4 * MIB,
                                       .viewer_queue_bytes = 1 * MIB};
    w->node.options = &w->options;
    w->node.loop = &w->loop;
    snprintf(w->node.name, sizeof w->node.name, "box");
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(rpc_server_bind(&w->options, &err), 0);
    assert_int_equal(node_store_open(&w->node, &err), 0);
    work_open(&w->node);
    assert_int_equal(events_open(&w->node, &err), 0);
    assert_int_equal(auth_open(&w->node, &err), 0);
    assert_int_equal(relay_open(&w->node, &err), 0);
    assert_int_equal(rpc_server_open(&w->node, &err), 0);
    *state = w;
    return 0;
}

static void on_closed(struct node *node)
{
    container_of(node, struct world, node)->n_closed++;
}

static void close_part(struct world *w, void (*close)(struct node *, void (*)(struct node *)))
{
    unsigned n = w->n_closed;

    close(&w->node, on_closed);
    while (w->n_closed == n) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];

    close_part(w, rpc_server_close);
    close_part(w, relay_close);
    auth_close(&w->node);
    events_close(&w->node, on_closed);
    work_close(&w->node, on_closed);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->n_closed, 4);
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
    size_t used; /* of in: the newest message */
    uint32_t calls;
    struct rpc_message message; /* borrowed from in until the next */
    struct rpc_error error;
    struct rpc_live_answer answer;
    struct buf got; /* data of all answers */
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
    buf_deinit(&c->got);
}

static void turn(struct world *w)
{
    struct pollfd fd = {.fd = uv_backend_fd(&w->loop), .events = POLLIN};

    uv_run(&w->loop, UV_RUN_NOWAIT);
    poll(&fd, 1, 1);
}

#define TURN_UNTIL(w, condition)                                                                   \
    do {                                                                                           \
        uint64_t until_ns_ = clock_monotonic_ns() + PATIENCE_NS;                                   \
        while (!(condition)) {                                                                     \
            assert_true(clock_monotonic_ns() < until_ns_);                                         \
            turn(w);                                                                               \
        }                                                                                          \
    } while (0)

/* args is moved. */
static uint32_t call(struct client *c, const char *method, struct buf *args)
{
    struct buf out = {0};
    uint32_t id = ++c->calls;

    rpc_put_request(&out, id, method, (struct rpc_span){args->data, args->len}, 0);
    assert_int_equal(send(c->fd, out.data, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
    buf_deinit(&out);
    buf_deinit(args);
    return id;
}

static bool take_message(struct client *c)
{
    struct rpc_scan scan = {0};

    if (c->used > 0) {
        buf_consume(&c->in, c->used);
        c->used = 0;
    }
    if (rpc_scan(&scan, c->in.data, c->in.len, RPC_RESPONSE_MAX) != RPC_SCAN_WHOLE) {
        return false;
    }
    assert_int_equal(rpc_decode(c->in.data, scan.at, &c->message, NULL, NULL), 0);
    c->error = (struct rpc_error){0};
    if (c->message.error.bytes != NULL) {
        assert_int_equal(rpc_decode_error(c->message.error, &c->error, NULL), 0);
    }
    c->used = scan.at;
    return true;
}

static void await(struct client *c, uint32_t id)
{
    uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;

    while (!take_message(c)) {
        uint8_t piece[65536];
        ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
        if (n > 0) {
            buf_append(&c->in, piece, (size_t)n);
        } else {
            assert_true(n < 0 && errno == EAGAIN);
            assert_true(clock_monotonic_ns() < until_ns);
            turn(c->w);
        }
    }
    assert_int_equal(c->message.kind, RPC_RESPONSE);
    assert_int_equal(c->message.id, id);
}

static uint32_t ask_open(struct client *c, const char *interface, uint32_t snaplen)
{
    struct buf args = {0};

    rpc_live_put_open(&args, interface, NULL, snaplen);
    return call(c, "live.open", &args);
}

static uint64_t open_live(struct client *c, const char *interface)
{
    struct rpc_live_opened opened;

    await(c, ask_open(c, interface, 0));
    assert_string_equal(c->error.code, "");
    assert_int_equal(rpc_live_read_opened(c->message.result, &opened, NULL), 0);
    assert_int_equal(opened.link_type, LINK_ETHERNET);
    return opened.stream;
}

static uint32_t ask(struct client *c, uint64_t stream, uint64_t wait_ms, uint64_t max_bytes)
{
    struct buf args = {0};

    rpc_live_put_read(&args, stream, wait_ms, max_bytes);
    return call(c, "live.read", &args);
}

static void await_answer(struct client *c, uint32_t id)
{
    await(c, id);
    assert_string_equal(c->error.code, "");
    assert_int_equal(rpc_live_read_answer(c->message.result, &c->answer, NULL), 0);
    assert_string_equal(c->answer.node, "box");
    if (c->answer.data.n > 0) {
        buf_append(&c->got, c->answer.data.bytes, c->answer.data.n);
    }
}

static void read_live(struct client *c, uint64_t stream, uint64_t wait_ms)
{
    await_answer(c, ask(c, stream, wait_ms, MIB));
}

static void read_until(struct client *c, uint64_t stream, uint64_t packets)
{
    do {
        read_live(c, stream, 10000);
    } while (c->answer.packets + c->answer.lost < packets);
    assert_int_equal(c->answer.packets + c->answer.lost, packets);
}

static uint64_t in_backlog(struct world *w)
{
    struct relay_stream *stream = w->node.relay->streams;

    uv_mutex_lock(&stream->mutex);
    uint64_t n = stream->ring.packets;
    uv_mutex_unlock(&stream->mutex);
    return n;
}

static void refused(struct client *c, uint32_t id, const char *code)
{
    await(c, id);
    assert_string_equal(c->error.code, code);
}

/* ---- tests ---- */

static void what_is_read_is_one_pcapng_file(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");

    read_live(&c, stream, 10000); /* the head, at once */
    struct reading r = read_pcapng(&c.got);
    assert_int_equal(r.sections, 1);
    assert_int_equal(r.interfaces, 1);
    assert_int_equal(r.packets, 0);
    for (uint64_t i = 1; i <= 20; i++) {
        fake_give(1000);
        read_until(&c, stream, i * 1000);
    }
    r = read_pcapng(&c.got);
    assert_int_equal(r.packets, 20000);
    assert_int_equal(r.first, 0);
    assert_int_equal(r.sections, 1);
    assert_int_equal(c.answer.lost, 0);
    assert_false(c.answer.end);
    assert_false(c.answer.has_clock); /* there is no swarm */
    hang_up(&c);
}

/* Nobody holds up the others because nothing happens on his interface. */
static void a_quiet_interface_tells_how_far_it_is(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");
    uint64_t began_ns = clock_wall_ns();

    read_live(&c, stream, 0);
    while (c.answer.watermark_ns < began_ns) {
        uint64_t before_ns = c.answer.watermark_ns;
        read_live(&c, stream, 20);
        assert_int_equal(c.answer.data.n, 0);
        assert_true(c.answer.watermark_ns >= before_ns);
        assert_true(c.answer.watermark_ns < clock_wall_ns());
        assert_true(clock_wall_ns() < began_ns + PATIENCE_NS);
    }
    hang_up(&c);
}

/* What waits behind the answer is younger than what the answer says. */
static void no_packet_is_older_than_the_watermark(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");
    uint64_t next = 0;

    fake_give(5000);
    TURN_UNTIL(c.w, in_backlog(c.w) == 5000);
    do {
        uint64_t before_ns = c.answer.watermark_ns;
        await_answer(&c, ask(&c, stream, 10000, 4096));
        assert_true(before_ns <= fake_interface.time_ns + next * 1000);
        assert_true(c.answer.data.n <= 4096);
        next = c.answer.packets;
    } while (next < 5000);
    struct reading r = read_pcapng(&c.got);
    assert_int_equal(r.packets, 5000);
    hang_up(&c);
}

static void a_read_waits_for_packets_and_not_longer(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");

    read_live(&c, stream, 0);
    uint64_t began_ns = clock_monotonic_ns();
    read_live(&c, stream, 50);
    assert_int_equal(c.answer.data.n, 0);
    assert_true(clock_monotonic_ns() - began_ns >= 40000000); /* of a clock of milliseconds */
    uint64_t other = open_live(&c, "eth0");
    uint32_t id = ask(&c, stream, 100, MIB);
    fake_give(7);
    await_answer(&c, id);
    assert_int_equal(c.answer.packets, 7);
    assert_true(clock_monotonic_ns() - began_ns < PATIENCE_NS);
    read_until(&c, other, 7);
    read_live(&c, other, 200);
    read_live(&c, stream, 0);
    assert_false(c.answer.end); /* what was left of the time of that read is nobody's */
    hang_up(&c);
}

static void reads_under_way_are_answered_in_their_order(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");
    uint32_t ids[4];

    read_live(&c, stream, 0);
    for (size_t i = 0; i < 4; i++) {
        ids[i] = ask(&c, stream, 30000, MIB);
    }
    refused(&c, ask(&c, stream, 30000, MIB), "limit");
    for (uint64_t i = 0; i < 4; i++) {
        fake_give(10);
        await_answer(&c, ids[i]);
        assert_int_equal(c.answer.packets, (i + 1) * 10);
    }
    assert_int_equal(read_pcapng(&c.got).packets, 40);
    hang_up(&c);
}

/* A cancelled read takes no packets with it. */
static void who_cancels_loses_nothing(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");
    struct buf out = {0};

    read_live(&c, stream, 0);
    uint32_t id = ask(&c, stream, 30000, MIB);
    rpc_put_cancel(&out, id);
    assert_int_equal(send(c.fd, out.data, out.len, 0), (ssize_t)out.len);
    buf_deinit(&out);
    refused(&c, id, RPC_CODE_CANCELLED);
    fake_give(100);
    read_until(&c, stream, 100);
    assert_int_equal(read_pcapng(&c.got).packets, 100);
    assert_int_equal(c.answer.lost, 0);
    hang_up(&c);
}

static void who_is_slow_loses_the_oldest_and_is_told(void **state)
{
    struct client slow = dial(*state);
    struct client fast = dial(*state);
    uint64_t stream = open_live(&slow, "eth0");
    uint64_t other = open_live(&fast, "eth0");

    read_live(&slow, stream, 0);
    for (uint64_t i = 1; i <= 100; i++) {
        fake_give(1000);
        read_until(&fast, other, i * 1000);
    }
    assert_int_equal(fast.answer.lost, 0);
    assert_int_equal(atomic_load(&fake_interface.opens), 1); /* they share the capture */
    read_until(&slow, stream, 100000);
    assert_true(slow.answer.lost > 0);
    struct reading r = read_pcapng(&slow.got);
    assert_int_equal(r.lost, slow.answer.lost);
    assert_int_equal(r.packets, slow.answer.packets);
    hang_up(&slow);
    hang_up(&fast);
}

static void an_answer_is_as_large_as_was_asked(void **state)
{
    struct client c = dial(*state);

    /* Larger than what is asked for: one of them. */
    fake_interface.caplen = 200000;
    uint64_t stream = open_live(&c, "eth0");

    refused(&c, ask(&c, stream, 0, 4095), "usage");
    refused(&c, ask(&c, stream, 0, RPC_LIVE_MAX + 1), "usage");
    refused(&c, ask(&c, stream, RPC_LIVE_WAIT_MAX + 1, MIB), "usage");
    read_live(&c, stream, 0);
    fake_give(4);
    TURN_UNTIL(c.w, in_backlog(c.w) == 4);
    for (uint64_t i = 1; i <= 4; i++) {
        await_answer(&c, ask(&c, stream, 10000, 4096));
        assert_int_equal(c.answer.packets, i);
    }
    hang_up(&c);
}

static void close_ends_it_and_the_reads_that_wait(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");
    struct buf args = {0};

    read_live(&c, stream, 0);
    uint32_t id = ask(&c, stream, 30000, MIB);
    rpc_live_put_close(&args, stream);
    uint32_t close_id = call(&c, "live.close", &args);
    await_answer(&c, id);
    assert_true(c.answer.end);
    assert_string_equal(c.answer.why, "closed");
    await(&c, close_id);
    assert_string_equal(c.error.code, "");
    refused(&c, ask(&c, stream, 0, MIB), "not_found");
    hang_up(&c);
}

static void a_stream_belongs_to_its_connection(void **state)
{
    struct world *w = *state;
    struct client c = dial(w);
    struct client other = dial(w);
    uint64_t stream = open_live(&c, "eth0");

    refused(&other, ask(&other, stream, 0, MIB), "not_found");
    assert_int_equal(relay_viewers(&w->node), 1);
    (void)ask(&c, stream, 30000, MIB);
    hang_up(&c);
    TURN_UNTIL(w, relay_viewers(&w->node) == 0);
    hang_up(&other);
}

static void streams_are_bounded(void **state)
{
    struct client c = dial(*state);

    for (int i = 0; i < 64; i++) {
        (void)open_live(&c, "eth0");
    }
    refused(&c, ask_open(&c, "eth0", 0), "limit");
    refused(&c, ask_open(&c, "missing", 0), "limit");
    hang_up(&c);
    c = dial(*state);
    refused(&c, ask_open(&c, "missing", 0), "not_found");
    (void)open_live(&c, "eth0");
    hang_up(&c);
}

/* --max-captures is 2. */
static void captures_are_bounded(void **state)
{
    struct client c = dial(*state);

    (void)open_live(&c, "eth0");
    (void)open_live(&c, "eth1");
    refused(&c, ask_open(&c, "eth2", 0), "limit");
    (void)open_live(&c, "eth1");
    hang_up(&c);
}

static void the_interface_may_go_and_come_back(void **state)
{
    struct client c = dial(*state);
    uint64_t stream = open_live(&c, "eth0");

    fake_give(10);
    read_until(&c, stream, 10);
    atomic_store(&fake_interface.breaks, true);
    fake_give(1);
    TURN_UNTIL(c.w, c.w->node.relay->streams->state == STREAM_DOWN);
    atomic_store(&fake_interface.breaks, false);
    TURN_UNTIL(c.w, c.w->node.relay->streams->state == STREAM_RUNNING);
    fake_give(10);
    read_until(&c, stream, 21);
    struct reading r = read_pcapng(&c.got);
    assert_int_equal(r.packets, 21);
    assert_true(r.has_note);
    assert_int_equal(r.sections, 1);
    hang_up(&c);
}

static void on_drained(struct node *node)
{
    container_of(node, struct world, node)->options.max_captures = 0;
}

static void the_node_ends_them(void **state)
{
    struct world *w = *state;
    struct client c = dial(w);
    uint64_t stream = open_live(&c, "eth0");

    fake_give(10);
    read_until(&c, stream, 10);
    uint32_t ids[2] = {ask(&c, stream, 30000, MIB), ask(&c, stream, 30000, MIB)};
    TURN_UNTIL(w, c.w->node.rpc != NULL && relay_viewers(&w->node) == 1);
    relay_drain(&w->node, clock_monotonic_ns() + PATIENCE_NS, on_drained);
    await_answer(&c, ids[0]); /* maybe the last statistics */
    await_answer(&c, ids[1]);
    if (!c.answer.end) {
        read_live(&c, stream, 30000);
    }
    assert_true(c.answer.end);
    assert_string_equal(c.answer.why, "the node is ending");
    assert_int_equal(read_pcapng(&c.got).position, 10);
    TURN_UNTIL(w, w->options.max_captures == 0);
    hang_up(&c);
}

#define LIVE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE(what_is_read_is_one_pcapng_file),
        LIVE(a_quiet_interface_tells_how_far_it_is),
        LIVE(no_packet_is_older_than_the_watermark),
        LIVE(a_read_waits_for_packets_and_not_longer),
        LIVE(reads_under_way_are_answered_in_their_order),
        LIVE(who_cancels_loses_nothing),
        LIVE(who_is_slow_loses_the_oldest_and_is_told),
        LIVE(an_answer_is_as_large_as_was_asked),
        LIVE(close_ends_it_and_the_reads_that_wait),
        LIVE(a_stream_belongs_to_its_connection),
        LIVE(streams_are_bounded),
        LIVE(captures_are_bounded),
        LIVE(the_interface_may_go_and_come_back),
        LIVE(the_node_ends_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
