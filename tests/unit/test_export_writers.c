/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/packet/pcap.h"
#include "shared/packet/pcapng.h"
#include "shared/packet/pcapng_read.h"
#include "shared/store/export_writer.h"

#define SESSIONS 2

/* A sink into memory that can be told to fail. */
struct memory {
    struct export_sink sink;
    struct buf bytes;
    bool full;
};

static int write_memory(struct export_sink *sink, const void *data, size_t n, struct err *err)
{
    struct memory *m = container_of(sink, struct memory, sink);

    if (m->full) {
        return err_set(err, ERR_FULL, "full");
    }
    buf_append(&m->bytes, data, n);
    return 0;
}

/* Two sessions: 'eth0' and 'tun0' (raw IP), then 'eth1'. */
struct given {
    struct memory memory;
    struct iface first[2];
    struct iface second[1];
    struct store_session sessions[SESSIONS];
    struct export_spec spec;
    struct export_writer *writer;
    const struct export_writer_ops *ops;
    struct err err;
};

static struct iface an_interface(const char *name, uint32_t link_type, uint32_t snaplen)
{
    struct iface iface = {.link_type = link_type, .snaplen = snaplen};

    snprintf(iface.name, sizeof iface.name, "%s", name);
    return iface;
}

static void begin(struct given *g, const struct export_writer_ops *ops)
{
    const struct ledger known = {.captured = 90,
                                 .received = 100,
                                 .kernel = 10,
                                 .interface = LEDGER_UNKNOWN,
                                 .limit = 3,
                                 .store = 0};

    memset(g, 0, sizeof *g);
    g->memory.sink.write = write_memory;
    g->first[0] = an_interface("eth0", LINK_ETHERNET, 96);
    g->first[1] = an_interface("tun0", LINK_RAW, 200);
    g->second[0] = an_interface("eth1", LINK_ETHERNET, 128);
    g->sessions[0] = (struct store_session){.id = "session-a",
                                            .name = "first",
                                            .node = "n1",
                                            .started_ns = 1,
                                            .ended_ns = 9,
                                            .ifaces = g->first,
                                            .n_ifaces = 2,
                                            .loss = known};
    g->sessions[1] = (struct store_session){
        .id = "session-b", .started_ns = 2, .ifaces = g->second, .n_ifaces = 1, .loss = known};
    g->spec = (struct export_spec){
        .sessions = g->sessions, .n = SESSIONS, .to_ns = UINT64_MAX, .application = "test 1"};
    g->ops = ops;
}

static void open_writer(struct given *g)
{
    const struct export_job job = {
        .spec = &g->spec, .sink = &g->memory.sink, .os = "OS 1", .now_ns = 77};

    assert_int_equal(g->ops->open(&job, &g->writer, &g->err), 0);
}

static struct scan_packet a_packet(const struct given *g, size_t session, uint32_t iface)
{
    static const struct iface unknown = {.link_type = UINT32_MAX};
    const struct store_session *s = &g->sessions[session];

    return (struct scan_packet){
        .view =
            {.time_ns = 5, .iface = iface, .caplen = 3, .len = 3, .data = (const uint8_t *)"abc"},
        .session = s,
        .iface = iface < s->n_ifaces ? &s->ifaces[iface] : &unknown,
        .number = 1,
    };
}

static int write_packet(struct given *g, size_t session, uint32_t iface)
{
    struct scan_packet packet = a_packet(g, session, iface);

    return g->ops->packet(g->writer, &packet, &g->err);
}

static void finish(struct given *g)
{
    const struct scan_damage none = {0};

    assert_int_equal(g->ops->finish(g->writer, &none, &g->err), 0);
    assert_int_equal(g->memory.sink.written, g->memory.bytes.len);
}

static void end(struct given *g)
{
    g->ops->free(g->writer);
    buf_deinit(&g->memory.sink.buf);
    buf_deinit(&g->memory.bytes);
}

/* True when the file holds these bytes of text. */
static bool holds(const struct given *g, const char *text)
{
    return memmem(g->memory.bytes.data, g->memory.bytes.len, text, strlen(text)) != NULL;
}

/* Offset of the n-th block of a type (from 0), SIZE_MAX when there are fewer. */
static size_t find_block(const struct given *g, uint32_t type, unsigned n)
{
    const struct buf *b = &g->memory.bytes;

    for (size_t at = 0; at + 12 <= b->len; at += get_le32(b->data + at + 4)) {
        if (get_le32(b->data + at) == type && n-- == 0) {
            return at;
        }
    }
    return SIZE_MAX;
}

