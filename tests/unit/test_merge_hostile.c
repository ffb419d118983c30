/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources of a merge that are damaged, lie or never end, and merges that are saved and gone on
 * with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/base/text_clean.h"
#include "tests/support/merge_streams.h"

#define SOURCES 4u
#define EACH    300u
#define MS      1000000ULL
#define FEEDS   20000u

static struct merge *new_merge(uint32_t n, const struct merge_opts *opts)
{
    struct merge *m = merge_new(opts);

    for (uint32_t i = 0; i < n; i++) {
        static const char *const names[SOURCES] = {"alpha", "be/ta\x1b[2J", "gamma", "delta"};
        const struct merge_who who = {names[i], "id"};
        uint32_t number;
        assert_int_equal(merge_add(m, &who, &number, NULL), 0);
    }
    return m;
}

static void random_sources(struct capture_bytes *cbs, struct buf *streams, uint64_t *seed,
                           uint64_t disorder_ns)
{
    for (uint32_t i = 0; i < SOURCES; i++) {
        stream_random(&cbs[i], seed, i, EACH, MS, disorder_ns);
        streams[i] = cbs[i].buf;
    }
}

static void free_streams(struct capture_bytes *cbs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_deinit(&cbs[i].buf);
    }
}

/* All packets of the sources that are sound are there, in order and without a mark. */
static void check_sound(const struct stream_packet *got, uint32_t n, uint32_t hostile)
{
    uint64_t last_ns = 0;
    uint64_t numbers[SOURCES] = {0};

    for (uint32_t i = 0; i < n; i++) {
        if (got[i].source >= SOURCES || got[i].source == hostile) {
            continue;
        }
        assert_false(got[i].is_marked);
        assert_true(got[i].time_ns >= last_ns);
        last_ns = got[i].time_ns;
        assert_int_equal(got[i].number, ++numbers[got[i].source]);
    }
    for (uint32_t i = 0; i < SOURCES; i++) {
        assert_int_equal(numbers[i], i == hostile ? 0 : EACH);
    }
}

static void a_damaged_source_harms_no_other(void **state)
{
    static struct stream_packet got[SOURCES * EACH + 1];
    const struct merge_opts opts = {.application = "test"};
    uint32_t n_failed = 0;

    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        struct capture_bytes cbs[SOURCES] = {0};
        struct buf streams[SOURCES];
        size_t at[SOURCES] = {0};
        struct pcapng_reader reader;
        struct buf out = {0};
        uint64_t seed = 1000 + round;
        random_sources(cbs, streams, &seed, 0);
        for (uint32_t k = 0; k < 1 + round % 8; k++) {
            uint8_t *byte = &streams[2].data[splitmix_u64(&seed) % streams[2].len];
            *byte = (uint8_t)splitmix_u64(&seed);
        }
        streams[2].len -= splitmix_u64(&seed) % 50;
        /* Packets that are the hostile one's whatever its bytes say. */
        for (size_t i = 0; i + 24 < streams[2].len; i += 4) {
            if (get_le64(streams[2].data + i) == 2 && get_le64(streams[2].data + i + 8) <= EACH) {
                put_le64(streams[2].data + i, UINT64_MAX);
            }
        }
        struct merge *m = new_merge(SOURCES, &opts);
        struct stream_feeder f = {
            .streams = streams, .n = SOURCES, .at = at, .seed = &seed, .piece_max = 5000};
        assert_true(feed_all(m, &f, &out, SIZE_MAX));
        merge_write_statistics(m, &out);
        uint32_t n = read_output(&out, got, SOURCES * EACH + 1, &reader);
        check_sound(got, n, 2);
        struct merge_told told = merge_told(m, 2);
        n_failed += told.failed != 0;
        assert_int_equal(told.failed != 0, told.why[0] != '\0');
        assert_true(told.is_ended);
        pcapng_reader_deinit(&reader);
        buf_deinit(&out);
        merge_free(m);
        free_streams(cbs, SOURCES);
    }
    assert_true(n_failed > 30 && n_failed <= 300);
}

