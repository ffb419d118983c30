/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/capture/intake.h"

/* A source that is nothing but a list of interfaces; the tests call the sink themselves. */
struct fake_source {
    struct source source;
    struct iface ifaces[4];
    int fd;
};

static int fake_fd(struct source *source)
{
    return container_of(source, struct fake_source, source)->fd;
}

static const struct source_ops fake_ops = {.fd = fake_fd};

static void fake_source_init(struct fake_source *fake, int fd, uint32_t n)
{
    *fake = (struct fake_source){.source = {&fake_ops, fake->ifaces, n}, .fd = fd};
    for (uint32_t i = 0; i < ARRAY_LEN(fake->ifaces); i++) {
        snprintf(fake->ifaces[i].name, sizeof fake->ifaces[i].name, "if%u", i);
        fake->ifaces[i].link_type = i % 2 == 0 ? LINK_ETHERNET : LINK_RAW;
    }
}

struct fixture {
    struct intake intake;
    struct block *full[8];
    uint32_t n_full;
    bool refuse_blocks;
    uint32_t n_unmatched;
    uint32_t block_bytes;
};

static struct block *exchange(struct block *full, uint32_t need, void *arg)
{
    struct fixture *f = arg;

    if (full != NULL) {
        f->full[f->n_full++] = full;
    }
    return f->refuse_blocks ? NULL : block_new(need > f->block_bytes ? need : f->block_bytes);
}

static void unmatched(const struct iface *iface, const char *why, void *arg)
{
    struct fixture *f = arg;

    assert_string_equal(iface->name, "if1");
    assert_string_equal(why, "no");
    f->n_unmatched++;
}

static void begin(struct fixture *f, uint32_t max_ifaces, struct limits limits)
{
    const struct intake_opts opts = {.max_ifaces = max_ifaces,
                                     .limits = limits,
                                     .exchange = exchange,
                                     .unmatched = unmatched,
                                     .arg = f};

    *f = (struct fixture){.block_bytes = 4096};
    intake_init(&f->intake, &opts);
}

static void end(struct fixture *f)
{
    for (uint32_t i = 0; i < f->n_full; i++) {
        block_unref(f->full[i]);
    }
    intake_deinit(&f->intake);
}

static bool give(struct intake_feed *feed, uint32_t iface, uint32_t caplen, uint64_t time_ns)
{
    static const uint8_t bytes[70000] = {1, 2, 3};
    const struct packet_view packet = {
        .time_ns = time_ns, .iface = iface, .caplen = caplen, .len = caplen + 1, .data = bytes};

    return feed->sink.packet(&feed->sink, &packet);
}

static void live_sources_share_a_block_and_keep_their_interfaces(void **state)
{
    struct fixture f;
    struct fake_source a, b;
    struct intake_feed feed_a, feed_b;
    struct packet_view packet;

    (void)state;
    begin(&f, 2, limits_make(0, 0, 0));
    fake_source_init(&a, 3, 1);
    fake_source_init(&b, 4, 1);
    assert_int_equal(intake_feed_init(&feed_a, &f.intake, &a.source, NULL, 0, NULL), 0);
    assert_int_equal(intake_feed_init(&feed_b, &f.intake, &b.source, NULL, 0, NULL), 0);
    assert_true(give(&feed_b, 0, 60, 5));
    assert_true(give(&feed_a, 0, 61, 4));
    struct block *block = intake_take_open(&f.intake);
    struct block_cursor cursor = block_cursor(block->data, block->len);
    assert_int_equal(block_next(&cursor, &packet), 1);
    assert_int_equal(packet.iface, 1);
    assert_int_equal(packet.caplen, 60);
    assert_int_equal(packet.len, 61);
    assert_int_equal(block_next(&cursor, &packet), 1);
    assert_int_equal(packet.iface, 0);
    assert_int_equal(packet.time_ns, 4);
    assert_int_equal(block->min_ns, 4);
    assert_int_equal(block->max_ns, 5);
    assert_int_equal(f.intake.ledgers[0].captured, 1);
    assert_int_equal(f.intake.ledgers[0].bytes, 61);
    assert_int_equal(f.intake.ledgers[1].bytes, 60);
    assert_null(intake_take_open(&f.intake));
    block_unref(block);
    intake_feed_deinit(&feed_a);
    intake_feed_deinit(&feed_b);
    end(&f);
}

