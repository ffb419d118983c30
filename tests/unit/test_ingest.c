/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <zstd.h>

#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"
#include "shared/wire/ingest.h"

static const struct iface eth0 = {.name = "eth0", .link_type = LINK_ETHERNET, .ts_digits = 9};
static const uint8_t bytes[100] = {1, 2, 3};

static void put_section(struct buf *out)
{
    pcapng_write_section(out, &(struct pcapng_section){.application = "test"});
    pcapng_write_interface(out, &eth0, NULL);
}

/* n packets whose time stamps are their positions. */
static void put_packets(struct buf *out, uint64_t position, uint32_t n)
{
    struct block *block = block_new(n * 160 + 64);

    for (uint32_t i = 0; i < n; i++) {
        struct packet_view packet = {
            .time_ns = position + i, .caplen = sizeof bytes, .len = 1500, .data = bytes};
        assert_true(block_append(block, &packet));
    }
    buf_append(out, block->data, block->len);
    block_unref(block);
}

struct pair {
    struct ingest_encoder *encoder;
    struct ingest_decoder *decoder;
    struct buf payload;
    struct buf message;
    struct ingest_batch batch;
    struct err err;
};

static void set_up(struct pair *p, bool compress)
{
    *p = (struct pair){.encoder = ingest_encoder_new(compress),
                       .decoder = ingest_decoder_new(compress)};
    put_section(&p->payload);
}

static void tear_down(struct pair *p)
{
    ingest_encoder_free(p->encoder);
    ingest_decoder_free(p->decoder);
    buf_deinit(&p->payload);
    buf_deinit(&p->message);
}

static int pass(struct pair *p, uint64_t position, uint32_t n, uint64_t wanted_from)
{
    const struct ingest_header header = {INGEST_PACKETS, n, position};

    buf_reset(&p->message);
    ingest_encode_packets(p->encoder, &header, p->payload.data, p->payload.len, &p->message);
    buf_reset(&p->payload);
    p->batch = (struct ingest_batch){0};
    return ingest_decode_packets(p->decoder, p->message.data, p->message.len, wanted_from,
                                 &p->batch, &p->err);
}

static void packets_pass(bool compress)
{
    struct pair p;
    struct packet_view view;

    set_up(&p, compress);
    put_packets(&p.payload, 40, 3);
    size_t n = p.payload.len;
    assert_int_equal(pass(&p, 40, 3, 0), 0);
    assert_true(p.batch.is_new_section);
    assert_string_equal(p.batch.iface->name, "eth0");
    assert_int_equal(p.batch.cost, n + INGEST_MESSAGE_COST);
    assert_int_equal(p.batch.block->n_packets, 3);
    struct block_cursor cursor = block_cursor(p.batch.block->data, p.batch.block->len);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(block_next(&cursor, &view), 1);
        assert_int_equal(view.time_ns, 40 + i);
        assert_memory_equal(view.data, bytes, sizeof bytes);
    }
    block_unref(p.batch.block);
    /* the next message goes on in the section */
    put_packets(&p.payload, 43, 2);
    assert_int_equal(pass(&p, 43, 2, 0), 0);
    assert_false(p.batch.is_new_section);
    assert_string_equal(p.batch.iface->name, "eth0");
    assert_int_equal(p.batch.block->n_packets, 2);
    block_unref(p.batch.block);
    tear_down(&p);
}

static void packets_pass_as_they_are(void **state)
{
    (void)state;
    packets_pass(false);
}

static void packets_pass_compressed(void **state)
{
    (void)state;
    packets_pass(true);
}

static void what_is_there_already_is_left_out(void **state)
{
    struct pair p;
    struct packet_view view;

    (void)state;
    set_up(&p, true);
    put_packets(&p.payload, 10, 5);
    assert_int_equal(pass(&p, 10, 5, 13), 0);
    assert_int_equal(p.batch.block->n_packets, 2);
    struct block_cursor cursor = block_cursor(p.batch.block->data, p.batch.block->len);
    assert_int_equal(block_next(&cursor, &view), 1);
    assert_int_equal(view.time_ns, 13);
    block_unref(p.batch.block);
    put_packets(&p.payload, 15, 2);
    assert_int_equal(pass(&p, 15, 2, 100), 0);
    assert_null(p.batch.block);
    tear_down(&p);
}

