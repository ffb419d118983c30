/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/packet/filter.h"
#include "shared/packet/iface.h"

/* IPv4 and TCP from 10.0.0.1:1234 to 10.0.0.2:80, behind Ethernet. */
static const uint8_t ethernet_tcp[] = {
    0x02, 0,    0, 0,  0, 2, 0x02, 0, 0,  0, 0, 1, 0x08, 0x00, /* Ethernet */
    0x45, 0,    0, 40, 0, 0, 0,    0, 64, 6, 0, 0, 10,   0,    0,    1,    10, 0, 0, 2, /* IPv4 */
    0x04, 0xd2, 0, 80, 0, 0, 0,    1, 0,  0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0,  0, 0, 0  /* TCP */
};

static struct packet_view view_of(const uint8_t *data, uint32_t n)
{
    return (struct packet_view){.data = data, .caplen = n, .len = n};
}

static bool matches(const char *expression, uint32_t link_type, const uint8_t *data, uint32_t n)
{
    struct packet_view packet = view_of(data, n);
    struct filter *filter;
    struct err err;

    if (filter_new(expression, link_type, &filter, &err) != 0) {
        fail_msg("%s", err.text);
    }
    bool yes = filter_matches(filter, &packet);
    filter_free(filter);
    return yes;
}

static bool matches_ethernet(const char *expression)
{
    return matches(expression, LINK_ETHERNET, ethernet_tcp, sizeof ethernet_tcp);
}

static void a_filter_matches_what_libpcap_says(void **state)
{
    (void)state;
    assert_true(matches_ethernet("tcp port 80"));
    assert_true(matches_ethernet("port http"));
    assert_true(matches_ethernet("host 10.0.0.1 and host 10.0.0.2"));
    assert_true(matches_ethernet("tcp[tcpflags] & tcp-syn != 0"));
    assert_false(matches_ethernet("udp"));
    assert_false(matches_ethernet("host 10.0.0.3"));
}

static void the_empty_filter_matches_everything_and_has_no_program(void **state)
{
    static const char *const empty[] = {NULL, "", " \t "};
    uint32_t n = 1;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        struct packet_view nothing = view_of(ethernet_tcp, 0);
        struct filter *filter;
        assert_int_equal(filter_new(empty[i], LINK_ETHERNET, &filter, NULL), 0);
        assert_true(filter_is_empty(filter));
        assert_true(filter_matches(filter, &nothing));
        assert_null(filter_program(filter, &n));
        assert_int_equal(n, 0);
        filter_free(filter);
    }
    filter_free(NULL);
}

static void a_program_is_handed_out_in_our_own_words(void **state)
{
    struct filter *filter;
    uint32_t n = 0;

    (void)state;
    assert_int_equal(filter_new("ip", LINK_ETHERNET, &filter, NULL), 0);
    const struct filter_insn *program = filter_program(filter, &n);
    assert_int_equal(n, 4);
    assert_int_equal(program[0].code, 0x28); /* ldh [12] */
    assert_int_equal(program[0].k, 12);
    assert_int_equal(program[1].k, 0x800);
    assert_false(filter_is_empty(filter));
    filter_free(filter);
}

