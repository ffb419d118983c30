/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/packet/pcap.h"
#include "shared/packet/pcap_read.h"
#include "tests/support/capture_bytes.h"

static const uint8_t packet_bytes[] = "0123456789";

struct opened {
    struct pcap_reader reader;
    struct bytes_reader in;
    struct packet_view packet;
    struct err err;
};

static int open_bytes(struct opened *o, const struct capture_bytes *cb)
{
    *o = (struct opened){.in = bytes_reader(cb->buf.data, cb->buf.len)};
    return pcap_reader_init(&o->reader, bytes_take(&o->in, PCAP_FILE_HEADER_BYTES), &o->err);
}

static int next(struct opened *o)
{
    return pcap_reader_next(&o->reader, &o->in, &o->packet, &o->err);
}

static void header_and_record_are_as_the_draft_says(void **state)
{
    static const uint8_t want_header[] = {0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0,
                                          0,    0,    0,    0,    0, 0, 4, 0, 1, 0, 0, 0};
    static const uint8_t want_record[] = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 60, 0, 0, 0};
    uint8_t header[PCAP_FILE_HEADER_BYTES];
    uint8_t record[PCAP_RECORD_HEADER_BYTES];
    struct packet_view packet = {.time_ns = 1000000002, .caplen = 3, .len = 60};

    (void)state;
    pcap_write_header(header, LINK_ETHERNET, 0);
    assert_memory_equal(header, want_header, sizeof want_header);
    assert_int_equal(pcap_write_record(record, &packet), 0);
    assert_memory_equal(record, want_record, sizeof want_record);
}

static void a_time_past_32_bit_seconds_is_refused_and_nothing_written(void **state)
{
    uint8_t record[PCAP_RECORD_HEADER_BYTES] = {0};
    uint8_t untouched[PCAP_RECORD_HEADER_BYTES] = {0};
    struct packet_view packet = {.time_ns = 4294967296000000000u, .caplen = 3, .len = 60};

    (void)state;
    assert_int_equal(pcap_write_record(record, &packet), ERR_LIMIT);
    assert_memory_equal(record, untouched, sizeof record);
    packet.time_ns--;
    assert_int_equal(pcap_write_record(record, &packet), 0);
    assert_int_equal(get_le32(record), UINT32_MAX);
    assert_int_equal(get_le32(record + 4), 999999999);
}

/* One file of each magic and byte order, with one packet at 5.000007 (or 5.000000007) seconds. */
static void every_magic_in_both_byte_orders_gives_the_packet(void **state)
{
    static const struct {
        uint32_t magic;
        unsigned extra;
        uint64_t time_ns;
    } kinds[] = {
        {PCAP_MAGIC_MICROSECONDS, 0, 5000007000},
        {PCAP_MAGIC_NANOSECONDS, 0, 5000000007},
        {PCAP_MAGIC_KUZNETZOV, 8, 5000007000},
    };

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct capture_bytes cb = {.big = i % 2 == 1};
        struct opened o;
        cb_pcap(&cb, kinds[i / 2].magic, 2, 4, 65535, LINK_SLL);
        cb_record(&cb, 5, 7, 10, 60);
        buf_put_zeros(&cb.buf, kinds[i / 2].extra);
        buf_append(&cb.buf, packet_bytes, 10);
        assert_true(pcap_is_magic(cb.buf.data));
        assert_int_equal(open_bytes(&o, &cb), 0);
        assert_int_equal(o.reader.iface.link_type, LINK_SLL);
        assert_int_equal(o.reader.iface.snaplen, 65535);
        assert_int_equal(o.reader.iface.ts_digits, i / 2 == 1 ? 9 : 6);
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.time_ns, kinds[i / 2].time_ns);
        assert_int_equal(o.packet.caplen, 10);
        assert_int_equal(o.packet.len, 60);
        assert_memory_equal(o.packet.data, packet_bytes, 10);
        assert_int_equal(bytes_left(&o.in), 0);
        assert_int_equal(o.reader.offset, cb.buf.len);
        assert_int_equal(next(&o), 0);
        assert_int_equal(o.reader.need, 16 + kinds[i / 2].extra);
        buf_deinit(&cb.buf);
    }
}

static void old_versions_have_their_lengths_interchanged(void **state)
{
    static const struct {
        uint16_t major;
        uint16_t minor;
        uint32_t first;
        uint32_t second;
    } files[] = {
        {2, 4, 10, 60}, {2, 3, 10, 60}, {2, 3, 60, 10},
        {2, 2, 60, 10}, {2, 0, 60, 10}, {543, 0, 60, 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct capture_bytes cb = {.big = i % 2 == 1};
        struct opened o;
        cb_pcap(&cb, PCAP_MAGIC_MICROSECONDS, files[i].major, files[i].minor, 65535, 1);
        cb_record(&cb, 5, 7, files[i].first, files[i].second);
        buf_append(&cb.buf, packet_bytes, 10);
        assert_int_equal(open_bytes(&o, &cb), 0);
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.caplen, 10);
        assert_int_equal(o.packet.len, 60);
        buf_deinit(&cb.buf);
    }
}

