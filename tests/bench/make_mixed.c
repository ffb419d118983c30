/* SPDX-License-Identifier: Apache-2.0
 *
 * make_mixed OUT BYTES [SEED]: writes a classic pcap file (nanoseconds, Ethernet) of about BYTES,
 * the same for the same seed: connections as an office sees them, many at a time. TCP with
 * handshake, data, acknowledgements and FIN; UDP like QUIC; DNS, ICMP and ARP; a fifth of it IPv6,
 * a twentieth in VLANs. Frames of 42 to 1514 bytes. Half of the connections carry text (HTTP, JSON,
 * log lines), half bytes that do not compress.
 * One TCP connection, 10.1.0.7:43210 to 198.18.99.99:443, is there in bursts of 20 packets, one in
 * every 200 MiB, so in less than 1 % of the file's MiBs; its client is a busy one, its server is in
 * no other connection.
 * Prints `packets N bytes N rare N average N`.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_ACTIVE   512u /* connections at a time */
#define N_CLIENTS  200u
#define N_SERVERS  4000u
#define TEXT_BYTES (4u * 1024u * 1024u)
#define MTU        1500u
#define RARE_EVERY (200u * 1024u * 1024u)
#define RARE_BURST 20u
#define START_NS   1760000000000000000u
#define MEAN_GAP   40000u /* ns between packets */
#define VLAN       5u     /* per cent of the connections */
#define IPV6       20u
#define N_KINDS    5u

enum kind { TCP, QUIC, DNS, PING, ARP };

struct flow {
    enum kind kind;
    bool ipv6;
    bool vlan;
    bool text;
    uint16_t client;
    uint16_t server;
    uint16_t client_port;
    uint16_t server_port;
    uint32_t seq[2];
    uint32_t step;
    uint32_t n_steps;
    uint32_t text_at;
};

struct maker {
    FILE *out;
    uint64_t random;
    uint64_t now_ns;
    uint64_t packets;
    uint64_t bytes;
    uint64_t rare;
    char *text;
    struct flow flows[N_ACTIVE];
    struct flow rare_flow;
    uint8_t frame[16 + 2048];
    uint32_t len;
};

/* xorshift64* (Vigna 2016). */
static uint64_t random_u64(struct maker *m)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return m->random * 0x2545f4914f6cdd1dull;
}

static uint32_t random_below(struct maker *m, uint32_t n)
{
    return (uint32_t)((random_u64(m) >> 32) * n >> 32);
}

static void make_text(struct maker *m)
{
    static const char *const words[] = {"GET /index.html HTTP/1.1\r\n",
                                        "Host: www.example.org\r\n",
                                        "Accept: */*\r\n",
                                        "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n",
                                        "Content-Type: application/json\r\n",
                                        "Cookie: session=",
                                        "{\"id\":",
                                        "\"name\":\"",
                                        "\",\"value\":",
                                        "},\n",
                                        "true",
                                        "null",
                                        "<div class=\"row\">",
                                        "</div>\n",
                                        "<a href=\"/",
                                        "\">",
                                        "INFO ",
                                        "WARN ",
                                        "request took ",
                                        " ms, status 200\n",
                                        "2026-01-02T03:04:05Z ",
                                        "the ",
                                        "packet ",
                                        "of ",
                                        "server ",
                                        "user ",
                                        "error ",
                                        "connection ",
                                        "and ",
                                        "time ",
                                        "to ",
                                        "from "};
    uint32_t at = 0;

    while (at < TEXT_BYTES - 64) {
        if (random_below(m, 3) == 0) {
            at += (uint32_t)snprintf(m->text + at, 24, "%" PRIu32, random_below(m, 1000000));
        } else {
            const char *word = words[random_below(m, sizeof words / sizeof words[0])];
            at += (uint32_t)snprintf(m->text + at, 64, "%s", word);
        }
    }
    memset(m->text + at, '\n', TEXT_BYTES - at);
}

static void put_u8(struct maker *m, unsigned v)
{
    m->frame[16 + m->len++] = (uint8_t)v;
}

static void put_be16(struct maker *m, unsigned v)
{
    put_u8(m, v >> 8);
    put_u8(m, v & 255u);
}

static void put_be32(struct maker *m, uint32_t v)
{
    put_be16(m, v >> 16);
    put_be16(m, v & 0xffffu);
}