static void interfaces_of_several_sessions_get_numbers_of_the_file(void **state)
{
    static const uint32_t wanted[] = {2, 0, 1};
    struct given g;
    struct pcapng_reader reader;
    struct packet_view view;

    (void)state;
    begin(&g, &export_pcapng);
    open_writer(&g);
    assert_int_equal(write_packet(&g, 1, 0), 0);
    assert_int_equal(write_packet(&g, 0, 0), 0);
    assert_int_equal(write_packet(&g, 0, 1), 0);
    finish(&g);

    struct bytes_reader in = bytes_reader(g.memory.bytes.data, g.memory.bytes.len);
    pcapng_reader_init(&reader);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        assert_int_equal(pcapng_reader_next(&reader, &in, &view, &g.err), 1);
        assert_int_equal(view.iface, wanted[i]);
        assert_int_equal(view.caplen, 3);
    }
    assert_int_equal(reader.n_ifaces, 3);
    assert_string_equal(reader.ifaces[1].name, "tun0");
    assert_int_equal(reader.ifaces[1].link_type, LINK_RAW);
    assert_string_equal(reader.ifaces[2].name, "eth1");
    pcapng_reader_deinit(&reader);
    end(&g);
}

static void a_run_is_written_as_it_is_behind_what_was_gathered(void **state)
{
    static const uint8_t run[] = "the bytes of a frame";
    struct given g;

    (void)state;
    begin(&g, &export_pcapng);
    open_writer(&g);
    size_t head = g.memory.sink.buf.len;
    assert_int_equal(g.ops->run(g.writer, run, sizeof run, &g.err), 0);
    assert_int_equal(g.memory.bytes.len, head + sizeof run);
    assert_memory_equal(g.memory.bytes.data + head, run, sizeof run);
    finish(&g);
    end(&g);
}

static void a_pcapng_file_says_where_its_packets_come_from(void **state)
{
    struct given g;

    (void)state;
    begin(&g, &export_pcapng);
    open_writer(&g);
    finish(&g);
    assert_true(holds(&g, "session session-a, name first, node n1"));
    assert_true(holds(&g, "session session-b"));
    assert_true(holds(&g, "test 1"));
    assert_true(holds(&g, "OS 1"));
    end(&g);
}

/* Value of an option of 8 bytes in a statistics block, UINT64_MAX when it is not there. */
static uint64_t statistic(const struct given *g, size_t block, uint16_t code)
{
    const uint8_t *p = g->memory.bytes.data + block + 20;
    const uint8_t *limit =
        g->memory.bytes.data + block + get_le32(g->memory.bytes.data + block + 4) - 4;

    while (p + 4 <= limit && get_le16(p) != OPT_ENDOFOPT) {
        if (get_le16(p) == code && get_le16(p + 2) == 8) {
            return get_le64(p + 4);
        }
        p += 4 + ((get_le16(p + 2) + 3u) & ~3u);
    }
    return UINT64_MAX;
}

static void statistics_tell_the_ledger_and_leave_out_what_is_unknown(void **state)
{
    struct given g;

    (void)state;
    begin(&g, &export_pcapng);
    open_writer(&g);
    finish(&g);
    size_t several = find_block(&g, PCAPNG_STATISTICS, 0);
    size_t alone = find_block(&g, PCAPNG_STATISTICS, 1);
    assert_int_equal(find_block(&g, PCAPNG_STATISTICS, 2), SIZE_MAX);
    assert_int_equal(get_le32(g.memory.bytes.data + alone + 8), 2);
    assert_int_equal(statistic(&g, alone, ISB_OSDROP), 10);
    assert_int_equal(statistic(&g, alone, ISB_FILTERACCEPT), 100);
    assert_int_equal(statistic(&g, alone, ISB_USRDELIV), 90);
    assert_int_equal(statistic(&g, alone, ISB_IFDROP), UINT64_MAX);
    assert_true(holds(&g, "counts of the whole session session-b; dropped at the limit: 3; "
                          "dropped at the store: 0"));
    /* With two interfaces nobody knows whose the counts are: they stand in words. */
    assert_int_equal(statistic(&g, several, ISB_OSDROP), UINT64_MAX);
    assert_true(holds(&g, "session-a; captured: 90; received: 100; dropped by kernel: 10; dropped "
                          "at the limit: 3"));
    end(&g);
}