/* The ends of time, lies about the clock, names that would be seen on a terminal. */
static void lies_about_the_time_harm_no_other(void **state)
{
    static const uint64_t times[] = {UINT64_MAX, 0, 1, UINT64_MAX / 2, STREAM_START_NS};
    static const int64_t offsets[] = {INT64_MIN, INT64_MAX, 0, -1, INT64_MIN, INT64_MAX};
    static struct stream_packet got[SOURCES * EACH];
    const struct merge_opts opts = {.application = "test"};
    struct capture_bytes cbs[SOURCES] = {0};
    struct capture_bytes lies = {0};
    struct buf streams[SOURCES];
    size_t at[SOURCES] = {0};
    struct pcapng_reader reader;
    struct buf out = {0};
    uint64_t seed = 5;

    (void)state;
    random_sources(cbs, streams, &seed, 0);
    stream_begin(&lies, 1);
    for (uint32_t i = 0; i < 20; i++) {
        stream_packet(&lies, UINT64_MAX, i, times[i % 5], 0, 60);
    }
    streams[1] = lies.buf;
    struct merge *m = new_merge(SOURCES, &opts);
    for (uint32_t i = 0; i < 6; i++) {
        const struct merge_clock_sample sample = {UINT64_MAX / 6 * i, offsets[i], i % 2, i == 3};
        merge_add_clock(m, 1, &sample);
    }
    merge_watermark(m, 1, UINT64_MAX);
    struct stream_feeder f = {
        .streams = streams, .n = SOURCES, .at = at, .seed = &seed, .piece_max = 5000};
    assert_true(feed_all(m, &f, &out, SIZE_MAX));
    uint32_t n = read_output(&out, got, SOURCES * EACH, &reader);
    check_sound(got, n, 1);
    assert_int_equal(merge_told(m, 1).packets, 20);
    assert_null(memchr(out.data, 0x1b, 400));
    for (uint32_t i = 0; i < reader.n_ifaces; i++) {
        const char *slash = strchr(reader.ifaces[i].name, '/');
        assert_non_null(slash);
        assert_null(strchr(slash + 1, '/'));
    }
    pcapng_reader_deinit(&reader);
    buf_deinit(&out);
    buf_deinit(&lies.buf);
    merge_free(m);
    free_streams(cbs, SOURCES);
}

