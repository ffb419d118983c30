/* SPDX-License-Identifier: Apache-2.0
 *
 * The index must never lose a packet: whenever a filter matches a packet, the query made of that
 * filter must say "maybe" of every index that was built over the packet. Random filters against
 * random packets; PR_SEED and PR_ROUNDS in the environment repeat and lengthen a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/packet/decode.h"
#include "shared/packet/iface.h"
#include "shared/store/index.h"
#include "tests/support/index_random.h"

#define PACKETS     150 /* of each link type */
#define BLOOM_MAX   1024
#define FRAME_EVERY 10 /* packets in one of the frames that hold several */

struct sample {
    uint8_t bytes[RANDOM_PACKET_MAX];
    struct packet_view view;
    uint8_t bloom[BLOOM_MAX]; /* over this packet alone */
    size_t bloom_bytes;
    uint8_t tight[24]; /* the same with next to no room, so that kinds are left out */
    size_t tight_bytes;
};

struct pool {
    uint32_t link_type;
    struct sample samples[PACKETS];
    uint8_t frames[PACKETS / FRAME_EVERY][BLOOM_MAX];
    size_t frame_bytes[PACKETS / FRAME_EVERY];
};

static const uint32_t link_types[] = {LINK_ETHERNET, LINK_ETHERNET, LINK_RAW,  LINK_IPV4,
                                      LINK_IPV6,     LINK_NULL,     LINK_LOOP, LINK_SLL,
                                      LINK_SLL2,     LINK_PPP,      105 /* 802.11: unknown */};

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void fill_pool(struct random_source *r, struct index_builder *builder, struct pool *pool)
{
    for (size_t i = 0; i < PACKETS; i++) {
        struct sample *s = &pool->samples[i];
        uint32_t n = random_packet(r, pool->link_type, s->bytes);
        s->view = (struct packet_view){.data = s->bytes, .caplen = n, .len = n};
        if (random_below(r, 10) == 0) {
            s->view.len += 100;
        }
        index_builder_reset(builder);
        index_builder_add(builder, &s->view, pool->link_type);
        s->bloom_bytes = index_builder_finish(builder, s->bloom, BLOOM_MAX);
        s->tight_bytes = index_builder_finish(builder, s->tight, 5 + random_below(r, 19));
    }
    for (size_t f = 0; f < PACKETS / FRAME_EVERY; f++) {
        index_builder_reset(builder);
        for (size_t i = 0; i < FRAME_EVERY; i++) {
            struct sample *s = &pool->samples[f * FRAME_EVERY + i];
            index_builder_add(builder, &s->view, pool->link_type);
        }
        pool->frame_bytes[f] = index_builder_finish(builder, pool->frames[f], BLOOM_MAX);
    }
}

struct tally {
    uint64_t filters, refused, matches, ruled_out, open;
};

static void check(const struct pool *pool, const struct filter *filter, const char *text,
                  struct tally *tally)
{
    uint32_t n;
    const struct filter_insn *program = filter_program(filter, &n);
    struct index_query *q = index_query_new(program, n, pool->link_type);

    tally->filters++;
    tally->open += index_query_is_open(q) ? 1 : 0;
    for (size_t i = 0; i < PACKETS; i++) {
        const struct sample *s = &pool->samples[i];
        size_t f = i / FRAME_EVERY;
        bool maybe = index_query_maybe(q, s->bloom, s->bloom_bytes);
        if (!filter_matches(filter, &s->view)) {
            tally->ruled_out += maybe ? 0 : 1;
            continue;
        }
        tally->matches++;
        if (!maybe || !index_query_maybe(q, s->tight, s->tight_bytes) ||
            !index_query_maybe(q, pool->frames[f], pool->frame_bytes[f])) {
            fail_msg("link type %u, packet %zu: the index misses a match of: %s", pool->link_type,
                     i, text);
        }
    }
    index_query_free(q);
}

