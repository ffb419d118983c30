/* SPDX-License-Identifier: Apache-2.0
 *
 * A node with nothing but a relay, whose interfaces are made up (fake_node_source.h), and peers of
 * viewers that are buffers. Header only; include it after cmocka.h in one test.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "node/events.h"
#include "node/store_access.h"
#include "node/viewer_uv.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "tests/support/fake_node_source.h"

#define DEADLINE_NS UINT64_C(20000000000)

/* ---- a node with nothing but a relay ------------------------------------------------------ */

static uv_loop_t loop;
static struct node node;
static struct node_options options;
static atomic_uint n_events;
static char last_event[64];
static bool is_closed;

/* The parameter is called as in the header; the fixture has a variable of that name. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
void events_publish(struct node *node, const char *type, json_t *data)
{
    (void)node;
    atomic_fetch_add(&n_events, 1);
    snprintf(last_event, sizeof last_event, "%s", type);
    json_decref(data);
}
#pragma GCC diagnostic pop

int node_store_take(struct node_store *access, struct store **out, struct err *err)
{
    (void)access;
    (void)out;
    return err_set(err, ERR_NOT_FOUND, "no store");
}

void node_store_give(struct node_store *access, struct store *store)
{
    (void)access;
    (void)store;
}

static void on_closed(struct node *of)
{
    (void)of;
    is_closed = true;
}

static int set_up(void **state)
{
    (void)state;
    memset(&fake_interface, 0, sizeof fake_interface);
    fake_interface.time_ns = clock_wall_ns() + 1000000000u; /* viewers get what comes later */
    node = (struct node){.loop = &loop, .options = &options, .name = "alpha"};
    options = (struct node_options){
        .max_captures = 2, .backlog_bytes = 4 << 20, .viewer_queue_bytes = 1 << 20};
    is_closed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    work_open(&node);
    assert_int_equal(relay_open(&node, NULL), 0);
    return 0;
}

static void end_node(void)
{
    relay_close(&node, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_null(node.relay);
    work_close(&node, on_closed);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Runs the loop until the condition holds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        uint64_t deadline = clock_monotonic_ns() + DEADLINE_NS;                                    \
        while (!(condition)) {                                                                     \
            uv_run(&loop, UV_RUN_NOWAIT);                                                          \
            assert_true(clock_monotonic_ns() < deadline);                                          \
        }                                                                                          \
    } while (0)

/* ---- joining ------------------------------------------------------------------------------ */

struct join {
    struct relay_stream *stream;
    struct err err;
    bool done;
    struct viewer *viewer;
    const struct viewer_opts *opts;
};

static void on_joined(void *arg, struct relay_stream *stream, const struct err *err)
{
    struct join *join = arg;

    join->done = true;
    join->stream = stream;
    if (err != NULL) {
        join->err = *err;
    } else if (join->opts != NULL) {
        join->viewer = viewer_new(stream, join->opts);
    }
}

static struct join join_stream(const char *interface, const char *filter,
                               const struct viewer_opts *opts)
{
    struct join join = {.opts = opts};
    const struct relay_request request = {.interface = interface, .filter = filter};

    relay_join(node.relay, &request, on_joined, &join);
    RUN_UNTIL(join.done);
    return join;
}

/* ---- a peer that is a buffer -------------------------------------------------------------- */

struct peer {
    struct buf got;  /* all bytes, with the frames' headers */
    struct buf data; /* the content of all messages */
    uint32_t n_messages;
    bool stuck; /* takes nothing: keeps what is written to it */
    struct iovec held[64];
    void (*release[64])(void *arg);
    void *release_arg[64];
    unsigned n_held;
    bool owner_closes;
    uint16_t code;
    struct viewer *viewer;
};

static bool peer_has_room(void *of)
{
    struct peer *peer = of;

    return !peer->stuck || peer->n_held < 4;
}

static void take(struct peer *peer, const uint8_t *p, size_t n)
{
    while (n > 0) {
        uint64_t len = p[1];
        size_t header = len == 126 ? 4 : len == 127 ? 10 : 2;

        assert_int_equal(p[0], 0x82);
        if (header > 2) {
            len = 0;
            for (size_t i = 2; i < header; i++) {
                len = len << 8 | p[i];
            }
        }
        assert_true(n >= header + len);
        buf_append(&peer->data, p + header, len);
        peer->n_messages++;
        p += header + len;
        n -= header + len;
    }
}

static void peer_write(void *of, const struct iovec *iov, unsigned n, void (*release)(void *arg),
                       void *arg)
{
    struct peer *peer = of;
    struct buf whole = {0};

    assert_true(n <= 16);
    for (unsigned i = 0; i < n; i++) {
        buf_append(&whole, iov[i].iov_base, iov[i].iov_len);
    }
    take(peer, whole.data, whole.len);
    buf_deinit(&whole);
    if (peer->stuck) {
        assert_true(peer->n_held < ARRAY_LEN(peer->release));
        peer->release[peer->n_held] = release;
        peer->release_arg[peer->n_held++] = arg;
    } else {
        release(arg);
    }
}

static void peer_send(void *of, const void *data, size_t n)
{
    struct peer *peer = of;

    buf_append(&peer->data, data, n);
    peer->n_messages++;
}

static void peer_close(void *of, uint16_t code, const char *reason)
{
    struct peer *peer = of;

    (void)reason;
    peer->code = code;
}

static void peer_hold(void *of)
{
    struct peer *peer = of;

    peer->owner_closes = true;
}

static const struct viewer_peer_ops peer_ops = {peer_has_room, peer_write, peer_send, peer_close,
                                                peer_hold};

static void unstick(struct peer *peer)
{
    unsigned n = peer->n_held;

    peer->stuck = false;
    peer->n_held = 0;
    for (unsigned i = 0; i < n; i++) {
        peer->release[i](peer->release_arg[i]);
    }
    viewer_pump(peer->viewer);
}

static void watch(struct peer *peer, const char *interface, const struct viewer_opts *opts)
{
    struct join join = join_stream(interface, NULL, opts);

    assert_non_null(join.viewer);
    peer->viewer = join.viewer;
    viewer_start(join.viewer, &peer_ops, peer, false);
}

static void leave(struct peer *peer)
{
    unsigned n = peer->n_held;

    viewer_gone(peer->viewer);
    peer->n_held = 0;
    for (unsigned i = 0; i < n; i++) {
        peer->release[i](peer->release_arg[i]);
    }
    buf_deinit(&peer->data);
}

static const struct viewer_opts pcapng = {.kind = VIEWER_PCAPNG};
static const struct viewer_opts raw = {.kind = VIEWER_RAW};
