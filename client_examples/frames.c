/* SPDX-License-Identifier: Apache-2.0
 *
 * Print the packets of an interface of a packetrecorder node, one line each: length, addresses and
 * type of the Ethernet header. Nothing but libc; the whole WebSocket (RFC 6455) that a reader of
 * packets needs is in this file.
 *
 *     cc -O2 -Wall -o frames frames.c
 *     ./frames 127.0.0.1 8080 eth0 [COUNT]
 *
 * The key, if the node wants one, is in PACKETRECORDER_API_KEY. There is no TLS here: on loopback
 * none is needed, and across a network a tunnel does it (ssh -L 8080:127.0.0.1:8080 HOST).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel glues packets of one connection together (GRO): far more than an MTU is possible. */
#define FRAME_MAX (1 << 20)

enum opcode { CONTINUATION = 0, BINARY = 2, CLOSE = 8, PING = 9 };

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "frames: %s: %s\n", what, why);
    exit(1);
}

/* ---- SHA-1 and base64, which the handshake proves with that the other side speaks WebSocket ----
 */

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const uint8_t *p)
{
    static const uint32_t k[4] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
        w[i] = i < 16 ? (uint32_t)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 |
                            p[4 * i + 3]
                      : rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t f = i < 20   ? (b & c) | (~b & d)
                     : i < 40 ? b ^ c ^ d
                     : i < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        uint32_t next = rotate(a, 5) + f + e + k[i / 20] + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* Of at most 119 bytes: two blocks. */
static void sha1(const char *text, uint8_t out[20])
{
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint8_t m[128] = {0};
    size_t n = strlen(text), end = n < 56 ? 64 : 128;
    memcpy(m, text, n);
    m[n] = 0x80;
    m[end - 2] = (uint8_t)(8 * n >> 8);
    m[end - 1] = (uint8_t)(8 * n);
    for (size_t i = 0; i < end; i += 64) {
        sha1_block(h, m + i);
    }
    for (int i = 0; i < 20; i++) {
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

static void base64(const uint8_t *in, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3, out += 4) {
        uint32_t v =
            (uint32_t)in[i] << 16 | (i + 1 < n ? in[i + 1] << 8 : 0) | (i + 2 < n ? in[i + 2] : 0);
        out[0] = digits[v >> 18];
        out[1] = digits[v >> 12 & 63];
        out[2] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        out[3] = i + 2 < n ? digits[v & 63] : '=';
    }
    *out = '\0';
}

/* ---- the connection ---- */

static FILE *dial(const char *host, const char *port)
{
    struct addrinfo *all, hints = {.ai_socktype = SOCK_STREAM};
    int code = getaddrinfo(host, port, &hints, &all);
    if (code != 0) {
        die(host, gai_strerror(code));
    }
    int fd = -1;
    for (struct addrinfo *a = all; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) {
        die(host, strerror(errno));
    }
    freeaddrinfo(all);
    return fdopen(fd, "r"); /* reading is buffered; what little we write goes to the descriptor */
}

static void send_all(FILE *node, const void *data, size_t n)
{
    for (ssize_t sent; n > 0; n -= (size_t)sent, data = (const char *)data + sent) {
        sent = send(fileno(node), data, n, MSG_NOSIGNAL);
        if (sent < 0) {
            die("send", strerror(errno));
        }
    }
}

static void read_all(FILE *node, void *data, size_t n)
{
    if (fread(data, 1, n, node) != n) {
        die("read", "the connection broke");
    }
}

/* Prints what the node says in place of the upgrade: a problem document (RFC 9457). */
static _Noreturn void refused(FILE *node, const char *status)
{
    char line[4096];
    size_t n = 0;

    fprintf(stderr, "frames: refused: %s", status);
    while (fgets(line, sizeof line, node) != NULL && line[0] != '\r') {
        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            n = strtoul(line + 15, NULL, 10);
        }
    }
    n = fread(line, 1, n < sizeof line ? n : sizeof line, node);
    fprintf(stderr, "%.*s\n", (int)n, line);
    exit(1);
}

/* RFC 6455 §4.1 */
static void upgrade(FILE *node, const char *host, const char *port, const char *interface)
{
    uint8_t nonce[16], digest[20];
    char key[25], proof[25 + 36], want[29], request[2048], line[4096];
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce) {
        die("getrandom", strerror(errno));
    }
    base64(nonce, sizeof nonce, key);
    snprintf(proof, sizeof proof, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    sha1(proof, digest);
    base64(digest, sizeof digest, want);

    bool v6 = strchr(host, ':') != NULL;
    const char *api_key = getenv("PACKETRECORDER_API_KEY");
    int n = snprintf(request, sizeof request,
                     "GET /connections/%s HTTP/1.1\r\n"
                     "Host: %s%s%s:%s\r\n"
                     "Connection: Upgrade\r\n"
                     "Upgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: %s\r\n"
                     "%s%s%s\r\n",
                     interface, v6 ? "[" : "", host, v6 ? "]" : "", port, key,
                     api_key != NULL ? "Authorization: Bearer " : "",
                     api_key != NULL ? api_key : "", api_key != NULL ? "\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof request) {
        die(interface, "the name or the key is too long");
    }
    send_all(node, request, (size_t)n);

    if (fgets(line, sizeof line, node) == NULL) {
        die("read", "the connection broke");
    }
    if (strncmp(line, "HTTP/1.1 101 ", 13) != 0) {
        refused(node, line);
    }
    bool proven = false;
    while (fgets(line, sizeof line, node) != NULL && line[0] != '\r') {
        if (strncasecmp(line, "Sec-WebSocket-Accept:", 21) == 0) {
            proven = strstr(line, want) != NULL;
        }
    }
    if (!proven) {
        die("handshake", "the other side is no WebSocket");
    }
}

/* What a client sends is masked, with a mask that nobody can foresee (§5.3). */
static void send_control(FILE *node, enum opcode opcode, const uint8_t *data, size_t n)
{
    uint8_t frame[2 + 4 + 125] = {0x80 | (uint8_t)opcode, 0x80 | (uint8_t)n};
    if (getrandom(frame + 2, 4, 0) != 4) {
        die("getrandom", strerror(errno));
    }
    for (size_t i = 0; i < n; i++) {
        frame[6 + i] = data[i] ^ frame[2 + i % 4];
    }
    send_all(node, frame, 6 + n);
}

/* Reads one frame of the protocol (§5.2) behind the n bytes that are in `data`; its opcode. */
static enum opcode read_frame(FILE *node, uint8_t *data, size_t n, size_t *added, bool *last)
{
    uint8_t head[2], more[8];
    read_all(node, head, 2);
    uint64_t length = head[1] & 0x7f;
    size_t n_more = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (n_more > 0) {
        read_all(node, more, n_more);
        length = 0;
        for (size_t i = 0; i < n_more; i++) {
            length = length << 8 | more[i];
        }
    }
    if ((head[0] & 0x70) != 0 || (head[1] & 0x80) != 0 || length > FRAME_MAX - n) {
        die("protocol", "a frame that no node sends");
    }
    read_all(node, data + n, (size_t)length);
    *added = (size_t)length;
    *last = (head[0] & 0x80) != 0;
    return (enum opcode)(head[0] & 0x0f);
}

/* The next packet, and its length; 0 when the node has closed. Pings are answered on the way. */
static size_t next_packet(FILE *node, uint8_t packet[FRAME_MAX])
{
    size_t have = 0; /* of a message in several frames, between which control frames may come */
    for (;;) {
        size_t n;
        bool last;
        uint8_t *data = packet + have;
        switch (read_frame(node, packet, have, &n, &last)) {
        case BINARY:
        case CONTINUATION:
            have += n;
            if (last) {
                return have;
            }
            break;
        case PING:
            send_control(node, 10, data, n < 125 ? n : 125);
            break;
        case CLOSE:
            fprintf(stderr, "frames: closed: %d %.*s\n", n < 2 ? 1005 : data[0] << 8 | data[1],
                    n < 2 ? 0 : (int)n - 2, (const char *)data + 2);
            send_control(node, CLOSE, data, n < 2 ? 0 : 2);
            return 0;
        default: /* a pong that nobody asked for, a text */
            break;
        }
    }
}

static void print_packet(uint64_t number, const uint8_t *p, size_t n)
{
    printf("%" PRIu64 " %zu", number, n);
    if (n >= 14) {
        printf(" %02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x 0x%02x%02x", p[6],
               p[7], p[8], p[9], p[10], p[11], p[0], p[1], p[2], p[3], p[4], p[5], p[12], p[13]);
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    static uint8_t packet[FRAME_MAX];
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: frames HOST PORT INTERFACE [COUNT]\n");
        return 2;
    }
    uint64_t count = argc == 5 ? strtoull(argv[4], NULL, 10) : UINT64_MAX;
    setvbuf(stdout, NULL, _IOLBF, 0);

    FILE *node = dial(argv[1], argv[2]);
    upgrade(node, argv[1], argv[2], argv[3]);
    for (uint64_t number = 1; number <= count; number++) {
        size_t n = next_packet(node, packet);
        if (n == 0) {
            return 1;
        }
        print_packet(number, packet, n);
    }
    send_control(node, CLOSE, (const uint8_t[]){1000 >> 8, 1000 & 255}, 2);
    fclose(node);
    return 0;
}