static void a_message_without_packets_costs_nothing(void **state)
{
    struct pair p;
    struct pcapng_statistics numbers = PCAPNG_STATISTICS_UNKNOWN;

    (void)state;
    set_up(&p, true);
    numbers.osdrop = 7;
    pcapng_write_statistics(&p.payload, 0, &numbers, "dropped=3");
    assert_int_equal(pass(&p, 0, 0, 0), 0);
    assert_null(p.batch.block);
    assert_int_equal(p.batch.cost, 0);
    assert_true(p.batch.has_statistics);
    assert_int_equal(p.batch.statistics.numbers.osdrop, 7);
    assert_true(p.batch.statistics.numbers.ifdrop == UINT64_MAX);
    assert_string_equal(p.batch.statistics.comment, "dropped=3");
    tear_down(&p);
}

static void a_count_that_is_not_true_is_refused(void **state)
{
    (void)state;
    for (uint32_t told = 0; told < 4; told += told == 1 ? 2 : 1) {
        struct pair p;
        set_up(&p, false);
        put_packets(&p.payload, 0, 2);
        assert_int_equal(pass(&p, 0, told, 0), ERR_DAMAGED);
        assert_null(p.batch.block);
        tear_down(&p);
    }
}

static void a_second_interface_and_a_cut_block_are_refused(void **state)
{
    struct pair p;

    (void)state;
    set_up(&p, false);
    pcapng_write_interface(&p.payload, &eth0, NULL);
    assert_int_equal(pass(&p, 0, 0, 0), ERR_LIMIT);
    tear_down(&p);
    set_up(&p, false);
    put_section(&p.payload);
    assert_int_equal(pass(&p, 0, 0, 0), ERR_LIMIT);
    tear_down(&p);
    set_up(&p, false);
    put_packets(&p.payload, 0, 1);
    p.payload.len -= 4;
    assert_int_equal(pass(&p, 0, 1, 0), ERR_DAMAGED);
    tear_down(&p);
    set_up(&p, false);
    buf_reset(&p.payload);
    put_packets(&p.payload, 0, 1);
    assert_int_equal(pass(&p, 0, 1, 0), ERR_DAMAGED);
    tear_down(&p);
}

/* 64 MiB of zeros are a few kilobytes on the wire. */
static void a_bomb_is_refused_at_the_limit(void **state)
{
    struct pair p;
    size_t n = 64u * 1024u * 1024u;
    uint8_t *zeros = calloc(1, n);
    size_t room = ZSTD_compressBound(n);
    uint8_t *bomb = malloc(room + INGEST_HEADER_BYTES);

    (void)state;
    set_up(&p, true);
    memset(bomb, 0, INGEST_HEADER_BYTES);
    bomb[0] = INGEST_PACKETS;
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, 18);
    size_t made = ZSTD_compress2(zstd, bomb + INGEST_HEADER_BYTES, room, zeros, n);
    assert_false(ZSTD_isError(made));
    ZSTD_freeCCtx(zstd);
    assert_true(made < 10000);
    assert_int_equal(
        ingest_decode_packets(p.decoder, bomb, INGEST_HEADER_BYTES + made, 0, &p.batch, &p.err),
        ERR_LIMIT);
    free(zeros);
    free(bomb);
    tear_down(&p);
}

static void a_window_beyond_the_limit_is_refused(void **state)
{
    struct pair p;
    uint8_t message[INGEST_HEADER_BYTES + 64] = {INGEST_PACKETS};
    /* a frame header alone: magic, no content size, window descriptor of 2 GiB */
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00};

    (void)state;
    set_up(&p, true);
    memcpy(message + INGEST_HEADER_BYTES, frame, sizeof frame);
    assert_int_equal(ingest_decode_packets(p.decoder, message, INGEST_HEADER_BYTES + sizeof frame,
                                           0, &p.batch, &p.err),
                     ERR_DAMAGED);
    assert_non_null(strstr(p.err.text, "too much memory"));
    tear_down(&p);
}

