/* SPDX-License-Identifier: Apache-2.0
 *
 * What the index rules out, how large it is, and which bytes it consists of. That it never rules
 * out too much is test_index_sound.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/packet/iface.h"
#include "shared/store/index.h"
#include "shared/store/index_keys.h"
#include "tests/support/index_random.h"

#define FRAME_PACKETS 3000
#define PACKET_BYTES  330 /* on average, as in mixed captures */
#define CAP           (FRAME_PACKETS * PACKET_BYTES / 100)
#define FRAMES        100
#define BLOOM_MAX     65536

struct tuple {
    uint32_t src, dst;
    uint16_t sport, dport;
    uint8_t proto;
};

#define TCP_BYTES 54

static void put_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put_be32(uint8_t *p, uint32_t v)
{
    put_be16(p, v >> 16);
    put_be16(p + 2, v);
}

static void make_packet(const struct tuple *t, uint8_t out[TCP_BYTES])
{
    memset(out, 0, TCP_BYTES);
    out[5] = 1;
    out[11] = 2;
    out[12] = 8;
    out[14] = 0x45;
    out[23] = t->proto;
    put_be32(out + 26, t->src);
    put_be32(out + 30, t->dst);
    put_be16(out + 34, t->sport);
    put_be16(out + 36, t->dport);
}

static void add(struct index_builder *b, const struct tuple *t)
{
    uint8_t bytes[TCP_BYTES];
    struct packet_view view = {.data = bytes, .caplen = TCP_BYTES, .len = PACKET_BYTES};

    make_packet(t, bytes);
    index_builder_add(b, &view, LINK_ETHERNET);
}

/* A client of a private network and a server somewhere, about ten packets a flow. */
static struct tuple random_flow(struct random_source *r)
{
    static const uint16_t ports[] = {80, 443, 443, 443, 53, 22, 8080};
    return (struct tuple){
        .src = 0x0a000000 | random_below(r, 500),
        .dst = 0x20000000 | random_below(r, 200000),
        .sport = (uint16_t)(32768 + random_below(r, 28000)),
        .dport = ports[random_below(r, ARRAY_LEN(ports))],
        .proto = random_below(r, 5) == 0 ? 17 : 6,
    };
}

static void add_traffic(struct index_builder *b, struct random_source *r, uint32_t n_flows)
{
    for (uint32_t i = 0; i < n_flows; i++) {
        struct tuple t = random_flow(r);
        struct tuple back = {t.dst, t.src, t.dport, t.sport, t.proto};
        for (uint32_t j = 0; j < FRAME_PACKETS / n_flows; j++) {
            add(b, j % 2 == 0 ? &t : &back);
        }
    }
}

static struct index_query *query_of(const char *expression, uint32_t link_type)
{
    struct filter *filter;
    struct err err;
    uint32_t n;

    if (filter_new(expression, link_type, &filter, &err) != 0) {
        fail_msg("%s", err.text);
    }
    const struct filter_insn *program = filter_program(filter, &n);
    struct index_query *q = index_query_new(program, n, link_type);
    filter_free(filter);
    return q;
}

struct frames {
    uint8_t bloom[FRAMES][BLOOM_MAX];
    size_t bytes[FRAMES];
};

static struct frames *frames;

/* 300 flows a frame, the usual fill; the flow that is looked for is in no frame. */
static int make_frames(void **state)
{
    struct index_builder *b = index_builder_new();
    struct random_source r = {.state = 7};

    (void)state;
    frames = x_alloc(sizeof *frames);
    for (int f = 0; f < FRAMES; f++) {
        index_builder_reset(b);
        add_traffic(b, &r, 300);
        frames->bytes[f] = index_builder_finish(b, frames->bloom[f], CAP);
    }
    index_builder_free(b);
    return 0;
}

static int free_frames(void **state)
{
    (void)state;
    mem_free(frames);
    return 0;
}

static int n_maybe(const char *expression)
{
    struct index_query *q = query_of(expression, LINK_ETHERNET);
    int n = 0;

    for (int f = 0; f < FRAMES; f++) {
        n += index_query_maybe(q, frames->bloom[f], frames->bytes[f]) ? 1 : 0;
    }
    index_query_free(q);
    return n;
}

