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
#include "shared/packet/pcapng_options.h"
#include "tests/support/pcapng_opened.h"

static void what_is_written_reads_back_the_same(void **state)
{
    struct pcapng_section section = {"hardware", "Linux", "packetrecorder", "a comment"};
    struct pcapng_statistics statistics = PCAPNG_STATISTICS_UNKNOWN;
    struct iface iface = {.name = "eth0",
                          .description = "the first",
                          .filter = "tcp port 80",
                          .os = "Linux 6.1",
                          .mac = {2, 0, 0, 0, 0, 1},
                          .has_mac = true,
                          .link_type = LINK_SLL2,
                          .snaplen = 262144,
                          .speed_bps = 10000000000,
                          .ts_digits = 9};
    struct packet_view packet = {
        .time_ns = UINT64_MAX - 1, .caplen = 5, .len = 60, .data = packet_bytes};
    struct block *block = block_new(4096);
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    pcapng_write_section(&cb.buf, &section);
    pcapng_write_interface(&cb.buf, &iface, "its comment");
    assert_true(block_append(block, &packet));
    buf_append(&cb.buf, block->data, block->len);
    pcapng_write_statistics(&cb.buf, 0, &statistics, "ledger: store 0");
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.reader.n_ifaces, 1);
    assert_memory_equal(&o.reader.ifaces[0], &iface, sizeof iface);
    assert_int_equal(o.packet.time_ns, packet.time_ns);
    assert_int_equal(o.packet.caplen, 5);
    assert_int_equal(o.packet.len, 60);
    assert_memory_equal(o.packet.data, packet_bytes, 5);
    assert_null(o.packet.options);
    assert_int_equal(next(&o), 0);
    assert_int_equal(bytes_left(&o.in), 0);
    assert_int_equal(o.reader.offset, cb.buf.len);
    block_unref(block);
    done(&o, &cb);
}

/* The option of that code in the block at p, or NULL. */
static const uint8_t *find_option(const uint8_t *p, size_t fixed, uint16_t code, uint16_t *len)
{
    struct bytes_reader in = bytes_reader(p + 8 + fixed, get_le32(p + 4) - 12 - fixed);
    struct pcapng_option_view option;

    while (pcapng_option_next(&in, false, &option) == 1) {
        if (option.code == code) {
            *len = option.len;
            return option.value;
        }
    }
    return NULL;
}

static void statistics_leave_out_what_is_unknown(void **state)
{
    struct pcapng_statistics statistics = PCAPNG_STATISTICS_UNKNOWN;
    struct buf out = {0};
    uint16_t len;

    (void)state;
    statistics.time_ns = 0x0123456789abcdef;
    statistics.start_ns = 0x0000000100000002;
    statistics.osdrop = 0;
    statistics.ifrecv = 0x1122334455667788;
    pcapng_write_statistics(&out, 3, &statistics, NULL);
    assert_int_equal(get_le32(out.data), PCAPNG_STATISTICS);
    assert_int_equal(get_le32(out.data + 4), out.len);
    assert_int_equal(get_le32(out.data + out.len - 4), out.len);
    assert_int_equal(get_le32(out.data + 8), 3);
    assert_int_equal(get_le32(out.data + 12), 0x01234567);
    assert_int_equal(get_le32(out.data + 16), 0x89abcdef);
    const uint8_t *start = find_option(out.data, 12, ISB_STARTTIME, &len);
    assert_non_null(start);
    assert_int_equal(get_le32(start), 1);
    assert_int_equal(get_le32(start + 4), 2);
    assert_int_equal(get_le64(find_option(out.data, 12, ISB_OSDROP, &len)), 0);
    assert_int_equal(get_le64(find_option(out.data, 12, ISB_IFRECV, &len)), 0x1122334455667788);
    assert_null(find_option(out.data, 12, ISB_IFDROP, &len));
    assert_null(find_option(out.data, 12, ISB_ENDTIME, &len));
    assert_null(find_option(out.data, 12, OPT_COMMENT, &len));
    buf_deinit(&out);
}

static void a_text_longer_than_an_option_is_cut_at_a_character(void **state)
{
    char *text = x_alloc(65535 + 10);
    struct pcapng_section section = {.comment = text};
    struct buf out = {0};
    uint16_t len = 0;

    (void)state;
    memset(text, 'a', 65534);
    memcpy(text + 65534, two_bytes, 2); /* one character over the limit */
    pcapng_write_section(&out, &section);
    assert_non_null(find_option(out.data, 16, OPT_COMMENT, &len));
    assert_int_equal(len, 65534);
    assert_int_equal(out.len % 4, 0);
    assert_null(find_option(out.data, 16, SHB_OS, &len));
    buf_deinit(&out);
    mem_free(text);
}

