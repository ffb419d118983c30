/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions (uplink_track) and readers (uplink_reader_posix) of uplinks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>

#include "node/uplink_reader_posix.h"
#include "node/uplink_track.h"
#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"
#include "shared/packet/pcapng_options.h"

static void a_stream_goes_on_where_it_was(void **state)
{
    struct uplink_track track = {0};
    struct uplink_stream *s = uplink_track_use(&track, "a", 0);

    (void)state;
    assert_int_equal(uplink_track_take(&track, s, 0, 10), 0);
    assert_int_equal(s->next, 10);
    /* again, after the connection broke: five are new */
    assert_int_equal(uplink_track_take(&track, s, 5, 10), 10);
    assert_int_equal(s->next, 15);
    /* all of it is there already */
    assert_int_equal(uplink_track_take(&track, s, 0, 10), 10);
    assert_int_equal(s->next, 15);
    assert_int_equal(track.lost.dropped, 0);
    assert_ptr_equal(uplink_track_use(&track, "a", 99), s);
    assert_int_equal(s->next, 15);
}

static void a_hole_is_counted_once(void **state)
{
    struct uplink_track track = {0};
    struct uplink_stream *s = uplink_track_use(&track, "a", 100);

    (void)state;
    assert_int_equal(uplink_track_take(&track, s, 130, 0), 130);
    assert_int_equal(track.lost.dropped, 0);
    assert_int_equal(uplink_track_take(&track, s, 130, 1), 130);
    assert_int_equal(track.lost.dropped, 30);
    assert_int_equal(uplink_track_take(&track, s, 131, 9), 131);
    assert_int_equal(uplink_track_take(&track, s, 150, 1), 150);
    assert_int_equal(track.lost.dropped, 40);
}

static void the_longest_silent_stream_is_forgotten(void **state)
{
    struct uplink_track track = {0};
    char id[ID_TEXT_MAX];

    (void)state;
    for (int i = 0; i < UPLINK_STREAMS; i++) {
        snprintf(id, sizeof id, "%d", i);
        uplink_track_use(&track, id, 0);
    }
    uplink_track_use(&track, "0", 0);
    uplink_track_use(&track, "new", 7);
    assert_null(uplink_track_find(&track, "1"));
    assert_non_null(uplink_track_find(&track, "0"));
    assert_int_equal(uplink_track_find(&track, "new")->next, 7);
}

static void what_is_told_adds_up_over_streams(void **state)
{
    struct uplink_track track = {0};
    struct pcapng_told_statistics told = {.numbers = PCAPNG_STATISTICS_UNKNOWN};

    (void)state;
    told.numbers.osdrop = 5;
    uplink_put_comment(told.comment, 3, 9);
    uplink_track_told(&track, uplink_track_use(&track, "a", 0), &told);
    uplink_track_told(&track, uplink_track_use(&track, "a", 0), &told);
    assert_int_equal(track.lost.kernel, 5);
    assert_int_equal(track.lost.queue, 3);
    assert_false(track.lost.interface_told);
    told.numbers.osdrop = 4; /* runs backwards: ignored */
    told.numbers.ifdrop = 1;
    uplink_track_told(&track, uplink_track_use(&track, "a", 0), &told);
    assert_int_equal(track.lost.kernel, 5);
    uplink_track_told(&track, uplink_track_use(&track, "b", 0), &told);
    assert_int_equal(track.lost.kernel, 9);
    assert_int_equal(track.lost.queue, 6);
    assert_int_equal(track.lost.interface, 2);
    assert_true(track.lost.interface_told);
    assert_int_equal(uplink_comment_queue("queue=x"), 0);
    assert_int_equal(uplink_comment_queue("queue=99999999999999999999999"), 0);
}

static void a_stream_that_ends_without_a_word_is_counted_once(void **state)
{
    struct uplink_track track = {0};
    struct pcapng_told_statistics told = {.numbers = PCAPNG_STATISTICS_UNKNOWN};
    uint64_t at_least = 99;

    (void)state;
    assert_false(uplink_track_leave(&track, "", &at_least));
    struct uplink_stream *a = uplink_track_use(&track, "a", 0);
    assert_false(uplink_track_leave(&track, "a", &at_least)); /* it never began */
    a->is_described = true;
    uplink_track_take(&track, a, 0, 10);
    told.numbers.usrdeliv = 17;
    uplink_put_comment(told.comment, 0, 0);
    uplink_track_told(&track, a, &told);
    assert_true(uplink_track_leave(&track, "a", &at_least));
    assert_int_equal(at_least, 7);
    assert_false(uplink_track_leave(&track, "a", &at_least));
    struct uplink_stream *b = uplink_track_use(&track, "b", 0);
    b->is_described = true;
    snprintf(told.comment, sizeof told.comment, "%s", UPLINK_GOODBYE);
    uplink_track_told(&track, b, &told);
    assert_false(uplink_track_leave(&track, "b", &at_least));
    assert_int_equal(track.lost.cut_off, 1);
}

