/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/packets_want.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct decoded tcp4 = {
    .family = DECODE_IPV4,
    .src = {10, 0, 0, 1},
    .dst = {10, 0, 0, 2},
    .proto = 6,
    .has_ports = true,
    .sport = 40000,
    .dport = 443,
};

static const struct decoded arp = {
    .family = DECODE_ARP, .ethertype = 0x0806, .src = {10, 0, 0, 1}, .dst = {10, 0, 0, 9}};

static bool wants_addr(enum packets_end end, const char *text, const struct decoded *d)
{
    struct packets_want want = {0};

    assert_true(packets_want_addr(&want, end, text));
    return packets_want_matches(&want, d);
}

static bool wants_port(enum packets_end end, int64_t port, const struct decoded *d)
{
    struct packets_want want = {0};

    assert_true(packets_want_port(&want, end, port));
    return packets_want_matches(&want, d);
}

static bool wants_proto(const char *name, const struct decoded *d)
{
    struct packets_want want = {0};

    assert_true(packets_want_proto(&want, name));
    return packets_want_matches(&want, d);
}

static void no_condition_takes_everything(void **state)
{
    struct packets_want want = {0};
    struct index_fields fields;

    (void)state;
    assert_true(packets_want_is_open(&want));
    assert_true(packets_want_matches(&want, &tcp4));
    packets_want_fields(&want, &fields);
    assert_int_equal(fields.n_addrs + fields.n_ports + fields.has_proto, 0);
}

static void an_address_is_looked_for_at_its_end(void **state)
{
    (void)state;
    assert_true(wants_addr(PACKETS_SRC, "10.0.0.1", &tcp4));
    assert_false(wants_addr(PACKETS_DST, "10.0.0.1", &tcp4));
    assert_true(wants_addr(PACKETS_DST, "10.0.0.2", &tcp4));
    assert_false(wants_addr(PACKETS_SRC, "10.0.0.2", &tcp4));
    assert_true(wants_addr(PACKETS_EITHER, "10.0.0.1", &tcp4));
    assert_true(wants_addr(PACKETS_EITHER, "10.0.0.2", &tcp4));
    assert_false(wants_addr(PACKETS_EITHER, "10.0.0.3", &tcp4));
    assert_true(wants_addr(PACKETS_SRC, "10.0.0.1", &arp));
}

static void families_are_not_mixed(void **state)
{
    struct decoded ip6 = {.family = DECODE_IPV6, .src = {10, 0, 0, 1}};

    (void)state;
    assert_false(wants_addr(PACKETS_SRC, "10.0.0.1", &ip6));
    assert_true(wants_addr(PACKETS_SRC, "a00:1::", &ip6));
    assert_false(wants_addr(PACKETS_SRC, "a00:1::", &tcp4));
    ip6.family = DECODE_NONE;
    assert_false(wants_addr(PACKETS_SRC, "a00:1::", &ip6));
}

static void what_is_no_address_is_not_taken(void **state)
{
    struct packets_want want = {0};

    (void)state;
    assert_false(packets_want_addr(&want, PACKETS_SRC, "02:00:00:00:00:01"));
    assert_false(packets_want_addr(&want, PACKETS_SRC, "10.0.0"));
    assert_false(packets_want_addr(&want, PACKETS_SRC, ""));
    assert_true(packets_want_is_open(&want));
}

static void a_port_is_looked_for_at_its_end(void **state)
{
    struct decoded without = tcp4;

    (void)state;
    without.has_ports = false;
    assert_true(wants_port(PACKETS_SRC, 40000, &tcp4));
    assert_false(wants_port(PACKETS_DST, 40000, &tcp4));
    assert_true(wants_port(PACKETS_DST, 443, &tcp4));
    assert_true(wants_port(PACKETS_EITHER, 443, &tcp4));
    assert_false(wants_port(PACKETS_EITHER, 80, &tcp4));
    assert_false(wants_port(PACKETS_EITHER, 443, &without));
    assert_false(wants_port(PACKETS_EITHER, 65536, &tcp4));
    assert_false(wants_port(PACKETS_EITHER, -1, &tcp4));
}

