/* SPDX-License-Identifier: Apache-2.0
 *
 * A small server for tests of the blocking clients: a thread that accepts connections on a port of
 * its own, one after the other, and runs a script on each. Made of the codecs of shared/wire, with
 * blocking sockets. A peer that goes away ends the script's reads, never the test.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/wire/http.h"
#include "shared/wire/tls.h"
#include "shared/wire/ws.h"

struct wire_peer {
    int fd;
    uint16_t port; /* the client's */
    struct tls *tls;
    struct buf in;   /* plaintext that came and was not used */
    char head[8192]; /* of the last request, as it came */
    bool gone;
};

struct wire_server {
    int fd;
    uint16_t port;
    pthread_t thread;
    atomic_bool stopping;
    struct tls_context *tls; /* NULL: plain */
    void (*serve)(struct wire_peer *peer, void *arg);
    void *arg;
    unsigned n_served;
};

static inline void wire_put_raw(struct wire_peer *peer, const void *data, size_t n)
{
    const uint8_t *at = data;

    while (n > 0 && !peer->gone) {
        ssize_t sent = send(peer->fd, at, n, MSG_NOSIGNAL);
        peer->gone = sent <= 0;
        at += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
}

static inline void wire_put(struct wire_peer *peer, const void *data, size_t n)
{
    struct buf cipher = {0};

    if (peer->tls == NULL) {
        wire_put_raw(peer, data, n);
    } else if (tls_write(peer->tls, data, n, &cipher, NULL) == 0) {
        wire_put_raw(peer, cipher.data, cipher.len);
    }
    buf_deinit(&cipher);
}

static inline void wire_put_text(struct wire_peer *peer, const char *text)
{
    wire_put(peer, text, strlen(text));
}

/* Waits for more bytes. False when the client is gone. */
static inline bool wire_more(struct wire_peer *peer)
{
    uint8_t data[65536];
    struct buf cipher = {0};
    size_t before = peer->in.len;

    while (!peer->gone && peer->in.len == before) {
        ssize_t n = recv(peer->fd, data, sizeof data, 0);
        if (n <= 0) {
            peer->gone = true;
        } else if (peer->tls == NULL) {
            buf_append(&peer->in, data, (size_t)n);
        } else {
            peer->gone = tls_feed(peer->tls, data, (size_t)n, &peer->in, &cipher, NULL) != 0;
            wire_put_raw(peer, cipher.data, cipher.len);
            buf_reset(&cipher);
        }
    }
    buf_deinit(&cipher);
    return !peer->gone;
}

/* Reads a request's head into peer->head. */
static inline bool wire_read_head(struct wire_peer *peer)
{
    uint8_t *end = NULL;

    while (peer->in.len == 0 ||
           (end = memmem(peer->in.data, peer->in.len, "\r\n\r\n", 4)) == NULL) {
        if (!wire_more(peer)) {
            return false;
        }
    }
    size_t n = (size_t)(end - peer->in.data) + 4;
    REQUIRE(n < sizeof peer->head);
    memcpy(peer->head, peer->in.data, n);
    peer->head[n] = '\0';
    buf_consume(&peer->in, n);
    return true;
}

/* The value of a header of the request, up to its line's end. */
static inline void wire_header(const struct wire_peer *peer, const char *name, char *out,
                               size_t max)
{
    char *line = strcasestr(peer->head, name);

    out[0] = '\0';
    if (line != NULL) {
        line += strlen(name);
        line += strspn(line, ": ");
        snprintf(out, max, "%.*s", (int)strcspn(line, "\r"), line);
    }
}

/* Answers the upgrade; `extra` are whole header lines. */
static inline bool wire_upgrade(struct wire_peer *peer, const char *extra)
{
    char key[64];
    char accept[WS_ACCEPT_MAX];
    char text[1024];

    if (!wire_read_head(peer)) {
        return false;
    }
    wire_header(peer, "Sec-WebSocket-Key", key, sizeof key);
    ws_accept(key, accept);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Accept: %s\r\n%s\r\n",
             accept, extra);
    wire_put_text(peer, text);
    return true;
}

static inline void wire_put_message(struct wire_peer *peer, enum ws_opcode opcode, const void *data,
                                    size_t n)
{
    struct buf frame = {0};

    ws_put_frame(&frame, opcode, data, n, NULL);
    wire_put(peer, frame.data, frame.len);
    buf_deinit(&frame);
}

static inline void wire_serve_one(struct wire_server *server)
{
    struct sockaddr_storage from;
    socklen_t n = sizeof from;
    int fd = accept(server->fd, (struct sockaddr *)&from, &n);

    if (fd < 0) {
        return;
    }
    struct wire_peer peer = {.fd = fd};
    if (from.ss_family != AF_UNIX) {
        const int on =
            1; /* as a node does: the last bytes of an answer wait for no acknowledgement */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peer.port =
            ntohs(from.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&from)->sin_port
                                            : ((struct sockaddr_in6 *)(void *)&from)->sin6_port);
    }
    peer.tls = server->tls == NULL ? NULL : tls_new(server->tls, NULL);
    server->n_served++;
    server->serve(&peer, server->arg);
    tls_free(peer.tls);
    buf_deinit(&peer.in);
    close(fd);
}

static inline void *wire_server_run(void *arg)
{
    struct wire_server *server = arg;

    while (!atomic_load(&server->stopping)) {
        struct pollfd fd = {.fd = server->fd, .events = POLLIN};
        if (poll(&fd, 1, 20) > 0) {
            wire_serve_one(server);
        }
    }
    return NULL;
}

static inline void wire_server_start(struct wire_server *server,
                                     void (*serve)(struct wire_peer *peer, void *arg), void *arg,
                                     struct tls_context *tls)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof in;

    *server = (struct wire_server){.serve = serve, .arg = arg, .tls = tls};
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(server->fd, (struct sockaddr *)&in, sizeof in) == 0);
    REQUIRE(listen(server->fd, 16) == 0);
    REQUIRE(getsockname(server->fd, (struct sockaddr *)&in, &n) == 0);
    server->port = ntohs(in.sin_port);
    REQUIRE(pthread_create(&server->thread, NULL, wire_server_run, server) == 0);
}

/* The same on a UNIX socket, which is left behind. */
static inline void wire_server_start_unix(struct wire_server *server, const char *path,
                                          void (*serve)(struct wire_peer *peer, void *arg),
                                          void *arg)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    REQUIRE(strlen(path) < sizeof at.sun_path);
    memcpy(at.sun_path, path, strlen(path));
    *server = (struct wire_server){.serve = serve, .arg = arg};
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(server->fd, (struct sockaddr *)&at, sizeof at) == 0);
    REQUIRE(listen(server->fd, 16) == 0);
    REQUIRE(pthread_create(&server->thread, NULL, wire_server_run, server) == 0);
}

static inline void wire_server_stop(struct wire_server *server)
{
    atomic_store(&server->stopping, true);
    pthread_join(server->thread, NULL);
    close(server->fd);
}
