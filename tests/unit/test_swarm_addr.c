/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of --join and --advertise-addr.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/options/swarm_addr.h"

static void check_good(const char *text, const char *host, uint16_t port, bool numeric)
{
    struct swarm_addr addr;
    struct err err = {0};

    if (swarm_addr_parse(text, &addr, &err) < 0) {
        fail_msg("%s", err.text);
    }
    assert_string_equal(addr.host, host);
    assert_int_equal(addr.port, port);
    assert_int_equal(addr.is_numeric, numeric);
}

static void a_host_may_have_a_port(void **state)
{
    (void)state;
    check_good("10.0.0.5", "10.0.0.5", 0, true);
    check_good("10.0.0.5:7000", "10.0.0.5", 7000, true);
    check_good("node-1.example", "node-1.example", 0, false);
    check_good("node_1:65535", "node_1", 65535, false);
}

static void ipv6_takes_brackets_for_a_port_only(void **state)
{
    (void)state;
    check_good("fd00::5", "fd00::5", 0, true);
    check_good("[fd00::5]", "fd00::5", 0, true);
    check_good("[fd00::5]:1", "fd00::5", 1, true);
    check_good("::1", "::1", 0, true);
}

static void what_is_none_is_quoted(void **state)
{
    static const char *const bad[] = {
        "",        ":",        ":7946",     "host:",      "host:0",      "host:65536", "host:-1",
        "host:1x", "1.2.3",    "1.2.3.4.5", "[::1",       "[::1]7946",   "[host]:1",   "[]:1",
        "a b",     "host:1:2", "fe80::1%e", "http://a/b", "1.2.3.256:1", "[::1]:",
    };
    char longer[400];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct swarm_addr addr = {.port = 9};
        struct err err = {0};
        if (swarm_addr_parse(bad[i], &addr, &err) != ERR_USAGE) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_non_null(strstr(err.text, bad[i]));
        assert_int_equal(addr.port, 9);
    }
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(swarm_addr_parse(longer, &(struct swarm_addr){0}, NULL), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_may_have_a_port),
        cmocka_unit_test(ipv6_takes_brackets_for_a_port_only),
        cmocka_unit_test(what_is_none_is_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