static void frames_without_the_flow_are_ruled_out(void **state)
{
    static const char *const questions[] = {
        /* A flow whose addresses and ports occur one by one. */
        "tcp and src host 10.0.0.7 and src port 40000 and dst host 32.0.0.9 and dst port 443",
        "tcp and host 10.0.0.7 and host 32.0.0.9 and port 40000 and port 443",
        "host 172.16.0.1",
        "net 172.16.0.0/16",
        "net 172.16.3.0/25",
        "tcp port 9999",
        "port 9999",
        "udp port 9999 or tcp port 9998",
        "host 172.16.0.1 and port 443",
        "host 172.16.0.1 and tcp[13] & 2 != 0",
        "vlan 5",
        "ip6",
        "icmp",
        "arp",
        "ip6 host fe80::1",
        "ip6 net fe80::/64",
        "ether host 02:00:00:00:00:09",
        "sctp port 80",
        "(host 172.16.0.1 or host 172.16.0.2) and not port 443",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        int n = n_maybe(questions[i]);
        if (n > FRAMES / 20) {
            fail_msg("%d of %d frames may hold: %s", n, FRAMES, questions[i]);
        }
    }
}

static void what_is_in_every_frame_is_scanned(void **state)
{
    (void)state;
    assert_int_equal(n_maybe("tcp port 443"), FRAMES);
    assert_int_equal(n_maybe("net 10.0.0.0/16"), FRAMES);
    assert_int_equal(n_maybe("tcp"), FRAMES);
    assert_int_equal(n_maybe("not host 10.0.0.1"), FRAMES);
    assert_int_equal(n_maybe("tcp[13] & 2 != 0"), FRAMES);
}

static void a_frame_is_found_among_a_hundred(void **state)
{
    struct index_builder *b = index_builder_new();
    struct random_source r = {.state = 8};
    struct tuple wanted = {0x0a000007, 0x20000009, 40000, 443, 6};
    uint8_t bloom[CAP];

    (void)state;
    add_traffic(b, &r, 299);
    add(b, &wanted);
    size_t n = index_builder_finish(b, bloom, sizeof bloom);
    struct index_query *q =
        query_of("tcp and host 10.0.0.7 and host 32.0.0.9 and port 40000 and port 443", 1);
    assert_true(index_query_maybe(q, bloom, n));
    assert_false(index_query_is_open(q));
    index_query_free(q);
    index_builder_free(b);
}

static void the_filter_stays_below_one_percent_and_below_its_cap(void **state)
{
    struct index_builder *b = index_builder_new();
    uint8_t *out = x_alloc(BLOOM_MAX);
    struct random_source r = {.state = 9};

    (void)state;
    for (int f = 0; f < FRAMES; f++) {
        assert_in_range(frames->bytes[f], 100, CAP / 2);
    }
    static const uint32_t n_flows[] = {1, 30, 300, 3000};
    for (size_t i = 0; i < ARRAY_LEN(n_flows); i++) {
        index_builder_reset(b);
        add_traffic(b, &r, n_flows[i]);
        for (size_t cap = 0; cap < CAP; cap = cap * 2 + 1) {
            memset(out, 0xa5, BLOOM_MAX);
            size_t n = index_builder_finish(b, out, cap);
            assert_true(n <= cap);
            for (size_t at = cap; at < cap + 16; at++) {
                assert_int_equal(out[at], 0xa5);
            }
        }
    }
    mem_free(out);
    index_builder_free(b);
}

/* Every packet another flow between two hosts, as a flood makes them: the flows do not fit, and the
 * ports still rule out. */
static void when_flows_do_not_fit_the_other_kinds_still_rule_out(void **state)
{
    struct index_builder *b = index_builder_new();
    uint8_t bloom[8000];

    (void)state;
    for (uint32_t i = 0; i < 7000; i++) {
        struct tuple t = {0x0a000001, 0x0a000002, (uint16_t)(1000 + i), 9, 17};
        add(b, &t);
    }
    size_t n = index_builder_finish(b, bloom, sizeof bloom);
    assert_true(n > 0);
    assert_int_equal(bloom[2] & 1 << INDEX_FLOW, 0);
    assert_int_equal(bloom[2] & 1 << INDEX_PORT, 1 << INDEX_PORT);

    int maybe = 0;
    for (int port = 10000; port < 10200; port++) {
        char text[128];
        snprintf(text, sizeof text,
                 "udp and src host 10.0.0.1 and src port %d and dst host 10.0.0.2 and dst port 9",
                 port);
        struct index_query *q = query_of(text, LINK_ETHERNET);
        maybe += index_query_maybe(q, bloom, n) ? 1 : 0;
        index_query_free(q);
    }
    assert_in_range(maybe, 0, 10);
    index_builder_free(b);
}