static void put_address(struct maker *m, const struct flow *f, bool server)
{
    uint32_t host = server ? f->server : f->client;
    uint32_t v4 = server ? 0xc6120000u + host * 13u % 0xfff0u : 0x0a010000u + host;

    if (server && f == &m->rare_flow) {
        v4 = 0xc6126363u;
    }
    if (f->ipv6) {
        put_be32(m, server ? 0x20010db8u : 0xfd000001u);
        put_be32(m, server ? host * 2654435761u : 0);
        put_be32(m, 0);
    }
    put_be32(m, v4);
}

static uint32_t sum_words(const uint8_t *p, uint32_t n, uint32_t sum)
{
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    }
    return (n & 1u) != 0 ? sum + ((uint32_t)p[n - 1] << 8) : sum;
}

static void store_checksum(uint8_t *at, uint32_t sum)
{
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = ~((sum & 0xffffu) + (sum >> 16));
    at[0] = (uint8_t)(sum >> 8);
    at[1] = (uint8_t)sum;
}

static void put_ethernet(struct maker *m, const struct flow *f, bool answer, unsigned type)
{
    m->len = 0;
    for (int side = 0; side < 2; side++) {
        bool server = (side == 0) != answer;
        put_be16(m, 0x0200);
        put_be32(m, server ? 1u : 0x100u + f->client); /* servers are behind one router */
    }
    if (f->vlan) {
        put_be16(m, 0x8100);
        put_be16(m, 10u + f->client % 8u);
    }
    put_be16(m, type);
}

/* Ethernet and IP header for n bytes of protocol. Gives the sum over the pseudo header. */
static uint32_t put_ip(struct maker *m, const struct flow *f, bool answer, unsigned proto,
                       unsigned n)
{
    put_ethernet(m, f, answer, f->ipv6 ? 0x86dd : 0x0800);
    uint32_t at = m->len;
    if (f->ipv6) {
        put_be32(m, 0x60000000u);
        put_be16(m, n);
        put_u8(m, proto);
        put_u8(m, 63);
    } else {
        put_be16(m, 0x4500);
        put_be16(m, 20 + n);
        put_be16(m, (unsigned)(f->seq[answer] >> 3) & 0xffffu);
        put_be16(m, 0x4000);
        put_u8(m, answer ? 55 : 64);
        put_u8(m, proto);
        put_be16(m, 0);
    }
    uint32_t addresses = m->len;
    put_address(m, f, answer);
    put_address(m, f, !answer);
    uint8_t *ip = m->frame + 16 + at;
    if (!f->ipv6) {
        store_checksum(ip + 10, sum_words(ip, 20, 0));
    }
    return sum_words(m->frame + 16 + addresses, m->len - addresses, proto + n);
}

static void put_payload(struct maker *m, struct flow *f, uint32_t n)
{
    uint8_t *to = m->frame + 16 + m->len;

    if (f->text) {
        f->text_at = f->text_at + n < TEXT_BYTES ? f->text_at : random_below(m, TEXT_BYTES / 2);
        memcpy(to, m->text + f->text_at, n);
        f->text_at += n;
    } else {
        for (uint32_t i = 0; i < n; i += 8) {
            uint64_t v = random_u64(m);
            memcpy(to + i, &v, 8); /* the frame has room for the last seven */
        }
    }
    m->len += n;
}

