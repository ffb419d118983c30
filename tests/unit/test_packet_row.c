/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "shared/store/packet_row.h"

/* Ethernet, IPv4 10.0.0.1 > 10.0.0.2, UDP 4000 > 53, no payload. */
static const uint8_t udp_packet[] = {
    2, 0,  0,  0,    0,    2,  2, 0, 0, 0,  0, 1, 8, 0,    0x45, 0, 0,  28, 0, 1, 0,
    0, 64, 17, 0x66, 0xce, 10, 0, 0, 1, 10, 0, 0, 2, 0x0f, 0xa0, 0, 53, 0,  8, 0, 0,
};

/* One packet with everything that it points to. */
struct given {
    struct store_session session;
    struct iface iface;
    struct scan_packet packet;
    struct packet_row row;
    struct buf out;
};

static void give(struct given *g, const char *interface, const void *data, uint32_t n)
{
    memset(g, 0, sizeof *g);
    snprintf(g->session.id, sizeof g->session.id, "019b76da-a800-7b3f-8a21-0123456789ab");
    memcpy(g->iface.name, interface, strlen(interface) + 1);
    g->iface.link_type = LINK_ETHERNET;
    g->packet = (struct scan_packet){
        .view = {.time_ns = 1700000000000000001, .caplen = n, .len = n + 5, .data = data},
        .session = &g->session,
        .iface = &g->iface,
        .number = 7,
    };
    packet_row_make(&g->row, &g->packet);
}

static const char *text_of(struct given *g)
{
    buf_put_u8(&g->out, '\0');
    return (const char *)g->out.data;
}

static json_t *parse(struct given *g)
{
    json_t *object =
        json_loadb((const char *)g->out.data, g->out.len, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(object);
    return object;
}

static void a_packet_is_one_json_object_and_a_newline(void **state)
{
    struct given g;

    (void)state;
    give(&g, "eth0", udp_packet, sizeof udp_packet);
    packet_row_json(&g.out, &g.row, false);
    assert_string_equal(
        text_of(&g),
        "{\"session\":\"019b76da-a800-7b3f-8a21-0123456789ab\",\"number\":7,"
        "\"time\":\"2023-11-14T22:13:20.000000001Z\",\"interface\":\"eth0\",\"caplen\":42,"
        "\"len\":47,\"link_type\":\"EN10MB\",\"src\":\"10.0.0.1\",\"dst\":\"10.0.0.2\","
        "\"sport\":4000,\"dport\":53,\"proto\":\"udp\",\"flags\":null,\"info\":\"UDP, length "
        "0\"}\n");
    buf_deinit(&g.out);
}

static void data_is_hex_and_comes_last(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x7f, 0xff};
    struct given g;

    (void)state;
    give(&g, "eth0", bytes, sizeof bytes);
    packet_row_json(&g.out, &g.row, true);
    assert_non_null(strstr(text_of(&g), ",\"data\":\"007fff\"}\n"));
    buf_deinit(&g.out);
}

static void what_is_unknown_is_null(void **state)
{
    struct given g;

    (void)state;
    give(&g, "", "", 0);
    packet_row_json(&g.out, &g.row, false);
    json_t *object = parse(&g);
    assert_true(json_is_null(json_object_get(object, "interface")));
    assert_true(json_is_null(json_object_get(object, "src")));
    assert_true(json_is_null(json_object_get(object, "sport")));
    assert_true(json_is_null(json_object_get(object, "flags")));
    assert_int_equal(json_integer_value(json_object_get(object, "caplen")), 0);
    assert_int_equal(json_object_size(object), PACKET_COLUMNS);
    json_decref(object);
    buf_deinit(&g.out);
}

static void an_interface_nobody_described_has_no_link_type(void **state)
{
    struct given g;

    (void)state;
    give(&g, "?", udp_packet, sizeof udp_packet);
    g.iface.link_type = UINT32_MAX;
    packet_row_make(&g.row, &g.packet);
    packet_row_json(&g.out, &g.row, false);
    json_t *object = parse(&g);
    assert_true(json_is_null(json_object_get(object, "link_type")));
    json_decref(object);
    buf_deinit(&g.out);
}

/* The name as it comes out of a JSON parser. */
static void check_name(const char *name, const char *wanted)
{
    struct given g;

    give(&g, name, udp_packet, sizeof udp_packet);
    packet_row_json(&g.out, &g.row, false);
    json_t *object = parse(&g);
    assert_string_equal(json_string_value(json_object_get(object, "interface")), wanted);
    assert_ptr_equal(memchr(g.out.data, '\n', g.out.len), g.out.data + g.out.len - 1);
    json_decref(object);
    buf_deinit(&g.out);
}

static void json_texts_are_escaped(void **state)
{
    (void)state;
    check_name("a \"b\" \\c", "a \"b\" \\c");
    check_name("\x01\n\r\t\x1b\x7f", "\x01\n\r\t\x1b\x7f");
    check_name("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa6",
               "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xa6");
}

