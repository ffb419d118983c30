/* SPDX-License-Identifier: Apache-2.0
 *
 * Our WebSocket codecs as programs, for peers that others wrote (tests/support/websocket_peer.py):
 *
 *   ws_peer dial URL [CA_FILE]        dials, echoes every message, prints "close CODE REASON"
 *   ws_peer serve [CERT KEY]          prints its port, echoes for each client in turn until its
 *                                     standard input ends (messages up to 1 MiB)
 *
 * With permessage-deflate where the peer takes it (dial) or offers it (serve).
 */
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock_posix.h"
#include "shared/wire/ws_client.h"
#include "tests/support/wire_server.h"

#define SECOND 1000000000ULL

static int echo_until_closed(struct ws_client *client, struct err *err)
{
    for (;;) {
        enum ws_opcode opcode = WS_BINARY;
        const uint8_t *data = NULL;
        size_t n = 0;
        uint16_t code = 0;
        uint64_t deadline = clock_monotonic_ns() + 30 * SECOND;
        int rc = ws_client_receive(client, deadline, &opcode, &data, &n, &code, err);
        if (rc == 0) {
            printf("close %u %.*s\n", code, (int)n, (const char *)data);
        }
        if (rc <= 0) {
            return rc;
        }
        if (opcode == WS_PONG) {
            continue;
        }
        /* What is borrowed lasts until the next call, and a send may be one. */
        uint8_t *copy = x_alloc(n);
        if (n > 0) {
            memcpy(copy, data, n);
        }
        rc = ws_client_send(client, opcode, copy, n, deadline, err);
        mem_free(copy);
        if (rc < 0) {
            return rc;
        }
    }
}

static int dial(const char *url, const char *ca_file)
{
    struct url_endpoint endpoint;
    struct ws_client *client = NULL;
    struct err err = {0};
    unsigned status = 0;
    int rc = url_parse_endpoint(url, &endpoint, &err);

    if (rc == 0) {
        const struct ws_client_opts opts = {
            .endpoint = &endpoint, .target = "/", .ca_file = ca_file, .deflate = true};
        rc = ws_client_open(&opts, clock_monotonic_ns() + 10 * SECOND, &client, &status, &err);
    }
    rc = rc == 0 ? echo_until_closed(client, &err) : rc;
    if (rc < 0) {
        printf("error %s\n", err.text);
    }
    ws_client_finish(client, WS_CLOSE_NORMAL, "", clock_monotonic_ns() + SECOND);
    return rc < 0;
}

static void echo(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    if (opcode == WS_TEXT || opcode == WS_BINARY) {
        wire_put_message(arg, opcode, data, n);
    }
}

static void serve_echo(struct wire_peer *peer, void *arg)
{
    char offer[256];
    struct buf out = {0};

    (void)arg;
    if (!wire_read_head(peer)) {
        return;
    }
    wire_header(peer, "Sec-WebSocket-Extensions", offer, sizeof offer);
    bool deflate = ws_deflate_is_offered(offer);
    buf_append(&out, peer->in.data, peer->in.len);
    buf_consume(&peer->in, peer->in.len);
    buf_put_str(&peer->in, peer->head); /* wire_upgrade reads it again */
    buf_append(&peer->in, out.data, out.len);
    buf_reset(&out);
    wire_upgrade(peer, deflate ? "Sec-WebSocket-Extensions: " WS_DEFLATE_ANSWER "\r\n" : "");
    const struct ws_reader_opts opts = {
        .deflate = deflate, .max_message = WS_MESSAGE_MAX, .message = echo, .arg = peer};
    struct ws_reader *reader = ws_reader_new(&opts);
    int rc = 0;
    while (rc == 0 && !ws_reader_is_closed(reader) && (peer->in.len > 0 || wire_more(peer))) {
        struct buf in = peer->in;
        peer->in = (struct buf){0};
        rc = ws_reader_feed(reader, in.data, in.len, &out, NULL);
        buf_deinit(&in);
        wire_put(peer, out.data, out.len);
        buf_reset(&out);
    }
    shutdown(peer->fd, SHUT_WR);
    while (wire_more(peer)) { /* so that the close frame is not overtaken by a reset */
        buf_consume(&peer->in, peer->in.len);
    }
    ws_reader_free(reader);
    buf_deinit(&out);
}

static int serve(const char *cert, const char *key)
{
    struct tls_context *tls = NULL;
    struct wire_server server;
    struct err err = {0};
    uint64_t expires_ns;

    if (cert != NULL && tls_server_context_new(cert, key, &tls, &expires_ns, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    wire_server_start(&server, serve_echo, NULL, tls);
    printf("%u\n", server.port);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    wire_server_stop(&server);
    tls_context_free(tls);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "dial") == 0) {
        return dial(argv[2], argv[3]);
    }
    if (argc >= 2 && strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], argc >= 4 ? argv[3] : NULL);
    }
    fputs("usage: ws_peer dial URL [CA_FILE] | serve [CERT KEY]\n", stderr);
    return 2;
}
