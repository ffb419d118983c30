/* SPDX-License-Identifier: Apache-2.0
 *
 * relay_memory SECONDS CAPLEN [raw|pcapng|zstd] [CERT KEY]: how fast the relay alone is. A node of
 * nothing but HTTP server and relay, whose interface is memory: packets of CAPLEN bytes as fast as
 * one viewer takes them, through the real capture session, backlog, WebSocket and a loopback TCP
 * (or TLS) connection to a client thread that reads and throws away. Prints frames a second, bytes
 * of packets a second and what was lost; the source waits for the viewer, so nothing should be.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <openssl/ssl.h>
#include <uv.h>

#include "node/auth.h"
#include "node/http_server.h"
#include "node/inject_hub.h"
#include "node/relay_routes.h"
#include "node/viewer_uv.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "tests/support/fake_events.h"
#include "tests/support/fake_node_source.h"
#include "tests/support/no_store.h"

static uv_loop_t loop;
static struct node node;
static uv_timer_t feeder;
static uv_timer_t end;
static atomic_bool stopped;
static atomic_uint_fast64_t client_bytes;
static uint64_t began_ns;
static uint64_t first_packets;

static void on_end(uv_timer_t *timer);

/* ---- the client --------------------------------------------------------------------------- */

struct client {
    uint16_t port;
    const char *query;
    bool tls;
};

static int dial(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

static void *client_main(void *arg)
{
    const struct client *client = arg;
    static char bytes[1024 * 1024];
    char request[512];
    int fd = dial(client->port);
    SSL *ssl = NULL;
    int n = snprintf(request, sizeof request,
                     "GET /connections/memory?%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     client->query, client->port);

    if (client->tls) {
        ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
        SSL_set_fd(ssl, fd);
        if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, n) != n) {
            fprintf(stderr, "no TLS\n");
            exit(1);
        }
    } else if (write(fd, request, (size_t)n) != n) {
        exit(1);
    }
    while (!atomic_load(&stopped)) {
        ssize_t got = ssl != NULL ? SSL_read(ssl, bytes, sizeof bytes)
                                  : recv(fd, bytes, sizeof bytes, MSG_TRUNC);
        if (got <= 0) {
            break;
        }
        if (atomic_load(&client_bytes) == 0 && ssl != NULL &&
            memcmp(bytes, "HTTP/1.1 101", 12) != 0) {
            fprintf(stderr, "%.*s\n", (int)got, bytes);
            exit(1);
        }
        atomic_fetch_add(&client_bytes, (uint64_t)got);
    }
    close(fd);
    return NULL;
}

/* ---- the node ----------------------------------------------------------------------------- */

static struct relay_stream *stream_of_node(void)
{
    return node.relay->streams;
}

/* Keeps the interface a few megabytes ahead of the viewer, well inside of the backlog. */
static void on_feed(uv_timer_t *timer)
{
    struct relay_stream *stream = stream_of_node();
    uint64_t sent =
        node.relay->counters[VIEWER_RAW].packets + node.relay->counters[VIEWER_PCAPNG].packets;
    uint64_t ahead = node.options->backlog_bytes / 4 / (fake_interface.caplen + 40);

    (void)timer;
    if (stream == NULL || stream->viewers == NULL) {
        return;
    }
    if (began_ns == 0) {
        began_ns = clock_monotonic_ns();
        first_packets = sent;
        uv_timer_start(&end, on_end, 10, 0);
    }
    uint64_t wanted = atomic_load(&fake_interface.wanted);
    if (sent + ahead > wanted) {
        fake_give(sent + ahead - wanted);
    }
}

static uint64_t seconds;

static void on_end(uv_timer_t *timer)
{
    uint64_t now_ns = clock_monotonic_ns();
    const struct relay_counters *c = node.relay->counters;
    double took = (double)(now_ns - began_ns) / 1e9;

    if (took < (double)seconds) {
        uv_timer_start(timer, on_end, 10, 0);
        return;
    }
    uint64_t packets = c[VIEWER_RAW].packets + c[VIEWER_PCAPNG].packets - first_packets;
    printf("frames_per_s=%.0f packet_mb_per_s=%.1f client_mb_per_s=%.1f lost=%llu\n",
           (double)packets / took, (double)packets * fake_interface.caplen / took / 1e6,
           (double)atomic_load(&client_bytes) / took / 1e6,
           (unsigned long long)(c[VIEWER_RAW].lost + c[VIEWER_PCAPNG].lost));
    fflush(stdout);
    _Exit(0);
}

int main(int argc, char **argv)
{
    static const struct route_group *const groups[] = {&relay_routes};
    static const char *addresses[] = {"127.0.0.1:0"};
    static const char *const queries[][2] = {{"raw", "format=raw"},
                                             {"pcapng", "format=pcapng"},
                                             {"zstd", "format=pcapng&compress=zstd"}};
    const struct http_server_opts opts = {.groups = groups, .n_groups = 1};
    struct node_options options = {.database = "/nonexistent/packets.db",
                                   .max_captures = 16,
                                   .backlog_bytes = 64u << 20,
                                   .viewer_queue_bytes = 1u << 20,
                                   .max_connections = 100,
                                   .http_addrs = {addresses, 1}};
    struct client client = {.query = queries[0][1]};
    struct err err = {0};
    pthread_t thread;

    if (argc < 3) {
        fprintf(stderr, "relay_memory SECONDS CAPLEN [raw|pcapng|zstd] [CERT KEY]\n");
        return 2;
    }
    seconds = strtoull(argv[1], NULL, 10);
    fake_interface.time_ns = clock_wall_ns() + 1000000000u;
    fake_interface.caplen = (uint32_t)strtoul(argv[2], NULL, 10);
    for (size_t i = 0; argc > 3 && i < ARRAY_LEN(queries); i++) {
        client.query = strcmp(argv[3], queries[i][0]) == 0 ? queries[i][1] : client.query;
    }
    if (argc > 5) {
        options.tls_cert = argv[4];
        options.tls_key = argv[5];
        client.tls = true;
    }
    node = (struct node){.loop = &loop, .options = &options, .name = "bench"};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop);
    work_open(&node);
    if (auth_open(&node, &err) < 0 || relay_open(&node, &err) < 0 ||
        inject_hub_open(&node, &err) < 0 || http_server_open(&node, &opts, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uv_timer_init(&loop, &feeder);
    uv_timer_init(&loop, &end);

    uv_timer_start(&feeder, on_feed, 1, 1);
    client.port = http_server_port(node.http, 0);
    pthread_create(&thread, NULL, client_main, &client);
    uv_run(&loop, UV_RUN_DEFAULT);

    return 1;
}
