/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/capture/own_filter.h"
#include "shared/packet/filter.h"
#include "shared/packet/iface.h"

static const char *const addresses[] = {"10.0.0.1", "127.0.0.1", "127.0.0.2", "fd00::1"};
static const struct own_endpoint endpoints[] = {
    {.port_from = 8080, .port_to = 8080},
    {.port_from = 61000, .port_to = 61999},
    {.address = "192.0.2.7", .port_from = 19000, .port_to = 19000},
    {.port_from = 7946, .port_to = 7946, .udp = true},
};
static const struct own_traffic own = {addresses, ARRAY_LEN(addresses), endpoints,
                                       ARRAY_LEN(endpoints)};

/* An Ethernet frame with IPv4 and the first bytes of TCP or UDP. */
static bool is_left_out(const char *expression, uint8_t protocol, const uint8_t src[4],
                        uint16_t sport, const uint8_t dst[4], uint16_t dport)
{
    uint8_t frame[64] = {[12] = 0x08, [13] = 0, [14] = 0x45, [23] = protocol};
    struct filter *filter = NULL;
    struct err err = {0};
    const struct packet_view view = {.caplen = sizeof frame, .len = sizeof frame, .data = frame};

    memcpy(frame + 26, src, 4);
    memcpy(frame + 30, dst, 4);
    frame[34] = (uint8_t)(sport >> 8);
    frame[35] = (uint8_t)sport;
    frame[36] = (uint8_t)(dport >> 8);
    frame[37] = (uint8_t)dport;
    assert_int_equal(filter_new(expression, LINK_ETHERNET, &filter, &err), 0);
    bool matches = filter_matches(filter, &view);
    filter_free(filter);
    return !matches;
}

static char *joined(const struct own_traffic *traffic, bool with_addresses, const char *user)
{
    struct buf out = {0};

    own_filter_build(traffic, with_addresses, &out);
    buf_put_u8(&out, 0);
    char *text = own_filter_join((const char *)out.data, user);
    buf_deinit(&out);
    return text;
}

static const uint8_t us[4] = {10, 0, 0, 1};
static const uint8_t loop[4] = {127, 9, 9, 9};
static const uint8_t other[4] = {10, 0, 0, 2};
static const uint8_t bound[4] = {192, 0, 2, 7};

static void own_traffic_is_left_out_in_both_directions(void **state)
{
    (void)state;
    char *text = joined(&own, true, "");
    assert_true(is_left_out(text, 6, us, 8080, other, 40000));
    assert_true(is_left_out(text, 6, other, 40000, us, 8080));
    assert_true(is_left_out(text, 6, us, 61500, other, 443));
    assert_true(is_left_out(text, 6, other, 443, us, 61999));
    assert_true(is_left_out(text, 6, loop, 40000, loop, 8080));
    assert_true(is_left_out(text, 17, us, 7946, other, 7946));
    assert_true(is_left_out(text, 6, bound, 19000, other, 5));
    mem_free(text);
}

static void traffic_of_others_on_the_same_ports_stays(void **state)
{
    (void)state;
    char *text = joined(&own, true, "");
    assert_false(is_left_out(text, 6, us, 40000, other, 8080)); /* we are their client */
    assert_false(is_left_out(text, 6, other, 8080, us, 40000));
    assert_false(is_left_out(text, 17, us, 8080, other, 40000)); /* UDP */
    assert_false(is_left_out(text, 6, us, 62000, other, 443));   /* behind the range */
    assert_false(is_left_out(text, 6, us, 19000, other, 5));     /* bound to another address */
    assert_false(is_left_out(text, 6, other, 8080, bound, 5));
    mem_free(text);
}

static void the_users_filter_applies_to_the_rest(void **state)
{
    (void)state;
    char *text = joined(&own, true, "tcp or udp port 53");
    assert_true(is_left_out(text, 6, us, 8080, other, 40000));
    assert_false(is_left_out(text, 6, us, 22, other, 40000));
    assert_true(is_left_out(text, 17, us, 54, other, 40000));
    mem_free(text);
}

static void without_addresses_the_ports_alone_decide(void **state)
{
    (void)state;
    char *text = joined(&own, false, "");
    assert_true(is_left_out(text, 6, us, 8080, other, 40000));
    assert_true(is_left_out(text, 6, other, 8080, other, 40000));
    assert_false(is_left_out(text, 6, us, 8081, other, 40000));
    mem_free(text);
}

static uint32_t insns_of(const char *expression)
{
    struct filter *filter = NULL;
    struct err err = {0};
    uint32_t n = 0;

    assert_int_equal(filter_new(expression, LINK_ETHERNET, &filter, &err), 0);
    assert_non_null(filter_program(filter, &n));
    filter_free(filter);
    return n;
}

static void a_usual_host_is_far_below_the_limit(void **state)
{
    (void)state;
    char *text = joined(&own, true, "");
    assert_true(insns_of(text) < OWN_FILTER_MAX_INSNS / 4);
    assert_non_null(strstr(text, "127.0.0.0/8"));
    assert_null(strstr(strstr(text, "src net 127") + 1, "src net 127")); /* once */
    mem_free(text);
}

static void nothing_of_ours_leaves_the_users_filter_alone(void **state)
{
    const struct own_traffic none = {0};
    const struct own_traffic no_address = {NULL, 0, endpoints, 1};

    (void)state;
    char *text = joined(&none, true, "tcp");
    assert_string_equal(text, "tcp");
    mem_free(text);
    text = joined(&none, true, NULL);
    assert_string_equal(text, "");
    mem_free(text);
    text = joined(&no_address, true, "udp");
    assert_string_equal(text, "udp");
    mem_free(text);
}

static size_t n_times(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

static void a_port_stands_once_for_each_side(void **state)
{
    (void)state;
    static const struct own_endpoint twice[] = {
        /* a node listens by IPv4 and by IPv6 */
        {.port_from = 7946, .port_to = 7946},
        {.port_from = 7946, .port_to = 7946, .udp = true},
        {.port_from = 7946, .port_to = 7946},
        {.port_from = 7946, .port_to = 7946, .udp = true},
        {.address = "10.0.0.1", .port_from = 7946, .port_to = 7946},
    };
    struct own_traffic both = own;
    both.endpoints = twice;
    both.n_endpoints = ARRAY_LEN(twice);

    char *text = joined(&both, true, "");
    assert_int_equal(n_times(text, "tcp src port 7946"), 2); /* one for that address alone */
    assert_int_equal(n_times(text, "udp src port 7946"), 1);
    assert_int_equal(n_times(text, "udp dst port 7946"), 1);
    mem_free(text);
    text = joined(&both, false, "");
    assert_int_equal(n_times(text, "tcp src port 7946"), 1);
    assert_int_equal(n_times(text, "udp src port 7946"), 1);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_traffic_is_left_out_in_both_directions),
        cmocka_unit_test(traffic_of_others_on_the_same_ports_stays),
        cmocka_unit_test(the_users_filter_applies_to_the_rest),
        cmocka_unit_test(without_addresses_the_ports_alone_decide),
        cmocka_unit_test(a_usual_host_is_far_below_the_limit),
        cmocka_unit_test(a_port_stands_once_for_each_side),
        cmocka_unit_test(nothing_of_ours_leaves_the_users_filter_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