/* TCP: three of handshake, data with every third packet a bare acknowledgement, two of FIN. */
static void make_tcp(struct maker *m, struct flow *f)
{
    bool opening = f->step < 3;
    bool closing = f->step + 2 >= f->n_steps;
    bool ack_only = !opening && !closing && f->step % 3 == 2;
    bool answer = opening ? f->step == 1 : closing ? f->step + 1 == f->n_steps : !ack_only;
    unsigned flags = f->step == 0 ? 0x02 : f->step == 1 ? 0x12 : closing ? 0x11 : 0x10;
    uint32_t n = 0;

    if (!opening && !closing && !ack_only) {
        if (f->step == 3) {
            answer = false; /* the request */
            n = 200 + random_below(m, 400);
        } else {
            n = random_below(m, 3) == 0 ? 1 + random_below(m, 1400) : f->ipv6 ? 1428 : 1448;
        }
        flags |= 0x08;
    }
    uint32_t sum = put_ip(m, f, answer, 6, 32 + n);
    uint32_t at = m->len;
    put_be16(m, answer ? f->server_port : f->client_port);
    put_be16(m, answer ? f->client_port : f->server_port);
    put_be32(m, f->seq[answer]);
    put_be32(m, f->step == 0 ? 0 : f->seq[!answer]);
    put_u8(m, 0x80);
    put_u8(m, flags);
    put_be32(m, 0x01f50000u); /* window, checksum */
    put_be16(m, 0);
    put_be32(m, 0x0101080au); /* time stamps (RFC 7323) */
    put_be32(m, (uint32_t)(m->now_ns / 1000000u) + f->client * 7919u);
    put_be32(m, (uint32_t)(m->now_ns / 1000000u) + f->server * 104729u);
    put_payload(m, f, n);
    uint8_t *tcp = m->frame + 16 + at;
    store_checksum(tcp + 16, sum_words(tcp, 32 + n, sum));
    f->seq[answer] += n + ((flags & 0x03u) != 0 ? 1 : 0);
}

static void make_udp(struct maker *m, struct flow *f, bool answer, uint32_t n)
{
    uint32_t sum = put_ip(m, f, answer, 17, 8 + n);
    uint32_t at = m->len;

    put_be16(m, answer ? f->server_port : f->client_port);
    put_be16(m, answer ? f->client_port : f->server_port);
    put_be16(m, 8 + n);
    put_be16(m, 0);
    if (f->kind == DNS) {
        put_be16(m, f->seq[0] & 0xffffu);
        put_be16(m, answer ? 0x8180 : 0x0100);
        put_be32(m, answer ? 0x00010001u : 0x00010000u);
        put_be32(m, 0);
        n -= 12;
    }
    put_payload(m, f, n);
    uint8_t *udp = m->frame + 16 + at;
    store_checksum(udp + 6, sum_words(udp, m->len - at, sum));
    f->seq[answer] += n;
}

static void make_ping(struct maker *m, struct flow *f)
{
    bool answer = f->step % 2 != 0;
    uint32_t sum = put_ip(m, f, answer, f->ipv6 ? 58 : 1, 64);
    uint32_t at = m->len;

    put_be32(m, f->ipv6 ? (answer ? 0x81000000u : 0x80000000u) : (answer ? 0 : 0x08000000u));
    put_be16(m, f->client_port);
    put_be16(m, f->step / 2 + 1);
    put_payload(m, f, 56);
    uint8_t *icmp = m->frame + 16 + at;
    store_checksum(icmp + 2, sum_words(icmp, 64, f->ipv6 ? sum : 0));
}

static void make_arp(struct maker *m, struct flow *f)
{
    bool answer = f->step % 2 != 0;

    f->ipv6 = false;
    put_ethernet(m, f, answer, 0x0806);
    put_be32(m, 0x00010800u);
    put_be16(m, 0x0604);
    put_be16(m, answer ? 2 : 1);
    for (int side = 0; side < 2; side++) {
        put_be16(m, 0x0200);
        put_be32(m, (side == 0) != answer ? 0x100u + f->client : 1u);
        put_be32(m, (side == 0) != answer ? 0x0a010000u + f->client : 0x0a0100feu);
    }
}

/* A popular few and a long tail. */
static uint16_t pick(struct maker *m, uint32_t n)
{
    uint32_t range = random_below(m, 4) == 0 ? n : n / 20 + 1;

    return (uint16_t)(1 + random_below(m, range));
}

static void new_flow(struct maker *m, struct flow *f)
{
    static const struct {
        enum kind kind;
        uint16_t port;
        uint16_t steps;
    } kinds[N_KINDS] = {{TCP, 443, 120}, {QUIC, 443, 80}, {DNS, 53, 2}, {PING, 0, 10}, {ARP, 0, 2}};
    uint32_t roll = random_below(m, 100);
    uint32_t i = roll < 45 ? 0 : roll < 60 ? 1 : roll < 90 ? 2 : roll < 95 ? 3 : 4;

    *f = (struct flow){.kind = kinds[i].kind, .server_port = kinds[i].port};
    f->n_steps = kinds[i].steps;
    if (i < 2) {
        f->n_steps = 8 + random_below(m, f->n_steps * 2u);
    }
    f->ipv6 = random_below(m, 100) < IPV6;
    f->vlan = random_below(m, 100) < VLAN;
    f->text = f->kind != QUIC && random_below(m, 100) < 55;
    if (f->kind == TCP && f->text) {
        f->server_port = random_below(m, 2) == 0 ? 80 : 8080;
    }
    f->client = pick(m, N_CLIENTS);
    f->server = f->kind == DNS ? (uint16_t)(1 + random_below(m, 2)) : pick(m, N_SERVERS);
    f->client_port = (uint16_t)(32768 + random_below(m, 28000));
    f->seq[0] = (uint32_t)random_u64(m);
    f->seq[1] = (uint32_t)random_u64(m);
    f->text_at = random_below(m, TEXT_BYTES / 2);
}

