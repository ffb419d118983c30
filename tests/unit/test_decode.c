/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/packet/decode.h"
#include "shared/packet/iface.h"
#include "tests/support/decode_invariants.h"
#include "tests/support/hex_packet.h"

/* 10.0.0.1:1234 > 10.0.0.2:80, SYN and ACK, two bytes of payload. */
#define MACS     "020000000002 020000000001"
#define IPV4_TCP "4500002a 00010000 40060000 0a000001 0a000002 "
#define TCP      "04d20050 00000001 00000002 50120400 00000000 6869 "
/* 10.0.0.1:1000 > 10.0.0.2:2000, three bytes. */
#define IPV4_UDP "4500001f 00010000 40110000 0a000001 0a000002 "
#define UDP      "03e807d0 000b0000 616263 "
#define FE80_1   "fe800000 00000000 00000000 00000001 "
#define FE80_2   "fe800000 00000000 00000000 00000002 "

static uint8_t bytes[512];

static struct packet_view view_of(const char *hex)
{
    uint32_t n = hex_bytes(hex, bytes, sizeof bytes);
    return (struct packet_view){.data = bytes, .caplen = n, .len = n};
}

static struct decoded decode(uint32_t link_type, const char *hex)
{
    struct packet_view packet = view_of(hex);
    struct decoded d;

    decode_packet(&packet, link_type, &d);
    return d;
}

static void assert_names(const struct decoded *d, const char *src, const char *dst,
                         const char *proto)
{
    char text[64];

    decode_src(d, text, sizeof text);
    assert_string_equal(text, src);
    decode_dst(d, text, sizeof text);
    assert_string_equal(text, dst);
    decode_proto_name(d, text, sizeof text);
    assert_string_equal(text, proto);
}

static void assert_udp(const struct decoded *d)
{
    assert_names(d, "10.0.0.1", "10.0.0.2", "udp");
    assert_true(d->has_ports);
    assert_int_equal(d->sport, 1000);
    assert_int_equal(d->dport, 2000);
    assert_int_equal(d->payload_len, 3);
    assert_false(d->cut);
    assert_false(d->bad);
}

static void ethernet_ipv4_tcp_gives_every_column(void **state)
{
    struct decoded d = decode(LINK_ETHERNET, MACS "0800" IPV4_TCP TCP);
    char flags[16];

    (void)state;
    assert_names(&d, "10.0.0.1", "10.0.0.2", "tcp");
    assert_true(d.has_mac);
    assert_memory_equal(d.mac_src, "\2\0\0\0\0\1", 6);
    assert_memory_equal(d.mac_dst, "\2\0\0\0\0\2", 6);
    assert_int_equal(d.ethertype, 0x0800);
    assert_int_equal(d.family, DECODE_IPV4);
    assert_int_equal(d.proto, 6);
    assert_int_equal(d.ttl, 64);
    assert_int_equal(d.sport, 1234);
    assert_int_equal(d.dport, 80);
    assert_true(d.has_tcp);
    assert_int_equal(d.tcp_flags, 0x12);
    decode_tcp_flags(&d, flags, sizeof flags);
    assert_string_equal(flags, "S.");
    assert_int_equal(d.l3_offset, 14);
    assert_int_equal(d.l4_offset, 34);
    assert_int_equal(d.payload_offset, 54);
    assert_int_equal(d.payload_len, 2);
    assert_false(d.fragment || d.cut || d.bad);
}

