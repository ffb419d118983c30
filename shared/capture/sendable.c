/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/sendable.h"

#include <stddef.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/packet/iface.h"

#define ETHERNET_HEADER 14u
#define VLAN_TAG        4u
#define ETHERTYPE_8021Q 0x8100u
#define ETHERTYPE_AT    12u

enum sendable_kind sendable_kind_of_hardware(int hardware_type)
{
    switch (hardware_type) {
    case 1: /* ARPHRD_ETHER */
        return SENDABLE_ETHERNET;
    case 519:   /* RAWIP */
    case 768:   /* TUNNEL: IP in IP */
    case 769:   /* TUNNEL6 */
    case 776:   /* SIT */
    case 65534: /* NONE: tun, WireGuard */
        return SENDABLE_IP;
    default:
        return SENDABLE_NOTHING;
    }
}

static enum sendable_reason check_ethernet(uint32_t mtu, uint32_t link_type,
                                           const struct packet_view *packet)
{
    if (link_type != LINK_ETHERNET) {
        return SENDABLE_LINK_TYPE;
    }
    if (packet->caplen < ETHERNET_HEADER) {
        return SENDABLE_MALFORMED;
    }
    /* As the kernel's packet_snd(): one tag of 802.1Q may come on top, not one of 802.1ad. */
    bool is_tagged = get_be16(packet->data + ETHERTYPE_AT) == ETHERTYPE_8021Q;
    uint32_t room = ETHERNET_HEADER + (is_tagged ? VLAN_TAG : 0);
    return packet->caplen <= (uint64_t)mtu + room ? SENDABLE_YES : SENDABLE_OVER_MTU;
}

static enum sendable_reason check_ip(uint32_t mtu, uint32_t link_type,
                                     const struct packet_view *packet)
{
    if (link_type != LINK_RAW && link_type != LINK_IPV4 && link_type != LINK_IPV6) {
        return SENDABLE_LINK_TYPE;
    }
    unsigned version = packet->caplen > 0 ? packet->data[0] >> 4 : 0;
    if (version != 4 && version != 6) {
        return SENDABLE_MALFORMED;
    }
    return packet->caplen <= mtu ? SENDABLE_YES : SENDABLE_OVER_MTU;
}

enum sendable_reason sendable_check(enum sendable_kind kind, uint32_t mtu, uint32_t link_type,
                                    const struct packet_view *packet)
{
    if (packet->caplen < packet->len) {
        return SENDABLE_CUT;
    }
    if (packet->caplen > packet->len) {
        return SENDABLE_MALFORMED;
    }
    switch (kind) {
    case SENDABLE_ETHERNET:
        return check_ethernet(mtu, link_type, packet);
    case SENDABLE_IP:
        return check_ip(mtu, link_type, packet);
    default:
        return SENDABLE_LINK_TYPE;
    }
}

static const struct {
    const char *name;
    const char *text;
} reasons[SENDABLE_REASONS] = {
    [SENDABLE_YES] = {"", ""},
    [SENDABLE_CUT] = {"cut", "cut when they were captured (snaplen)"},
    [SENDABLE_OVER_MTU] = {"over_mtu", "larger than the interface's MTU allows"},
    [SENDABLE_LINK_TYPE] = {"link_type", "of another link type than the interface's"},
    [SENDABLE_MALFORMED] = {"malformed", "without a whole link header"},
    [SENDABLE_REFUSED] = {"refused", "refused by the kernel or the device"},
};

const char *sendable_reason_name(enum sendable_reason reason)
{
    REQUIRE(reason < SENDABLE_REASONS);
    return reasons[reason].name;
}

const char *sendable_reason_text(enum sendable_reason reason)
{
    REQUIRE(reason < SENDABLE_REASONS);
    return reasons[reason].text;
}
