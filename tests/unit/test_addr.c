/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "shared/base/addr.h"

static void same_as_inet_ntop(const uint8_t addr[16])
{
    char want[INET6_ADDRSTRLEN];
    char got[ADDR_TEXT_MAX];

    assert_non_null(inet_ntop(AF_INET6, addr, want, sizeof want));
    size_t n = addr_ipv6_text(addr, got);
    assert_string_equal(got, want);
    assert_int_equal(n, strlen(got));
}

static void ipv4_is_written_in_dotted_decimals(void **state)
{
    char text[ADDR_TEXT_MAX];

    (void)state;
    assert_int_equal(addr_ipv4_text((const uint8_t[]){10, 0, 0, 1}, text), 8);
    assert_string_equal(text, "10.0.0.1");
    addr_ipv4_text((const uint8_t[]){255, 100, 99, 9}, text);
    assert_string_equal(text, "255.100.99.9");
}

/* Every pattern of zero and other groups, so every place and length of the run. */
static void ipv6_is_shortened_as_inet_ntop_does(void **state)
{
    static const uint16_t values[] = {0x1, 0x20, 0x300, 0xffff};

    (void)state;
    for (unsigned pattern = 0; pattern < 256; pattern++) {
        for (unsigned v = 0; v < 4; v++) {
            uint8_t addr[16] = {0};
            for (unsigned i = 0; i < 8; i++) {
                if (pattern >> i & 1) {
                    addr[2 * i] = (uint8_t)(values[v] >> 8);
                    addr[2 * i + 1] = (uint8_t)values[v];
                }
            }
            same_as_inet_ntop(addr);
        }
    }
}

static void mapped_and_compatible_addresses_end_in_decimals(void **state)
{
    uint8_t addr[16] = {[10] = 0xff, [11] = 0xff, [12] = 1, 2, 3, 4};
    char text[ADDR_TEXT_MAX];

    (void)state;
    addr_ipv6_text(addr, text);
    assert_string_equal(text, "::ffff:1.2.3.4");
    same_as_inet_ntop(addr);
    addr[10] = addr[11] = 0;
    addr_ipv6_text(addr, text);
    assert_string_equal(text, "::1.2.3.4");
    same_as_inet_ntop(addr);
}

static void the_longest_text_fits(void **state)
{
    uint8_t addr[16];
    char text[ADDR_TEXT_MAX];

    (void)state;
    memset(addr, 0xff, sizeof addr);
    assert_int_equal(addr_ipv6_text(addr, text), 39);
    assert_int_equal(addr_mac_text(addr, text), 17);
    assert_string_equal(text, "ff:ff:ff:ff:ff:ff");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_is_written_in_dotted_decimals),
        cmocka_unit_test(ipv6_is_shortened_as_inet_ntop_does),
        cmocka_unit_test(mapped_and_compatible_addresses_end_in_decimals),
        cmocka_unit_test(the_longest_text_fits),
    };
    return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