static void every_link_type_leads_to_the_same_packet(void **state)
{
    static const struct {
        uint32_t link_type;
        const char *header;
        uint32_t l3_offset;
    } links[] = {
        {LINK_ETHERNET, MACS "0800", 14},
        {LINK_ETHERNET, MACS "0027 aaaa03 000000 0800", 22}, /* 802.3, LLC, SNAP */
        {LINK_SLL, "0000 0001 0006 020000000001 0000 0800", 16},
        {LINK_SLL2, "0800 0000 00000002 0001 04 06 020000000001 0000", 20},
        {LINK_RAW, "", 0},
        {12, "", 0},
        {14, "", 0},
        {LINK_IPV4, "", 0},
        {LINK_NULL, "02000000", 4},
        {LINK_NULL, "00000002", 4},
        {LINK_LOOP, "00000002", 4},
        {LINK_PPP, "ff03 0021", 4},
        {LINK_PPP, "0021", 2},
        {LINK_PPP, "21", 1},
        {LINK_PPP, "0f00 0800", 4}, /* Cisco HDLC */
    };
    char hex[512];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        snprintf(hex, sizeof hex, "%s%s%s", links[i].header, IPV4_UDP, UDP);
        struct decoded d = decode(links[i].link_type, hex);
        assert_udp(&d);
        assert_int_equal(d.l3_offset, links[i].l3_offset);
        assert_int_equal(d.ethertype, 0x0800);
    }
}

static void vlan_tags_are_listed_outermost_first(void **state)
{
    struct decoded d =
        decode(LINK_ETHERNET, MACS "88a8 e064 9100 0007 8100 1005 0800" IPV4_UDP UDP);

    (void)state;
    assert_udp(&d);
    assert_int_equal(d.n_vlans, 3);
    assert_int_equal(d.vlans[0], 100);
    assert_int_equal(d.vlans[1], 7);
    assert_int_equal(d.vlans[2], 5);
    assert_int_equal(d.ethertype, 0x0800);
    assert_int_equal(d.l3_offset, 26);
}

static void more_tags_than_there_is_room_for_are_walked(void **state)
{
    struct decoded d = decode(LINK_ETHERNET, MACS "8100 0001 8100 0002 8100 0003 8100 0004 8100 "
                                                  "0005 8100 0006 0800" IPV4_UDP UDP);

    (void)state;
    assert_udp(&d);
    assert_int_equal(d.n_vlans, DECODE_VLANS_MAX);
    assert_int_equal(d.vlans[3], 4);
}

static void a_packet_of_nothing_but_tags_is_bad(void **state)
{
    struct packet_view packet = {.data = bytes, .caplen = sizeof bytes, .len = sizeof bytes};
    struct decoded d;

    (void)state;
    memset(bytes, 0, 12);
    for (size_t i = 12; i < sizeof bytes; i += 4) {
        bytes[i] = 0x81;
        bytes[i + 1] = bytes[i + 2] = 0;
        bytes[i + 3] = 1;
    }
    decode_packet(&packet, LINK_ETHERNET, &d);
    assert_true(d.bad);
    assert_int_equal(d.family, DECODE_NONE);
}

static void as_many_tags_as_are_walked_may_end_in_nothing(void **state)
{
    char hex[512] = MACS "8847";
    size_t at = strlen(hex);

    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        at += (size_t)snprintf(hex + at, sizeof hex - at, "00010%c40", i == 31 ? '1' : '0');
    }
    struct packet_view packet = view_of(hex);
    check_decoder(&packet, LINK_ETHERNET);
    struct decoded d = decode(LINK_ETHERNET, hex);
    assert_int_equal(d.n_mpls, 32);
    assert_false(d.bad || d.cut);
}

static void mpls_and_pppoe_carry_ip(void **state)
{
    struct decoded d = decode(LINK_ETHERNET, MACS "8847 0001d0ff 000021fe" IPV4_UDP UDP);

    (void)state;
    assert_udp(&d);
    assert_int_equal(d.n_mpls, 2);
    assert_int_equal(d.mpls_label, 29);
    assert_int_equal(d.ethertype, 0x8847);
    d = decode(LINK_ETHERNET, MACS "8864 1100 0001 0021 0021" IPV4_UDP UDP);
    assert_udp(&d);
    assert_int_equal(d.ethertype, 0x8864);
    d = decode(LINK_ETHERNET, MACS "8847 0001d1ff 00000000" MACS "0800" IPV4_UDP UDP);
    assert_names(&d, "02:00:00:00:00:01", "02:00:00:00:00:02", "mpls");
}

