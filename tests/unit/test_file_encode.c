/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/capture/file_encode.h"
#include "shared/packet/block.h"
#include "shared/packet/pcap.h"
#include "shared/packet/pcapng.h"

static void rotated_names_are_dumpcaps(void **state)
{
    static const struct {
        const char *path;
        const char *want;
    } cases[] = {
        {"a.pcapng", "a_00007_20261121120000.pcapng"},
        {"/x.d/a", "/x.d/a_00007_20261121120000"},
        {"a.b.pcap", "a.b_00007_20261121120000.pcap"},
        {"/tmp/.hidden", "/tmp/.hidden_00007_20261121120000"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *name = file_name_rotated(cases[i].path, 7, "20261121120000");
        assert_string_equal(name, cases[i].want);
        mem_free(name);
    }
    char *large = file_name_rotated("a", 123456, "t");
    assert_string_equal(large, "a_123456_t");
    mem_free(large);
}

static void the_suffix_decides_the_format(void **state)
{
    (void)state;
    assert_int_equal(file_name_format("a.pcap"), FILE_FORMAT_PCAP);
    assert_int_equal(file_name_format("/a.pcap/B.PCAP"), FILE_FORMAT_PCAP);
    assert_int_equal(file_name_format("a.pcapng"), FILE_FORMAT_PCAPNG);
    assert_int_equal(file_name_format("/a.pcap/b"), FILE_FORMAT_PCAPNG);
    assert_int_equal(file_name_format("-"), FILE_FORMAT_PCAPNG);
    assert_int_equal(file_name_format(".pcap"), FILE_FORMAT_PCAPNG);
}

static void classic_files_refuse_a_second_link_type_and_name_the_way_out(void **state)
{
    struct iface ifaces[2] = {{.name = "eth0", .link_type = LINK_ETHERNET},
                              {.name = "tun0", .link_type = LINK_ETHERNET}};
    struct err err = {0};

    (void)state;
    assert_int_equal(file_encode_check_pcap(ifaces, 2, &err), 0);
    ifaces[1].link_type = LINK_RAW;
    assert_int_equal(file_encode_check_pcap(ifaces, 2, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, ".pcapng"));
    assert_non_null(strstr(err.text, "tun0"));
}

static void a_classic_header_takes_the_largest_snaplen(void **state)
{
    struct iface ifaces[2] = {{.link_type = LINK_RAW, .snaplen = 100},
                              {.link_type = LINK_RAW, .snaplen = 200}};
    struct buf buf = {0};

    (void)state;
    file_encode_head(&buf, FILE_FORMAT_PCAP, ifaces, 2, NULL);
    assert_int_equal(buf.len, PCAP_FILE_HEADER_BYTES);
    assert_int_equal(get_le32(buf.data), PCAP_MAGIC_NANOSECONDS);
    assert_int_equal(get_le32(buf.data + 16), 200);
    assert_int_equal(get_le32(buf.data + 20), LINK_RAW);
    buf_reset(&buf);
    ifaces[0].snaplen = 0;
    file_encode_head(&buf, FILE_FORMAT_PCAP, ifaces, 2, NULL);
    assert_int_equal(get_le32(buf.data + 16), PCAP_SNAPLEN_MAX);
    buf_reset(&buf);
    file_encode_head(&buf, FILE_FORMAT_PCAP, NULL, 0, NULL);
    assert_int_equal(get_le32(buf.data + 20), LINK_ETHERNET);
    buf_deinit(&buf);
}

static struct block *three_packets(void)
{
    struct block *block = block_new(BLOCK_BYTES_MIN);
    const struct packet_view packets[] = {
        {.time_ns = 1500000000000000001u, .caplen = 5, .len = 9, .data = (const uint8_t *)"abcde"},
        {.time_ns = UINT64_MAX, .caplen = 4, .len = 4, .data = (const uint8_t *)"late"},
        {.time_ns = 1500000001000000002u, .caplen = 0, .len = 60, .data = (const uint8_t *)""},
    };

    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        assert_true(block_append(block, &packets[i]));
    }
    return block;
}