static void sections_of_both_byte_orders_follow_each_other(void **state)
{
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        cb.big = i % 2 == 1;
        cb_section(&cb);
        cb_interface(&cb, (uint16_t)(100 + i), 0, i % 2 == 1 ? "big" : "little", 9);
        cb_interface(&cb, (uint16_t)(200 + i), 0, "second", 6);
        cb_packet(&cb, 1, 1000 + i, packet_bytes, 10, 60);
        cb_end(&cb);
    }
    open_bytes(&o, &cb);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.reader.n_ifaces, 2 * i + 2);
        assert_int_equal(o.packet.iface, 2 * i + 1);
        assert_int_equal(o.packet.time_ns, (1000 + i) * 1000);
        assert_int_equal(o.packet.caplen, 10);
        assert_int_equal(o.packet.len, 60);
        assert_int_equal(o.reader.ifaces[2 * i].link_type, 100 + i);
        assert_string_equal(o.reader.ifaces[2 * i].name, i % 2 == 1 ? "big" : "little");
    }
    assert_int_equal(next(&o), 0);
    assert_int_equal(bytes_left(&o.in), 0);
    done(&o, &cb);
}

static void simple_packets_belong_to_the_first_interface_and_its_snaplen(void **state)
{
    (void)state;
    for (int big = 0; big < 2; big++) {
        struct capture_bytes cb = {.big = big == 1};
        struct opened o;
        cb_section(&cb);
        cb_interface(&cb, LINK_ETHERNET, 6, "eth0", 0);
        cb_begin(&cb, PCAPNG_SIMPLE_PACKET);
        cb_u32(&cb, 1000);
        cb_padded(&cb, packet_bytes, 6);
        cb_end(&cb);
        cb_begin(&cb, PCAPNG_SIMPLE_PACKET);
        cb_u32(&cb, 3);
        cb_padded(&cb, packet_bytes, 3);
        cb_end(&cb);
        open_bytes(&o, &cb);
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.caplen, 6);
        assert_int_equal(o.packet.len, 1000);
        assert_int_equal(o.packet.time_ns, 0);
        assert_memory_equal(o.packet.data, packet_bytes, 6);
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.caplen, 3);
        assert_int_equal(o.packet.len, 3);
        assert_int_equal(o.reader.n_cut, 0);
        done(&o, &cb);
    }
}

static void unknown_blocks_are_skipped(void **state)
{
    struct capture_bytes cb = begun(false);
    struct opened o;

    (void)state;
    for (uint32_t type = 4; type < 12; type++) {
        if (type != 6) {
            cb_begin(&cb, type);
            cb_padded(&cb, packet_bytes, 9);
            cb_end(&cb);
        }
    }
    cb_begin(&cb, 0xdeadbeef);
    cb_end(&cb);
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_end(&cb);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.caplen, 10);
    done(&o, &cb);
}

static void skip_stops_before_the_packet(void **state)
{
    struct capture_bytes cb = begun(false);
    struct opened o;

    (void)state;
    size_t front = cb.buf.len;
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_end(&cb);
    open_bytes(&o, &cb);
    assert_int_equal(pcapng_reader_skip(&o.reader, &o.in, &o.err), 1);
    assert_int_equal(o.reader.offset, front);
    assert_int_equal(o.reader.n_ifaces, 1);
    assert_int_equal(next(&o), 1);
    done(&o, &cb);
}

/* Damages four bytes of a good packet block and says what the reader must answer. */
static void damages_are_refused_with_the_offset(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
        int code;
    } cases[] = {
        {4, 0, ERR_DAMAGED},          /* a block of no length */
        {4, 8, ERR_DAMAGED},          /* shorter than any block */
        {4, 47, ERR_DAMAGED},         /* no multiple of 4 */
        {4, 28, ERR_DAMAGED},         /* ends before it should: lengths differ */
        {4, 33554436, ERR_LIMIT},     /* over 32 MiB */
        {44, 40, ERR_DAMAGED},        /* the trailing length differs */
        {8, 1, ERR_DAMAGED},          /* no such interface */
        {8, UINT32_MAX, ERR_DAMAGED}, /* the same, wrapping */
        {20, 17, ERR_DAMAGED},        /* longer than its block */
        {20, UINT32_MAX, ERR_DAMAGED},
    };
    struct capture_bytes cb = begun(false);
    struct opened o;
    char where[32];

    (void)state;
    size_t at = cb.buf.len;
    cb_packet(&cb, 0, 1, packet_bytes, 10, 10);
    cb_option(&cb, OPT_ENDOFOPT, NULL, 0);
    cb_end(&cb);
    assert_int_equal(cb.buf.len - at, 48);
    snprintf(where, sizeof where, "byte %zu", at);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t before = get_le32(cb.buf.data + at + cases[i].at);
        put_le32(cb.buf.data + at + cases[i].at, cases[i].value);
        open_bytes(&o, &cb);
        int rc = next(&o);
        if (rc != cases[i].code || strstr(o.err.text, where) == NULL) {
            fail_msg("case %zu: %d '%s'", i, rc, o.err.text);
        }
        assert_int_equal(next(&o), cases[i].code);
        pcapng_reader_deinit(&o.reader);
        put_le32(cb.buf.data + at + cases[i].at, before);
    }
    buf_deinit(&cb.buf);
}

