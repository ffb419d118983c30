/* SPDX-License-Identifier: Apache-2.0
 *
 * What the index costs: nanoseconds a packet for building it, by the number of flows in a frame of
 * 1 MiB (the best of many rounds), its size, and nanoseconds a frame for asking it. Prints a
 * table; judges nothing.
 */
#include <stdio.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/packet/iface.h"
#include "shared/store/index.h"
#include "tests/support/index_random.h"

#define PACKETS      3000
#define PACKET_BYTES 330
#define ROUNDS       200
#define ASKED        100000

struct packet {
    uint8_t bytes[64];
};

static void make_ip4(struct packet *p, struct random_source *r)
{
    uint64_t addrs = random_u64(r);
    uint32_t ports = (uint32_t)random_u64(r);

    memset(p, 0, sizeof *p);
    p->bytes[12] = 8;
    p->bytes[14] = 0x45;
    p->bytes[23] = 6;
    memcpy(p->bytes + 26, &addrs, 8);
    memcpy(p->bytes + 34, &ports, 4);
}

static void make_ip6(struct packet *p, struct random_source *r)
{
    memset(p, 0, sizeof *p);
    p->bytes[12] = 0x86;
    p->bytes[13] = 0xdd;
    p->bytes[14] = 0x60;
    p->bytes[20] = 17;
    for (size_t at = 22; at < 54; at += 8) {
        uint64_t word = random_u64(r);
        memcpy(p->bytes + at, &word, 8);
    }
    p->bytes[55] = 53;
    p->bytes[57] = 99;
}

static void measure(const char *name, uint32_t n_flows,
                    void (*make)(struct packet *p, struct random_source *r))
{
    struct random_source r = {.state = 1};
    struct packet *flows = x_alloc(n_flows * sizeof *flows);
    uint32_t *order = x_alloc(PACKETS * sizeof *order);
    struct index_builder *b = index_builder_new();
    uint8_t out[PACKETS * PACKET_BYTES / 100];
    uint64_t add_ns = UINT64_MAX, finish_ns = UINT64_MAX;
    size_t n = 0;

    for (uint32_t i = 0; i < n_flows; i++) {
        make(&flows[i], &r);
    }
    for (uint32_t i = 0; i < PACKETS; i++) {
        order[i] = i < n_flows ? i : random_below(&r, n_flows);
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = clock_monotonic_ns();
        index_builder_reset(b);
        for (uint32_t i = 0; i < PACKETS; i++) {
            struct packet_view view = {
                .data = flows[order[i]].bytes, .caplen = 64, .len = PACKET_BYTES};
            index_builder_add(b, &view, LINK_ETHERNET);
        }
        uint64_t middle = clock_monotonic_ns();
        n = index_builder_finish(b, out, sizeof out);
        uint64_t end = clock_monotonic_ns();
        finish_ns = end - middle < finish_ns ? end - middle : finish_ns;
        add_ns = middle - start < add_ns ? middle - start : add_ns;
    }
    printf("%-6s %6u %14.1f %17.1f %10zu %8.2f\n", name, n_flows, (double)add_ns / PACKETS,
           (double)finish_ns / PACKETS, n, 100.0 * (double)n / PACKETS / PACKET_BYTES);
    index_builder_free(b);
    mem_free(order);
    mem_free(flows);
}

static void measure_query(const char *expression)
{
    struct random_source r = {.state = 2};
    struct index_builder *b = index_builder_new();
    uint8_t out[PACKETS * PACKET_BYTES / 100];
    struct filter *filter;
    uint32_t n_insns;
    unsigned n_maybe = 0;

    for (int i = 0; i < 300; i++) {
        struct packet p;
        make_ip4(&p, &r);
        struct packet_view view = {.data = p.bytes, .caplen = 64, .len = PACKET_BYTES};
        index_builder_add(b, &view, LINK_ETHERNET);
    }
    size_t n = index_builder_finish(b, out, sizeof out);
    REQUIRE(filter_new(expression, LINK_ETHERNET, &filter, NULL) == 0);
    const struct filter_insn *program = filter_program(filter, &n_insns);
    uint64_t start = clock_monotonic_ns();
    struct index_query *q = index_query_new(program, n_insns, LINK_ETHERNET);
    uint64_t middle = clock_monotonic_ns();
    for (int i = 0; i < ASKED; i++) {
        n_maybe += index_query_maybe(q, out, n) ? 1 : 0;
    }
    uint64_t end = clock_monotonic_ns();
    printf("%10.1f %10.1f %6zu  %s%s\n", (double)(middle - start) / 1000,
           (double)(end - middle) / ASKED, index_query_alternatives(q), expression,
           n_maybe > 0 ? " (maybe)" : "");
    index_query_free(q);
    filter_free(filter);
    index_builder_free(b);
}

int main(void)
{
    static const uint32_t n_flows[] = {1, 30, 300, 1000, 3000};

    printf("%d packets of %d bytes a frame\n", PACKETS, PACKET_BYTES);
    puts("         flows  ns/packet add  ns/packet finish      bytes  percent");
    for (size_t i = 0; i < ARRAY_LEN(n_flows); i++) {
        measure("IPv4", n_flows[i], make_ip4);
        measure("IPv6", n_flows[i], make_ip6);
    }
    puts("    us new   ns/frame  ways");
    measure_query("tcp and src host 10.0.0.1 and src port 4 and dst host 10.0.0.2 and dst port 5");
    measure_query("host 10.0.0.1 and host 10.0.0.2 and tcp and port 4 and port 5");
    measure_query("host 10.0.0.1");
    measure_query("tcp port 80");
    measure_query("not tcp");
    return 0;
}