static void a_bad_filter_is_refused_with_the_word_and_its_position(void **state)
{
    static const struct {
        const char *expression;
        const char *says;
    } cases[] = {
        {"tcp prot 80", "bad filter 'tcp prot 80': syntax error at 'prot' (character 5)"},
        {"tcp and", "bad filter 'tcp and': syntax error at its end (character 8)"},
        {"(tcp or udp", "bad filter '(tcp or udp': syntax error at its end (character 12)"},
        {"tcp)", "bad filter 'tcp)': syntax error at ')' (character 4)"},
        {"tcp or or udp", "bad filter 'tcp or or udp': syntax error at 'or' (character 8)"},
        {"port 80 81", "bad filter 'port 80 81': syntax error at '81' (character 9)"},
        {"tcp && $", "bad filter 'tcp && $': syntax error at '$' (character 8)"},
        {"tcp[13] = ", "bad filter 'tcp[13] = ': syntax error at its end (character 11)"},
        {"not (host 10.0.0.1 and (port 80 or port 443)) and tcp dst src 5",
         "bad filter 'not (host 10.0.0.1 and (port 80 or port 443)) and tcp dst src 5': syntax "
         "error at 'src' (character 59)"},
        {"udp port nosuchport",
         "bad filter 'udp port nosuchport': unknown port 'nosuchport' (character 10)"},
        {"tcp or port 99999",
         "bad filter 'tcp or port 99999': illegal port number 99999 > 65535 (character 13)"},
        {"host 300.1.1.1",
         "bad filter 'host 300.1.1.1': invalid IPv4 address '300.1.1.1' (character 6)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct filter *filter = NULL;
        struct err err = {0};
        assert_int_equal(filter_new(cases[i].expression, LINK_ETHERNET, &filter, &err), ERR_FILTER);
        assert_string_equal(err.text, cases[i].says);
        assert_int_equal(err.code, ERR_FILTER);
        assert_null(filter);
        assert_int_equal(filter_new(cases[i].expression, LINK_ETHERNET, &filter, NULL), ERR_FILTER);
    }
}

static void a_very_long_bad_filter_is_cut_in_the_sentence(void **state)
{
    static char expression[20000];
    struct filter *filter;
    struct err err;

    (void)state;
    while (strlen(expression) < sizeof expression - 32) {
        strncat(expression, "port 80 or ", 12);
    }
    strncat(expression, "udp prot 80", 12);
    assert_int_equal(filter_new(expression, LINK_ETHERNET, &filter, &err), ERR_FILTER);
    assert_non_null(strstr(err.text, "…': syntax error at 'prot'"));
}

static void numbers_of_files_become_those_of_libpcap(void **state)
{
    static const uint8_t loop_ip[24] = {0, 0, 0, 2, 0x45, [13] = 6};

    (void)state;
    assert_true(matches("tcp and host 10.0.0.1", LINK_RAW, ethernet_tcp + 14, 40));
    assert_true(matches("tcp and host 10.0.0.1", LINK_IPV4, ethernet_tcp + 14, 40));
    assert_true(matches("ip proto 6", LINK_LOOP, loop_ip, sizeof loop_ip));
}

static void a_packet_that_is_cut_short_does_not_match(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 36; n++) {
        assert_false(matches("tcp port 1234", LINK_ETHERNET, ethernet_tcp, n));
    }
    assert_true(matches("tcp port 1234", LINK_ETHERNET, ethernet_tcp, 36));
}

static void a_set_compiles_for_each_link_type_once(void **state)
{
    struct filter_set *set;
    const char *why = "untouched";

    (void)state;
    assert_int_equal(filter_set_new("tcp port 80", &set, NULL), 0);
    const struct filter *ethernet = filter_set_for(set, LINK_ETHERNET, &why);
    assert_null(why);
    const struct filter *raw = filter_set_for(set, LINK_RAW, NULL);
    assert_ptr_not_equal(ethernet, raw);
    assert_ptr_equal(filter_set_for(set, LINK_ETHERNET, NULL), ethernet);

    struct packet_view packet = view_of(ethernet_tcp + 14, 40);
    assert_true(filter_matches(raw, &packet));
    filter_set_free(set);
    filter_set_free(NULL);
}

static void a_set_matches_nothing_where_the_words_make_no_sense_and_says_so_once(void **state)
{
    struct packet_view packet = view_of(ethernet_tcp, sizeof ethernet_tcp);
    struct filter_set *set;
    const char *why = NULL;

    (void)state;
    assert_int_equal(filter_set_new("ether host 02:00:00:00:00:01", &set, NULL), 0);
    assert_true(filter_matches(filter_set_for(set, LINK_ETHERNET, &why), &packet));
    assert_null(why);
    const struct filter *none = filter_set_for(set, LINK_RAW, &why);
    assert_non_null(why);
    assert_non_null(strstr(why, "link type 101"));
    assert_false(filter_matches(none, &packet));
    assert_false(filter_is_empty(none));
    assert_ptr_equal(filter_set_for(set, LINK_RAW, &why), none);
    assert_null(why);
    filter_set_free(set);
}

static void words_of_one_link_type_only_are_no_error_in_a_set(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(filter_check("wlan type mgt", &err), 0);
    assert_int_equal(filter_check(NULL, &err), 0);
    assert_int_equal(filter_check("tcp prot 80", &err), ERR_FILTER);
    assert_string_equal(err.text, "bad filter 'tcp prot 80': syntax error at 'prot' (character 5)");
    struct filter_set *set;
    assert_int_equal(filter_set_new("tcp prot 80", &set, &err), ERR_FILTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_matches_what_libpcap_says),
        cmocka_unit_test(the_empty_filter_matches_everything_and_has_no_program),
        cmocka_unit_test(a_program_is_handed_out_in_our_own_words),
        cmocka_unit_test(a_bad_filter_is_refused_with_the_word_and_its_position),
        cmocka_unit_test(a_very_long_bad_filter_is_cut_in_the_sentence),
        cmocka_unit_test(numbers_of_files_become_those_of_libpcap),
        cmocka_unit_test(a_packet_that_is_cut_short_does_not_match),
        cmocka_unit_test(a_set_compiles_for_each_link_type_once),
        cmocka_unit_test(a_set_matches_nothing_where_the_words_make_no_sense_and_says_so_once),
        cmocka_unit_test(words_of_one_link_type_only_are_no_error_in_a_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
