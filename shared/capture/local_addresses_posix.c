/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/local_addresses_posix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/mem.h"

static const char *text_of(const struct sockaddr *address, char out[INET6_ADDRSTRLEN])
{
    if (address == NULL) {
        return NULL;
    }
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        return inet_ntop(AF_INET, &v4->sin_addr, out, INET6_ADDRSTRLEN);
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        return inet_ntop(AF_INET6, &v6->sin6_addr, out, INET6_ADDRSTRLEN);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_and_unite(struct local_addresses *list)
{
    size_t kept = 0;

    qsort(list->items, list->n, sizeof *list->items, compare);
    for (size_t i = 0; i < list->n; i++) {
        if (kept > 0 && strcmp(list->items[kept - 1], list->items[i]) == 0) {
            mem_free(list->items[i]);
        } else {
            list->items[kept++] = list->items[i];
        }
    }
    list->n = kept;
}

int local_addresses_read(struct local_addresses *out, struct err *err)
{
    struct local_addresses list = {.items = x_alloc(LOCAL_ADDRESSES_MAX * sizeof *list.items)};
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0) {
        mem_free(list.items);
        return err_errno(err, errno, "cannot ask for this host's addresses");
    }
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        char text[INET6_ADDRSTRLEN];

        if (text_of(one->ifa_addr, text) == NULL) {
            continue;
        }
        if (list.n == LOCAL_ADDRESSES_MAX) {
            list.left_out++;
        } else {
            list.items[list.n++] = x_strdup(text);
        }
    }
    freeifaddrs(all);
    sort_and_unite(&list);
    list.items = x_realloc(list.items, (list.n + 1) * sizeof *list.items);
    *out = list;
    return 0;
}

void local_addresses_free(struct local_addresses *addresses)
{
    for (size_t i = 0; i < addresses->n; i++) {
        mem_free(addresses->items[i]);
    }
    mem_free(addresses->items);
    *addresses = (struct local_addresses){0};
}

bool local_addresses_equal(const struct local_addresses *a, const struct local_addresses *b)
{
    if (a->n != b->n || a->left_out != b->left_out) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0) {
            return false;
        }
    }
    return true;
}

static int watch(uint32_t events, const char *what, struct err *err)
{
    const struct sockaddr_nl groups = {.nl_family = AF_NETLINK, .nl_groups = events};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&groups, sizeof groups) < 0) {
        int errnum = errno;
        if (fd >= 0) {
            close(fd);
        }
        return err_errno(err, errnum, "cannot watch this host's %s", what);
    }
    return fd;
}

int local_addresses_watch(struct err *err)
{
    return watch(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, "addresses", err);
}

int local_devices_watch(struct err *err)
{
    return watch(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, "interfaces", err);
}

/* ENOBUFS (some were lost) too means that something changed. */
void local_addresses_forget(int fd)
{
    char bytes[8192];

    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR) {
        errno = 0;
    }
}
