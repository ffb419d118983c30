/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/packet/pcapng_options.h"
#include "tests/support/merge_streams.h"

#define SOURCES 5u
#define EACH    400u
#define MS      1000000ULL
#define SECOND  1000000000ULL

static const char *const names[SOURCES] = {"alpha", "beta", "gamma", "delta", "epsilon"};

static const char *name_of(uint64_t source)
{
    REQUIRE(source < SOURCES);
    return names[source];
}

static struct merge *new_merge(uint32_t n, const struct merge_opts *opts)
{
    static const struct merge_opts plain = {.application = "test"};
    struct merge *m = merge_new(opts == NULL ? &plain : opts);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = 0;
        const struct merge_who who = {names[i], "id"};
        assert_int_equal(merge_add(m, &who, &number, NULL), 0);
        assert_int_equal(number, i);
    }
    return m;
}

static void add_clock(struct merge *m, uint32_t source, uint64_t time_ns, int64_t offset_ns,
                      uint64_t bound_ns, bool is_step)
{
    merge_add_clock(m, source, &(struct merge_clock_sample){time_ns, offset_ns, bound_ns, is_step});
}

static size_t merge_whole(struct merge *m, const struct buf *streams, uint32_t n, uint64_t *seed,
                          size_t piece_max, struct buf *out)
{
    size_t at[SOURCES] = {0};
    struct stream_feeder f = {
        .streams = streams, .n = n, .at = at, .seed = seed, .piece_max = piece_max};

    assert_true(feed_all(m, &f, out, SIZE_MAX));
    merge_write_statistics(m, out);
    return f.most_held;
}

static void free_streams(struct capture_bytes *cbs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_deinit(&cbs[i].buf);
    }
}

static bool contains(const struct buf *out, const char *text)
{
    return memmem(out->data, out->len, text, strlen(text)) != NULL;
}