/* A capture that takes what a reader gives. */
struct sink {
    struct source_sink base;
    uint64_t n;
    uint64_t max; /* wants no more after so many */
    uint64_t last_ns;
    uint64_t n_ids;
    uint64_t last_id;
};

static bool take(struct source_sink *base, const struct packet_view *packet)
{
    struct sink *sink = container_of(base, struct sink, base);
    struct bytes_reader in = bytes_reader(packet->options, packet->options_len);
    struct pcapng_option_view option;

    sink->n++;
    sink->last_ns = packet->time_ns;
    if (packet->options_len > 0 && pcapng_option_next(&in, false, &option) == 1) {
        assert_int_equal(option.code, EPB_PACKETID);
        sink->n_ids++;
        sink->last_id = get_le64(option.value);
        assert_int_equal(sink->last_id, packet->time_ns);
    }
    return sink->n < sink->max;
}

static unsigned n_changed;

static void on_changed(void *arg)
{
    (void)arg;
    n_changed++;
}

struct fixture {
    struct source *source;
    struct sink sink;
    struct uplink_mark mark;
    struct err err;
};

static const struct iface eth0 = {.name = "a:eth0", .link_type = LINK_ETHERNET, .ts_digits = 9};

static void set_up(struct fixture *f, const struct uplink_reader_opts *opts)
{
    struct uplink_reader_opts all = *opts;

    *f = (struct fixture){.sink = {.base = {.packet = take}, .max = UINT64_MAX}};
    f->mark = (struct uplink_mark){.arrival = 1000, .position = 0};
    all.iface = &eth0;
    all.changed = on_changed;
    all.limit_bytes = 100000;
    n_changed = 0;
    assert_int_equal(uplink_reader_new(&all, &f->source, &f->err), 0);
    uplink_reader_begin(f->source, &f->mark);
}

/* n packets of 100 bytes; even ones are ARP, odd ones are not. */
static void push(struct fixture *f, uint32_t n)
{
    struct block *block = block_new(n * (100 + EPB_OVERHEAD));
    uint8_t bytes[100] = {0};

    for (uint32_t i = 0; i < n; i++) {
        bytes[12] = 8;
        bytes[13] = (f->mark.position + i) % 2 == 0 ? 6 : 0;
        struct packet_view packet = {
            .time_ns = f->mark.position + i, .caplen = 100, .len = 100, .data = bytes};
        assert_true(block_append(block, &packet));
    }
    f->mark.position += n;
    f->mark.arrival += n;
    f->mark.cost += block->len + 256;
    uplink_reader_push(f->source, block, &f->mark);
    block_unref(block);
}