static void more_keys_than_are_kept_give_maybe_for_their_kinds_only(void **state)
{
    struct index_builder *b = index_builder_new();
    uint8_t *bloom = x_alloc(1u << 20);

    (void)state;
    for (uint32_t i = 0; i < 200000; i++) {
        struct tuple t = {i * 2654435761u, 0x0a000002, (uint16_t)(i % 50), 9, 17};
        add(b, &t);
    }
    size_t n = index_builder_finish(b, bloom, 1u << 20);
    assert_int_equal(bloom[2] & 1 << INDEX_ADDR, 0);
    struct index_query *host = query_of("host 1.2.3.4", LINK_ETHERNET);
    struct index_query *port = query_of("udp port 9999", LINK_ETHERNET);
    assert_true(index_query_maybe(host, bloom, n));
    assert_false(index_query_maybe(port, bloom, n));

    index_builder_reset(b); /* and after it nothing is left of the flood */
    add(b, &(struct tuple){0x0a000001, 0x0a000002, 9, 9, 17});
    n = index_builder_finish(b, bloom, 1u << 20);
    assert_false(index_query_maybe(host, bloom, n));
    index_query_free(host);
    index_query_free(port);
    mem_free(bloom);
    index_builder_free(b);
}

/* The format is in files: these bytes may change only together with INDEX_VERSION. */
static void the_bytes_of_a_filter_are_what_they_always_were(void **state)
{
    static const uint8_t expected[] = {0x01, 0x05, 0x7f, 0x00, 0xb2, 0xa0, 0x30,
                                       0x16, 0x29, 0x69, 0x90, 0x08, 0x04, 0xea,
                                       0x8a, 0x84, 0x8d, 0x04, 0x28, 0x0d, 0x44};
    struct index_builder *b = index_builder_new();
    uint8_t bloom[64];

    (void)state;
    add(b, &(struct tuple){0x0a000001, 0x0a000002, 1234, 80, 6});
    size_t n = index_builder_finish(b, bloom, sizeof bloom);
    assert_int_equal(n, sizeof expected);
    assert_memory_equal(bloom, expected, sizeof expected);
    index_builder_free(b);
}

static void bytes_of_another_version_or_none_mean_maybe(void **state)
{
    struct index_builder *b = index_builder_new();
    struct index_query *q = query_of("host 1.2.3.4", LINK_ETHERNET);
    uint8_t bloom[64];

    (void)state;
    add(b, &(struct tuple){0x0a000001, 0x0a000002, 1234, 80, 6});
    size_t n = index_builder_finish(b, bloom, sizeof bloom);
    assert_false(index_query_maybe(q, bloom, n));
    assert_true(index_query_maybe(q, NULL, 0));
    assert_true(index_query_maybe(q, bloom, 4));
    for (int version = 0; version < 256; version++) {
        bloom[0] = (uint8_t)version;
        assert_int_equal(index_query_maybe(q, bloom, n), version != INDEX_VERSION);
    }
    bloom[0] = INDEX_VERSION;
    bloom[1] = 0;
    assert_true(index_query_maybe(q, bloom, n));
    bloom[1] = 9;
    assert_true(index_query_maybe(q, bloom, n));
    index_query_free(q);
    index_builder_free(b);
}

static void queries_that_narrow_nothing_are_open(void **state)
{
    static const char *const open[] = {"less 60", "not tcp", "ip6 protochain 6", "tcp or len > 9"};
    struct index_query *q = index_query_new(NULL, 0, LINK_ETHERNET);

    (void)state;
    assert_true(index_query_is_open(q));
    assert_true(index_query_maybe(q, NULL, 0));
    index_query_free(q);
    index_query_free(NULL);
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        q = query_of(open[i], LINK_ETHERNET);
        assert_true(index_query_is_open(q));
        index_query_free(q);
    }
    q = query_of("host 10.0.0.1", 105); /* 802.11: keys are not taken from it */
    assert_true(index_query_is_open(q));
    index_query_free(q);
}

