/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/interface_device_posix.h"

#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

static bool ask(int fd, const char *name, unsigned long request, struct ifreq *ifr)
{
    snprintf(ifr->ifr_name, sizeof ifr->ifr_name, "%s", name);
    return ioctl(fd, request, ifr) == 0;
}

static bool ethtool_value(int fd, const char *name, uint32_t command, uint32_t *data)
{
    struct ethtool_value value = {.cmd = command};
    struct ifreq ifr = {0};

    ifr.ifr_data = (void *)&value;
    if (!ask(fd, name, SIOCETHTOOL, &ifr)) {
        return false;
    }
    *data = value.data;
    return true;
}

static enum interface_offload offload(int fd, const char *name, uint32_t command, uint32_t mask)
{
    uint32_t data;

    if (!ethtool_value(fd, name, command, &data)) {
        return OFFLOAD_UNKNOWN;
    }
    return (data & mask) != 0 ? OFFLOAD_ON : OFFLOAD_OFF;
}

static void ask_hardware(int fd, struct interface *interface)
{
    static const uint8_t no_mac[6];
    struct ifreq ifr = {0};

    if (!ask(fd, interface->name, SIOCGIFHWADDR, &ifr)) {
        return;
    }
    interface->hardware_type = ifr.ifr_hwaddr.sa_family;
    if (ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER ||
        ifr.ifr_hwaddr.sa_family == ARPHRD_IEEE80211_RADIOTAP) {
        memcpy(interface->mac, ifr.ifr_hwaddr.sa_data, sizeof interface->mac);
        interface->has_mac = memcmp(interface->mac, no_mac, sizeof no_mac) != 0;
    }
}

static void ask_alias(struct interface *interface)
{
    char path[64 + IFACE_NAME_MAX];
    char text[IFACE_TEXT_MAX];

    snprintf(path, sizeof path, "/sys/class/net/%s/ifalias", interface->name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    memcpy(interface->description, text, sizeof text);
}

void interface_device_ask(struct interface *interface)
{
    const char *name = interface->name;
    struct ifreq ifr = {0};

    interface->hardware_type = -1;
    if (strlen(name) >= IFNAMSIZ || if_nametoindex(name) == 0) {
        return;
    }
    interface->is_device = true;
    if (interface->description[0] == '\0') {
        ask_alias(interface);
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    ask_hardware(fd, interface);
    if (ask(fd, name, SIOCGIFMTU, &ifr) && ifr.ifr_mtu > 0) {
        interface->mtu = (uint32_t)ifr.ifr_mtu;
    }
    interface->gro = offload(fd, name, ETHTOOL_GGRO, UINT32_MAX);
    interface->tso = offload(fd, name, ETHTOOL_GTSO, UINT32_MAX);
    interface->lro = offload(fd, name, ETHTOOL_GFLAGS, ETH_FLAG_LRO);
    close(fd);
}