static void arp_shows_the_protocol_addresses(void **state)
{
    struct decoded d = decode(LINK_ETHERNET, MACS "0806 0001 0800 06 04 0001 020000000001 0a000001 "
                                                  "000000000000 0a000002");

    (void)state;
    assert_int_equal(d.family, DECODE_ARP);
    assert_names(&d, "10.0.0.1", "10.0.0.2", "arp");
    assert_int_equal(d.l3_offset, 14);
    d = decode(LINK_ETHERNET, MACS "0806 0001 1234 06 04 0001 020000000001 0a000001 "
                                   "000000000000 0a000002");
    assert_int_equal(d.family, DECODE_NONE);
    assert_names(&d, "02:00:00:00:00:01", "02:00:00:00:00:02", "arp");
}

static void ipv4_options_are_stepped_over(void **state)
{
    struct decoded d =
        decode(LINK_RAW, "46000023 00010000 40110000 0a000001 0a000002 94040000" UDP);

    (void)state;
    assert_udp(&d);
    assert_int_equal(d.l4_offset, 24);
}

static void a_later_fragment_has_no_ports(void **state)
{
    struct decoded d = decode(LINK_RAW, "45000020 00010004 40110000 0a000001 0a000002"
                                        "03e807d0 000b0000 61626364");

    (void)state;
    assert_true(d.fragment);
    assert_false(d.has_ports);
    assert_int_equal(d.l4_offset, 0);
    assert_int_equal(d.payload_offset, 20);
    assert_int_equal(d.payload_len, 12);
    assert_names(&d, "10.0.0.1", "10.0.0.2", "udp");
    assert_false(d.bad || d.cut);
}

static void a_first_fragment_has_ports_and_may_be_short(void **state)
{
    /* 8 of 100 bytes of UDP; the datagram is longer than the fragment, rightly. */
    struct decoded d =
        decode(LINK_RAW, "4500001c 00012000 40110000 0a000001 0a000002 03e807d0 00640000");

    (void)state;
    assert_true(d.fragment && d.has_ports);
    assert_int_equal(d.payload_len, 92);
    assert_false(d.bad);
    /* 8 bytes of TCP: cut, not bad. */
    d = decode(LINK_RAW, "4500001c 00012000 40060000 0a000001 0a000002 04d20050 00000001");
    assert_true(d.has_ports && d.cut);
    assert_false(d.bad || d.has_tcp);
}

static void extension_headers_are_walked(void **state)
{
    /* hop-by-hop, routing, destination options, AH, then UDP */
    struct decoded d = decode(LINK_RAW, "60000000 003b 00 40" FE80_1 FE80_2 "2b00 0104 00000000"
                                        "3c00 0900 00000000"
                                        "3300 0104 00000000"
                                        "1104 0000 00000001 00000002 000102030405060708090a0b" UDP);

    (void)state;
    assert_names(&d, "fe80::1", "fe80::2", "udp");
    assert_int_equal(d.l4_offset, 40 + 3 * 8 + 24);
    assert_int_equal(d.sport, 1000);
    assert_int_equal(d.payload_len, 3);
    assert_false(d.cut || d.bad || d.fragment);
}

static void ipv6_fragments_are_told_apart(void **state)
{
    struct decoded d = decode(LINK_RAW, "60000000 0013 2c 40" FE80_1 FE80_2
                                        "1100 0001 00000007 03e807d0 00640000 616263");

    (void)state;
    assert_true(d.fragment && d.has_ports);
    d = decode(LINK_RAW, "60000000 0010 2c 40" FE80_1 FE80_2 "1100 0030 00000007 6161616161616161");
    assert_true(d.fragment);
    assert_false(d.has_ports);
    assert_int_equal(d.proto, 17);
    assert_int_equal(d.payload_offset, 48);
    /* RFC 6946: a fragment header on a whole packet */
    d = decode(LINK_RAW, "60000000 0013 2c 40" FE80_1 FE80_2 "1100 0000 00000007" UDP);
    assert_true(d.has_ports);
    assert_false(d.fragment || d.bad);
}

static void esp_ends_the_walk(void **state)
{
    struct decoded d =
        decode(LINK_RAW, "60000000 000c 32 40" FE80_1 FE80_2 "0000000a 00000001 11111111");

    (void)state;
    assert_names(&d, "fe80::1", "fe80::2", "esp");
    assert_false(d.has_ports || d.bad || d.cut);
    assert_int_equal(d.payload_len, 12);
}