static bool write_frame(struct maker *m)
{
    uint64_t ns = m->now_ns;
    uint32_t record[4] = {(uint32_t)(ns / 1000000000u), (uint32_t)(ns % 1000000000u), m->len,
                          m->len};

    memcpy(m->frame, record, sizeof record);
    m->packets++;
    m->bytes += 16 + m->len;
    m->now_ns += 1 + random_below(m, 2 * MEAN_GAP);
    return fwrite(m->frame, 1, 16 + m->len, m->out) == 16 + m->len;
}

static bool make_packet(struct maker *m, struct flow *f)
{
    bool answer = f->step % 2 != 0;

    switch (f->kind) {
    case TCP:
        make_tcp(m, f);
        break;
    case QUIC:
        answer = f->step % 4 != 0;
        make_udp(m, f, answer, answer ? 1000 + random_below(m, 200) : 40 + random_below(m, 60));
        break;
    case DNS:
        make_udp(m, f, answer, answer ? 60 + random_below(m, 300) : 30 + random_below(m, 30));
        break;
    case PING:
        make_ping(m, f);
        break;
    case ARP:
        make_arp(m, f);
        break;
    }
    f->step++;
    return write_frame(m);
}

static bool make_all(struct maker *m, uint64_t wanted)
{
    uint64_t next_rare = wanted < RARE_EVERY ? wanted / 2 : RARE_EVERY / 2;
    bool good = true;

    for (uint32_t i = 0; i < N_ACTIVE; i++) {
        new_flow(m, &m->flows[i]);
        m->flows[i].step = random_below(m, m->flows[i].n_steps);
    }
    while (good && m->bytes < wanted) {
        struct flow *f = &m->flows[random_below(m, N_ACTIVE)];
        if (f->step >= f->n_steps) {
            new_flow(m, f);
        }
        good = make_packet(m, f);
        for (uint32_t i = 0; good && m->bytes >= next_rare && i < RARE_BURST; i++) {
            good = make_packet(m, &m->rare_flow);
            m->rare++;
        }
        next_rare += m->bytes >= next_rare ? RARE_EVERY : 0;
    }
    return good;
}

int main(int argc, char **argv)
{
    static struct maker m;
    static const uint32_t header[6] = {0xa1b23c4du, 2u | 4u << 16, 0, 0, 262144, 1};
    uint64_t wanted = argc >= 3 ? strtoull(argv[2], NULL, 10) : 0;

    if (wanted == 0) {
        fprintf(stderr, "usage: make_mixed OUT BYTES [SEED]\n");
        return 2;
    }
    m.random = argc > 3 ? strtoull(argv[3], NULL, 10) * 2 + 1 : 20260101;
    m.now_ns = START_NS;
    m.rare_flow = (struct flow){.kind = TCP, .client = 7, .client_port = 43210, .server_port = 443};
    m.rare_flow.n_steps = UINT32_MAX;
    m.text = malloc(TEXT_BYTES);
    m.out = fopen(argv[1], "wb");
    if (m.text == NULL || m.out == NULL || fwrite(header, sizeof header, 1, m.out) != 1) {
        fprintf(stderr, "make_mixed: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    make_text(&m);
    bool good = make_all(&m, wanted);
    if (fclose(m.out) != 0 || !good) {
        fprintf(stderr, "make_mixed: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    free(m.text);
    printf("packets %" PRIu64 " bytes %" PRIu64 " rare %" PRIu64 " average %" PRIu64 "\n",
           m.packets, m.bytes, m.rare, m.bytes / m.packets - 16);
    return 0;
}