static void an_interface_of_another_section_is_none_of_this_one(void **state)
{
    struct opened o;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct capture_bytes cb = begun(false);
        cb_section(&cb);
        cb_interface(&cb, LINK_ETHERNET, 65535, "eth1", 9);
        cb_packet(&cb, i == 0 ? 1 : UINT32_MAX, 1, packet_bytes, 10, 10);
        cb_end(&cb);
        open_bytes(&o, &cb);
        assert_int_equal(next(&o), ERR_DAMAGED);
        done(&o, &cb);
    }
}

static void a_section_must_be_sound(void **state)
{
    struct capture_bytes cb = begun(false);
    struct opened o;

    (void)state;
    put_le16(cb.buf.data + 12, 2);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), ERR_UNSUPPORTED);
    put_le16(cb.buf.data + 12, 1);
    put_le16(cb.buf.data + 14, 2); /* 1.2 is 1.0 */
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), 0);
    pcapng_reader_deinit(&o.reader);
    put_le32(cb.buf.data + 8, 0x11111111);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), ERR_DAMAGED);
    buf_reset(&cb.buf);
    cb_interface(&cb, 1, 0, "eth0", 9);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), ERR_DAMAGED);
    done(&o, &cb);
}

static void interfaces_have_a_limit_and_memory_may_end(void **state)
{
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    cb_section(&cb);
    for (int i = 0; i <= IFACES_MAX; i++) {
        cb_interface(&cb, 1, 0, "", 9);
    }
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), ERR_LIMIT);
    assert_int_equal(o.reader.n_ifaces, IFACES_MAX);
    pcapng_reader_deinit(&o.reader);
    for (unsigned n = 1; n <= 2; n++) {
        open_bytes(&o, &cb);
        mem_fail_after(n);
        assert_int_equal(next(&o), ERR_NO_MEMORY);
        mem_fail_after(0);
        assert_int_equal(o.reader.n_ifaces, 0);
        pcapng_reader_deinit(&o.reader);
    }
    buf_deinit(&cb.buf);
}

static void a_packet_longer_than_the_snaplen_is_cut_and_counted(void **state)
{
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    cb_section(&cb);
    cb_interface(&cb, 1, 4, "eth0", 9);
    cb_packet(&cb, 0, 1, packet_bytes, 10, 60);
    cb_option(&cb, OPT_COMMENT, "kept", 4);
    cb_option(&cb, OPT_ENDOFOPT, NULL, 0);
    cb_end(&cb);
    open_bytes(&o, &cb);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.caplen, 4);
    assert_int_equal(o.packet.len, 60);
    assert_int_equal(o.packet.options_len, 12);
    assert_memory_equal(o.packet.options + 4, "kept", 4);
    assert_int_equal(o.reader.n_cut, 1);
    done(&o, &cb);
}

static void times_that_go_backwards_or_are_far_off_pass_untouched(void **state)
{
    static const uint64_t times[] = {5, 0, 9223372036854775808u, UINT64_MAX, 1};
    struct capture_bytes cb = begun(false);
    struct opened o;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        cb_packet(&cb, 0, times[i], packet_bytes, 1, 1);
        cb_end(&cb);
    }
    open_bytes(&o, &cb);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.time_ns, times[i]);
    }
    done(&o, &cb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(statistics_leave_out_what_is_unknown),
        cmocka_unit_test(a_text_longer_than_an_option_is_cut_at_a_character),
        cmocka_unit_test(sections_of_both_byte_orders_follow_each_other),
        cmocka_unit_test(simple_packets_belong_to_the_first_interface_and_its_snaplen),
        cmocka_unit_test(unknown_blocks_are_skipped),
        cmocka_unit_test(skip_stops_before_the_packet),
        cmocka_unit_test(damages_are_refused_with_the_offset),
        cmocka_unit_test(an_interface_of_another_section_is_none_of_this_one),
        cmocka_unit_test(a_section_must_be_sound),
        cmocka_unit_test(interfaces_have_a_limit_and_memory_may_end),
        cmocka_unit_test(a_packet_longer_than_the_snaplen_is_cut_and_counted),
        cmocka_unit_test(times_that_go_backwards_or_are_far_off_pass_untouched),
    };
    return cmocka_run_group_tests_name("pcapng", tests, NULL, NULL);
}