static void a_full_block_is_exchanged_and_no_packet_is_lost(void **state)
{
    struct fixture f;
    struct fake_source live;
    struct intake_feed feed;
    uint32_t sum = 0;

    (void)state;
    begin(&f, 1, limits_make(0, 0, 0));
    fake_source_init(&live, 3, 1);
    assert_int_equal(intake_feed_init(&feed, &f.intake, &live.source, NULL, 0, NULL), 0);
    for (int i = 0; i < 10; i++) {
        assert_true(give(&feed, 0, 1000, 1));
    }
    assert_true(give(&feed, 0, 70000, 1)); /* larger than a block */
    assert_true(give(&feed, 0, 1000, 1));
    for (uint32_t i = 0; i < f.n_full; i++) {
        sum += f.full[i]->n_packets;
        assert_true(f.full[i]->n_packets > 0);
    }
    assert_int_equal(sum + f.intake.open->n_packets, 12);
    intake_feed_deinit(&feed);
    end(&f);
}

static void what_comes_after_the_limit_is_counted_not_kept(void **state)
{
    struct fixture f;
    struct fake_source live;
    struct intake_feed feed;
    struct ledger total;

    (void)state;
    begin(&f, 1, limits_make(2, 0, 0));
    fake_source_init(&live, 3, 1);
    assert_int_equal(intake_feed_init(&feed, &f.intake, &live.source, NULL, 0, NULL), 0);
    assert_true(give(&feed, 0, 100, 1));
    assert_false(give(&feed, 0, 100, 1));
    assert_int_equal(f.intake.state, INTAKE_REACHED);
    assert_true(give(&feed, 0, 100, 1)); /* draining: keep reading */
    assert_true(give(&feed, 0, 100, 1));
    intake_total(&f.intake, &total);
    assert_int_equal(total.captured, 2);
    assert_int_equal(total.bytes, 200);
    assert_int_equal(total.limit, 2);
    assert_int_equal(f.intake.open->n_packets, 2);
    intake_feed_deinit(&feed);
    end(&f);
}

static void the_packet_that_would_exceed_the_bytes_is_in_the_ledger(void **state)
{
    struct fixture f;
    struct fake_source live;
    struct intake_feed feed;

    (void)state;
    begin(&f, 1, limits_make(0, 150, 0));
    fake_source_init(&live, 3, 1);
    assert_int_equal(intake_feed_init(&feed, &f.intake, &live.source, NULL, 0, NULL), 0);
    assert_true(give(&feed, 0, 100, 1));
    assert_false(give(&feed, 0, 100, 1));
    assert_int_equal(f.intake.ledgers[0].captured, 1);
    assert_int_equal(f.intake.ledgers[0].limit, 1);
    intake_feed_deinit(&feed);
    end(&f);
}

static void no_block_stops_the_source(void **state)
{
    struct fixture f;
    struct fake_source live;
    struct intake_feed feed;

    (void)state;
    begin(&f, 1, limits_make(0, 0, 0));
    fake_source_init(&live, 3, 1);
    assert_int_equal(intake_feed_init(&feed, &f.intake, &live.source, NULL, 0, NULL), 0);
    f.refuse_blocks = true;
    assert_false(give(&feed, 0, 100, 1));
    assert_int_equal(f.intake.state, INTAKE_FAILED);
    assert_int_equal(f.intake.ledgers[0].captured, 0);
    assert_null(intake_take_open(&f.intake));
    intake_feed_deinit(&feed);
    end(&f);
}

static const struct filter *compile(struct filter_set *set, uint32_t link_type, const char **why)
{
    (void)set;
    *why = link_type == LINK_RAW ? "no" : NULL;
    return NULL;
}

static bool matches(const struct filter *filter, const struct packet_view *packet)
{
    (void)filter;
    return packet->caplen >= 100;
}