static void texts_become_what_a_terminal_shows(void **state)
{
    static const char *const texts[][2] = {
        {"eth0", "eth0"},
        {"a\x1b[2J\n\x7f", "a?[2J??"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7"},
        {"\xc2\x9b"
         "2J",
         "??2J"},                          /* a control character of the second block */
        {"\xc3", "?"},                     /* cut */
        {"\xe2\x82", "??"},                /* cut */
        {"\xc0\xaf\xe0\x80\xaf", "?????"}, /* too long for what it says */
        {"\xed\xa0\x80", "???"},           /* half of a pair */
        {"\xf4\x90\x80\x80\xff", "?????"}, /* beyond Unicode */
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[16];
        snprintf(text, sizeof text, "%s", texts[i][0]);
        text_clean(text);
        assert_string_equal(text, texts[i][1]);
    }
}

static void more_interfaces_than_may_be_end_the_source(void **state)
{
    const struct merge_opts opts = {.application = "test"};
    struct capture_bytes cb = {0};
    struct err err = {0};
    struct merge *m = new_merge(1, &opts);

    (void)state;
    stream_begin(&cb, MERGE_IFACES_MAX + 1);
    assert_int_equal(merge_feed(m, 0, cb.buf.data, cb.buf.len, &err), ERR_LIMIT);
    assert_string_equal(merge_told(m, 0).why, strchr(err.text, ':') + 2);
    assert_memory_equal(err.text, "alpha: ", 7);
    assert_false(merge_wants(m, 0));
    assert_int_equal(merge_feed(m, 0, cb.buf.data, cb.buf.len, &err), 0); /* it is over */
    merge_free(m);
    buf_deinit(&cb.buf);
}

/* Blocks without a packet, and without an end: given up, and no memory on the way. */
static void an_endless_stream_of_nothing_is_given_up(void **state)
{
    const struct merge_opts opts = {.application = "test"};
    struct capture_bytes cb = {0};
    struct capture_bytes nothing = {0};
    struct merge *m = new_merge(1, &opts);
    struct buf out = {0};
    size_t fed = 0;
    size_t most = 0;

    (void)state;
    stream_begin(&cb, 1);
    assert_int_equal(merge_feed(m, 0, cb.buf.data, cb.buf.len, NULL), 0);
    cb_begin(&nothing, 0x0bad);
    buf_put_zeros(&nothing.buf, 1024u * 1024u);
    cb_end(&nothing);
    while (merge_wants(m, 0)) {
        (void)merge_feed(m, 0, nothing.buf.data, nothing.buf.len, NULL);
        fed += nothing.buf.len;
        struct merge_told told = merge_told(m, 0);
        most = told.held_bytes > most ? told.held_bytes : most;
        assert_true(fed < 400u * 1024u * 1024u);
    }
    assert_int_equal(merge_told(m, 0).failed, ERR_LIMIT);
    assert_true(most < 4u * 1024u * 1024u);
    merge_free(m);
    buf_deinit(&out);
    buf_deinit(&nothing.buf);
    buf_deinit(&cb.buf);
}

/* Much of one source while the other is slow: it is not taken in. */
static void memory_is_bounded_by_what_the_merge_wants(void **state)
{
    const struct merge_opts opts = {
        .application = "test", .held_bytes = 2 * MERGE_SHARE_MIN, .n_sources = 2};
    struct capture_bytes cbs[2] = {0};
    struct merge *m = new_merge(2, &opts);
    size_t at[2] = {0};
    struct buf out = {0};
    uint64_t packets = 0;
    uint32_t source;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        stream_begin(&cbs[i], 1);
        for (uint32_t k = 0; k < 20000; k++) {
            stream_packet(&cbs[i], i, k + 1, STREAM_START_NS + k * MS, 0, 700);
        }
    }
    for (enum merge_state is = MERGE_MORE; is != MERGE_DONE;) {
        for (source = 0; source < 2; source++) { /* as much as it takes */
            while (merge_wants(m, source)) {
                size_t left = cbs[source].buf.len - at[source];
                size_t n = left < 65536 ? left : 65536;
                if (n == 0) {
                    assert_int_equal(merge_end(m, source, NULL), 0);
                    break;
                }
                assert_int_equal(merge_feed(m, source, cbs[source].buf.data + at[source], n, NULL),
                                 0);
                at[source] += n;
            }
            assert_true(merge_told(m, source).held_bytes < 2 * MERGE_SHARE_MIN);
        }
        is = merge_step(m, &out, 1024u * 1024u, &source);
        out.len = 0;
    }
    packets = merge_told(m, 0).packets + merge_told(m, 1).packets;
    assert_int_equal(packets, 40000);
    assert_int_equal(merge_told(m, 0).late + merge_told(m, 1).late, 0);
    merge_free(m);
    buf_deinit(&out);
    free_streams(cbs, 2);
}

/* ---- saved ---- */

