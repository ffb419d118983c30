/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the blocking client share: dialling a wire_server, receiving with a deadline, a
 * script that echoes.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "shared/base/clock_posix.h"
#include "shared/wire/ws_client.h"
#include "tests/support/certificate.h"
#include "tests/support/wire_server.h"

#define MS 1000000ULL

static inline uint64_t in_ms(uint64_t ms)
{
    return clock_monotonic_ns() + ms * MS;
}

static inline struct url_endpoint endpoint_of(const struct wire_server *server)
{
    struct url_endpoint endpoint = {.host = "127.0.0.1", .port = server->port};

    endpoint.tls = server->tls != NULL;
    return endpoint;
}

static inline int dial(const struct wire_server *server, const struct ws_client_opts *with,
                       struct ws_client **client, unsigned *status, struct err *err)
{
    struct url_endpoint endpoint = endpoint_of(server);
    struct ws_client_opts opts = *with;

    opts.endpoint = opts.endpoint != NULL ? opts.endpoint : &endpoint;
    opts.target = "/connections/eth0?filter=tcp%20port%2080";
    return ws_client_open(&opts, in_ms(5000), client, status, err);
}

static inline struct ws_client *dial_well(const struct wire_server *server,
                                          const struct ws_client_opts *with)
{
    struct ws_client *client = NULL;
    unsigned status = 7;
    struct err err = {0};

    if (dial(server, with, &client, &status, &err) != 0) {
        fail_msg("%u %s", status, err.text);
    }
    assert_int_equal(status, 0);
    return client;
}

struct got {
    int rc;
    enum ws_opcode opcode;
    const uint8_t *data;
    size_t n;
    uint16_t code;
    struct err err;
};

static inline struct got receive(struct ws_client *client, uint64_t ms)
{
    struct got got = {0};

    got.rc =
        ws_client_receive(client, in_ms(ms), &got.opcode, &got.data, &got.n, &got.code, &got.err);
    return got;
}

static inline void expect_message(struct ws_client *client, enum ws_opcode opcode, const void *data,
                                  size_t n)
{
    struct got got = receive(client, 5000);

    if (got.rc != 1) {
        fail_msg("%d %s", got.rc, got.err.text);
    }
    assert_int_equal(got.opcode, opcode);
    assert_int_equal(got.n, n);
    assert_memory_equal(got.data, data, n);
}

/* ---- an echo ------------------------------------------------------------------------------ */

static inline void echo_message(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    struct wire_peer *peer = arg;

    if (opcode != WS_CLOSE) {
        wire_put_message(peer, opcode, data, n);
    }
}

/* Reads frames until the client is gone; what a reader answers goes back. */
static inline void read_frames(struct wire_peer *peer,
                               void (*message)(void *, enum ws_opcode, const uint8_t *, size_t),
                               void *arg)
{
    const struct ws_reader_opts opts = {.max_message = 32u << 20, .message = message, .arg = arg};
    struct ws_reader *reader = ws_reader_new(&opts);
    struct buf out = {0};

    while (!ws_reader_is_closed(reader) && (peer->in.len > 0 || wire_more(peer))) {
        struct buf in = peer->in;
        peer->in = (struct buf){0};
        if (ws_reader_feed(reader, in.data, in.len, &out, NULL) < 0) {
            peer->gone = true;
        }
        buf_deinit(&in);
        wire_put(peer, out.data, out.len);
        buf_reset(&out);
    }
    buf_deinit(&out);
    ws_reader_free(reader);
}

static inline void serve_echo(struct wire_peer *peer, void *arg)
{
    (void)arg;
    if (wire_upgrade(peer, "Packetrecorder-Stream: 7\r\n")) {
        read_frames(peer, echo_message, peer);
    }
}

/* Answers a request with the text that is its argument. */
static inline void serve_text(struct wire_peer *peer, void *arg)
{
    if (wire_read_head(peer)) {
        wire_put_text(peer, arg);
    }
}
