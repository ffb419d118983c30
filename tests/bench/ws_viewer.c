/* SPDX-License-Identifier: Apache-2.0
 *
 * ws_viewer [-n COUNT] [-s] [-t] [ADDR:]PORT PATH|- SECONDS [PACKETS [KEY]]: viewers for tests and
 * measurements. Connects COUNT (1) times to ADDR (127.0.0.1), with -t over TLS that trusts anybody,
 * upgrades PATH to a WebSocket ("-": a plain pcapng stream over TCP), reads for SECONDS or until
 * each has got and been told of PACKETS, and prints what they understood on one line:
 *
 *   packets=N bytes=N messages=N told=N gaps=N numbered=N position=N p50_us=N p99_us=N max_us=N
 * close=CODE viewers=N least=N
 *
 * told: packets that statistics said were lost. gaps: of the numbers in packets of
 * tests/support/numbered_sender.py those that are missing or came twice, without what was told.
 * Latency is from the time in such a packet to now, with -s from the stamp of each packet of a
 * pcapng stream, in nanoseconds as the node writes them. Sums over all viewers; least: the packets
 * of the one that got fewest. A PATH with "pcap" in it carries a pcap or pcapng stream, any other
 * one packet a message. "ready" goes to stderr with all handshakes done. SIGTERM: ends once nothing
 * has come for a third of a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define BUFFER_BYTES (4u << 20) /* of each viewer; touched as far as it is needed */
#define READ_BYTES   (256u << 10)
#define BUCKETS      200000u /* of a microsecond */
#define QUIET_MS     333
#define VIEWERS_MAX  10000u
#define PCAP_MAGIC   0xa1b2c3d4u

struct viewer {
    SSL *ssl; /* NULL: without TLS */
    int fd;
    bool is_stream;
    bool is_plain;
    bool is_classic;
    bool ended;
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
};

/* What the command line says. */
struct wanted {
    char address[64];
    uint16_t port;
    const char *path;
    const char *key;
    uint64_t until_ns;
    uint64_t packets;
    size_t n_viewers;
    SSL_CTX *tls;
};

static uint32_t latency[BUCKETS + 1];
static uint64_t n_timed;
static bool is_by_stamp;
static volatile sig_atomic_t asked_to_end;

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

static void count_latency(uint64_t since_ns)
{
    uint64_t late_us = (now_ns(CLOCK_REALTIME) - since_ns) / 1000;

    n_timed++;
    latency[late_us < BUCKETS ? late_us : BUCKETS]++;
}