static void total_length_zero_is_taken_from_the_frame(void **state)
{
    struct packet_view packet =
        view_of(MACS "0800 45000000 00010000 40060000 0a000001 0a000002" TCP);
    struct decoded d;

    (void)state;
    packet.len = 14 + 40 + 80000; /* BIG TCP, cut by the snaplen */
    decode_packet(&packet, LINK_ETHERNET, &d);
    assert_int_equal(d.payload_len, 80000);
    assert_false(d.bad || d.cut);
}

static void a_jumbogram_takes_its_length_from_the_option(void **state)
{
    struct packet_view packet = view_of("60000000 0000 00 40" FE80_1 FE80_2
                                        "0600 c204 00011170" TCP); /* 70000 = 8 + 20 + 69972 */
    struct decoded d;

    (void)state;
    packet.len = 40 + 70000;
    decode_packet(&packet, LINK_RAW, &d);
    assert_int_equal(d.payload_len, 69972);
    assert_false(d.bad || d.cut);
}

static void lengths_are_the_headers_not_the_capture(void **state)
{
    struct packet_view packet = view_of(MACS "0800 450005dc 00010000 40060000 0a000001 0a000002"
                                             "04d20050 00000001 00000002 50120400 00000000");
    struct decoded d;

    (void)state;
    packet.len = 1514;
    decode_packet(&packet, LINK_ETHERNET, &d);
    assert_int_equal(d.payload_len, 1460);
    assert_int_equal(d.payload_offset, packet.caplen);
    assert_false(d.cut);
}

static void trailing_padding_is_no_payload(void **state)
{
    struct decoded d = decode(LINK_ETHERNET, MACS "0800" IPV4_UDP UDP "000000000000000000000000");

    (void)state;
    assert_udp(&d);
}

static void headers_that_contradict_themselves_are_bad(void **state)
{
    static const char *const packets[] = {
        "4400001f 00010000 40110000 0a000001 0a000002" UDP, /* header length 16 */
        "45000010 00010000 40110000 0a000001 0a000002" UDP, /* total length 16 */
        "55000020 00010000 40110000 0a000001 0a000002" UDP, /* version 5 */
        "4500001f 00010000 40110000 0a000001 0a000002 03e807d0 00070000 616263", /* UDP 7 */
        "4500001f 00010000 40110000 0a000001 0a000002 03e807d0 00640000 616263", /* UDP 100 */
        "45000028 00010000 40060000 0a000001 0a000002 04d20050 00000001 00000002 40120400 00000000",
        "45000028 00010000 40060000 0a000001 0a000002 04d20050 00000001 00000002 f0120400 00000000",
        "45000018 00010000 40060000 0a000001 0a000002 04d20050",  /* 4 bytes of TCP */
        "60000000 0008 00 40" FE80_1 FE80_2 "3aff 0104 00000000", /* ends behind the packet */
        "60000000 0008 33 40" FE80_1 FE80_2 "3a00 0000 00000000", /* AH of 8 bytes */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        struct decoded d = decode(LINK_RAW, packets[i]);
        if (!d.bad) {
            fail_msg("packet %zu is not bad", i);
        }
    }
    /* EtherType or link type against version */
    struct decoded d = decode(LINK_IPV6, IPV4_UDP UDP "000000000000000000");
    assert_true(d.bad && d.family == DECODE_NONE);
    d = decode(LINK_IPV4, "60000000 000b 11 40" FE80_1 FE80_2 UDP);
    assert_true(d.bad && d.family == DECODE_NONE);
}