static void the_largest_payload_passes_and_one_more_byte_does_not(void **state)
{
    struct pair p;

    (void)state;
    set_up(&p, true);
    while (p.payload.len < INGEST_PAYLOAD_MAX) {
        uint32_t size = (uint32_t)(INGEST_PAYLOAD_MAX - p.payload.len);
        size = size > 16384 + 12 ? 16384 : size;
        buf_put_le32(&p.payload, 0x0bad); /* a block of unknown type */
        buf_put_le32(&p.payload, size);
        for (uint32_t i = 12; i < size; i++) {
            buf_put_u8(&p.payload, (uint8_t)rand());
        }
        buf_put_le32(&p.payload, size);
    }
    assert_int_equal(p.payload.len, INGEST_PAYLOAD_MAX);
    assert_int_equal(pass(&p, 0, 0, 0), 0);
    assert_true(p.message.len <= INGEST_MESSAGE_MAX);
    tear_down(&p);
}

static void a_small_foreign_block_may_grow(void **state)
{
    struct pair p;

    (void)state;
    set_up(&p, false);
    for (int i = 0; i < 20; i++) { /* Simple Packet Blocks of an empty packet */
        buf_put_le32(&p.payload, PCAPNG_SIMPLE_PACKET);
        buf_put_le32(&p.payload, 16);
        buf_put_le32(&p.payload, 0);
        buf_put_le32(&p.payload, 16);
    }
    assert_int_equal(pass(&p, 0, 20, 0), 0);
    assert_int_equal(p.batch.block->n_packets, 20);
    block_unref(p.batch.block);
    tear_down(&p);
}

static void what_is_taken_passes(void **state)
{
    struct buf out = {0};
    uint64_t position = 0;
    uint64_t credit = 0;
    struct err err;

    (void)state;
    ingest_encode_taken(123456789012, 42, &out);
    assert_int_equal(ingest_decode_taken(out.data, out.len, &position, &credit, &err), 0);
    assert_int_equal(position, 123456789012);
    assert_int_equal(credit, 42);
    for (size_t n = 0; n < out.len; n++) {
        assert_int_equal(ingest_decode_taken(out.data, n, &position, &credit, &err), ERR_DAMAGED);
    }
    out.data[0] = INGEST_PACKETS;
    assert_int_equal(ingest_decode_taken(out.data, out.len, &position, &credit, &err), ERR_DAMAGED);
    buf_deinit(&out);
}

static void names_are_plain(void **state)
{
    (void)state;
    assert_true(ingest_name_is_good("branch-7.example"));
    assert_false(ingest_name_is_good(""));
    assert_false(ingest_name_is_good(".."));
    assert_false(ingest_name_is_good("a:b"));
    assert_false(ingest_name_is_good("a/b"));
    assert_true(ingest_interface_is_good("eth0.7@if3"));
    assert_false(ingest_interface_is_good("a b"));
    assert_false(ingest_interface_is_good("a/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_pass_as_they_are),
        cmocka_unit_test(packets_pass_compressed),
        cmocka_unit_test(what_is_there_already_is_left_out),
        cmocka_unit_test(a_message_without_packets_costs_nothing),
        cmocka_unit_test(a_count_that_is_not_true_is_refused),
        cmocka_unit_test(a_second_interface_and_a_cut_block_are_refused),
        cmocka_unit_test(a_bomb_is_refused_at_the_limit),
        cmocka_unit_test(a_window_beyond_the_limit_is_refused),
        cmocka_unit_test(the_largest_payload_passes_and_one_more_byte_does_not),
        cmocka_unit_test(a_small_foreign_block_may_grow),
        cmocka_unit_test(what_is_taken_passes),
        cmocka_unit_test(names_are_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