static void files_are_filtered_cut_and_told_once_of_useless_link_types(void **state)
{
    struct fixture f;
    struct fake_source file;
    struct intake_feed feed;
    struct packet_view packet;
    const struct intake_filtering filtering = {(struct filter_set *)(void *)&f, compile, matches};

    (void)state;
    begin(&f, 4, limits_make(0, 0, 0));
    fake_source_init(&file, -1, 2);
    assert_int_equal(intake_feed_init(&feed, &f.intake, &file.source, &filtering, 64, NULL), 0);
    assert_int_equal(f.n_unmatched, 1);
    assert_int_equal(f.intake.ifaces[0].snaplen, 64);
    assert_true(give(&feed, 0, 99, 1)); /* no match, so not received either */
    assert_true(give(&feed, 0, 200, 1));
    assert_int_equal(f.intake.ledgers[0].received, 1);
    assert_true(f.intake.ledgers[0].kernel == LEDGER_UNKNOWN); /* a file does not tell */
    struct block_cursor cursor = block_cursor(f.intake.open->data, f.intake.open->len);
    assert_int_equal(block_next(&cursor, &packet), 1);
    assert_int_equal(packet.caplen, 64);
    assert_int_equal(packet.len, 201);
    intake_feed_deinit(&feed);
    end(&f);
}

static void interfaces_that_turn_up_later_get_the_next_numbers(void **state)
{
    struct fixture f;
    struct fake_source one, two;
    struct intake_feed feed_one, feed_two;
    struct packet_view packet;
    struct err err = {0};

    (void)state;
    begin(&f, 3, limits_make(0, 0, 0));
    fake_source_init(&one, -1, 0);
    fake_source_init(&two, -1, 1);
    assert_int_equal(intake_feed_init(&feed_one, &f.intake, &one.source, NULL, 0, &err), 0);
    assert_int_equal(intake_feed_init(&feed_two, &f.intake, &two.source, NULL, 0, &err), 0);
    one.source.n_ifaces = 2;
    assert_true(give(&feed_one, 1, 100, 1));
    struct block_cursor cursor = block_cursor(f.intake.open->data, f.intake.open->len);
    assert_int_equal(block_next(&cursor, &packet), 1);
    assert_int_equal(packet.iface, 2);
    assert_int_equal(f.intake.n_ifaces, 3);
    two.source.n_ifaces = 2; /* one too many */
    assert_false(give(&feed_two, 1, 100, 1));
    assert_int_equal(f.intake.state, INTAKE_FAILED);
    assert_int_equal(f.intake.err.code, ERR_LIMIT);
    intake_feed_deinit(&feed_one);
    intake_feed_deinit(&feed_two);
    end(&f);
}

static void in_files_the_duration_is_packet_time(void **state)
{
    struct fixture f;
    struct fake_source file;
    struct intake_feed feed;

    (void)state;
    begin(&f, 1, limits_make(0, 0, 100));
    fake_source_init(&file, -1, 1);
    assert_int_equal(intake_feed_init(&feed, &f.intake, &file.source, NULL, 0, NULL), 0);
    assert_true(give(&feed, 0, 60, 5000));
    assert_true(give(&feed, 0, 60, 5099));
    assert_false(give(&feed, 0, 60, 5100));
    assert_int_equal(f.intake.state, INTAKE_REACHED);
    intake_feed_deinit(&feed);
    end(&f);
}

