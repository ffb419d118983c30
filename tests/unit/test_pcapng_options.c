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
#include "shared/packet/pcapng.h"
#include "tests/support/pcapng_opened.h"

static void an_interface_is_read_with_all_that_it_says(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct capture_bytes cb = {.big = big == 1};
        char name[IFACE_NAME_MAX + 10];
        struct opened o;
        uint8_t speed[8];
        put_le64(speed, big ? __builtin_bswap64(1000000) : 1000000);
        memset(name, 'n', sizeof name);
        memcpy(name + IFACE_NAME_MAX - 2, two_bytes, 2);
        cb_section(&cb);
        cb_begin(&cb, PCAPNG_INTERFACE);
        cb_u16(&cb, 12);
        cb_u16(&cb, 0);
        cb_u32(&cb, 0xffffffff);
        cb_option(&cb, IF_NAME, name, sizeof name);
        cb_option(&cb, IF_DESCRIPTION, "what it is", 10);
        cb_option(&cb, IF_MACADDR, "\1\2\3\4\5\6", 6);
        cb_option(&cb, IF_SPEED, speed, 8);
        cb_option(&cb, IF_FILTER, "\0icmp", 5);
        cb_option(&cb, IF_OS, "Plan 9", 6);
        cb_option(&cb, 777, "?", 1);
        cb_end(&cb); /* no opt_endofopt: some writers leave it out */
        open_bytes(&o, &cb);
        assert_int_equal(next(&o), 0);
        assert_int_equal(o.reader.n_ifaces, 1);
        const struct iface *iface = &o.reader.ifaces[0];
        assert_int_equal(strlen(iface->name), IFACE_NAME_MAX - 2);
        assert_string_equal(iface->description, "what it is");
        assert_memory_equal(iface->mac, "\1\2\3\4\5\6", 6);
        assert_true(iface->has_mac);
        assert_int_equal(iface->speed_bps, 1000000);
        assert_string_equal(iface->filter, "icmp");
        assert_string_equal(iface->os, "Plan 9");
        assert_int_equal(iface->link_type, LINK_RAW);
        assert_int_equal(iface->snaplen, 0);
        assert_int_equal(iface->ts_digits, 6);
        done(&o, &cb);
    }
}

static void every_clock_converts_exactly(void **state)
{
    static const struct {
        uint8_t tsresol;
        int64_t offset_s;
        uint64_t ticks;
        uint64_t ns;
    } cases[] = {
        {9, 0, UINT64_MAX, UINT64_MAX},
        {6, 0, 1700000000123456, 1700000000123456000},
        {6, 0, UINT64_MAX, UINT64_MAX},
        {0, 0, 18446744073, 18446744073000000000u},
        {0, 0, 18446744074, UINT64_MAX},
        {3, 0, 1, 1000000},
        {10, 0, 19, 1},
        {12, 0, 1700000000123456789, 1700000000123456},
        {28, 0, UINT64_MAX, 1},
        {29, 0, UINT64_MAX, 0},
        {127, 0, UINT64_MAX, 0},
        {0x80, 0, 3, 3000000000},
        {0x81, 0, 3, 1500000000},
        {0xa0, 0, (uint64_t)1700000000 << 32 | 0x80000000, 1700000000500000000},
        {0x80 | 63, 0, (uint64_t)1 << 63, 1000000000},
        {0xff, 0, UINT64_MAX, 0},
        {6, 100, 1, 100000001000},
        {9, -1, 1000000005, 5},
        {9, -2, 1000000005, 0},
        {6, -1700000000, 1700000000123456, 123456000},
        {9, INT64_MIN, UINT64_MAX, 0},
        {9, INT64_MAX, UINT64_MAX, UINT64_MAX},
        {0, INT64_MIN, UINT64_MAX, UINT64_MAX},
        {0, INT64_MIN, (uint64_t)1 << 63, 0},
        {0, INT64_MIN, ((uint64_t)1 << 63) + 2, 2000000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pcapng_clock clock = pcapng_clock(cases[i].tsresol, cases[i].offset_s);
        uint64_t ns = pcapng_clock_ns(&clock, cases[i].ticks);
        if (ns != cases[i].ns) {
            fail_msg("case %zu: %llu", i, (unsigned long long)ns);
        }
    }
}

static void the_clock_of_an_interface_comes_from_its_options(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct capture_bytes cb = {.big = big == 1};
        struct opened o;
        uint8_t offset[8];
        put_le64(offset, big ? __builtin_bswap64(1000) : 1000);
        cb_section(&cb);
        cb_begin(&cb, PCAPNG_INTERFACE);
        cb_u16(&cb, 1);
        cb_u16(&cb, 0);
        cb_u32(&cb, 0);
        cb_option(&cb, IF_TSRESOL, "\x03", 1);
        cb_option(&cb, IF_TSOFFSET, offset, 8);
        cb_option(&cb, OPT_ENDOFOPT, NULL, 0);
        cb_end(&cb);
        cb_packet(&cb, 0, 5, NULL, 0, 0);
        cb_end(&cb);
        open_bytes(&o, &cb);
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.time_ns, 1000005000000);
        assert_int_equal(o.packet.caplen, 0);
        done(&o, &cb);
    }
}

