/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/capture/interface.h"

static size_t warn(struct interface interface,
                   char out[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX])
{
    memcpy(interface.name, "eth7", 5);
    return interface_warnings(&interface, out);
}

static void offloads_that_show_are_named_with_the_way_out(void **state)
{
    char texts[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX];

    (void)state;
    assert_int_equal(warn((struct interface){.mtu = 1500, .gro = OFFLOAD_ON}, texts), 1);
    assert_non_null(strstr(texts[0], "generic-receive-offload is on"));
    assert_non_null(strstr(texts[0], "MTU of 1500"));
    assert_non_null(strstr(texts[0], "ethtool -K eth7 gro off"));
    assert_int_equal(warn((struct interface){.mtu = 1500, .lro = OFFLOAD_ON}, texts), 1);
    assert_non_null(strstr(texts[0], "large-receive-offload is on"));
    assert_non_null(strstr(texts[0], "ethtool -K eth7 lro off"));
    assert_int_equal(
        warn((struct interface){.mtu = 1500, .gro = OFFLOAD_ON, .lro = OFFLOAD_ON}, texts), 1);
    assert_non_null(strstr(texts[0], "gro off lro off"));
    assert_int_equal(warn((struct interface){.mtu = 9000, .tso = OFFLOAD_ON}, texts), 1);
    assert_non_null(strstr(texts[0], "ethtool -K eth7 tso off"));
    assert_int_equal(
        warn((struct interface){.mtu = 1500, .gro = OFFLOAD_ON, .tso = OFFLOAD_ON}, texts), 2);
}

static void nothing_is_said_of_offloads_that_do_not_show(void **state)
{
    char texts[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX];
    struct interface off = {.mtu = 1500, .gro = OFFLOAD_OFF, .lro = OFFLOAD_OFF};
    struct interface loopback = {.mtu = 65536, .gro = OFFLOAD_ON, .tso = OFFLOAD_ON};
    struct interface unknown_mtu = {.gro = OFFLOAD_ON};

    (void)state;
    assert_int_equal(warn(off, texts), 0);
    assert_int_equal(warn((struct interface){.mtu = 1500}, texts), 0);
    assert_int_equal(warn(loopback, texts), 0);
    assert_int_equal(warn(unknown_mtu, texts), 0);
}

static void link_types_follow_from_the_hardware(void **state)
{
    (void)state;
    assert_string_equal(interface_link_type_of_hardware(1), "EN10MB");
    assert_string_equal(interface_link_type_of_hardware(772), "EN10MB");
    assert_string_equal(interface_link_type_of_hardware(65534), "RAW");
    assert_null(interface_link_type_of_hardware(-1));
    assert_null(interface_link_type_of_hardware(9999));
}

static void the_devices_of_libpcap_are_known_by_name(void **state)
{
    (void)state;
    assert_string_equal(interface_link_type_of_virtual("any"), "LINUX_SLL2");
    assert_string_equal(interface_link_type_of_virtual("nflog"), "NFLOG");
    assert_string_equal(interface_link_type_of_virtual("bluetooth-monitor"),
                        "BLUETOOTH_LINUX_MONITOR");
    assert_string_equal(interface_link_type_of_virtual("bluetooth0"), "BLUETOOTH_HCI_H4_WITH_PHDR");
    assert_string_equal(interface_link_type_of_virtual("usbmon1"), "USB_LINUX_MMAPPED");
    assert_null(interface_link_type_of_virtual("eth0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offloads_that_show_are_named_with_the_way_out),
        cmocka_unit_test(nothing_is_said_of_offloads_that_do_not_show),
        cmocka_unit_test(link_types_follow_from_the_hardware),
        cmocka_unit_test(the_devices_of_libpcap_are_known_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