static int by_time(const void *a, const void *b)
{
    const struct stream_packet *x = a;
    const struct stream_packet *y = b;

    if (x->time_ns != y->time_ns) {
        return x->time_ns < y->time_ns ? -1 : 1;
    }
    if (x->source != y->source) {
        return x->source < y->source ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

static void random_sources(struct capture_bytes *cbs, struct buf *streams, uint64_t *seed,
                           uint64_t disorder_ns)
{
    for (uint32_t i = 0; i < SOURCES; i++) {
        cbs[i].big = i == 3;
        stream_random(&cbs[i], seed, i, EACH, MS, disorder_ns);
        streams[i] = cbs[i].buf;
    }
}

static void any_interleaving_gives_what_a_sort_gives(void **state)
{
    static struct stream_packet got[SOURCES * EACH];
    static struct stream_packet sorted[SOURCES * EACH];

    (void)state;
    for (uint64_t round = 1; round <= 40; round++) {
        struct capture_bytes cbs[SOURCES] = {0};
        struct buf streams[SOURCES];
        struct pcapng_reader reader;
        struct buf out = {0};
        uint64_t seed = round;
        random_sources(cbs, streams, &seed, 50 * MS);
        struct merge *m = new_merge(SOURCES, NULL);
        add_clock(m, 1, STREAM_START_NS, 1700 * (int64_t)MS, 50000, false);
        add_clock(m, 2, STREAM_START_NS, -400 * (int64_t)MS, 50000, false);
        (void)merge_whole(m, streams, SOURCES, &seed, round % 2 == 0 ? 300 : 9000, &out);
        uint32_t n = read_output(&out, got, SOURCES * EACH, &reader);
        assert_int_equal(n, SOURCES * EACH); /* nothing is lost */
        for (uint32_t i = 0; i < n; i++) {
            int64_t offset_ms = got[i].source == 1 ? 1700 : got[i].source == 2 ? -400 : 0;
            assert_int_equal(got[i].time_ns,
                             got[i].stamped_ns - (uint64_t)(offset_ms * (int64_t)MS));
            assert_false(got[i].is_marked);
        }
        memcpy(sorted, got, sizeof got);
        qsort(sorted, n, sizeof *sorted, by_time);
        assert_memory_equal(sorted, got, sizeof got);
        pcapng_reader_deinit(&reader);
        buf_deinit(&out);
        merge_free(m);
        free_streams(cbs, SOURCES);
    }
}

/* Also where much is late, and the bytes that may be held decide. */
static void the_output_depends_on_the_sources_alone(void **state)
{
    static struct stream_packet got[SOURCES * EACH];

    (void)state;
    for (uint64_t round = 1; round <= 10; round++) {
        struct capture_bytes cbs[SOURCES] = {0};
        struct buf streams[SOURCES];
        struct buf first = {0};
        uint64_t seed = 100 + round;
        random_sources(cbs, streams, &seed, 300 * MS);
        for (uint32_t run = 0; run < 4; run++) {
            const struct merge_opts opts = {.application = "test", .window_ns = 100 * MS};
            struct merge *m = new_merge(SOURCES, &opts);
            struct buf out = {0};
            (void)merge_whole(m, streams, SOURCES, &seed, run == 0 ? 100000 : 700, &out);
            if (run == 0) {
                struct pcapng_reader reader;
                uint64_t last_ns = 0;
                uint32_t n_marked = 0;
                uint64_t n_late = 0;
                assert_int_equal(read_output(&out, got, SOURCES * EACH, &reader), SOURCES * EACH);
                for (uint32_t i = 0; i < SOURCES * EACH; i++) {
                    n_marked += got[i].is_marked;
                    assert_true(got[i].is_marked || got[i].time_ns >= last_ns);
                    last_ns = got[i].is_marked ? last_ns : got[i].time_ns;
                }
                for (uint32_t i = 0; i < SOURCES; i++) {
                    n_late += merge_told(m, i).late;
                }
                assert_true(n_marked > 100);
                assert_int_equal(n_late, n_marked);
                pcapng_reader_deinit(&reader);
                first = out;
            } else {
                assert_int_equal(out.len, first.len);
                assert_memory_equal(out.data, first.data, out.len);
                buf_deinit(&out);
            }
            merge_free(m);
        }
        buf_deinit(&first);
        free_streams(cbs, SOURCES);
    }
}

static void each_interface_of_each_node_is_described_once(void **state)
{
    static struct stream_packet got[SOURCES * EACH];
    struct capture_bytes cbs[SOURCES] = {0};
    struct buf streams[SOURCES];
    struct pcapng_reader reader;
    struct buf out = {0};
    uint64_t seed = 7;

    (void)state;
    random_sources(cbs, streams, &seed, 0);
    struct merge *m = new_merge(SOURCES, NULL);
    add_clock(m, 1, STREAM_START_NS, 1700 * (int64_t)MS, 50000, false);
    (void)merge_whole(m, streams, SOURCES, &seed, 9000, &out);
    uint32_t n = read_output(&out, got, SOURCES * EACH, &reader);
    assert_int_equal(reader.n_ifaces, 2 * SOURCES);
    assert_int_equal(merge_n_ifaces(m), 2 * SOURCES);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = reader.ifaces[got[i].iface].name;
        const char *node = name_of(got[i].source);
        assert_memory_equal(name, node, strlen(node));
        assert_memory_equal(name + strlen(node), "/eth", 4);
    }
    assert_true(
        contains(&out, "node beta (id); its clock was 1700000000 ns ahead, within 50000 ns"));
    assert_true(contains(&out, "node=beta id=id offset_ns=1700000000 bound_ns=50000"));
    assert_true(contains(&out, "node=alpha id=id offset_ns= bound_ns="));
    pcapng_reader_deinit(&reader);
    buf_deinit(&out);
    merge_free(m);
    free_streams(cbs, SOURCES);
}

/* One packet a second; the clock drifts within its bound, then is set by a minute. */
static void a_clock_that_steps_gets_another_interface(void **state)
{
    static struct stream_packet got[300];
    struct capture_bytes cb = {0};
    struct pcapng_reader reader;
    struct buf out = {0};
    uint64_t seed = 3;

    (void)state;
    stream_begin(&cb, 1);
    for (uint32_t i = 0; i < 300; i++) {
        uint64_t set_ns = i < 150 ? 0 : 60 * SECOND;
        stream_packet(&cb, 0, i + 1, STREAM_START_NS + i * SECOND + set_ns, 0, 60);
    }
    struct merge *m = new_merge(1, NULL);
    add_clock(m, 0, STREAM_START_NS, 0, MS, false);
    add_clock(m, 0, STREAM_START_NS + 100 * SECOND, MS / 2, MS, false);
    add_clock(m, 0, STREAM_START_NS + 210 * SECOND, 60 * (int64_t)SECOND, MS, true);
    (void)merge_whole(m, &cb.buf, 1, &seed, 9000, &out);
    assert_int_equal(read_output(&out, got, 300, &reader), 300);
    assert_int_equal(reader.n_ifaces, 2);
    assert_string_equal(reader.ifaces[0].name, "alpha/eth0");
    assert_string_equal(reader.ifaces[1].name, "alpha/eth0");
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(got[i].iface, i >= 150);
        assert_false(got[i].is_marked);
        if (i > 0) {
            uint64_t apart = got[i].time_ns - got[i - 1].time_ns;
            assert_true(apart > SECOND - MS && apart < SECOND + MS);
        }
    }
    assert_int_equal(got[50].time_ns, STREAM_START_NS + 50 * SECOND - MS / 4); /* on the line */
    pcapng_reader_deinit(&reader);
    buf_deinit(&out);
    merge_free(m);
    buf_deinit(&cb.buf);
}