static void a_program_that_accepts_nothing_rules_out_every_frame(void **state)
{
    static const struct filter_insn reject[] = {{.code = 0x06, .k = 0}};
    struct index_query *q = index_query_new(reject, 1, LINK_ETHERNET);

    (void)state;
    assert_false(index_query_is_open(q));
    assert_int_equal(index_query_alternatives(q), 0);
    assert_false(index_query_maybe(q, frames->bloom[0], frames->bytes[0]));
    index_query_free(q);
}

static void programs_that_make_no_sense_are_open(void **state)
{
    static const struct filter_insn programs[][2] = {
        {{.code = 0x05, .k = 0xfffffffe}, {.code = 0x06, .k = 1}},            /* backward */
        {{.code = 0x15, .jt = 200, .jf = 0, .k = 1}, {.code = 0x06, .k = 1}}, /* out of it */
        {{.code = 0x28, .k = 12}, {.code = 0x28, .k = 12}},                   /* no return */
        {{.code = 0xff, .k = 12}, {.code = 0x06, .k = 1}},                    /* no such code */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        struct index_query *q = index_query_new(programs[i], 2, LINK_ETHERNET);
        assert_true(index_query_is_open(q));
        index_query_free(q);
    }
}

/* ld #5, if A op k goto reject, ldh [12], jeq #0x800, accept. */
static void jumps_on_constants_are_decided(void **state)
{
    static const struct {
        uint16_t op;
        uint32_t k;
        size_t n_ways;
    } cases[] = {
        {0x15, 5, 0}, {0x15, 6, 1}, {0x25, 4, 0}, {0x25, 5, 1}, {0x35, 5, 0},
        {0x35, 6, 1}, {0x45, 4, 0}, {0x45, 2, 1}, {0x1d, 5, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct filter_insn program[] = {
            {.code = 0x00, .k = 5},  {.code = cases[i].op, .jt = 3, .jf = 0, .k = cases[i].k},
            {.code = 0x28, .k = 12}, {.code = 0x15, .jt = 0, .jf = 1, .k = 0x800},
            {.code = 0x06, .k = 1},  {.code = 0x06, .k = 0},
        };
        struct index_query *q = index_query_new(program, ARRAY_LEN(program), LINK_ETHERNET);
        assert_false(index_query_is_open(q));
        assert_int_equal(index_query_alternatives(q), cases[i].n_ways);
        index_query_free(q);
    }
}

/* Each pair of instructions doubles the ways, two thousand times over; what all ways have in common
 * is kept. */
static void a_program_of_countless_ways_is_read_in_time(void **state)
{
    enum { N = 4096 };
    struct filter_insn *program = x_alloc(N * sizeof *program);
    struct index_builder *b = index_builder_new();
    uint8_t bloom[64];

    (void)state;
    program[0] = (struct filter_insn){.code = 0x28, .k = 12};
    program[1] = (struct filter_insn){.code = 0x15, .jt = 1, .k = 0x88cc};
    program[2] = (struct filter_insn){.code = 0x06, .k = 0};
    for (uint32_t i = 3; i + 2 < N; i += 2) {
        program[i] = (struct filter_insn){.code = 0x28, .k = 1000 + i};
        program[i + 1] = (struct filter_insn){.code = 0x15, .k = 7};
    }
    program[N - 1] = (struct filter_insn){.code = 0x06, .k = 1};
    struct index_query *q = index_query_new(program, N, LINK_ETHERNET);
    assert_false(index_query_is_open(q));
    assert_int_equal(index_query_alternatives(q), 1);
    add(b, &(struct tuple){0x0a000001, 0x0a000002, 1234, 80, 6});
    assert_false(index_query_maybe(q, bloom, index_builder_finish(b, bloom, sizeof bloom)));
    index_query_free(q);
    index_builder_free(b);
    mem_free(program);
}

static void a_filter_of_many_hosts_still_narrows(void **state)
{
    char *text = x_alloc(64 * 1024);
    size_t at = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        at += (size_t)snprintf(text + at, 64, "%shost 172.16.%d.%d", i > 0 ? " or " : "(", i / 250,
                               i % 250);
    }
    snprintf(text + at, 64, ") and (tcp port 443 or udp port 53)");
    struct index_query *q = query_of(text, LINK_ETHERNET);
    assert_false(index_query_is_open(q));
    index_query_free(q);
    assert_in_range(n_maybe(text), 0, FRAMES / 2);
    mem_free(text);
}