static void control_bytes_are_escaped_in_json(void **state)
{
    struct given g;

    (void)state;
    give(&g, "\x1f\x7f ", udp_packet, sizeof udp_packet);
    packet_row_json(&g.out, &g.row, false);
    assert_non_null(strstr(text_of(&g), "\"\\u001f\\u007f \""));
    buf_deinit(&g.out);
}

static void json_is_utf8_whatever_the_name_is(void **state)
{
    (void)state;
    check_name("caf\xe9", "caf\xef\xbf\xbd");
    check_name("\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");                 /* cut */
    check_name("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");                 /* too long a form */
    check_name("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
    check_name("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    check_name("\xf0\x9f\x93", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    check_name("\xff\x80", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void csv_names_its_columns_and_leaves_unknown_ones_empty(void **state)
{
    struct given g;

    (void)state;
    give(&g, "eth0", udp_packet, sizeof udp_packet);
    packet_row_csv_header(&g.out, false);
    packet_row_csv(&g.out, &g.row, false);
    assert_string_equal(text_of(&g),
                        "session,number,time,interface,caplen,len,link_type,src,dst,sport,dport,"
                        "proto,flags,info\r\n"
                        "019b76da-a800-7b3f-8a21-0123456789ab,7,2023-11-14T22:13:20.000000001Z,"
                        "eth0,42,47,EN10MB,10.0.0.1,10.0.0.2,4000,53,udp,,\"UDP, length 0\"\r\n");
    buf_deinit(&g.out);
}

static void csv_quotes_what_needs_it(void **state)
{
    static const char *const alone[][2] = {
        {"a,b", ",\"a,b\","}, {"a\rb", ",\"a\rb\","}, {"a\nb", ",\"a\nb\","}, {"\"", ",\"\"\"\","}};
    struct given g;

    (void)state;
    for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
        give(&g, alone[i][0], udp_packet, sizeof udp_packet);
        packet_row_csv(&g.out, &g.row, false);
        assert_non_null(strstr(text_of(&g), alone[i][1]));
        buf_deinit(&g.out);
    }
    give(&g, "a \"b\",\r\nc", udp_packet, sizeof udp_packet);
    packet_row_csv(&g.out, &g.row, false);
    assert_non_null(strstr(text_of(&g), ",\"a \"\"b\"\",\r\nc\","));
    buf_deinit(&g.out);
    give(&g, "a b'c", udp_packet, sizeof udp_packet);
    packet_row_csv(&g.out, &g.row, true);
    assert_non_null(strstr(text_of(&g), ",a b'c,"));
    buf_deinit(&g.out);
}

static void csv_has_data_as_last_column_when_asked(void **state)
{
    static const uint8_t bytes[] = {0xde, 0xad};
    struct given g;

    (void)state;
    give(&g, "eth0", bytes, sizeof bytes);
    packet_row_csv_header(&g.out, true);
    packet_row_csv(&g.out, &g.row, true);
    const char *text = text_of(&g);
    assert_non_null(strstr(text, ",info,data\r\n"));
    assert_non_null(strstr(text, ",dead\r\n"));
    buf_deinit(&g.out);
}

static void a_row_is_used_again_for_the_next_packet(void **state)
{
    static const uint64_t times[] = {
        1700000000000000001, 1700000000999999999,  1700000001000000000, 1699999999123456789, 0,
        UINT64_MAX,          UINT64_MAX - 9000000, 1700000001000000000};
    struct given g;
    char wanted[TEXT_NUMBER_MAX];

    (void)state;
    give(&g, "eth0", udp_packet, sizeof udp_packet);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        g.packet.view.time_ns = times[i];
        g.iface.link_type = i % 2 == 0 ? LINK_RAW : 147;
        packet_row_make(&g.row, &g.packet);
        text_format_time(times[i], wanted);
        assert_string_equal(g.row.cells[COLUMN_TIME].text, wanted);
        assert_string_equal(g.row.cells[COLUMN_LINK_TYPE].text,
                            i % 2 == 0 ? "RAW" : "LINKTYPE_147");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_is_one_json_object_and_a_newline),
        cmocka_unit_test(data_is_hex_and_comes_last),
        cmocka_unit_test(what_is_unknown_is_null),
        cmocka_unit_test(an_interface_nobody_described_has_no_link_type),
        cmocka_unit_test(json_texts_are_escaped),
        cmocka_unit_test(control_bytes_are_escaped_in_json),
        cmocka_unit_test(json_is_utf8_whatever_the_name_is),
        cmocka_unit_test(csv_names_its_columns_and_leaves_unknown_ones_empty),
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(csv_has_data_as_last_column_when_asked),
        cmocka_unit_test(a_row_is_used_again_for_the_next_packet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
