/* SPDX-License-Identifier: Apache-2.0
 *
 * The live stream of a node, cut anywhere, limited, hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/viewer_stream.h"
#include "shared/base/mem.h"
#include "shared/packet/block.h"
#include "shared/packet/pcapng.h"

struct fixture {
    struct stream_reader reader;
    struct resume *resume;
    struct buf stream;
    struct err err;
    /* what was seen */
    unsigned sections;
    unsigned interfaces;
    unsigned statistics;
    unsigned runs;
    uint64_t packets;
    struct buf packets_seen;
};

static int set_up(void **state)
{
    struct fixture *f = x_alloc(sizeof *f);

    f->resume = x_alloc(sizeof *f->resume);
    resume_connected(f->resume, "s", "0", false);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    stream_reader_deinit(&f->reader);
    buf_deinit(&f->stream);
    buf_deinit(&f->packets_seen);
    mem_free(f->resume);
    mem_free(f);
    return 0;
}

static void put_head(struct fixture *f)
{
    static const struct pcapng_section section = {.application = "test"};
    static const struct iface iface = {.name = "eth0", .link_type = LINK_ETHERNET};

    pcapng_write_section(&f->stream, &section);
    pcapng_write_interface(&f->stream, &iface, NULL);
}

/* Packets numbered in their first bytes, each a microsecond later. */
static void put_packets(struct fixture *f, uint32_t from, uint32_t to)
{
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);

    for (uint32_t i = from; i < to; i++) {
        uint8_t data[64] = {0};
        put_le32(data, i);
        const struct packet_view packet = {
            .time_ns = 1000 + i * 1000ull, .caplen = 10 + i % 50, .len = 100, .data = data};
        assert_true(block_append(block, &packet));
    }
    buf_append(&f->stream, block->data, block->len);
    block_unref(block);
}

static void put_loss(struct fixture *f, uint64_t lost, uint64_t position)
{
    struct pcapng_statistics statistics = PCAPNG_STATISTICS_UNKNOWN;
    char comment[96];

    statistics.time_ns = 0x123456789ull;
    statistics.osdrop = lost;
    snprintf(comment, sizeof comment, "packetrecorder: lost=%llu position=%llu",
             (unsigned long long)lost, (unsigned long long)position);
    pcapng_write_statistics(&f->stream, 0, &statistics, comment);
}

static void on_event(struct fixture *f, int event, const struct stream_piece *piece)
{
    f->sections += event == STREAM_SECTION;
    f->interfaces += event == STREAM_INTERFACE;
    f->statistics += event == STREAM_STATISTICS;
    if (event == STREAM_PACKETS) {
        f->runs++;
        f->packets += piece->n_packets;
        buf_append(&f->packets_seen, piece->run, piece->n);
    }
}

/* Feeds n bytes at p as one message; the first negative result, or 0. */
static int feed(struct fixture *f, const uint8_t *p, size_t n, uint64_t max_packets)
{
    /* A copy of its own, so that the sanitizer sees every byte that is read too many. */
    uint8_t *copy = x_alloc(n);
    struct stream_piece piece;
    int event;

    memcpy(copy, p, n);
    struct bytes_reader in = bytes_reader(copy, n);
    while ((event = stream_reader_next(&f->reader, f->resume, &in, max_packets, &piece, &f->err)) >
           0) {
        on_event(f, event, &piece);
    }
    if (event == STREAM_MORE) {
        assert_int_equal(bytes_left(&in), 0);
    }
    mem_free(copy);
    return event;
}

static void runs_are_given_whole(void **state)
{
    struct fixture *f = *state;

    put_head(f);
    size_t head = f->stream.len;
    put_packets(f, 0, 1000);
    assert_int_equal(feed(f, f->stream.data, f->stream.len, UINT64_MAX), 0);
    assert_int_equal(f->sections, 1);
    assert_int_equal(f->interfaces, 1);
    assert_string_equal(f->reader.ifaces[0].name, "eth0");
    assert_int_equal(f->runs, 1);
    assert_int_equal(f->packets, 1000);
    assert_int_equal(f->packets_seen.len, f->stream.len - head);
    assert_memory_equal(f->packets_seen.data, f->stream.data + head, f->packets_seen.len);
    assert_int_equal(f->resume->position, 1000);
}

static void messages_may_cut_blocks_anywhere(void **state)
{
    struct fixture *f = *state;

    put_head(f);
    size_t head = f->stream.len;
    put_packets(f, 0, 20);
    put_loss(f, 3, 23);
    put_packets(f, 23, 30);
    size_t total = f->stream.len;
    for (size_t piece = 1; piece < 150; piece++) {
        stream_reader_reset(&f->reader);
        memset(f->resume, 0, sizeof *f->resume);
        resume_connected(f->resume, "s", "0", false);
        buf_reset(&f->packets_seen);
        f->packets = f->statistics = 0;
        for (size_t at = 0; at < total; at += piece) {
            size_t n = total - at < piece ? total - at : piece;
            assert_int_equal(feed(f, f->stream.data + at, n, UINT64_MAX), 0);
        }
        assert_int_equal(f->packets, 27);
        assert_int_equal(f->statistics, 1);
        assert_memory_equal(f->packets_seen.data, f->stream.data + head, 40);
        assert_int_equal(f->resume->position, 27);
    }
}

static void a_run_ends_at_the_limit(void **state)
{
    struct fixture *f = *state;
    struct stream_piece piece;

    put_head(f);
    put_packets(f, 0, 100);
    struct bytes_reader in = bytes_reader(f->stream.data, f->stream.len);
    for (int event = 1; event != STREAM_PACKETS;) {
        event = stream_reader_next(&f->reader, f->resume, &in, 7, &piece, &f->err);
        assert_true(event > 0);
    }
    assert_int_equal(piece.n_packets, 7);
    assert_int_equal(f->resume->position, 7);
    assert_int_equal(piece.min_ns, 1000);
    assert_int_equal(piece.max_ns, 7000);
    assert_true(bytes_left(&in) > 0);
}