static void no_packet_that_a_filter_matches_is_ruled_out(void **state)
{
    uint64_t seed = from_environment("PR_SEED", 20240601);
    uint64_t rounds = from_environment("PR_ROUNDS", 3000);
    struct random_source r = {.state = seed};
    struct index_builder *builder = index_builder_new();
    struct pool *pools = x_alloc(ARRAY_LEN(link_types) * sizeof *pools);
    struct tally tally = {0};

    (void)state;
    print_message("PR_SEED=%llu PR_ROUNDS=%llu\n", (unsigned long long)seed,
                  (unsigned long long)rounds);
    for (uint64_t round = 0; round < rounds; round++) {
        if (round % 1000 == 0) {
            for (size_t i = 0; i < ARRAY_LEN(link_types); i++) {
                pools[i].link_type = link_types[i];
                fill_pool(&r, builder, &pools[i]);
            }
        }
        char text[2048];
        struct filter *filter;
        struct pool *pool = &pools[random_below(&r, ARRAY_LEN(link_types))];
        random_filter(&r, text, sizeof text);
        if (filter_new(text, pool->link_type, &filter, NULL) != 0) {
            tally.refused++;
            continue;
        }
        check(pool, filter, text, &tally);
        filter_free(filter);
    }
    print_message("%llu filters (%llu refused by libpcap, %llu open), %llu matches, %llu of the "
                  "others ruled out\n",
                  (unsigned long long)tally.filters, (unsigned long long)tally.refused,
                  (unsigned long long)tally.open, (unsigned long long)tally.matches,
                  (unsigned long long)tally.ruled_out);
    assert_true(tally.matches > 5 * rounds);
    assert_true(tally.ruled_out > 5 * rounds);
    mem_free(pools);
    index_builder_free(builder);
}

static void add_addr(struct index_fields *fields, const struct decoded *d, const uint8_t *addr)
{
    struct index_field_addr *to = &fields->addrs[fields->n_addrs++];

    to->is_ip6 = d->family == DECODE_IPV6;
    memcpy(to->bytes, addr, sizeof to->bytes);
}

/* Some of what was decoded, chosen by the bits of `choice`. */
static struct index_fields fields_of(const struct decoded *d, uint32_t choice)
{
    struct index_fields fields = {0};

    if (d->family != DECODE_NONE && (choice & 1) != 0) {
        add_addr(&fields, d, d->src);
    }
    if (d->family != DECODE_NONE && (choice & 2) != 0) {
        add_addr(&fields, d, d->dst);
    }
    if (d->has_ports && (choice & 4) != 0) {
        fields.ports[fields.n_ports++] = d->sport;
    }
    if (d->has_ports && (choice & 8) != 0) {
        fields.ports[fields.n_ports++] = d->dport;
    }
    if ((d->family == DECODE_IPV4 || d->family == DECODE_IPV6) && (choice & 16) != 0) {
        fields.has_proto = true;
        fields.proto = d->proto;
    }
    return fields;
}

static void check_fields(const struct pool *pool, size_t i, const struct index_fields *fields,
                         struct tally *tally)
{
    const struct sample *s = &pool->samples[i];
    const struct sample *other = &pool->samples[(i + 1) % PACKETS];
    struct index_query *q = index_query_of_fields(fields);
    size_t f = i / FRAME_EVERY;

    tally->matches++;
    tally->open += index_query_is_open(q) ? 1 : 0;
    if (!index_query_maybe(q, s->bloom, s->bloom_bytes) ||
        !index_query_maybe(q, s->tight, s->tight_bytes) ||
        !index_query_maybe(q, pool->frames[f], pool->frame_bytes[f])) {
        fail_msg("link type %u, packet %zu: the index misses its decoded fields", pool->link_type,
                 i);
    }
    tally->ruled_out += index_query_maybe(q, other->bloom, other->bloom_bytes) ? 0 : 1;
    index_query_free(q);
}

static void no_packet_with_the_decoded_fields_is_ruled_out(void **state)
{
    struct random_source r = {.state = from_environment("PR_SEED", 20240601)};
    uint64_t rounds = from_environment("PR_ROUNDS", 3000) / 100;
    struct index_builder *builder = index_builder_new();
    struct pool *pool = x_alloc(sizeof *pool);
    struct tally tally = {0};

    (void)state;
    for (uint64_t round = 0; round < rounds; round++) {
        pool->link_type = link_types[round % ARRAY_LEN(link_types)];
        fill_pool(&r, builder, pool);
        for (size_t i = 0; i < PACKETS; i++) {
            struct decoded d;
            decode_packet(&pool->samples[i].view, pool->link_type, &d);
            struct index_fields fields = fields_of(&d, random_below(&r, 32));
            check_fields(pool, i, &fields, &tally);
        }
    }
    print_message("%llu packets (%llu without fields), %llu of the others ruled out\n",
                  (unsigned long long)tally.matches, (unsigned long long)tally.open,
                  (unsigned long long)tally.ruled_out);
    assert_true(tally.ruled_out * 5 > tally.matches);
    mem_free(pool);
    index_builder_free(builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_packet_with_the_decoded_fields_is_ruled_out),
        cmocka_unit_test(no_packet_that_a_filter_matches_is_ruled_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