static void obsolete_packets_are_read_and_keep_their_drop_count(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct capture_bytes cb = begun(big == 1);
        struct opened o;
        for (uint16_t drops = 0; drops < 2; drops++) {
            cb_begin(&cb, PCAPNG_PACKET_OBSOLETE);
            cb_u16(&cb, 0);
            cb_u16(&cb, drops > 0 ? 7 : UINT16_MAX);
            cb_u32(&cb, 1);
            cb_u32(&cb, 2);
            cb_u32(&cb, 10);
            cb_u32(&cb, 60);
            cb_padded(&cb, packet_bytes, 10);
            cb_end(&cb);
        }
        open_bytes(&o, &cb);
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.time_ns, 0x100000002);
        assert_int_equal(o.packet.caplen, 10);
        assert_int_equal(o.packet.len, 60);
        assert_null(o.packet.options);
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.options_len, 16);
        assert_int_equal(get_le32(o.packet.options), 8u << 16 | EPB_DROPCOUNT);
        assert_int_equal(get_le64(o.packet.options + 4), 7);
        assert_int_equal(get_le32(o.packet.options + 12), 0);
        done(&o, &cb);
    }
}

static void little_endian_options_are_borrowed_up_to_their_end(void **state)
{
    struct capture_bytes cb = begun(false);
    struct opened o;

    (void)state;
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_option(&cb, OPT_COMMENT, "hello", 5);
    cb_option(&cb, OPT_ENDOFOPT, NULL, 0);
    cb_option(&cb, 99, "behind the end", 14);
    cb_end(&cb);
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_option(&cb, OPT_ENDOFOPT, NULL, 0);
    cb_end(&cb);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.options_len, 16);
    assert_ptr_equal(o.packet.options, o.packet.data + 12);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.options_len, 0);
    assert_null(o.packet.options);
    assert_int_equal(o.reader.n_options, 0);
    done(&o, &cb);
}

static void options_without_an_end_get_one_and_damaged_ones_are_counted(void **state)
{
    struct capture_bytes cb = begun(false);
    struct opened o;

    (void)state;
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_option(&cb, OPT_COMMENT, "hello", 5);
    cb_end(&cb);
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_option(&cb, OPT_COMMENT, "hello", 5);
    cb_u16(&cb, OPT_COMMENT);
    cb_u16(&cb, 500);
    cb_end(&cb);
    open_bytes(&o, &cb);
    for (uint64_t i = 0; i < 2; i++) {
        static const uint8_t want[] = {1, 0, 5, 0, 'h', 'e', 'l', 'l', 'o', 0, 0, 0, 0, 0, 0, 0};
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.options_len, sizeof want);
        assert_memory_equal(o.packet.options, want, sizeof want);
        assert_int_equal(o.reader.n_options, i);
    }
    done(&o, &cb);
}