static void a_packet_of_an_unknown_interface_is_left_out_and_counted(void **state)
{
    const struct export_writer_ops *const all[] = {&export_pcapng, &export_pcap};
    struct given g;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        begin(&g, all[i]);
        open_writer(&g);
        assert_int_equal(write_packet(&g, 0, 2), EXPORT_LEFT_OUT);
        assert_non_null(g.writer->left_why);
        finish(&g);
        assert_int_equal(find_block(&g, EPB_TYPE, 0), SIZE_MAX);
        end(&g);
    }
}

static void a_classic_file_takes_the_largest_snaplen(void **state)
{
    struct given g;

    (void)state;
    begin(&g, &export_pcap);
    g.sessions[0].n_ifaces = 1;
    open_writer(&g);
    assert_int_equal(write_packet(&g, 1, 0), 0);
    finish(&g);
    assert_int_equal(g.memory.bytes.len, PCAP_FILE_HEADER_BYTES + PCAP_RECORD_HEADER_BYTES + 3);
    assert_int_equal(get_le32(g.memory.bytes.data), PCAP_MAGIC_NANOSECONDS);
    assert_int_equal(get_le32(g.memory.bytes.data + 16), 128);
    assert_int_equal(get_le32(g.memory.bytes.data + 20), LINK_ETHERNET);
    end(&g);
}

static void a_classic_file_refuses_a_second_link_type_and_says_the_way_out(void **state)
{
    struct given g;

    (void)state;
    begin(&g, &export_pcap);
    open_writer(&g);
    assert_int_equal(write_packet(&g, 0, 0), 0);
    assert_int_equal(write_packet(&g, 0, 1), ERR_UNSUPPORTED);
    assert_non_null(strstr(g.err.text, "EN10MB and RAW"));
    assert_non_null(strstr(g.err.text, "--format pcapng"));
    end(&g);
}

static void packets_of_one_link_type_out_of_several_fit_a_classic_file(void **state)
{
    struct given g;

    (void)state;
    begin(&g, &export_pcap);
    open_writer(&g);
    assert_int_equal(write_packet(&g, 0, 1), 0);
    assert_int_equal(write_packet(&g, 0, 1), 0);
    finish(&g);
    assert_int_equal(get_le32(g.memory.bytes.data + 20), LINK_RAW);
    end(&g);
}

static void an_empty_classic_file_is_a_valid_one(void **state)
{
    struct given g;

    (void)state;
    begin(&g, &export_pcap);
    open_writer(&g);
    finish(&g);
    assert_int_equal(g.memory.bytes.len, PCAP_FILE_HEADER_BYTES);
    end(&g);
}

static void a_time_that_classic_pcap_cannot_hold_is_left_out(void **state)
{
    struct given g;

    (void)state;
    begin(&g, &export_pcap);
    open_writer(&g);
    struct scan_packet packet = a_packet(&g, 1, 0);
    packet.view.time_ns = UINT64_C(4294967296) * 1000000000;
    assert_int_equal(g.ops->packet(g.writer, &packet, &g.err), EXPORT_LEFT_OUT);
    assert_non_null(strstr(g.writer->left_why, "2106"));
    end(&g);
}

static void a_sink_that_fails_ends_the_export(void **state)
{
    const struct export_writer_ops *const all[] = {&export_pcapng, &export_pcap, &export_json,
                                                   &export_csv};
    const struct scan_damage none = {0};
    struct given g;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        begin(&g, all[i]);
        open_writer(&g);
        g.memory.full = true;
        int r = 0;
        for (int n = 0; n < 100000 && r == 0; n++) {
            r = write_packet(&g, 1, 0);
        }
        assert_int_equal(r, ERR_FULL);
        assert_int_equal(g.ops->finish(g.writer, &none, &g.err), i == 0 ? ERR_FULL : 0);
        end(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interfaces_of_several_sessions_get_numbers_of_the_file),
        cmocka_unit_test(a_run_is_written_as_it_is_behind_what_was_gathered),
        cmocka_unit_test(a_pcapng_file_says_where_its_packets_come_from),
        cmocka_unit_test(statistics_tell_the_ledger_and_leave_out_what_is_unknown),
        cmocka_unit_test(a_packet_of_an_unknown_interface_is_left_out_and_counted),
        cmocka_unit_test(a_classic_file_takes_the_largest_snaplen),
        cmocka_unit_test(a_classic_file_refuses_a_second_link_type_and_says_the_way_out),
        cmocka_unit_test(packets_of_one_link_type_out_of_several_fit_a_classic_file),
        cmocka_unit_test(an_empty_classic_file_is_a_valid_one),
        cmocka_unit_test(a_time_that_classic_pcap_cannot_hold_is_left_out),
        cmocka_unit_test(a_sink_that_fails_ends_the_export),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
