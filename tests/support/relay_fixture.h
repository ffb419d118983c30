/* SPDX-License-Identifier: Apache-2.0
 *
 * For the tests of the relay: a node with nothing but a relay and no store, and peers of viewers
 * that are buffers. Header only; include it after cmocka.h in one test.
 */
#pragma once

#include "tests/support/no_store.h"
#include "tests/support/relay_node.h"

static int set_up(void **state)
{
    (void)state;
    begin_node();
    return 0;
}

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

static const struct viewer_peer_ops peer_ops = {peer_has_room, peer_write, peer_close, peer_hold};

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
