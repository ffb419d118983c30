/* SPDX-License-Identifier: Apache-2.0
 *
 * A merge in live use: who is waited for, and for how long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "tests/support/merge_streams.h"

#define MS      1000000ULL
#define HOLD_NS (200 * MS)
#define AT(ms)  (STREAM_START_NS + (ms)*MS)
#define PACKETS 16u

struct live {
    struct merge *merge;
    struct buf out;
    struct capture_bytes cbs[3];
    uint64_t numbers[3];
};

static int set_up(void **state)
{
    const struct merge_opts opts = {.application = "test", .hold_ns = HOLD_NS, .n_sources = 3};
    struct live *live = x_alloc(sizeof *live);

    *live = (struct live){.merge = merge_new(&opts)};
    for (uint32_t i = 0; i < 3; i++) {
        static const char *const names[] = {"alpha", "beta", "gamma"};
        const struct merge_who who = {names[i], ""};
        uint32_t number = 0;
        assert_int_equal(merge_add(live->merge, &who, &number, NULL), 0);
        stream_begin(&live->cbs[i], 1);
        assert_int_equal(
            merge_feed(live->merge, i, live->cbs[i].buf.data, live->cbs[i].buf.len, NULL), 0);
    }
    *state = live;
    return 0;
}

static int tear_down(void **state)
{
    struct live *live = *state;

    merge_free(live->merge);
    buf_deinit(&live->out);
    for (uint32_t i = 0; i < 3; i++) {
        buf_deinit(&live->cbs[i].buf);
    }
    mem_free(live);
    return 0;
}

static void feed(struct live *live, uint32_t source, uint64_t time_ns)
{
    struct capture_bytes *cb = &live->cbs[source];

    buf_reset(&cb->buf);
    stream_packet(cb, source, ++live->numbers[source], time_ns, 0, 60);
    assert_int_equal(merge_feed(live->merge, source, cb->buf.data, cb->buf.len, NULL), 0);
}

/* What is in the output by now. */
static uint32_t packets_out(struct live *live, struct stream_packet *got)
{
    struct pcapng_reader reader;
    uint32_t source = 0;

    while (merge_step(live->merge, &live->out, live->out.len + 4096, &source) == MERGE_MORE) {
    }
    uint32_t n = read_output(&live->out, got, PACKETS, &reader);
    pcapng_reader_deinit(&reader);
    return n;
}

static void a_packet_waits_for_those_of_others(void **state)
{
    struct live *live = *state;
    struct stream_packet got[PACKETS] = {0};

    merge_now(live->merge, AT(1000));
    feed(live, 0, AT(990));
    assert_int_equal(packets_out(live, got), 0);
    feed(live, 1, AT(985));
    feed(live, 2, AT(995));
    merge_watermark(live->merge, 1, AT(1000));
    merge_watermark(live->merge, 2, AT(1000));
    assert_int_equal(packets_out(live, got), 0); /* alpha may still have something earlier */
    merge_watermark(live->merge, 0, AT(986));
    assert_int_equal(packets_out(live, got), 1);
    merge_watermark(live->merge, 0, AT(1000));
    assert_int_equal(packets_out(live, got), 3);
    assert_int_equal(got[0].source, 1);
    assert_int_equal(got[1].source, 0);
    assert_int_equal(got[2].source, 2);
}

static void a_quiet_node_holds_nobody_up_for_longer_than_that(void **state)
{
    struct live *live = *state;
    struct stream_packet got[PACKETS] = {0};

    merge_now(live->merge, AT(1000));
    feed(live, 0, AT(1000));
    merge_watermark(live->merge, 0, AT(1001));
    merge_now(live->merge, AT(1199));
    assert_int_equal(packets_out(live, got), 0);
    merge_now(live->merge, AT(1200));
    assert_int_equal(packets_out(live, got), 1);
}

static void who_comes_too_late_is_written_and_marked(void **state)
{
    struct live *live = *state;
    struct stream_packet got[PACKETS] = {0};

    merge_now(live->merge, AT(1000));
    feed(live, 0, AT(1000));
    merge_watermark(live->merge, 0, AT(1300));
    merge_now(live->merge, AT(1300));
    assert_int_equal(packets_out(live, got), 1);
    feed(live, 1, AT(900));
    merge_now(live->merge, AT(1600));
    assert_int_equal(packets_out(live, got), 2);
    assert_int_equal(got[1].source, 1);
    assert_int_equal(got[1].time_ns, AT(900)); /* its own time stays */
    assert_true(got[1].is_marked);
    assert_int_equal(merge_told(live->merge, 1).late, 1);
    assert_true(merge_told(live->merge, 1).late_max_ns >= 100 * MS);
}

/* It shall not hold up its own node's packets, nor be believed. */
static void who_comes_from_the_future_is_written_now(void **state)
{
    struct live *live = *state;
    struct stream_packet got[PACKETS] = {0};

    merge_now(live->merge, AT(1000));
    feed(live, 0, AT(1000) + 3600 * 1000 * MS);
    feed(live, 0, AT(1001));
    for (uint32_t i = 0; i < 3; i++) {
        merge_watermark(live->merge, i, AT(1002));
    }
    assert_int_equal(packets_out(live, got), 2);
    assert_true(got[0].is_marked);
    assert_false(got[1].is_marked);
    assert_int_equal(got[1].time_ns, AT(1001));
    assert_int_equal(merge_told(live->merge, 0).early, 1);
}