static void big_endian_options_come_out_little_endian(void **state)
{
    struct capture_bytes cb = begun(true);
    struct capture_bytes want = {0};
    struct opened o;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct capture_bytes *to = i == 0 ? &cb : &want;
        uint8_t flags[4], count[8], custom[6] = "....xy", verdict[9] = {1};
        put_le32(flags, i == 0 ? __builtin_bswap32(0x11223344) : 0x11223344);
        put_le64(count, i == 0 ? __builtin_bswap64(99) : 99);
        put_le32(custom, i == 0 ? __builtin_bswap32(32473) : 32473);
        memcpy(verdict + 1, count, 8);
        if (i == 0) {
            cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
        }
        cb_option(to, EPB_FLAGS, flags, 4);
        cb_option(to, EPB_HASH, "\2abcd", 5);
        cb_option(to, EPB_DROPCOUNT, count, 8);
        cb_option(to, EPB_PACKETID, count, 8);
        cb_option(to, EPB_QUEUE, flags, 4);
        cb_option(to, EPB_VERDICT, verdict, 9);
        cb_option(to, OPT_COMMENT, "hello", 5);
        cb_option(to, 2988, custom, 6);
        if (i == 0) {
            cb_option(to, 4711, "????", 4);    /* nobody knows its layout */
            cb_option(to, EPB_FLAGS, "??", 2); /* wrong length */
        }
        cb_option(to, OPT_ENDOFOPT, NULL, 0);
    }
    cb_end(&cb);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.options_len, want.buf.len);
    assert_memory_equal(o.packet.options, want.buf.data, want.buf.len);
    assert_int_equal(o.reader.n_options, 2);
    buf_deinit(&want.buf);
    done(&o, &cb);
}

static void options_past_the_limit_are_left_out_and_counted(void **state)
{
    struct capture_bytes cb = begun(false);
    char *text = x_alloc(40000);
    struct opened o;

    (void)state;
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_option(&cb, OPT_COMMENT, text, 40000);
    cb_option(&cb, OPT_COMMENT, text, 30000);
    cb_option(&cb, EPB_FLAGS, "\1\0\0\0", 4);
    cb_option(&cb, OPT_ENDOFOPT, NULL, 0);
    cb_end(&cb);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.options_len, 40004 + 8 + 4);
    assert_int_equal(o.reader.n_options, 1);
    mem_free(text);
    done(&o, &cb);
}

static void an_interface_with_an_unreadable_clock_is_refused(void **state)
{
    static const uint16_t codes[] = {IF_TSRESOL, IF_TSOFFSET};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct capture_bytes cb = {0};
        struct opened o;
        cb_section(&cb);
        cb_begin(&cb, PCAPNG_INTERFACE);
        cb_u64(&cb, 1);
        cb_option(&cb, codes[i], "\1\2", 2);
        cb_end(&cb);
        open_bytes(&o, &cb);
        assert_int_equal(next(&o), ERR_DAMAGED);
        assert_non_null(strstr(o.err.text, "byte 28"));
        assert_int_equal(o.reader.n_ifaces, 0);
        done(&o, &cb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interface_is_read_with_all_that_it_says),
        cmocka_unit_test(every_clock_converts_exactly),
        cmocka_unit_test(the_clock_of_an_interface_comes_from_its_options),
        cmocka_unit_test(obsolete_packets_are_read_and_keep_their_drop_count),
        cmocka_unit_test(little_endian_options_are_borrowed_up_to_their_end),
        cmocka_unit_test(options_without_an_end_get_one_and_damaged_ones_are_counted),
        cmocka_unit_test(big_endian_options_come_out_little_endian),
        cmocka_unit_test(options_past_the_limit_are_left_out_and_counted),
        cmocka_unit_test(an_interface_with_an_unreadable_clock_is_refused),
    };
    return cmocka_run_group_tests_name("pcapng_options", tests, NULL, NULL);
}