static void what_is_stamped_outside_of_the_span_is_cut_exactly(void **state)
{
    struct fixture f;
    struct fake_source a, b;
    struct intake_feed feed_a, feed_b;
    const struct intake_opts opts = {.max_ifaces = 2,
                                     .limits = limits_make(3, 0, 0),
                                     .from_ns = 1000,
                                     .until_ns = 2000,
                                     .exchange = exchange,
                                     .arg = &f};

    (void)state;
    f = (struct fixture){.block_bytes = 4096};
    intake_init(&f.intake, &opts);
    fake_source_init(&a, 3, 1);
    fake_source_init(&b, 4, 1);
    assert_int_equal(intake_feed_init(&feed_a, &f.intake, &a.source, NULL, 0, NULL), 0);
    assert_int_equal(intake_feed_init(&feed_b, &f.intake, &b.source, NULL, 0, NULL), 0);
    assert_true(give(&feed_a, 0, 60, 0));
    assert_true(give(&feed_a, 0, 60, 999)); /* nor does it use up the limit */
    assert_true(give(&feed_a, 0, 60, 1000));
    assert_true(give(&feed_a, 0, 60, 2000));
    assert_true(give(&feed_b, 0, 60, 1999)); /* the end of one source is not that of another */
    assert_int_equal(f.intake.state, INTAKE_OPEN);
    assert_int_equal(f.intake.early[0], 2);
    assert_int_equal(f.intake.ledgers[0].captured, 1);
    assert_int_equal(f.intake.ledgers[0].limit, 1);
    assert_int_equal(f.intake.ledgers[1].captured, 1);
    struct block *block = intake_take_open(&f.intake);
    assert_int_equal(block->min_ns, 1000);
    assert_int_equal(block->max_ns, 1999);
    block_unref(block);
    intake_feed_deinit(&feed_a);
    intake_feed_deinit(&feed_b);
    end(&f);
}

static void a_span_without_an_end_goes_on_for_ever(void **state)
{
    struct fixture f;
    struct fake_source live;
    struct intake_feed feed;
    const struct intake_opts opts = {.max_ifaces = 1,
                                     .limits = limits_make(0, 0, 0),
                                     .from_ns = 1000,
                                     .exchange = exchange,
                                     .arg = &f};

    (void)state;
    f = (struct fixture){.block_bytes = 4096};
    intake_init(&f.intake, &opts);
    fake_source_init(&live, 3, 1);
    assert_int_equal(intake_feed_init(&feed, &f.intake, &live.source, NULL, 0, NULL), 0);
    assert_true(give(&feed, 0, 60, 999));
    assert_true(give(&feed, 0, 60, 1000));
    assert_true(give(&feed, 0, 60, UINT64_MAX - 1));
    assert_int_equal(f.intake.early[0], 1);
    assert_int_equal(f.intake.ledgers[0].captured, 2);
    assert_int_equal(f.intake.ledgers[0].limit, 0);
    intake_feed_deinit(&feed);
    end(&f);
}

static void unknown_counters_stay_unknown_in_the_sum(void **state)
{
    struct fixture f;
    struct fake_source live;
    struct intake_feed feed_a, feed_b;
    struct ledger total;

    (void)state;
    begin(&f, 2, limits_make(0, 0, 0));
    fake_source_init(&live, 3, 1);
    assert_int_equal(intake_feed_init(&feed_a, &f.intake, &live.source, NULL, 0, NULL), 0);
    assert_int_equal(intake_feed_init(&feed_b, &f.intake, &live.source, NULL, 0, NULL), 0);
    f.intake.ledgers[0].kernel = 7;
    f.intake.ledgers[1].kernel = 8;
    f.intake.ledgers[1].interface = LEDGER_UNKNOWN;
    intake_total(&f.intake, &total);
    assert_int_equal(total.kernel, 15);
    assert_true(total.interface == LEDGER_UNKNOWN);
    intake_feed_deinit(&feed_a);
    intake_feed_deinit(&feed_b);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_sources_share_a_block_and_keep_their_interfaces),
        cmocka_unit_test(a_full_block_is_exchanged_and_no_packet_is_lost),
        cmocka_unit_test(what_comes_after_the_limit_is_counted_not_kept),
        cmocka_unit_test(the_packet_that_would_exceed_the_bytes_is_in_the_ledger),
        cmocka_unit_test(no_block_stops_the_source),
        cmocka_unit_test(files_are_filtered_cut_and_told_once_of_useless_link_types),
        cmocka_unit_test(interfaces_that_turn_up_later_get_the_next_numbers),
        cmocka_unit_test(in_files_the_duration_is_packet_time),
        cmocka_unit_test(what_is_stamped_outside_of_the_span_is_cut_exactly),
        cmocka_unit_test(a_span_without_an_end_goes_on_for_ever),
        cmocka_unit_test(unknown_counters_stay_unknown_in_the_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