static void names_come_from_tables_or_numbers(void **state)
{
    static const struct {
        const char *hex;
        const char *name;
    } rows[] = {
        {MACS "88cc 00000000", "lldp"},
        {MACS "1234 00000000", "0x1234"},
        {MACS "0003 424203 0000", "llc"},
        {MACS "08", ""},
        {MACS "0800 45000018 00010000 40fd0000 0a000001 0a000002 00000000", "ip-253"},
        {MACS "0800 45000018 00010000 40590000 0a000001 0a000002 00000000", "ospf"},
        {MACS "0800 45000018 00010000 402f0000 0a000001 0a000002 00000800", "gre"},
        {MACS "0800 4500001c 00010000 40010000 0a000001 0a000002 08000000 00010001", "icmp"},
    };
    char name[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct decoded d = decode(LINK_ETHERNET, rows[i].hex);
        decode_proto_name(&d, name, sizeof name);
        assert_string_equal(name, rows[i].name);
    }
    struct decoded d = decode(LINK_SLL, "0000 0001 0006 020000000001 0000 0004 42420300");
    decode_proto_name(&d, name, sizeof name);
    assert_string_equal(name, "llc");
    d = decode(LINK_PPP, "ff03 c021 01010004");
    decode_proto_name(&d, name, sizeof name);
    assert_string_equal(name, "ppp");
}

static void flags_are_in_the_order_of_tcpdump(void **state)
{
    struct decoded d = {.has_tcp = true, .tcp_flags = 0xff};
    char text[16];

    (void)state;
    decode_tcp_flags(&d, text, sizeof text);
    assert_string_equal(text, "FSRP.UEW");
    d.tcp_flags = 0;
    decode_tcp_flags(&d, text, sizeof text);
    assert_string_equal(text, "none");
    d.has_tcp = false;
    decode_tcp_flags(&d, text, sizeof text);
    assert_string_equal(text, "");
}

static void texts_fit_any_room(void **state)
{
    struct decoded d = decode(LINK_RAW, IPV4_TCP TCP);
    char text[8] = "xxxxxxx";

    (void)state;
    decode_src(&d, text, 0);
    assert_int_equal(text[0], 'x');
    decode_src(&d, text, 4);
    assert_string_equal(text, "10.");
    assert_int_equal(text[4], 'x');
    decode_proto_name(&d, text, 1);
    assert_string_equal(text, "");
}

static void nothing_is_read_where_nothing_was_captured(void **state)
{
    static const uint32_t link_types[] = {0,   1,   8,   9,   12,  14,  50,    101,     104,    108,
                                          113, 228, 229, 239, 276, 147, 65535, 0x10800, 0x186dd};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(link_types); i++) {
        struct packet_view packet = {.data = NULL, .caplen = 0, .len = 60};
        check_decoder(&packet, link_types[i]);
        packet.len = 0;
        check_decoder(&packet, link_types[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ethernet_ipv4_tcp_gives_every_column),
        cmocka_unit_test(every_link_type_leads_to_the_same_packet),
        cmocka_unit_test(vlan_tags_are_listed_outermost_first),
        cmocka_unit_test(more_tags_than_there_is_room_for_are_walked),
        cmocka_unit_test(a_packet_of_nothing_but_tags_is_bad),
        cmocka_unit_test(as_many_tags_as_are_walked_may_end_in_nothing),
        cmocka_unit_test(mpls_and_pppoe_carry_ip),
        cmocka_unit_test(arp_shows_the_protocol_addresses),
        cmocka_unit_test(ipv4_options_are_stepped_over),
        cmocka_unit_test(a_later_fragment_has_no_ports),
        cmocka_unit_test(a_first_fragment_has_ports_and_may_be_short),
        cmocka_unit_test(extension_headers_are_walked),
        cmocka_unit_test(ipv6_fragments_are_told_apart),
        cmocka_unit_test(esp_ends_the_walk),
        cmocka_unit_test(total_length_zero_is_taken_from_the_frame),
        cmocka_unit_test(a_jumbogram_takes_its_length_from_the_option),
        cmocka_unit_test(lengths_are_the_headers_not_the_capture),
        cmocka_unit_test(trailing_padding_is_no_payload),
        cmocka_unit_test(headers_that_contradict_themselves_are_bad),
        cmocka_unit_test(names_come_from_tables_or_numbers),
        cmocka_unit_test(flags_are_in_the_order_of_tcpdump),
        cmocka_unit_test(texts_fit_any_room),
        cmocka_unit_test(nothing_is_read_where_nothing_was_captured),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