static void statistics_stand_at_the_interface_that_they_are_of(void **state)
{
    struct capture_bytes cbs[2] = {0};
    struct pcapng_told_statistics told = {.numbers = PCAPNG_STATISTICS_UNKNOWN,
                                          .comment = "dropped at the store: 5"};
    struct buf out = {0};
    uint32_t source;

    (void)state;
    struct merge *m = new_merge(2, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        stream_begin(&cbs[i], 1);
        stream_packet(&cbs[i], i, 1, STREAM_START_NS, 0, 60);
        assert_int_equal(merge_feed(m, i, cbs[i].buf.data, cbs[i].buf.len, NULL), 0);
        assert_int_equal(merge_end(m, i, NULL), 0);
    }
    told.numbers.time_ns = STREAM_START_NS;
    told.numbers.osdrop = 77;
    merge_add_statistics(m, 1, 0, &told);
    merge_add_statistics(m, 1, 5, &told); /* that it does not describe */
    assert_int_equal(merge_step(m, &out, SIZE_MAX, &source), MERGE_DONE);
    size_t before = out.len;
    merge_write_statistics(m, &out);
    assert_int_equal(get_le32(out.data + before), PCAPNG_STATISTICS);
    assert_int_equal(get_le32(out.data + before + 8), 1);
    assert_int_equal(get_le32(out.data + before + 4), out.len - before);
    const struct buf tail = {.data = out.data + before, .len = out.len - before};
    assert_true(contains(&tail, "dropped at the store: 5; node beta: late: 0; early: 0"));
    buf_deinit(&out);
    merge_free(m);
    free_streams(cbs, 2);
}

static void a_classic_file_takes_one_link_type_and_counts_the_rest(void **state)
{
    const struct merge_opts opts = {.is_classic = true};
    struct capture_bytes cbs[2] = {0};
    struct buf out = {0};
    uint32_t source;

    (void)state;
    struct merge *m = new_merge(2, &opts);
    stream_begin(&cbs[0], 1);
    stream_packet(&cbs[0], 0, 1, STREAM_START_NS, 0, 60);
    cb_section(&cbs[1]);
    cb_interface(&cbs[1], LINK_SLL2, 65535, "any", 9);
    stream_packet(&cbs[1], 1, 1, STREAM_START_NS + 1, 0, 60);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(merge_feed(m, i, cbs[i].buf.data, cbs[i].buf.len, NULL), 0);
        assert_int_equal(merge_end(m, i, NULL), 0);
    }
    assert_int_equal(merge_step(m, &out, SIZE_MAX, &source), MERGE_DONE);
    merge_write_statistics(m, &out);
    assert_int_equal(out.len, 24 + 16 + 60);
    assert_int_equal(get_le32(out.data), 0xa1b23c4d);
    assert_int_equal(merge_told(m, 0).packets, 1);
    assert_int_equal(merge_told(m, 1).left_out, 1);
    buf_deinit(&out);
    merge_free(m);
    free_streams(cbs, 2);
}

static void a_range_is_of_the_common_time(void **state)
{
    static struct stream_packet got[100];
    const struct merge_opts opts = {.from_ns = STREAM_START_NS + 10 * SECOND,
                                    .to_ns = STREAM_START_NS + 19 * SECOND};
    struct capture_bytes cb = {0};
    struct pcapng_reader reader;
    struct buf out = {0};
    uint64_t seed = 3;

    (void)state;
    stream_begin(&cb, 1);
    for (uint32_t i = 0; i < 100; i++) {
        stream_packet(&cb, 0, i + 1, STREAM_START_NS + i * SECOND, 0, 60);
    }
    struct merge *m = new_merge(1, &opts);
    add_clock(m, 0, STREAM_START_NS, 30 * (int64_t)SECOND, MS, false);
    (void)merge_whole(m, &cb.buf, 1, &seed, 900, &out);
    assert_int_equal(read_output(&out, got, 100, &reader), 10);
    assert_int_equal(got[0].number, 41);
    assert_int_equal(got[9].number, 50);
    pcapng_reader_deinit(&reader);
    buf_deinit(&out);
    merge_free(m);
    buf_deinit(&cb.buf);
}

static void nothing_at_all_is_a_file_too(void **state)
{
    struct buf out = {0};
    struct merge *m = new_merge(0, NULL);
    uint32_t source;

    (void)state;
    assert_int_equal(merge_step(m, &out, SIZE_MAX, &source), MERGE_DONE);
    assert_int_equal(get_le32(out.data), PCAPNG_SECTION);
    assert_int_equal(get_le32(out.data + 4), out.len);
    buf_deinit(&out);
    merge_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_interleaving_gives_what_a_sort_gives),
        cmocka_unit_test(the_output_depends_on_the_sources_alone),
        cmocka_unit_test(each_interface_of_each_node_is_described_once),
        cmocka_unit_test(a_clock_that_steps_gets_another_interface),
        cmocka_unit_test(statistics_stand_at_the_interface_that_they_are_of),
        cmocka_unit_test(a_classic_file_takes_one_link_type_and_counts_the_rest),
        cmocka_unit_test(a_range_is_of_the_common_time),
        cmocka_unit_test(nothing_at_all_is_a_file_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
