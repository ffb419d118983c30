/* SPDX-License-Identifier: Apache-2.0
 *
 * ws_viewer [ADDR:]PORT PATH|- SECONDS [PACKETS [KEY]]: a viewer for tests and measurements.
 * Connects to ADDR (127.0.0.1), upgrades PATH to a WebSocket ("-": a plain pcapng stream over TCP),
 * reads for SECONDS or until it has got and been told of PACKETS, and prints what it understood on
 * one line:
 *
 *   packets=N bytes=N messages=N told=N gaps=N numbered=N position=N p50_us=N p99_us=N max_us=N
 * close=CODE
 *
 * told: packets that statistics said were lost. gaps: of the numbers in packets of
 * tests/support/numbered_sender.py those that are missing or came twice, without what was told.
 * Latency is from the time in such a packet to now. "ready" goes to stderr with the handshake done.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (4u << 20)
#define BUCKETS      200000u /* of a microsecond */

struct viewer {
    int fd;
    bool is_pcapng;
    bool is_plain;
    uint8_t *buffer;
    size_t n;
    uint8_t *stream; /* pcapng bytes that are no whole block yet */
    size_t stream_n;
    uint64_t packets;
    uint64_t bytes;
    uint64_t messages;
    uint64_t told;
    uint64_t position;
    uint64_t numbered;
    uint64_t first;
    uint64_t next;
    uint64_t out_of_order;
    uint64_t missing;
    unsigned close_code;
    uint32_t latency[BUCKETS + 1];
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t le64(const uint8_t *p)
{
    return (uint64_t)le32(p + 4) << 32 | le32(p);
}

static void on_numbered(struct viewer *v, const uint8_t *p)
{
    uint64_t number = le64(p + 8);
    uint64_t sent_ns = le64(p + 16);
    uint64_t late_us = (now_ns(CLOCK_REALTIME) - sent_ns) / 1000;

    if (v->numbered++ == 0) {
        v->first = v->next = number;
    }
    if (number < v->next) {
        v->out_of_order++;
    } else {
        v->missing += number - v->next;
        v->next = number + 1;
    }
    v->latency[late_us < BUCKETS ? late_us : BUCKETS]++;
}

static void on_packet(struct viewer *v, const uint8_t *data, size_t n)
{
    static const char mark[] = "NUMBERED";
    const size_t at = 42; /* Ethernet, IPv4, UDP */

    v->packets++;
    v->bytes += n;
    if (n >= at + 24 && memcmp(data + at, mark, 8) == 0) {
        on_numbered(v, data + at);
    }
}

static void on_statistics(struct viewer *v, const uint8_t *block, size_t n)
{
    static const char mark[] = "packetrecorder: ";
    const char *at = memmem(block, n, mark, sizeof mark - 1);
    char *end = NULL;

    if (at == NULL) {
        return;
    }
    at += sizeof mark - 1;
    if (strncmp(at, "lost=", 5) == 0) {
        v->told += strtoull(at + 5, &end, 10);
        at = end + 1;
    }
    if (strncmp(at, "position=", 9) == 0) {
        v->position = strtoull(at + 9, NULL, 10);
    }
}

static void on_pcapng(struct viewer *v, const uint8_t *data, size_t n)
{
    if (v->stream_n + n > 2 * BUFFER_BYTES) {
        fprintf(stderr, "a block that never ends\n");
        exit(1);
    }
    memcpy(v->stream + v->stream_n, data, n);
    v->stream_n += n;
    size_t at = 0;
    while (v->stream_n - at >= 12 && le32(v->stream + at + 4) <= v->stream_n - at) {
        const uint8_t *block = v->stream + at;
        uint32_t length = le32(block + 4);
        if (length < 12) {
            fprintf(stderr, "no pcapng\n");
            exit(1);
        }
        if (le32(block) == 6) {
            on_packet(v, block + 28, le32(block + 20));
        } else if (le32(block) == 5) {
            on_statistics(v, block, length);
        }
        at += length;
    }
    memmove(v->stream, v->stream + at, v->stream_n - at);
    v->stream_n -= at;
}

static void on_message(struct viewer *v, unsigned opcode, const uint8_t *data, size_t n)
{
    if (opcode == 8) {
        v->close_code = n >= 2 ? (unsigned)data[0] << 8 | data[1] : 1005;
    } else if (opcode == 2) {
        v->messages++;
        if (v->is_pcapng) {
            on_pcapng(v, data, n);
        } else {
            on_packet(v, data, n);
        }
    }
}

/* Whole frames out of the buffer. */
static void on_bytes(struct viewer *v)
{
    size_t at = 0;

    while (v->n - at >= 2) {
        const uint8_t *p = v->buffer + at;
        uint64_t n = p[1] & 127u;
        size_t header = n == 126 ? 4 : n == 127 ? 10 : 2;

        if (v->n - at < header) {
            break;
        }
        if (header > 2) {
            n = 0;
            for (size_t i = 2; i < header; i++) {
                n = n << 8 | p[i];
            }
        }
        if (v->n - at - header < n) {
            break;
        }
        on_message(v, p[0] & 15u, p + header, n);
        at += header + n;
    }
    memmove(v->buffer, v->buffer + at, v->n - at);
    v->n -= at;
}

static void dial(struct viewer *v, const char *address, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
        fprintf(stderr, "no address: %s\n", address);
        exit(2);
    }