static void statistics_tell_losses_and_counters(void **state)
{
    struct fixture *f = *state;
    struct stream_piece piece = {0};
    uint64_t lost = 0;
    uint64_t position = 0;
    int event = 1;

    put_head(f);
    put_loss(f, 12, 345);
    struct bytes_reader in = bytes_reader(f->stream.data, f->stream.len);
    while (event != STREAM_STATISTICS) {
        event = stream_reader_next(&f->reader, f->resume, &in, 1, &piece, &f->err);
        assert_true(event > 0);
    }
    assert_true(resume_parse_comment(piece.comment, strlen(piece.comment), &lost, &position));
    assert_int_equal(lost, 12);
    assert_int_equal(position, 345);
    assert_int_equal(piece.statistics.osdrop, 12);
    assert_int_equal(piece.statistics.time_ns, 0x123456789ull);
    assert_true(piece.statistics.ifdrop == UINT64_MAX);
}

static void what_was_there_before_is_left_out_of_the_runs(void **state)
{
    struct fixture *f = *state;

    put_head(f);
    put_packets(f, 10, 20);
    assert_int_equal(feed(f, f->stream.data, f->stream.len, UINT64_MAX), 0);
    assert_int_equal(f->packets, 10);
    stream_reader_reset(&f->reader);
    resume_connected(f->resume, "other", "0", true);
    buf_reset(&f->stream);
    buf_reset(&f->packets_seen);
    put_head(f);
    put_packets(f, 5, 15);
    put_packets(f, 18, 22); /* 18 and 19 again */
    put_packets(f, 12, 13); /* and one that came twice already */
    put_packets(f, 22, 25);
    f->packets = 0;
    assert_int_equal(feed(f, f->stream.data, f->stream.len, UINT64_MAX), 0);
    /* 12 the second time is more than we had, so it is kept. */
    assert_int_equal(f->packets, 2 + 1 + 3);
    struct block_cursor cursor = block_cursor(f->packets_seen.data, f->packets_seen.len);
    struct packet_view packet;
    static const uint32_t wanted[] = {20, 21, 12, 22, 23, 24};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        assert_int_equal(block_next(&cursor, &packet), 1);
        assert_int_equal(get_le32(packet.data), wanted[i]);
    }
}

static void a_stream_without_a_section_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(feed(f, (const uint8_t *)"HTTP/1.1 200", 12, 1), ERR_DAMAGED);
    assert_non_null(strstr(f->err.text, "section header"));
}

static void blocks_that_lie_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t at; /* in the packet block */
        uint32_t value;
    } lies[] = {
        {4, 13},          /* length that is no multiple of 4 */
        {4, 8},           /* shorter than a block */
        {4, 0xfffffff0u}, /* larger than the limit */
        {4, 16},          /* shorter than a packet block */
        {8, 1},           /* an interface that nobody announced */
        {20, 4000},       /* more packet than block */
    };

    put_head(f);
    size_t at = f->stream.len;
    put_packets(f, 0, 3);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        uint8_t kept[4];
        memcpy(kept, f->stream.data + at + lies[i].at, 4);
        put_le32(f->stream.data + at + lies[i].at, lies[i].value);
        stream_reader_reset(&f->reader);
        f->packets = 0;
        assert_true(feed(f, f->stream.data, f->stream.len, UINT64_MAX) < 0);
        assert_int_equal(f->packets, 0);
        memcpy(f->stream.data + at + lies[i].at, kept, 4);
    }
}

static void too_many_interfaces_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct iface iface = {.name = "x", .link_type = LINK_ETHERNET};

    put_head(f);
    for (unsigned i = 0; i < STREAM_IFACES_MAX; i++) {
        pcapng_write_interface(&f->stream, &iface, NULL);
    }
    assert_int_equal(feed(f, f->stream.data, f->stream.len, 1), ERR_LIMIT);
}

static void a_clock_that_is_not_in_nanoseconds_is_refused(void **state)
{
    struct fixture *f = *state;

    put_head(f);
    /* if_tsresol is the option with code 9 and length 1. */
    uint8_t *p = memmem(f->stream.data, f->stream.len, "\x09\x00\x01\x00\x09", 5);
    assert_non_null(p);
    p[4] = 6;
    assert_int_equal(feed(f, f->stream.data, f->stream.len, 1), ERR_UNSUPPORTED);
}

static void a_new_section_numbers_interfaces_again(void **state)
{
    struct fixture *f = *state;

    put_head(f);
    put_packets(f, 0, 2);
    put_head(f);
    put_packets(f, 2, 4);
    assert_int_equal(feed(f, f->stream.data, f->stream.len, UINT64_MAX), 0);
    assert_int_equal(f->sections, 2);
    assert_int_equal(f->reader.n_ifaces, 1);
    assert_int_equal(f->packets, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(runs_are_given_whole),
        TEST(messages_may_cut_blocks_anywhere),
        TEST(a_run_ends_at_the_limit),
        TEST(statistics_tell_losses_and_counters),
        TEST(what_was_there_before_is_left_out_of_the_runs),
        TEST(a_stream_without_a_section_is_refused),
        TEST(blocks_that_lie_are_refused),
        TEST(too_many_interfaces_are_refused),
        TEST(a_clock_that_is_not_in_nanoseconds_is_refused),
        TEST(a_new_section_numbers_interfaces_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
