/* SPDX-License-Identifier: Apache-2.0
 *
 * What filters from the network may hold, and that what they may hold is compiled soon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/packet/filter_bound.h"

static void what_people_write_is_fine(void **state)
{
    static const char *const filters[] = {
        "",
        "tcp port 443 and not (host 10.0.0.1 or net 192.168.0.0/16)",
        "ether host aa:bb:cc:dd:ee:ff or ip6 host fe80::1 or ether proto 0x88cc",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net fd00::/8",
        "vlan 100 and (udp port domain or tcp port http) and host www.example.com",
        "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply and len <= 0xff",
        "host a or host b or host c or host d or host e or host f or host g or host h",
    };

    (void)state;
    assert_int_equal(filter_bound_check(NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        struct err err = {0};
        int code = filter_bound_check(filters[i], &err);
        assert_string_equal(err.text, "");
        assert_int_equal(code, 0);
    }
}

static void what_would_take_long_is_refused(void **state)
{
    struct buf filter = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(filter_bound_check("a or b or c or d or e or f or g or h or i", &err),
                     ERR_FILTER);
    assert_non_null(strstr(err.text, "at most 8 hosts"));
    assert_int_equal(filter_bound_check("3a.b or 3a.b or 3a.b or 3a.b or 3a.b or 3a.b or 3a.b or "
                                        "3a.b or 3a.b",
                                        NULL),
                     ERR_FILTER);
    for (int i = 1; i < 600; i++) {
        buf_printf(&filter, "port %d or ", i);
    }
    buf_append(&filter, "ip", 3);
    assert_int_equal(filter_bound_check((const char *)filter.data, &err), ERR_FILTER);
    assert_non_null(strstr(err.text, "at most 1024 bytes"));
    filter.data[FILTER_ASKED_BYTES] = '\0';
    assert_int_equal(filter_bound_check((const char *)filter.data, NULL), 0);
    buf_deinit(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_people_write_is_fine),
        cmocka_unit_test(what_would_take_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