static void versions_that_libpcap_refuses_are_refused(void **state)
{
    static const uint16_t versions[][2] = {{1, 2}, {2, 5}, {3, 0}, {543, 1}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct capture_bytes cb = {0};
        struct opened o;
        cb_pcap(&cb, PCAP_MAGIC_MICROSECONDS, versions[i][0], versions[i][1], 65535, 1);
        assert_int_equal(open_bytes(&o, &cb), ERR_UNSUPPORTED);
        buf_deinit(&cb.buf);
    }
    struct capture_bytes cb = {0};
    struct opened o;
    cb_pcap(&cb, 0x12345678, 2, 4, 65535, 1);
    assert_false(pcap_is_magic(cb.buf.data));
    assert_int_equal(open_bytes(&o, &cb), ERR_DAMAGED);
    buf_deinit(&cb.buf);
}

static void the_link_type_is_masked_and_raw_ip_has_one_number(void **state)
{
    (void)state;
    assert_int_equal(pcap_link_type(0x30000065), LINK_RAW);
    assert_int_equal(pcap_link_type(0x54000001), LINK_ETHERNET);
    assert_int_equal(pcap_link_type(12), LINK_RAW);
    assert_int_equal(pcap_link_type(14), LINK_RAW);
    assert_int_equal(pcap_link_type(LINK_SLL2), LINK_SLL2);
}

static void a_packet_longer_than_the_snaplen_is_cut_and_counted(void **state)
{
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    cb_pcap(&cb, PCAP_MAGIC_MICROSECONDS, 2, 4, 4, 1);
    for (int i = 0; i < 2; i++) {
        cb_record(&cb, 5, 7, 10, 60);
        buf_append(&cb.buf, packet_bytes, 10);
    }
    assert_int_equal(open_bytes(&o, &cb), 0);
    for (uint64_t i = 1; i <= 2; i++) {
        assert_int_equal(next(&o), 1);
        assert_int_equal(o.packet.caplen, 4);
        assert_int_equal(o.packet.len, 60);
        assert_int_equal(o.reader.n_cut, i);
    }
    assert_int_equal(bytes_left(&o.in), 0);
    buf_deinit(&cb.buf);
}

static void lengths_that_cannot_be_are_refused_with_the_offset(void **state)
{
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    cb_pcap(&cb, PCAP_MAGIC_MICROSECONDS, 2, 4, 65535, 1);
    cb_record(&cb, 5, 7, 0, 0);
    cb_record(&cb, 5, 7, PCAP_SNAPLEN_MAX + 1, PCAP_SNAPLEN_MAX + 1);
    assert_int_equal(open_bytes(&o, &cb), 0);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.caplen, 0);
    assert_int_equal(next(&o), ERR_DAMAGED);
    assert_non_null(strstr(o.err.text, "byte 40"));
    buf_reset(&cb.buf);

    cb_pcap(&cb, PCAP_MAGIC_MICROSECONDS, 2, 4, 0, 1);
    cb_record(&cb, 5, 7, PACKET_MAX_BYTES + 1, 60);
    assert_int_equal(open_bytes(&o, &cb), 0);
    assert_int_equal(next(&o), ERR_LIMIT);
    assert_non_null(strstr(o.err.text, "byte 24"));
    put_le32(cb.buf.data + 24 + 8, PACKET_MAX_BYTES);
    assert_int_equal(open_bytes(&o, &cb), 0);
    assert_int_equal(next(&o), 0);
    assert_int_equal(o.reader.need, PACKET_MAX_BYTES + 16);
    buf_deinit(&cb.buf);
}

static void a_modified_ethernet_file_has_room_for_the_cooked_header(void **state)
{
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    cb_pcap(&cb, PCAP_MAGIC_KUZNETZOV, 2, 4, 96, LINK_ETHERNET);
    assert_int_equal(open_bytes(&o, &cb), 0);
    assert_int_equal(o.reader.iface.snaplen, 110);
    put_le32(cb.buf.data + 16, INT32_MAX - 3);
    assert_int_equal(open_bytes(&o, &cb), 0);
    assert_int_equal(o.reader.iface.snaplen, INT32_MAX);
    put_le32(cb.buf.data + 16, 0x80000000u);
    assert_int_equal(open_bytes(&o, &cb), 0);
    assert_int_equal(o.reader.iface.snaplen, 0);
    buf_deinit(&cb.buf);
}

static void seconds_are_unsigned(void **state)
{
    struct capture_bytes cb = {0};
    struct opened o;

    (void)state;
    cb_pcap(&cb, PCAP_MAGIC_NANOSECONDS, 2, 4, 65535, 1);
    cb_record(&cb, UINT32_MAX, 999999999, 0, 0);
    cb_record(&cb, 0, UINT32_MAX, 0, 0);
    assert_int_equal(open_bytes(&o, &cb), 0);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.time_ns, 4294967295999999999u);
    assert_int_equal(next(&o), 1);
    assert_int_equal(o.packet.time_ns, UINT32_MAX);
    buf_deinit(&cb.buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_and_record_are_as_the_draft_says),
        cmocka_unit_test(a_time_past_32_bit_seconds_is_refused_and_nothing_written),
        cmocka_unit_test(every_magic_in_both_byte_orders_gives_the_packet),
        cmocka_unit_test(old_versions_have_their_lengths_interchanged),
        cmocka_unit_test(versions_that_libpcap_refuses_are_refused),
        cmocka_unit_test(the_link_type_is_masked_and_raw_ip_has_one_number),
        cmocka_unit_test(a_packet_longer_than_the_snaplen_is_cut_and_counted),
        cmocka_unit_test(lengths_that_cannot_be_are_refused_with_the_offset),
        cmocka_unit_test(a_modified_ethernet_file_has_room_for_the_cooked_header),
        cmocka_unit_test(seconds_are_unsigned),
    };
    return cmocka_run_group_tests_name("pcap", tests, NULL, NULL);
}
