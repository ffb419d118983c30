/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/relay_ring.h"
#include "shared/base/mem.h"

#define CAPLEN 100u

/* Appends packets whose time stamp is their number; segments of `cap` bytes. */
struct writer {
    struct relay_ring ring;
    uint32_t cap;
    uint64_t next;
};

static void drop(struct block *gone)
{
    while (gone != NULL) {
        struct block *next = gone->next;
        block_unref(gone);
        gone = next;
    }
}

static void append(struct writer *w, uint32_t n)
{
    static const uint8_t bytes[CAPLEN];

    for (uint32_t i = 0; i < n; i++) {
        const struct packet_view packet = {
            .time_ns = w->next, .caplen = CAPLEN, .len = CAPLEN, .data = bytes};
        struct block *last = relay_ring_last(&w->ring);
        uint32_t before = last == NULL ? 0 : last->len;

        if (last == NULL || !block_append(last, &packet)) {
            last = block_new(w->cap);
            drop(relay_ring_push(&w->ring, last));
            assert_true(block_append(last, &packet));
            before = 0;
        }
        relay_ring_publish(&w->ring, last->len - before, 1);
        w->next++;
    }
}

static void writer_init(struct writer *w, uint64_t limit, uint32_t cap)
{
    *w = (struct writer){.cap = cap};
    relay_ring_init(&w->ring, limit, cap);
}

/* Reads all that is there; checks that numbers and time stamps agree; returns the packets. */
static uint64_t read_all(struct writer *w, struct relay_cursor *cursor, uint64_t *lost)
{
    struct relay_run run;
    uint64_t n = 0;

    *lost += relay_ring_skip(&w->ring, cursor);
    while (relay_ring_peek(&w->ring, cursor, &run)) {
        struct block_cursor packets = block_cursor(run.data, run.n_bytes);
        struct packet_view packet;
        uint32_t count = 0;

        while (block_next(&packets, &packet) == 1) {
            assert_int_equal(packet.time_ns, run.first + count);
            count++;
        }
        assert_int_equal(count, run.n_packets);
        n += count;
        relay_cursor_advance(cursor, run.n_bytes, run.n_packets);
        block_unref(run.block);
    }
    assert_int_equal(cursor->number, w->ring.packets);
    return n;
}

static void a_viewer_that_keeps_up_gets_every_packet_once(void **state)
{
    struct writer w;
    uint64_t lost = 0;
    uint64_t got = 0;

    (void)state;
    writer_init(&w, 40000, 4000);
    append(&w, 7); /* before it joined */
    struct relay_cursor cursor = relay_ring_end(&w.ring);
    for (uint32_t i = 0; i < 200; i++) {
        append(&w, i % 37);
        got += read_all(&w, &cursor, &lost);
    }
    assert_int_equal(got, w.next - 7);
    assert_int_equal(lost, 0);
    relay_ring_deinit(&w.ring);
}

static void an_overtaken_viewer_loses_the_oldest_and_knows_how_many(void **state)
{
    struct writer w;
    uint64_t lost = 0;

    (void)state;
    writer_init(&w, 40000, 4000);
    struct relay_cursor cursor = relay_ring_end(&w.ring);
    append(&w, 10);
    assert_int_equal(read_all(&w, &cursor, &lost), 10);
    append(&w, 5000);
    uint64_t got = read_all(&w, &cursor, &lost);
    assert_true(lost > 0);
    assert_int_equal(10 + got + lost, 5010);
    assert_true(w.ring.bytes <= 40000);
    /* what is left is most of the limit, not one segment of it */
    assert_true(got * block_packet_bytes(CAPLEN, 0) > 30000);
    relay_ring_deinit(&w.ring);
}

static void a_viewer_overtaken_in_the_middle_of_a_segment_is_counted_exactly(void **state)
{
    struct writer w;
    struct relay_run run;
    uint64_t lost = 0;

    (void)state;
    writer_init(&w, 40000, 4000);
    append(&w, 20);
    struct relay_cursor cursor = {0};
    assert_true(relay_ring_peek(&w.ring, &cursor, &run));
    relay_cursor_advance(&cursor, 3 * block_packet_bytes(CAPLEN, 0), 3);
    append(&w, 1000);
    /* the reference keeps the bytes though the ring has dropped the segment */
    assert_int_equal(get_le32(run.data), EPB_TYPE);
    block_unref(run.block);
    uint64_t got = read_all(&w, &cursor, &lost);
    assert_int_equal(3 + got + lost, 1020);
    relay_ring_deinit(&w.ring);
}

static void who_was_there_goes_on_where_it_was(void **state)
{
    struct writer w;
    struct relay_cursor cursor;
    uint64_t lost = 0;

    (void)state;
    writer_init(&w, 400000, 4000);
    append(&w, 500);
    for (uint64_t from = 0; from <= 500; from += 17) {
        lost = 0;
        assert_true(relay_ring_seek(&w.ring, from, &cursor));
        assert_int_equal(read_all(&w, &cursor, &lost), 500 - from);
        assert_int_equal(lost, 0);
    }
    assert_true(relay_ring_seek(&w.ring, 500, &cursor));
    append(&w, 1);
    assert_int_equal(read_all(&w, &cursor, &lost), 1);
    assert_false(relay_ring_seek(&w.ring, 502, &cursor));
    append(&w, 20000);
    lost = 0;
    assert_true(relay_ring_seek(&w.ring, 400, &cursor));
    uint64_t got = read_all(&w, &cursor, &lost);
    assert_true(lost > 0);
    assert_int_equal(400 + got + lost, 20501);
    relay_ring_deinit(&w.ring);
}

static void a_packet_larger_than_the_limit_still_goes_through(void **state)
{
    struct writer w;
    uint64_t lost = 0;

    (void)state;
    writer_init(&w, 1000, 4000);
    struct relay_cursor cursor = relay_ring_end(&w.ring);
    append(&w, 30);
    assert_int_equal(w.ring.n, 1);
    assert_int_equal(read_all(&w, &cursor, &lost) + lost, 30);
    relay_ring_deinit(&w.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_viewer_that_keeps_up_gets_every_packet_once),
        cmocka_unit_test(an_overtaken_viewer_loses_the_oldest_and_knows_how_many),
        cmocka_unit_test(a_viewer_overtaken_in_the_middle_of_a_segment_is_counted_exactly),
        cmocka_unit_test(who_was_there_goes_on_where_it_was),
        cmocka_unit_test(a_packet_larger_than_the_limit_still_goes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