    v->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (v->fd < 0 || connect(v->fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        perror("connect");
        exit(1);
    }
}

static void upgrade(struct viewer *v, const char *path, const char *address, uint16_t port,
                    const char *key)
{
    char request[1024];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s:%u\r\n%s%s%sUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     path, address, port, key == NULL ? "" : "Authorization: Bearer ",
                     key == NULL ? "" : key, key == NULL ? "" : "\r\n");
    uint8_t *end = NULL;

    if (write(v->fd, request, (size_t)n) != n) {
        exit(1);
    }
    while (end == NULL) {
        ssize_t got = read(v->fd, v->buffer + v->n, BUFFER_BYTES - v->n);
        if (got <= 0) {
            fprintf(stderr, "no answer\n");
            exit(1);
        }
        v->n += (size_t)got;
        end = memmem(v->buffer, v->n, "\r\n\r\n", 4);
    }
    if (memcmp(v->buffer, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "%.*s\n", (int)v->n, (char *)v->buffer);
        exit(1);
    }
    v->n -= (size_t)(end + 4 - v->buffer);
    memmove(v->buffer, end + 4, v->n);
}

static uint64_t percentile(const struct viewer *v, double share)
{
    uint64_t wanted = (uint64_t)((double)v->numbered * share);
    uint64_t seen = 0;

    for (uint32_t us = 0; us < BUCKETS; us++) {
        seen += v->latency[us];
        if (seen > wanted) {
            return us;
        }
    }
    return BUCKETS;
}

static void report(const struct viewer *v)
{
    uint32_t max = BUCKETS;

    while (max > 0 && v->latency[max] == 0) {
        max--;
    }
    printf("packets=%" PRIu64 " bytes=%" PRIu64 " messages=%" PRIu64 " told=%" PRIu64
           " gaps=%" PRIu64 " numbered=%" PRIu64 " position=%" PRIu64 " p50_us=%" PRIu64
           " p99_us=%" PRIu64 " max_us=%u close=%u\n",
           v->packets, v->bytes, v->messages, v->told,
           v->missing + v->out_of_order < v->told ? 0 : v->missing + v->out_of_order - v->told,
           v->numbered, v->position, percentile(v, 0.5), percentile(v, 0.99), max, v->close_code);
}

static void read_until(struct viewer *v, uint64_t until_ns, uint64_t packets)
{
    while (v->close_code == 0 && (packets == 0 || v->packets + v->told < packets)) {
        uint64_t now = now_ns(CLOCK_MONOTONIC);
        struct pollfd ready = {.fd = v->fd, .events = POLLIN};

        if (now >= until_ns) {
            break;
        }
        if (poll(&ready, 1, (int)((until_ns - now) / 1000000) + 1) <= 0) {
            continue;
        }
        ssize_t got = read(v->fd, v->buffer + v->n, BUFFER_BYTES - v->n);
        if (got <= 0) {
            break;
        }
        v->n += (size_t)got;
        if (v->is_plain) {
            on_pcapng(v, v->buffer, v->n);
            v->n = 0;
        } else {
            on_bytes(v);
        }
    }
}

int main(int argc, char **argv)
{
    static struct viewer viewer;
    struct viewer *v = &viewer;

    if (argc < 4) {
        fprintf(stderr, "ws_viewer [ADDR:]PORT PATH|- SECONDS [PACKETS [KEY]]\n");
        return 2;
    }
    static uint8_t buffer[BUFFER_BYTES];
    static uint8_t stream[2 * BUFFER_BYTES];
    v->buffer = buffer;
    v->stream = stream;
    v->is_plain = strcmp(argv[2], "-") == 0;
    v->is_pcapng = v->is_plain || strstr(argv[2], "pcapng") != NULL;
    char address[64] = "127.0.0.1";
    const char *colon = strchr(argv[1], ':');
    if (colon != NULL) {
        snprintf(address, sizeof address, "%.*s", (int)(colon - argv[1]), argv[1]);
    }
    uint16_t port = (uint16_t)strtoul(colon == NULL ? argv[1] : colon + 1, NULL, 10);
    dial(v, address, port);
    if (!v->is_plain) {
        upgrade(v, argv[2], address, port, argc > 5 ? argv[5] : NULL);
    }
    fprintf(stderr, "ready\n");
    on_bytes(v);
    read_until(v, now_ns(CLOCK_MONOTONIC) + (uint64_t)(strtod(argv[3], NULL) * 1e9),
               argc > 4 ? strtoull(argv[4], NULL, 10) : 0);
    report(v);
    return 0;
}
