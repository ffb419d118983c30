/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/capture_shape.h"
#include "shared/base/bytes.h"
#include "shared/base/mem.h"

/* A file under construction. */
static struct {
    uint8_t bytes[1024];
    size_t n;
    bool big; /* big-endian */
} file;

static void put(uint32_t v)
{
    put_le32(file.bytes + file.n, file.big ? __builtin_bswap32(v) : v);
    file.n += 4;
}

static void put_block(uint32_t type, uint32_t length, uint32_t trailer)
{
    put(type);
    put(length);
    memset(file.bytes + file.n, 0x5A, length - 12);
    file.n += length - 12;
    put(trailer);
}

static void begin(bool big)
{
    memset(&file, 0, sizeof file);
    file.big = big;
    put_block(0x0A0D0D0A, 28, 28);
    put_le32(file.bytes + 8, big ? __builtin_bswap32(0x1A2B3C4Du) : 0x1A2B3C4Du);
}

/* An interface, an Enhanced and a Simple Packet, statistics. */
static void make_pcapng(bool big)
{
    begin(big);
    put_block(1, 20, 20);
    put_block(6, 36, 36);
    put_block(3, 16, 16);
    put_block(5, 12, 12);
}

static void make_pcap(bool big)
{
    memset(&file, 0, sizeof file);
    file.big = big;
    put(0xA1B23C4D);
    file.n = 24;
    for (uint32_t caplen = 0; caplen < 3; caplen++) {
        put(1);
        put(2);
        put(caplen);
        put(caplen);
        file.n += caplen;
    }
}

/* In pieces of so many bytes. */
static int take(struct capture_shape *shape, size_t piece)
{
    int rc = 0;

    for (size_t at = 0; at < file.n && rc == 0; at += piece) {
        size_t n = file.n - at < piece ? file.n - at : piece;
        rc = capture_shape_take(shape, file.bytes + at, n, NULL);
    }
    return rc;
}

static void check_whole(enum capture_shape_kind kind, uint64_t packets)
{
    for (size_t piece = 1; piece <= file.n; piece++) {
        struct capture_shape shape = {.kind = kind};
        assert_int_equal(take(&shape, piece), 0);
        assert_true(capture_shape_is_whole(&shape));
        assert_int_equal(shape.packets, packets);
        assert_int_equal(shape.offset, file.n);
    }
}

static void check_refused(enum capture_shape_kind kind, uint64_t offset)
{
    for (size_t piece = 1; piece <= file.n; piece++) {
        struct capture_shape shape = {.kind = kind};
        assert_int_equal(take(&shape, piece), ERR_DAMAGED);
        assert_int_equal(shape.offset, offset);
    }
}

static void a_file_is_whole_however_it_comes(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        make_pcapng(big);
        check_whole(CAPTURE_SHAPE_PCAPNG, 2);
        make_pcap(big);
        check_whole(CAPTURE_SHAPE_PCAP, 3);
    }
}

static void sections_may_differ_in_byte_order(void **state)
{
    (void)state;
    make_pcapng(true);
    size_t n = file.n;
    file.big = false;
    put_block(0x0A0D0D0A, 28, 28);
    put_le32(file.bytes + n + 8, 0x1A2B3C4D);
    put_block(6, 36, 36);
    check_whole(CAPTURE_SHAPE_PCAPNG, 3);
}

static void a_file_that_is_cut_is_not_whole(void **state)
{
    (void)state;
    make_pcapng(false);
    size_t n = file.n;
    for (file.n = 0; file.n < n; file.n++) {
        struct capture_shape shape = {.kind = CAPTURE_SHAPE_PCAPNG};
        bool is_boundary = file.n == 28 || file.n == 48 || file.n == 84 || file.n == 100;
        assert_int_equal(take(&shape, 7), 0);
        assert_int_equal(capture_shape_is_whole(&shape), is_boundary);
    }
    make_pcap(false);
    file.n--;
    struct capture_shape shape = {.kind = CAPTURE_SHAPE_PCAP};
    assert_int_equal(take(&shape, 7), 0);
    assert_false(capture_shape_is_whole(&shape));
}

static void lengths_must_hold_together(void **state)
{
    static const uint32_t wrong[] = {0, 4, 8, 11, 13, 35, 0x7FFFFFFC, 0xFFFFFFFC};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        make_pcapng(false);
        put_le32(file.bytes + 52, wrong[i]); /* of the Enhanced Packet Block at 48 */
        check_refused(CAPTURE_SHAPE_PCAPNG, 48);
    }
    make_pcapng(false);
    put_le32(file.bytes + 80, 32); /* its trailer */
    check_refused(CAPTURE_SHAPE_PCAPNG, 48);
    make_pcapng(false);
    put_le32(file.bytes + 4, 12); /* a section header without room for what it must have */
    check_refused(CAPTURE_SHAPE_PCAPNG, 0);
    make_pcap(false);
    put_le32(file.bytes + 24 + 8, 0xFFFFFFFF);
    check_refused(CAPTURE_SHAPE_PCAP, 24);
}

static void it_must_begin_as_such_a_file(void **state)
{
    (void)state;
    make_pcapng(false);
    memmove(file.bytes, file.bytes + 28, file.n - 28);
    file.n -= 28;
    check_refused(CAPTURE_SHAPE_PCAPNG, 0);
    begin(false);
    put_le32(file.bytes + 8, 0x1A2B3C4E);
    check_refused(CAPTURE_SHAPE_PCAPNG, 0);
    make_pcapng(false);
    check_refused(CAPTURE_SHAPE_PCAP, 0);
    make_pcap(false);
    check_refused(CAPTURE_SHAPE_PCAPNG, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_whole_however_it_comes),
        cmocka_unit_test(sections_may_differ_in_byte_order),
        cmocka_unit_test(a_file_that_is_cut_is_not_whole),
        cmocka_unit_test(lengths_must_hold_together),
        cmocka_unit_test(it_must_begin_as_such_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
