/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/sendable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "shared/packet/iface.h"

static uint8_t bytes[2048];

static struct packet_view frame(uint32_t len, uint16_t ethertype)
{
    bytes[12] = (uint8_t)(ethertype >> 8);
    bytes[13] = (uint8_t)ethertype;
    return (struct packet_view){.caplen = len, .len = len, .data = bytes};
}

static enum sendable_reason ethernet(const struct packet_view *packet)
{
    return sendable_check(SENDABLE_ETHERNET, 1500, LINK_ETHERNET, packet);
}

static void whole_ethernet_frames_go_up_to_the_mtu(void **state)
{
    struct packet_view packet = frame(1514, 0x0800);

    (void)state;
    assert_int_equal(ethernet(&packet), SENDABLE_YES);
    packet.caplen = packet.len = 1515;
    assert_int_equal(ethernet(&packet), SENDABLE_OVER_MTU);
    packet.caplen = packet.len = 14;
    assert_int_equal(ethernet(&packet), SENDABLE_YES);
    packet.caplen = packet.len = 13;
    assert_int_equal(ethernet(&packet), SENDABLE_MALFORMED);
    packet.caplen = packet.len = 0;
    assert_int_equal(ethernet(&packet), SENDABLE_MALFORMED);
}

static void one_vlan_tag_comes_on_top_of_the_mtu(void **state)
{
    struct packet_view packet = frame(1518, 0x8100);

    (void)state;
    assert_int_equal(ethernet(&packet), SENDABLE_YES);
    packet.caplen = packet.len = 1519;
    assert_int_equal(ethernet(&packet), SENDABLE_OVER_MTU);
    packet = frame(1518, 0x88a8);
    assert_int_equal(ethernet(&packet), SENDABLE_OVER_MTU);
}

static void cut_frames_are_not_sent(void **state)
{
    struct packet_view packet = frame(96, 0x0800);

    (void)state;
    packet.len = 97;
    assert_int_equal(ethernet(&packet), SENDABLE_CUT);
    packet.len = 95;
    assert_int_equal(ethernet(&packet), SENDABLE_MALFORMED);
}

static void other_link_types_are_not_sent(void **state)
{
    struct packet_view packet = frame(64, 0x0800);

    (void)state;
    bytes[0] = 0x45;
    assert_int_equal(sendable_check(SENDABLE_ETHERNET, 1500, LINK_SLL2, &packet),
                     SENDABLE_LINK_TYPE);
    assert_int_equal(sendable_check(SENDABLE_ETHERNET, 1500, LINK_RAW, &packet),
                     SENDABLE_LINK_TYPE);
    assert_int_equal(sendable_check(SENDABLE_IP, 1500, LINK_ETHERNET, &packet), SENDABLE_LINK_TYPE);
    assert_int_equal(sendable_check(SENDABLE_NOTHING, 1500, LINK_ETHERNET, &packet),
                     SENDABLE_LINK_TYPE);
}

static void tunnels_send_bare_ip_of_either_version(void **state)
{
    struct packet_view packet = frame(1500, 0);

    (void)state;
    bytes[0] = 0x45;
    assert_int_equal(sendable_check(SENDABLE_IP, 1500, LINK_RAW, &packet), SENDABLE_YES);
    bytes[0] = 0x60;
    assert_int_equal(sendable_check(SENDABLE_IP, 1500, LINK_IPV6, &packet), SENDABLE_YES);
    assert_int_equal(sendable_check(SENDABLE_IP, 1499, LINK_IPV6, &packet), SENDABLE_OVER_MTU);
    bytes[0] = 0x10;
    assert_int_equal(sendable_check(SENDABLE_IP, 1500, LINK_RAW, &packet), SENDABLE_MALFORMED);
}

static void the_loopback_and_unknown_hardware_send_nothing(void **state)
{
    (void)state;
    assert_int_equal(sendable_kind_of_hardware(1), SENDABLE_ETHERNET);
    assert_int_equal(sendable_kind_of_hardware(65534), SENDABLE_IP);
    assert_int_equal(sendable_kind_of_hardware(772), SENDABLE_NOTHING);
    assert_int_equal(sendable_kind_of_hardware(803), SENDABLE_NOTHING);
    assert_int_equal(sendable_kind_of_hardware(-1), SENDABLE_NOTHING);
}

static void every_reason_has_a_name_and_words(void **state)
{
    (void)state;
    for (enum sendable_reason i = SENDABLE_CUT; i < SENDABLE_REASONS; i++) {
        assert_true(sendable_reason_name(i)[0] != '\0');
        assert_true(sendable_reason_text(i)[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_ethernet_frames_go_up_to_the_mtu),
        cmocka_unit_test(one_vlan_tag_comes_on_top_of_the_mtu),
        cmocka_unit_test(cut_frames_are_not_sent),
        cmocka_unit_test(other_link_types_are_not_sent),
        cmocka_unit_test(tunnels_send_bare_ip_of_either_version),
        cmocka_unit_test(the_loopback_and_unknown_hardware_send_nothing),
        cmocka_unit_test(every_reason_has_a_name_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