static void tally_one(struct index_builder *b, uint32_t ethertype, const uint8_t *net, size_t n)
{
    uint8_t bytes[128] = {0};
    struct packet_view view = {.data = bytes, .caplen = 100, .len = 100};

    put_be16(bytes + 12, ethertype);
    memcpy(bytes + 14, net, n);
    index_builder_add(b, &view, LINK_ETHERNET);
}

static void packets_are_tallied_by_protocol(void **state)
{
    static const uint8_t arp[] = {0, 1, 8, 0, 6, 4, 0, 1};
    static const uint8_t vlan_udp[] = {0, 5, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17};
    uint8_t ip4[20] = {0x45, 0, 0, 40};
    uint8_t ip6[48] = {0x60, 0, 0, 0, 0, 8};
    struct index_builder *b = index_builder_new();

    (void)state;
    index_builder_reset(b);
    for (int i = 0; i < 3; i++) { /* also when the flow was seen before */
        ip4[9] = 6;
        tally_one(b, 0x0800, ip4, sizeof ip4);
    }
    ip4[9] = 17;
    tally_one(b, 0x0800, ip4, sizeof ip4);
    tally_one(b, 0x8100, vlan_udp, sizeof vlan_udp);
    ip4[9] = 1;
    tally_one(b, 0x0800, ip4, sizeof ip4);
    ip6[6] = 58;
    tally_one(b, 0x86dd, ip6, sizeof ip6);
    ip6[6] = 0; /* hop-by-hop, and behind it TCP */
    ip6[40] = 6;
    tally_one(b, 0x86dd, ip6, sizeof ip6);
    tally_one(b, 0x0806, arp, sizeof arp);
    ip4[9] = 47;
    tally_one(b, 0x0800, ip4, sizeof ip4);
    tally_one(b, 0x88cc, arp, sizeof arp);
    const struct protocol_tally *tally = index_builder_tally(b);
    assert_int_equal(tally->packets[PROTOCOL_TCP], 4);
    assert_int_equal(tally->packets[PROTOCOL_UDP], 2);
    assert_int_equal(tally->packets[PROTOCOL_ICMP], 2);
    assert_int_equal(tally->packets[PROTOCOL_ARP], 1);
    assert_int_equal(tally->packets[PROTOCOL_OTHER], 2);
    assert_int_equal(tally->bytes[PROTOCOL_TCP], 400);
    index_builder_reset(b);
    assert_int_equal(index_builder_tally(b)->packets[PROTOCOL_TCP], 0);
    index_builder_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_tallied_by_protocol),
        cmocka_unit_test(frames_without_the_flow_are_ruled_out),
        cmocka_unit_test(what_is_in_every_frame_is_scanned),
        cmocka_unit_test(a_frame_is_found_among_a_hundred),
        cmocka_unit_test(the_filter_stays_below_one_percent_and_below_its_cap),
        cmocka_unit_test(when_flows_do_not_fit_the_other_kinds_still_rule_out),
        cmocka_unit_test(more_keys_than_are_kept_give_maybe_for_their_kinds_only),
        cmocka_unit_test(the_bytes_of_a_filter_are_what_they_always_were),
        cmocka_unit_test(bytes_of_another_version_or_none_mean_maybe),
        cmocka_unit_test(queries_that_narrow_nothing_are_open),
        cmocka_unit_test(a_program_that_accepts_nothing_rules_out_every_frame),
        cmocka_unit_test(programs_that_make_no_sense_are_open),
        cmocka_unit_test(jumps_on_constants_are_decided),
        cmocka_unit_test(a_program_of_countless_ways_is_read_in_time),
        cmocka_unit_test(a_filter_of_many_hosts_still_narrows),
    };

    return cmocka_run_group_tests(tests, make_frames, free_frames);
}