static void a_protocol_is_a_name(void **state)
{
    (void)state;
    assert_true(wants_proto("tcp", &tcp4));
    assert_false(wants_proto("udp", &tcp4));
    assert_true(wants_proto("arp", &arp));
    assert_false(wants_proto("", &tcp4));
    assert_false(wants_proto("a name that is longer than any protocol has", &tcp4));
}

static void all_conditions_must_hold(void **state)
{
    struct packets_want want = {0};

    (void)state;
    assert_true(packets_want_addr(&want, PACKETS_EITHER, "10.0.0.1"));
    assert_true(packets_want_addr(&want, PACKETS_EITHER, "10.0.0.2"));
    assert_true(packets_want_port(&want, PACKETS_DST, 443));
    assert_true(packets_want_proto(&want, "tcp"));
    assert_true(packets_want_matches(&want, &tcp4));
    assert_true(packets_want_proto(&want, "udp"));
    assert_false(packets_want_matches(&want, &tcp4));
}

static void too_many_conditions_are_not_taken(void **state)
{
    struct packets_want want = {0};
    struct index_fields fields;

    (void)state;
    for (int i = 0; i < PACKETS_WANT_MAX; i++) {
        assert_true(packets_want_addr(&want, PACKETS_EITHER, "10.0.0.1"));
        assert_true(packets_want_port(&want, PACKETS_EITHER, 443));
    }
    assert_false(packets_want_addr(&want, PACKETS_EITHER, "10.0.0.1"));
    assert_false(packets_want_port(&want, PACKETS_EITHER, 443));
    packets_want_fields(&want, &fields);
    assert_int_equal(fields.n_addrs, INDEX_FIELDS_MAX);
    assert_int_equal(fields.n_ports, INDEX_FIELDS_MAX);
}

/* The index knows IP protocols alone: a name that packets without IP bear too must not be asked. */
static void the_index_is_asked_only_for_names_of_one_ip_protocol(void **state)
{
    static bool is_other[256];

    (void)state;
    for (unsigned proto = 0; proto < 256; proto++) {
        const struct decoded d = {.family = DECODE_IPV6, .proto = (uint8_t)proto};
        struct packets_want want = {0};
        struct index_fields fields;
        char name[PACKETS_PROTO_MAX];
        decode_proto_name(&d, name, sizeof name);
        packets_want_proto(&want, name);
        packets_want_fields(&want, &fields);
        assert_true(!fields.has_proto || fields.proto == proto);
        is_other[proto] = !fields.has_proto;
    }
    assert_false(is_other[6] || is_other[17] || is_other[1] || is_other[58] || is_other[253]);
    for (unsigned type = 1; type < 65536; type++) {
        const struct decoded d = {.ethertype = (uint16_t)type};
        struct packets_want want = {0};
        struct index_fields fields;
        char name[PACKETS_PROTO_MAX];
        decode_proto_name(&d, name, sizeof name);
        if (name[0] == '0') {
            continue;
        }
        packets_want_proto(&want, name);
        packets_want_fields(&want, &fields);
        assert_false(fields.has_proto);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_condition_takes_everything),
        cmocka_unit_test(an_address_is_looked_for_at_its_end),
        cmocka_unit_test(families_are_not_mixed),
        cmocka_unit_test(what_is_no_address_is_not_taken),
        cmocka_unit_test(a_port_is_looked_for_at_its_end),
        cmocka_unit_test(a_protocol_is_a_name),
        cmocka_unit_test(all_conditions_must_hold),
        cmocka_unit_test(too_many_conditions_are_not_taken),
        cmocka_unit_test(the_index_is_asked_only_for_names_of_one_ip_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