static void records_leave_out_what_classic_cannot_say(void **state)
{
    struct block *block = three_packets();
    struct buf buf = {0};

    (void)state;
    assert_int_equal(file_encode_records(&buf, block->data, block->len), 1);
    assert_int_equal(buf.len, 2 * PCAP_RECORD_HEADER_BYTES + 5);
    assert_int_equal(get_le32(buf.data), 1500000000);
    assert_int_equal(get_le32(buf.data + 4), 1);
    assert_int_equal(get_le32(buf.data + 8), 5);
    assert_int_equal(get_le32(buf.data + 12), 9);
    assert_memory_equal(buf.data + 16, "abcde", 5);
    assert_int_equal(get_le32(buf.data + 16 + 5 + 4), 2);
    buf_deinit(&buf);
    block_unref(block);
}

/* For every length that a full disk may leave: what stays is whole, and is all that is whole. */
static void a_run_is_cut_behind_its_last_whole_packet(void **state)
{
    struct block *block = three_packets();
    struct buf buf = {0};

    (void)state;
    for (size_t n = 0; n <= block->len; n++) {
        struct block_cursor cursor = block_cursor(block->data, n);
        struct packet_view packet;
        while (block_next(&cursor, &packet) == 1) {
        }
        assert_int_equal(file_whole_pcapng(block->data, n), cursor.p - block->data);
    }
    file_encode_records(&buf, block->data, block->len);
    for (size_t n = 0; n <= buf.len; n++) {
        size_t want = n == buf.len ? buf.len : n >= 21 ? 21 : 0;
        assert_int_equal(file_whole_pcap(buf.data, n), want);
    }
    buf_deinit(&buf);
    block_unref(block);
}

/* The value of an option in the one statistics block, or -1. */
static int64_t option_of(const struct buf *buf, uint16_t code)
{
    size_t at = 20;

    while (at + 4 <= buf->len - 4) {
        uint16_t len = get_le16(buf->data + at + 2);
        if (get_le16(buf->data + at) == code) {
            return (int64_t)get_le64(buf->data + at + 4);
        }
        at += 4u + ((len + 3u) & ~3u);
    }
    return -1;
}

static bool contains(const struct buf *buf, const char *text)
{
    return memmem(buf->data, buf->len, text, strlen(text)) != NULL;
}

static void statistics_leave_out_what_is_unknown(void **state)
{
    const struct ledger ledger = {
        .captured = 10, .received = 12, .kernel = 2, .interface = LEDGER_UNKNOWN, .limit = 3};
    struct file_statistics statistics = {
        .ledgers = &ledger, .n = 1, .lost = 4, .now_ns = 77, .start_ns = 7, .at_end = true};
    struct buf buf = {0};

    (void)state;
    file_encode_statistics(&buf, &statistics);
    assert_int_equal(get_le32(buf.data), PCAPNG_STATISTICS);
    assert_int_equal(option_of(&buf, ISB_USRDELIV), 10);
    assert_int_equal(option_of(&buf, ISB_FILTERACCEPT), 12);
    assert_int_equal(option_of(&buf, ISB_OSDROP), 2);
    assert_int_equal(option_of(&buf, ISB_IFDROP), -1);
    assert_true(option_of(&buf, ISB_ENDTIME) != -1);
    assert_true(contains(&buf, "dropped at the limit: 3"));
    assert_true(contains(&buf, "dropped at the file, all interfaces: 4"));
    buf_reset(&buf);
    statistics.at_end = false;
    file_encode_statistics(&buf, &statistics);
    assert_int_equal(option_of(&buf, ISB_ENDTIME), -1);
    assert_false(contains(&buf, "dropped at the file"));
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotated_names_are_dumpcaps),
        cmocka_unit_test(the_suffix_decides_the_format),
        cmocka_unit_test(classic_files_refuse_a_second_link_type_and_name_the_way_out),
        cmocka_unit_test(a_classic_header_takes_the_largest_snaplen),
        cmocka_unit_test(records_leave_out_what_classic_cannot_say),
        cmocka_unit_test(a_run_is_cut_behind_its_last_whole_packet),
        cmocka_unit_test(statistics_leave_out_what_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
