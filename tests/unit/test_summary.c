/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/packet/iface.h"
#include "shared/packet/summary.h"
#include "tests/support/decode_invariants.h"
#include "tests/support/hex_packet.h"

#define MACS "020000000002 020000000001"

static uint8_t bytes[4096];

static const char *line_of(uint32_t link_type, const char *hex)
{
    static char text[SUMMARY_MAX];
    uint32_t n = hex_bytes(hex, bytes, sizeof bytes);
    struct packet_view packet = {.data = bytes, .caplen = n, .len = n};
    struct decoded d;

    decode_packet(&packet, link_type, &d);
    summary_line(&packet, &d, text, sizeof text);
    return text;
}

static const char *info_of(uint32_t link_type, const char *hex)
{
    static char text[SUMMARY_MAX];
    uint32_t n = hex_bytes(hex, bytes, sizeof bytes);
    struct packet_view packet = {.data = bytes, .caplen = n, .len = n};
    struct decoded d;

    decode_packet(&packet, link_type, &d);
    summary_info(&packet, &d, text, sizeof text);
    return text;
}

static void tcp_reads_as_in_tcpdump(void **state)
{
    (void)state;
    assert_string_equal(
        line_of(LINK_RAW, "4500003c 00010000 40060000 0a000001 0a000002 04d20050 00000001 00000002 "
                          "a012faf0 00000000 020405b4 0402080a 00000064 00000000 01030307"),
        "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S.], seq 1, ack 2, win 64240, options [mss "
        "1460,sackOK,TS val 100 ecr 0,nop,wscale 7], length 0");
    assert_string_equal(
        line_of(LINK_RAW, "4500002a 00010000 40060000 0a000001 0a000002 04d20050 00000001 00000002 "
                          "5018faf0 00000000 6869"),
        "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [P.], seq 1:3, ack 2, win 64240, length 2");
}

static void info_leaves_out_the_addresses(void **state)
{
    (void)state;
    assert_string_equal(
        info_of(LINK_RAW, "4500001f 00010000 40110000 0a000001 0a000002 03e807d0 000b0000 616263"),
        "UDP, length 3");
    assert_string_equal(info_of(LINK_ETHERNET,
                                MACS "8100 0005 0800 4500001c 00010000 40010000 0a000001 0a000002 "
                                     "08000000 00070001"),
                        "ICMP echo request, id 7, seq 1, length 8");
    assert_string_equal(
        info_of(LINK_ETHERNET,
                MACS "0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002"),
        "Request who-has 10.0.0.2 tell 10.0.0.1, length 28");
    assert_string_equal(info_of(LINK_ETHERNET, MACS "88cc 00000000"),
                        "ethertype LLDP (0x88cc), length 18");
}

static void a_tunnel_shows_what_is_inside(void **state)
{
    (void)state;
    assert_string_equal(
        line_of(LINK_RAW, "45000049 00010000 402f0000 0a000001 0a000002 20006558 0000002a" MACS
                          "0800 4500001f 00010000 40110000 c0a80001 c0a80002 03e807d0 000b0000 "
                          "616263"),
        "IP 10.0.0.1 > 10.0.0.2: GREv0, key=0x2a, length 53: IP 192.168.0.1.1000 > "
        "192.168.0.2.2000: UDP, length 3");
}

static void nesting_is_bounded(void **state)
{
    char hex[2048] = "";
    size_t at = 0;

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        at += (size_t)snprintf(hex + at, sizeof hex - at,
                               "4500%04x000000004004000001010101020202%02x", (30 - i) * 20, i);
    }
    const char *line = line_of(LINK_RAW, hex);
    assert_string_equal(line + strlen(line) - 5, ": ...");
    unsigned levels = 0;
    for (const char *p = line; (p = strstr(p, "IP ")) != NULL; p++) {
        levels++;
    }
    assert_int_equal(levels, 5);
}

/* The rows of tests/golden/summary.tsv, one after the other. */
struct golden_row {
    char name[64];
    uint32_t link_type;
    struct packet_view packet;
    const char *want;
};

static bool next_row(FILE *file, struct golden_row *row)
{
    static char line[16384];
    char *fields[5];

    do {
        if (fgets(line, sizeof line, file) == NULL) {
            return false;
        }
    } while (line[0] == '#');
    line[strcspn(line, "\n")] = '\0';
    char *at = line;
    for (unsigned i = 0; i < 5; i++) {
        fields[i] = strsep(&at, "\t");
        assert_non_null(fields[i]);
    }
    snprintf(row->name, sizeof row->name, "%s", fields[0]);
    row->link_type = (uint32_t)strtoul(fields[1], NULL, 10);
    uint32_t n = fields[3][0] == '-' ? 0 : hex_bytes(fields[3], bytes, sizeof bytes);
    row->packet = (struct packet_view){
        .data = bytes, .caplen = n, .len = (uint32_t)strtoul(fields[2], NULL, 10)};
    row->want = fields[4];
    return true;
}

static void every_golden_packet_gives_its_line(void **state)
{
    FILE *file = fopen(PR_GOLDEN "/summary.tsv", "r");
    struct golden_row row;
    unsigned n = 0;
    unsigned n_wrong = 0;

    (void)state;
    assert_non_null(file);
    while (next_row(file, &row)) {
        struct decoded d;
        char text[SUMMARY_MAX];
        decode_packet(&row.packet, row.link_type, &d);
        summary_line(&row.packet, &d, text, sizeof text);
        n++;
        if (strcmp(text, row.want) != 0) {
            print_error("%s\n  want %s\n  have %s\n", row.name, row.want, text);
            n_wrong++;
        }
    }
    fclose(file);
    assert_true(n > 300);
    assert_int_equal(n_wrong, 0);
}

