/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/interfaces_pcap.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <pcap/pcap.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/capture/interface_device_posix.h"

#define NAMES_MAX 4096

static int find_all(pcap_if_t **out, struct err *err)
{
    char reason[PCAP_ERRBUF_SIZE] = "";

    if (pcap_findalldevs(out, reason) != 0) {
        return err_set(err, ERR_CAPTURE, "cannot list the interfaces: %s", reason);
    }
    return 0;
}

/* Length of a netmask of n bytes; holes in it do not occur. */
static unsigned prefix_length(const uint8_t *mask, size_t n)
{
    unsigned bits = 0;

    for (size_t i = 0; i < n; i++) {
        bits += (unsigned)__builtin_popcount(mask[i]);
    }
    return bits;
}

static const void *address_bytes(const struct sockaddr *address)
{
    return address->sa_family == AF_INET
               ? (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr
               : (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
}

static bool format_address(const pcap_addr_t *address, char out[INTERFACE_ADDRESS_MAX])
{
    const struct sockaddr *addr = address->addr;
    char text[INET6_ADDRSTRLEN];

    if (addr == NULL || (addr->sa_family != AF_INET && addr->sa_family != AF_INET6)) {
        return false;
    }
    size_t n = addr->sa_family == AF_INET ? 4 : 16;
    if (inet_ntop(addr->sa_family, address_bytes(addr), text, sizeof text) == NULL) {
        return false;
    }
    unsigned prefix = (unsigned)n * 8;
    if (address->netmask != NULL && address->netmask->sa_family == addr->sa_family) {
        prefix = prefix_length(address_bytes(address->netmask), n);
    }
    snprintf(out, INTERFACE_ADDRESS_MAX, "%s/%u", text, prefix);
    return true;
}

static void read_addresses(const pcap_addr_t *addresses, struct interface *interface)
{
    char text[INTERFACE_ADDRESS_MAX];

    for (; addresses != NULL; addresses = addresses->next) {
        if (!format_address(addresses, text)) {
            continue;
        }
        if (interface->n_addresses == INTERFACE_ADDRESSES_MAX) {
            interface->n_addresses_left_out++;
            continue;
        }
        size_t size = (interface->n_addresses + 1) * sizeof *interface->addresses;
        interface->addresses = x_realloc(interface->addresses, size);
        memcpy(interface->addresses[interface->n_addresses++], text, sizeof text);
    }
}

static void add_link_type(struct interface *interface, const char *name)
{
    for (size_t i = 0; i < interface->n_link_types; i++) {
        if (strcmp(interface->link_types[i], name) == 0) {
            return;
        }
    }
    if (interface->n_link_types < INTERFACE_LINK_TYPES_MAX) {
        interface->link_types[interface->n_link_types++] = name;
    }
}

static void add_datalink(struct interface *interface, int datalink)
{
    const char *name = pcap_datalink_val_to_name(datalink);

    if (name != NULL) {
        add_link_type(interface, name);
    }
}

/* Opens the device for a moment, not promiscuous and with the smallest ring. */
static void ask_link_types(struct interface *interface)
{
    char reason[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_create(interface->name, reason);
    int *list = NULL;

    if (pcap == NULL) {
        return;
    }
    pcap_set_snaplen(pcap, 256);
    pcap_set_buffer_size(pcap, 65536);
    if (pcap_activate(pcap) >= 0) {
        add_datalink(interface, pcap_datalink(pcap));
        int n = pcap_list_datalinks(pcap, &list);
        for (int i = 0; i < n; i++) {
            add_datalink(interface, list[i]);
        }
        pcap_free_datalinks(list);
    }
    pcap_close(pcap);
}

static void read_link_types(struct interface *interface, bool opens)
{
    const char *name;

    if (opens && interface->is_device && interface->up) {
        ask_link_types(interface);
    }
    if (interface->n_link_types > 0) {
        return;
    }
    name = interface->is_device ? interface_link_type_of_hardware(interface->hardware_type)
                                : interface_link_type_of_virtual(interface->name);
    if (name != NULL) {
        add_link_type(interface, name);
    }
    if (strcmp(interface->name, "any") == 0) {
        add_link_type(interface, "LINUX_SLL");
    }
}

static void read_one(const pcap_if_t *device, struct interface *interface, bool opens)
{
    snprintf(interface->name, sizeof interface->name, "%s", device->name);
    snprintf(interface->description, sizeof interface->description, "%s",
             device->description == NULL ? "" : device->description);
    interface->up = (device->flags & PCAP_IF_UP) != 0;
    interface->running = (device->flags & PCAP_IF_RUNNING) != 0;
    interface->loopback = (device->flags & PCAP_IF_LOOPBACK) != 0;
    interface->wireless = (device->flags & PCAP_IF_WIRELESS) != 0;
    interface_device_ask(interface);
    read_addresses(device->addresses, interface);
    read_link_types(interface, opens);
}

static int read_all(struct interface_list *out, bool opens, struct err *err)
{
    struct interface_list list = {0};
    pcap_if_t *devices = NULL;

    int rc = find_all(&devices, err);
    if (rc < 0) {
        return rc;
    }
    for (const pcap_if_t *device = devices; device != NULL; device = device->next) {
        list.n++;
    }
    list.items = x_alloc(list.n * sizeof *list.items);
    size_t i = 0;
    for (const pcap_if_t *device = devices; device != NULL; device = device->next) {
        read_one(device, &list.items[i++], opens);
    }
    pcap_freealldevs(devices);
    *out = list;
    return 0;
}

int interfaces_read(struct interface_list *out, struct err *err)
{
    return read_all(out, true, err);
}

int interfaces_read_unopened(struct interface_list *out, struct err *err)
{
    return read_all(out, false, err);
}

void interfaces_free(struct interface_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        mem_free(list->items[i].addresses);
    }
    mem_free(list->items);
    *list = (struct interface_list){0};
}

int interfaces_names(void (*each)(const char *name, void *arg), void *arg, struct err *err)
{
    pcap_if_t *devices = NULL;

    int rc = find_all(&devices, err);
    if (rc < 0) {
        return rc;
    }
    for (const pcap_if_t *device = devices; device != NULL; device = device->next) {
        each(device->name, arg);
    }
    pcap_freealldevs(devices);
    return 0;
}

/* "nflog:5" is the device "nflog" with a group of its own. */
static bool device_matches(const char *device, const char *name)
{
    size_t n = strcspn(name, ":");

    return strcmp(device, name) == 0 ||
           (name[n] == ':' && interface_link_type_of_virtual(device) != NULL &&
            strlen(device) == n && memcmp(device, name, n) == 0);
}

/* Names those that there are: who asked may sit at another host, where no command of ours lists
 * them. */
static int refuse(const char *name, const char *const *names, size_t n, struct err *err)
{
    const char *near = text_nearest(name, names, n);
    char list[160] = "";
    size_t len = 0;

    if (near != NULL) {
        return err_set(err, ERR_NOT_FOUND, "no interface '%s'; did you mean '%s'?", name, near);
    }
    for (size_t i = 0; i < n; i++) {
        int more = snprintf(list + len, sizeof list - len, "%s%s", i == 0 ? "" : ", ", names[i]);
        if (more < 0 || (size_t)more >= sizeof list - len - sizeof ", …") {
            snprintf(list + len, sizeof list - len, ", …");
            break;
        }
        len += (size_t)more;
    }
    return err_set(err, ERR_NOT_FOUND, "no interface '%s'; there are: %s", name, list);
}

/* The usual case without libpcap's search, which asks Bluetooth, USB and D-Bus as well. */
static bool kernel_has(const char *name)
{
    return strcmp(name, "any") == 0 || if_nametoindex(name) != 0;
}

int interface_find(const char *name, struct err *err)
{
    const char *names[NAMES_MAX];
    pcap_if_t *devices = NULL;
    bool found = false;
    size_t n = 0;

    if (kernel_has(name)) {
        return 0;
    }
    int rc = find_all(&devices, err);
    if (rc < 0) {
        return rc;
    }
    for (const pcap_if_t *device = devices; device != NULL && n < NAMES_MAX;
         device = device->next) {
        found = found || device_matches(device->name, name);
        names[n++] = device->name;
    }
    if (!found) {
        rc = refuse(name, names, n, err);
    }
    pcap_freealldevs(devices);
    return rc;
}

int interface_find_in(const struct interface_list *list, const char *name, struct err *err)
{
    const char *names[NAMES_MAX];
    size_t n = 0;

    if (kernel_has(name)) {
        return 0;
    }
    for (size_t i = 0; i < list->n && n < NAMES_MAX; i++) {
        const struct interface *one = &list->items[i];
        if (!one->is_device && device_matches(one->name, name)) {
            return 0;
        }
        if (!one->is_device || if_nametoindex(one->name) != 0) {
            names[n++] = one->name; /* and no device that went meanwhile */
        }
    }
    return refuse(name, names, n, err);
}
