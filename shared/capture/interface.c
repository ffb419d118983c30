/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/interface.h"

#include <stdio.h>
#include <string.h>

/* What offloads build at most without BIG TCP. */
#define OFFLOAD_FRAME_MAX 65536

/* Numbers of linux/if_arp.h; the names that libpcap's Linux module maps them to. */
static const struct {
    int hardware_type;
    const char *link_type;
} hardware[] = {
    {1, "EN10MB"},
    {772, "EN10MB"},
    {280, "CAN_SOCKETCAN"},
    {801, "IEEE802_11"},
    {803, "IEEE802_11_RADIO"},
    {824, "NETLINK"},
    {519, "RAW"},
    {65534, "RAW"},
    {768, "RAW"},
    {32, "IPOIB"},
};

static const struct {
    const char *prefix;
    const char *link_type;
} virtual_devices[] = {
    {"any", "LINUX_SLL2"},
    {"nflog", "NFLOG"},
    {"nfqueue", "IPV4"},
    {"bluetooth-monitor", "BLUETOOTH_LINUX_MONITOR"},
    {"bluetooth", "BLUETOOTH_HCI_H4_WITH_PHDR"},
    {"usbmon", "USB_LINUX_MMAPPED"},
    {"dbus", "DBUS"},
};

const char *interface_link_type_of_hardware(int hardware_type)
{
    for (size_t i = 0; i < sizeof hardware / sizeof hardware[0]; i++) {
        if (hardware[i].hardware_type == hardware_type) {
            return hardware[i].link_type;
        }
    }
    return NULL;
}

const char *interface_link_type_of_virtual(const char *name)
{
    for (size_t i = 0; i < sizeof virtual_devices / sizeof virtual_devices[0]; i++) {
        const char *prefix = virtual_devices[i].prefix;
        if (strncmp(name, prefix, strlen(prefix)) == 0) {
            return virtual_devices[i].link_type;
        }
    }
    return NULL;
}

size_t interface_warnings(const struct interface *interface,
                          char out[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX])
{
    bool gro = interface->gro == OFFLOAD_ON;
    bool lro = interface->lro == OFFLOAD_ON;
    size_t n = 0;

    if (interface->mtu == 0 || interface->mtu >= OFFLOAD_FRAME_MAX) {
        return 0;
    }
    if (gro || lro) {
        snprintf(out[n++], INTERFACE_WARNING_MAX,
                 "%s-receive-offload is on: received frames are joined to up to 64 KiB, more than "
                 "the MTU of %u; to see those of the wire: ethtool -K %s%s%s",
                 gro ? "generic" : "large", interface->mtu, interface->name, gro ? " gro off" : "",
                 lro ? " lro off" : "");
    }
    if (interface->tso == OFFLOAD_ON) {
        snprintf(out[n++], INTERFACE_WARNING_MAX,
                 "tcp-segmentation-offload is on: sent frames are seen before they are cut, up to "
                 "64 KiB, more than the MTU of %u; to see those of the wire: ethtool -K %s tso off",
                 interface->mtu, interface->name);
    }
    return n;
}