static bool is_readable(const struct fixture *f)
{
    struct pollfd fd = {.fd = f->source->ops->fd(f->source), .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static int read_all(struct fixture *f)
{
    int rc;

    while ((rc = f->source->ops->read(f->source, &f->sink.base, &f->err)) == SOURCE_MORE) {
    }
    return rc;
}

static void tear_down(struct fixture *f)
{
    f->source->ops->close(f->source);
}

static void a_reader_gets_everything_in_order(void **state)
{
    struct fixture f;
    struct source_stats stats;

    (void)state;
    set_up(&f, &(struct uplink_reader_opts){0});
    assert_false(is_readable(&f));
    push(&f, 10);
    push(&f, 5);
    assert_true(is_readable(&f));
    assert_int_equal(read_all(&f), SOURCE_IDLE);
    assert_int_equal(f.sink.n, 15);
    assert_int_equal(f.sink.last_ns, 14);
    assert_int_equal(f.sink.n_ids, 0);
    assert_false(is_readable(&f));
    push(&f, 1);
    assert_true(is_readable(&f));
    assert_int_equal(read_all(&f), SOURCE_IDLE);
    uplink_reader_lost(f.source, 4, SOURCE_UNKNOWN);
    f.source->ops->stats(f.source, &stats);
    assert_int_equal(stats.received, 20);
    assert_int_equal(stats.kernel, 4);
    assert_true(stats.interface == SOURCE_UNKNOWN);
    tear_down(&f);
}

static void a_slow_viewer_loses_its_oldest_and_they_are_counted(void **state)
{
    struct fixture f;
    struct source_stats stats;

    (void)state;
    set_up(&f, &(struct uplink_reader_opts){.filter = "arp"});
    for (int i = 0; i < 100; i++) {
        push(&f, 20);
    }
    assert_int_equal(read_all(&f), SOURCE_IDLE);
    assert_int_equal(f.sink.last_ns, 1998);
    f.source->ops->stats(f.source, &stats);
    assert_true(stats.kernel > 0);
    assert_int_equal(f.sink.n + stats.kernel, 1000);
    assert_int_equal(stats.received, 1000);
    tear_down(&f);
}

static void a_lossless_reader_holds_back_and_loses_nothing(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, &(struct uplink_reader_opts){.lossless = true});
    for (int i = 0; i < 100; i++) {
        push(&f, 20);
    }
    assert_int_equal(uplink_reader_taken(f.source), 0);
    assert_int_equal(uplink_reader_safe(f.source), 1000);
    assert_int_equal(read_all(&f), SOURCE_IDLE);
    assert_int_equal(f.sink.n, 2000);
    assert_int_equal(n_changed, 100);
    assert_int_equal(uplink_reader_taken(f.source), f.mark.cost);
    assert_int_equal(uplink_reader_safe(f.source), 3000);
    /* a message without packets costs nothing for long */
    f.mark.cost += 256;
    uplink_reader_push(f.source, NULL, &f.mark);
    assert_int_equal(uplink_reader_taken(f.source), f.mark.cost);
    tear_down(&f);
}

static void what_is_not_settled_is_not_safe(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, &(struct uplink_reader_opts){.lossless = true, .settled = true, .filter = "arp"});
    push(&f, 10);
    push(&f, 10);
    push(&f, 1);
    assert_int_equal(read_all(&f), SOURCE_IDLE);
    assert_int_equal(f.sink.n, 11);
    assert_int_equal(f.sink.n_ids, 3);
    assert_int_equal(f.sink.last_id, 20);
    assert_int_equal(uplink_reader_taken(f.source), f.mark.cost);
    assert_int_equal(uplink_reader_safe(f.source), 1000);
    uplink_reader_settle(f.source, 4);
    assert_int_equal(uplink_reader_safe(f.source), 1000);
    uplink_reader_settle(f.source, 9);
    assert_int_equal(uplink_reader_safe(f.source), 1010);
    uplink_reader_settle(f.source, 11);
    assert_int_equal(uplink_reader_safe(f.source), 1021);
    tear_down(&f);
}

static void a_block_can_be_left_and_gone_on_with(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, &(struct uplink_reader_opts){.lossless = true, .settled = true});
    push(&f, 10);
    f.sink.max = 4;
    assert_int_equal(read_all(&f), SOURCE_STOPPED);
    f.sink.max = UINT64_MAX;
    assert_int_equal(read_all(&f), SOURCE_IDLE);
    assert_int_equal(f.sink.n, 10);
    assert_int_equal(f.sink.last_ns, 9);
    tear_down(&f);
}

static void the_end_comes_behind_the_last_packet(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, &(struct uplink_reader_opts){0});
    push(&f, 3);
    uplink_reader_end(f.source, "it is gone");
    push(&f, 3);
    assert_true(is_readable(&f));
    assert_int_equal(read_all(&f), ERR_CAPTURE);
    assert_string_equal(f.err.text, "it is gone");
    assert_int_equal(f.sink.n, 3);
    tear_down(&f);
}

static void after_a_halt_nothing_more_comes_in(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, &(struct uplink_reader_opts){.lossless = true});
    push(&f, 3);
    f.source->ops->halt(f.source);
    push(&f, 3);
    assert_int_equal(read_all(&f), SOURCE_IDLE);
    assert_int_equal(f.sink.n, 3);
    assert_int_equal(uplink_reader_taken(f.source), f.mark.cost);
    tear_down(&f);
}

static void a_bad_filter_is_refused(void **state)
{
    struct uplink_reader_opts opts = {.iface = &eth0, .filter = "not a filter"};
    struct source *source;
    struct err err;

    (void)state;
    assert_int_equal(uplink_reader_new(&opts, &source, &err), ERR_FILTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_goes_on_where_it_was),
        cmocka_unit_test(a_hole_is_counted_once),
        cmocka_unit_test(the_longest_silent_stream_is_forgotten),
        cmocka_unit_test(what_is_told_adds_up_over_streams),
        cmocka_unit_test(a_stream_that_ends_without_a_word_is_counted_once),
        cmocka_unit_test(a_reader_gets_everything_in_order),
        cmocka_unit_test(a_slow_viewer_loses_its_oldest_and_they_are_counted),
        cmocka_unit_test(a_lossless_reader_holds_back_and_loses_nothing),
        cmocka_unit_test(what_is_not_settled_is_not_safe),
        cmocka_unit_test(a_block_can_be_left_and_gone_on_with),
        cmocka_unit_test(the_end_comes_behind_the_last_packet),
        cmocka_unit_test(after_a_halt_nothing_more_comes_in),
        cmocka_unit_test(a_bad_filter_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