static void a_merge_goes_on_where_it_was_saved(void **state)
{
    const struct merge_opts opts = {.application = "test", .window_ns = 30 * MS};
    static size_t begins[SOURCES * FEEDS];

    (void)state;
    for (uint64_t round = 0; round < 60; round++) {
        struct capture_bytes cbs[SOURCES] = {0};
        struct buf streams[SOURCES];
        struct buf whole = {0};
        struct buf part = {0};
        struct buf saved = {0};
        uint64_t pieces[SOURCES];
        size_t n_feeds[SOURCES] = {0};
        size_t at[SOURCES] = {0};
        uint64_t seed = 77 + round;
        random_sources(cbs, streams, &seed, 60 * MS);
        struct stream_feeder f = {
            .streams = streams, .n = SOURCES, .at = at, .seed = &seed, .piece_max = 9000};
        struct merge *m = new_merge(SOURCES, &opts);
        assert_true(feed_all(m, &f, &whole, SIZE_MAX));
        merge_write_statistics(m, &whole);
        merge_free(m);

        memset(at, 0, sizeof at);
        f.begins = begins;
        f.n_feeds = n_feeds;
        f.max_feeds = FEEDS;
        m = new_merge(SOURCES, &opts);
        (void)feed_all(m, &f, &part, splitmix_u64(&seed) % whole.len);
        assert_true(merge_save(m, &saved, pieces));
        merge_free(m);

        for (uint32_t i = 0; i < SOURCES; i++) {
            at[i] = pieces[i] < n_feeds[i] ? begins[i * FEEDS + pieces[i]] : at[i];
        }
        f.begins = NULL;
        f.piece_max = 4000;
        m = new_merge(SOURCES, &opts);
        assert_int_equal(merge_load(m, saved.data, saved.len, NULL), 0);
        assert_true(feed_all(m, &f, &part, SIZE_MAX));
        merge_write_statistics(m, &part);
        assert_int_equal(part.len, whole.len);
        assert_memory_equal(part.data, whole.data, whole.len);
        merge_free(m);
        buf_deinit(&whole);
        buf_deinit(&part);
        buf_deinit(&saved);
        free_streams(cbs, SOURCES);
    }
}

static void a_damaged_state_is_refused_or_harmless(void **state)
{
    const struct merge_opts opts = {.application = "test"};
    struct capture_bytes cbs[SOURCES] = {0};
    struct buf streams[SOURCES];
    struct buf out = {0};
    struct buf saved = {0};
    size_t at[SOURCES] = {0};
    uint64_t pieces[SOURCES];
    uint64_t seed = 4;
    uint32_t n_refused = 0;

    (void)state;
    random_sources(cbs, streams, &seed, 10 * MS);
    struct stream_feeder f = {
        .streams = streams, .n = SOURCES, .at = at, .seed = &seed, .piece_max = 3000};
    struct merge *m = new_merge(SOURCES, &opts);
    assert_false(feed_all(m, &f, &out, 200000));
    assert_true(merge_save(m, &saved, pieces));
    merge_free(m);
    for (uint32_t i = 0; i < 2000; i++) {
        size_t n = i % 3 == 0 ? splitmix_u64(&seed) % saved.len : saved.len;
        uint8_t *byte = &saved.data[splitmix_u64(&seed) % saved.len];
        uint8_t was = *byte;
        *byte = (uint8_t)splitmix_u64(&seed);
        m = new_merge(SOURCES, &opts);
        int rc = merge_load(m, saved.data, n, NULL);
        n_refused += rc < 0;
        if (rc == 0) {
            size_t ends[SOURCES];
            for (uint32_t k = 0; k < SOURCES; k++) {
                ends[k] = streams[k].len;
            }
            struct stream_feeder rest = {
                .streams = streams, .n = SOURCES, .at = ends, .seed = &seed, .piece_max = 3000};
            out.len = 0;
            assert_true(feed_all(m, &rest, &out, SIZE_MAX));
            merge_write_statistics(m, &out);
        }
        merge_free(m);
        *byte = was;
    }
    assert_true(n_refused > 500);
    buf_deinit(&out);
    buf_deinit(&saved);
    free_streams(cbs, SOURCES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_source_harms_no_other),
        cmocka_unit_test(lies_about_the_time_harm_no_other),
        cmocka_unit_test(texts_become_what_a_terminal_shows),
        cmocka_unit_test(more_interfaces_than_may_be_end_the_source),
        cmocka_unit_test(an_endless_stream_of_nothing_is_given_up),
        cmocka_unit_test(memory_is_bounded_by_what_the_merge_wants),
        cmocka_unit_test(a_merge_goes_on_where_it_was_saved),
        cmocka_unit_test(a_damaged_state_is_refused_or_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