static void on_numbered(struct viewer *v, const uint8_t *p)
{
    uint64_t number = le64(p + 8);

    if (v->numbered++ == 0) {
        v->first = v->next = number;
    }
    if (number < v->next) {
        v->out_of_order++;
    } else {
        v->missing += number - v->next;
        v->next = number + 1;
    }
    if (!is_by_stamp) {
        count_latency(le64(p + 16));
    }
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

/* The length of the block or record at p with n bytes, 0 when it is not whole yet. */
static size_t whole(const struct viewer *v, const uint8_t *p, size_t n)
{
    size_t length = n < 16 ? SIZE_MAX : v->is_classic ? 16 + (size_t)le32(p + 8) : le32(p + 4);

    if (length < 12) {
        fprintf(stderr, "no pcapng\n");
        exit(1);
    }
    return length <= n ? length : 0;
}

static void on_block(struct viewer *v, const uint8_t *block, size_t n)
{
    if (v->is_classic) {
        on_packet(v, block + 16, n - 16);
    } else if (le32(block) == 6) {
        on_packet(v, block + 28, le32(block + 20));
        if (is_by_stamp) {
            count_latency((uint64_t)le32(block + 12) << 32 | le32(block + 16));
        }
    } else if (le32(block) == 5) {
        on_statistics(v, block, n);
    }
}

static void on_stream(struct viewer *v, const uint8_t *data, size_t n)
{
    size_t at = 0;

    if (v->stream_n + n > 2 * (size_t)BUFFER_BYTES) {
        fprintf(stderr, "a block that never ends\n");
        exit(1);
    }
    memcpy(v->stream + v->stream_n, data, n);
    v->stream_n += n;
    if (v->packets == 0 && !v->is_classic && v->stream_n >= 24 && le32(v->stream) == PCAP_MAGIC) {
        v->is_classic = true;
        at = 24;
    }
    for (size_t length; (length = whole(v, v->stream + at, v->stream_n - at)) > 0; at += length) {
        on_block(v, v->stream + at, length);
    }
    memmove(v->stream, v->stream + at, v->stream_n - at);
    v->stream_n -= at;
}

static void on_message(struct viewer *v, unsigned opcode, const uint8_t *data, size_t n)
{
    if (opcode == 8) {
        v->close_code = n >= 2 ? (unsigned)data[0] << 8 | data[1] : 1005;
    } else if (opcode == 2 || (opcode == 0 && v->is_stream)) {
        v->messages += opcode == 2 ? 1 : 0;
        if (v->is_stream) {
            on_stream(v, data, n);
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

static void dial(struct viewer *v, const struct wanted *wanted)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(wanted->port)};

    if (inet_pton(AF_INET, wanted->address, &to.sin_addr) != 1) {
        fprintf(stderr, "no address: %s\n", wanted->address);
        exit(2);
    }
    v->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (v->fd < 0 || connect(v->fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        perror("connect");
        exit(1);
    }
    if (wanted->tls != NULL) {
        v->ssl = SSL_new(wanted->tls);
        SSL_set_fd(v->ssl, v->fd);
        if (SSL_connect(v->ssl) != 1) {
            fprintf(stderr, "no TLS\n");
            exit(1);
        }
    }
}

static bool send_all(struct viewer *v, const char *data, int n)
{
    return v->ssl != NULL ? SSL_write(v->ssl, data, n) == n : write(v->fd, data, (size_t)n) == n;
}

/* More bytes into the buffer; false at the end. */
static bool receive(struct viewer *v)
{
    size_t room = BUFFER_BYTES - v->n < READ_BYTES ? BUFFER_BYTES - v->n : READ_BYTES;
    ssize_t got = v->ssl != NULL ? SSL_read(v->ssl, v->buffer + v->n, (int)room)
                                 : read(v->fd, v->buffer + v->n, room);

    v->n += got > 0 ? (size_t)got : 0;
    return got > 0;
}

static void upgrade(struct viewer *v, const struct wanted *wanted)
{
    const char *key = wanted->key;
    char request[1024];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s:%u\r\n%s%s%sUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     wanted->path, wanted->address, wanted->port,
                     key == NULL ? "" : "Authorization: Bearer ", key == NULL ? "" : key,
                     key == NULL ? "" : "\r\n");
    uint8_t *end = NULL;

    if (!send_all(v, request, n)) {
        exit(1);
    }
    while (end == NULL) {
        if (!receive(v)) {
            fprintf(stderr, "no answer\n");
            exit(1);
        }
        end = memmem(v->buffer, v->n, "\r\n\r\n", 4);
    }
    if (memcmp(v->buffer, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "%.*s\n", (int)v->n, (char *)v->buffer);
        exit(1);
    }
    v->n -= (size_t)(end + 4 - v->buffer);
    memmove(v->buffer, end + 4, v->n);
}

static uint64_t percentile(double share)
{
    uint64_t wanted = (uint64_t)((double)n_timed * share);
    uint64_t seen = 0;

    for (uint32_t us = 0; us < BUCKETS; us++) {
        seen += latency[us];
        if (seen > wanted) {
            return us;
        }
    }
    return BUCKETS;
}

static void report(const struct viewer *viewers, size_t n)
{
    struct viewer all = {.close_code = viewers[0].close_code, .position = viewers[0].position};
    uint64_t least = UINT64_MAX;
    uint64_t gaps = 0;
    uint32_t max = BUCKETS;

    for (const struct viewer *v = viewers; v < viewers + n; v++) {
        uint64_t absent = v->missing + v->out_of_order;
        all.packets += v->packets;
        all.bytes += v->bytes;
        all.messages += v->messages;
        all.told += v->told;
        all.numbered += v->numbered;
        gaps += absent < v->told ? 0 : absent - v->told;
        least = v->packets < least ? v->packets : least;
    }
    while (max > 0 && latency[max] == 0) {
        max--;
    }
    printf("packets=%" PRIu64 " bytes=%" PRIu64 " messages=%" PRIu64 " told=%" PRIu64
           " gaps=%" PRIu64 " numbered=%" PRIu64 " position=%" PRIu64 " p50_us=%" PRIu64
           " p99_us=%" PRIu64 " max_us=%u close=%u viewers=%zu least=%" PRIu64 "\n",
           all.packets, all.bytes, all.messages, all.told, gaps, all.numbered, all.position,
           percentile(0.5), percentile(0.99), max, all.close_code, n, least);
}

static bool is_done(const struct viewer *v, uint64_t packets)
{
    return v->ended || v->close_code != 0 || (packets > 0 && v->packets + v->told >= packets);
}

/* TLS may hold more than the socket says. */
static void on_readable(struct viewer *v)
{
    do {
        if (!receive(v)) {
            v->ended = true;
        } else if (v->is_plain) {
            on_stream(v, v->buffer, v->n);
            v->n = 0;
        } else {
            on_bytes(v);
        }
    } while (!v->ended && v->ssl != NULL && SSL_pending(v->ssl) > 0);
}

static void read_until(struct viewer *viewers, const struct wanted *wanted)
{
    struct pollfd *ready = calloc(VIEWERS_MAX, sizeof *ready);
    size_t left = ready != NULL ? 1 : 0;

    while (left > 0 && now_ns(CLOCK_MONOTONIC) < wanted->until_ns) {
        uint64_t rest_ms = (wanted->until_ns - now_ns(CLOCK_MONOTONIC)) / 1000000 + 1;
        left = 0;
        for (size_t i = 0; i < wanted->n_viewers; i++) {
            bool done = is_done(&viewers[i], wanted->packets);
            ready[i] = (struct pollfd){.fd = done ? -1 : viewers[i].fd, .events = POLLIN};
            left += done ? 0 : 1;
        }
        int n = poll(ready, wanted->n_viewers, asked_to_end ? QUIET_MS : (int)rest_ms);
        if (n == 0 && asked_to_end) {
            break;
        }
        for (size_t i = 0; n > 0 && i < wanted->n_viewers; i++) {
            if (ready[i].revents != 0) {
                on_readable(&viewers[i]);
            }
        }
    }
    free(ready);
}

static void on_term(int number)
{
    (void)number;
    asked_to_end = 1;
}

static void viewer_open(struct viewer *v, const struct wanted *wanted)
{
    v->buffer = malloc(BUFFER_BYTES);
    v->stream = malloc(2 * (size_t)BUFFER_BYTES);
    if (v->buffer == NULL || v->stream == NULL) {
        exit(1);
    }
    v->is_plain = strcmp(wanted->path, "-") == 0;
    v->is_stream = v->is_plain || strstr(wanted->path, "pcap") != NULL;
    dial(v, wanted);
    if (!v->is_plain) {
        upgrade(v, wanted);
    }
}

/* False: what is left of the command line makes no sense. */
static bool parse(int argc, char **argv, struct wanted *wanted)
{
    for (int option; (option = getopt(argc, argv, "n:st")) != -1;) {
        if (option == 't') {
            wanted->tls = SSL_CTX_new(TLS_client_method());
        } else if (option == 's') {
            is_by_stamp = true;
        } else if (option == 'n') {
            wanted->n_viewers = strtoul(optarg, NULL, 10);
        } else {
            return false;
        }
    }
    if (argc - optind < 3 || wanted->n_viewers < 1 || wanted->n_viewers > VIEWERS_MAX) {
        return false;
    }
    argv += optind;
    const char *colon = strchr(argv[0], ':');
    snprintf(wanted->address, sizeof wanted->address, "%.*s",
             colon != NULL ? (int)(colon - argv[0]) : 9, colon != NULL ? argv[0] : "127.0.0.1");
    wanted->port = (uint16_t)strtoul(colon == NULL ? argv[0] : colon + 1, NULL, 10);
    wanted->path = argv[1];
    wanted->packets = argc - optind > 3 ? strtoull(argv[3], NULL, 10) : 0;
    wanted->key = argc - optind > 4 ? argv[4] : NULL;
    return true;
}

int main(int argc, char **argv)
{
    struct wanted wanted = {.n_viewers = 1};

    if (!parse(argc, argv, &wanted)) {
        fprintf(stderr,
                "ws_viewer [-n COUNT] [-s] [-t] [ADDR:]PORT PATH|- SECONDS [PACKETS [KEY]]\n");
        return 2;
    }
    static struct viewer viewers[VIEWERS_MAX];
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
    for (size_t i = 0; i < wanted.n_viewers; i++) {
        viewer_open(&viewers[i], &wanted);
    }
    fprintf(stderr, "ready\n");
    for (size_t i = 0; i < wanted.n_viewers; i++) {
        on_bytes(&viewers[i]);
    }
    wanted.until_ns = now_ns(CLOCK_MONOTONIC) + (uint64_t)(strtod(argv[optind + 2], NULL) * 1e9);
    read_until(viewers, &wanted);
    report(viewers, wanted.n_viewers);
    return 0;
}