static void a_node_that_has_ended_is_not_waited_for(void **state)
{
    struct live *live = *state;
    struct stream_packet got[PACKETS] = {0};

    merge_now(live->merge, AT(1000));
    feed(live, 0, AT(1000));
    merge_watermark(live->merge, 0, AT(1001));
    merge_watermark(live->merge, 1, AT(1001));
    assert_int_equal(packets_out(live, got), 0);
    assert_int_equal(merge_end(live->merge, 2, NULL), 0);
    assert_int_equal(packets_out(live, got), 1);
}

static void one_that_comes_later_takes_part(void **state)
{
    struct live *live = *state;
    struct stream_packet got[PACKETS] = {0};
    struct capture_bytes cb = {0};
    const struct merge_who who = {"delta", "id"};
    uint32_t number = 0;

    merge_now(live->merge, AT(1000));
    for (uint32_t i = 0; i < 3; i++) {
        feed(live, i, AT(1000) + i);
        merge_watermark(live->merge, i, AT(1100));
    }
    assert_int_equal(packets_out(live, got), 3);
    assert_int_equal(merge_add(live->merge, &who, &number, NULL), 0);
    assert_int_equal(number, 3);
    stream_begin(&cb, 1);
    stream_packet(&cb, 3, 1, AT(1050), 0, 60);
    assert_int_equal(merge_feed(live->merge, number, cb.buf.data, cb.buf.len, NULL), 0);
    feed(live, 0, AT(1060));
    for (uint32_t i = 0; i < 4; i++) {
        merge_watermark(live->merge, i, AT(1200));
    }
    assert_int_equal(packets_out(live, got), 5);
    assert_int_equal(got[3].source, 3);
    assert_int_equal(got[4].source, 0);
    assert_false(got[3].is_marked);
    buf_deinit(&cb.buf);
}

/* Its own node's packets go late then, but they go, and nobody else's wait. */
static void a_watermark_from_the_future_is_not_believed(void **state)
{
    struct live *live = *state;
    struct stream_packet got[PACKETS] = {0};

    merge_now(live->merge, AT(1000));
    merge_watermark(live->merge, 0, UINT64_MAX);
    feed(live, 0, AT(1000));
    feed(live, 1, AT(1001));
    merge_watermark(live->merge, 1, AT(1002));
    merge_watermark(live->merge, 2, AT(1002));
    assert_int_equal(packets_out(live, got), 1);
    assert_int_equal(got[0].source, 1);
    assert_false(got[0].is_marked);
    merge_now(live->merge, AT(1000) + MERGE_AHEAD_NS + HOLD_NS);
    assert_int_equal(packets_out(live, got), 2);
    assert_int_equal(got[1].source, 0);
    assert_true(got[1].is_marked);
    assert_int_equal(got[1].time_ns, AT(1000));
}

/* Each where it belongs: what the interface told, and what was lost after it. */
static void what_was_lost_on_the_way_is_in_the_statistics(void **state)
{
    struct live *live = *state;
    struct pcapng_told_statistics told = {.numbers = PCAPNG_STATISTICS_UNKNOWN};
    struct stream_packet got[PACKETS] = {0};

    told.numbers.time_ns = AT(1);
    told.numbers.osdrop = 5;
    told.numbers.ifdrop = 2;
    feed(live, 0, AT(1));
    merge_watermark(live->merge, 1, AT(9));
    merge_watermark(live->merge, 2, AT(9));
    merge_watermark(live->merge, 0, AT(9));
    assert_int_equal(packets_out(live, got), 1);
    merge_add_statistics(live->merge, 0, 0, &told);
    merge_set_lost(live->merge, 0, 30);
    merge_set_lost(live->merge, 1, 40); /* it has told nothing, and had no packet */
    assert_int_equal(merge_told(live->merge, 0).dropped, 7);
    assert_int_equal(merge_told(live->merge, 1).dropped, 0);
    size_t n = live->out.len;
    merge_write_statistics(live->merge, &live->out);
    assert_int_equal(merge_n_ifaces(live->merge), 2);
    buf_put_u8(&live->out, 0);
    const uint8_t *end = live->out.data + live->out.len;
    assert_non_null(memmem(live->out.data + n, (size_t)(end - live->out.data) - n,
                           "node alpha: late: 0; early: 0; lost on the way: 30", 50));
    assert_non_null(
        memmem(live->out.data + n, (size_t)(end - live->out.data) - n, "lost on the way: 40", 19));
    static const uint8_t osdrop[] = {7, 0, 8, 0, 35, 0, 0, 0, 0, 0, 0, 0};
    assert_non_null(
        memmem(live->out.data + n, (size_t)(end - live->out.data) - n, osdrop, sizeof osdrop));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_packet_waits_for_those_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quiet_node_holds_nobody_up_for_longer_than_that, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_comes_too_late_is_written_and_marked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_comes_from_the_future_is_written_now, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_has_ended_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_comes_later_takes_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_watermark_from_the_future_is_not_believed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_lost_on_the_way_is_in_the_statistics, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