static bool find_row(const char *name, struct golden_row *row)
{
    FILE *file = fopen(PR_GOLDEN "/summary.tsv", "r");
    bool found = false;

    assert_non_null(file);
    while (!found && next_row(file, row)) {
        found = strcmp(row->name, name) == 0;
    }
    fclose(file);
    return found;
}

/* A line of tests/golden/summary_cuts.tsv: name, first and last captured length, text. */
static unsigned check_cuts(char *line)
{
    struct golden_row row;
    unsigned n_wrong = 0;
    const char *name = strsep(&line, "\t");
    const char *first = strsep(&line, "\t");
    const char *last = strsep(&line, "\t");

    assert_non_null(line);
    assert_true(find_row(name, &row));
    for (unsigned long n = strtoul(first, NULL, 10); n <= strtoul(last, NULL, 10); n++) {
        char text[SUMMARY_MAX];
        struct decoded d;
        row.packet.caplen = (uint32_t)n;
        decode_packet(&row.packet, row.link_type, &d);
        summary_line(&row.packet, &d, text, sizeof text);
        if (strcmp(text, line) != 0) {
            print_error("%s cut to %lu\n  want %s\n  have %s\n", name, n, line, text);
            n_wrong++;
        }
    }
    return n_wrong;
}

static void what_is_cut_is_marked_where_it_ends(void **state)
{
    FILE *file = fopen(PR_GOLDEN "/summary_cuts.tsv", "r");
    char line[2048];
    unsigned n = 0;
    unsigned n_wrong = 0;

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#') {
            n_wrong += check_cuts(line);
            n++;
        }
    }
    fclose(file);
    assert_true(n > 250);
    assert_int_equal(n_wrong, 0);
}

/* Memory of exactly the captured length, so that the sanitizer sees the first byte too far. */
static void any_packet_may_be_cut_at_any_byte(void **state)
{
    FILE *file = fopen(PR_GOLDEN "/summary.tsv", "r");
    struct golden_row row;

    (void)state;
    assert_non_null(file);
    while (next_row(file, &row)) {
        uint32_t most = row.packet.caplen < 160 ? row.packet.caplen : 160;
        for (uint32_t n = 0; n <= most; n++) {
            uint8_t *copy = malloc(n == 0 ? 1 : n);
            assert_non_null(copy);
            memcpy(copy, bytes, n);
            struct packet_view packet = {.data = copy, .caplen = n, .len = row.packet.len};
            check_decoder(&packet, row.link_type);
            packet.len = n;
            check_decoder(&packet, row.link_type);
            free(copy);
        }
    }
    fclose(file);
}

static void a_line_ends_where_the_room_ends(void **state)
{
    uint32_t n = hex_bytes("4500001f 00010000 40110000 0a000001 0a000002 03e807d0 000b0000 616263",
                           bytes, sizeof bytes);
    struct packet_view packet = {.data = bytes, .caplen = n, .len = n};
    struct decoded d;
    char text[16];

    (void)state;
    decode_packet(&packet, LINK_RAW, &d);
    memset(text, 'x', sizeof text);
    summary_line(&packet, &d, text, 0);
    assert_int_equal(text[0], 'x');
    summary_line(&packet, &d, text, 1);
    assert_string_equal(text, "");
    summary_line(&packet, &d, text, 10);
    assert_string_equal(text, "IP 10.0.0");
    assert_int_equal(text[10], 'x');
}

static char hex_lines[4][96];
static unsigned n_hex_lines;

static void keep_line(const char *text, void *arg)
{
    (void)arg;
    assert_true(n_hex_lines < 4);
    snprintf(hex_lines[n_hex_lines++], sizeof hex_lines[0], "%s", text);
}

static void hex_looks_like_tcpdump_x(void **state)
{
    static const uint8_t data[] = "E\0\0<\x1c\x46@\0@\x06 ~\x7f\xff"
                                  "ABCD";

    (void)state;
    n_hex_lines = 0;
    summary_hex(data, 18, keep_line, NULL);
    assert_int_equal(n_hex_lines, 2);
    assert_string_equal(hex_lines[0],
                        "\t0x0000:  4500 003c 1c46 4000 4006 207e 7fff 4142  E..<.F@.@..~..AB");
    assert_string_equal(hex_lines[1], "\t0x0010:  4344                                     CD");
    n_hex_lines = 0;
    summary_hex(data, 0, keep_line, NULL);
    assert_int_equal(n_hex_lines, 0);
    summary_hex(data, 1, keep_line, NULL);
    assert_string_equal(hex_lines[0], "\t0x0000:  45                                       E");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_reads_as_in_tcpdump),
        cmocka_unit_test(info_leaves_out_the_addresses),
        cmocka_unit_test(a_tunnel_shows_what_is_inside),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(every_golden_packet_gives_its_line),
        cmocka_unit_test(what_is_cut_is_marked_where_it_ends),
        cmocka_unit_test(any_packet_may_be_cut_at_any_byte),
        cmocka_unit_test(a_line_ends_where_the_room_ends),
        cmocka_unit_test(hex_looks_like_tcpdump_x),
    };
    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
