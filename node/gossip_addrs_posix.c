/* SPDX-License-Identifier: Apache-2.0
 *
 * Where others reach this node: what --advertise-addr says, else what it listens on; where that is
 * "all addresses", the one that this host would use towards the others, then what else it has.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "node/gossip_internal_uv.h"

struct list {
    struct swim_addr *out;
    uint8_t n;
};

static void add(struct list *list, const struct swim_addr *addr)
{
    for (uint8_t i = 0; i < list->n; i++) {
        if (swim_addr_is_same(&list->out[i], addr)) {
            return;
        }
    }
    if (list->n < SWIM_ADDRS_MAX) {
        list->out[list->n++] = *addr;
    }
}

static uint16_t port_of(const struct gossip_socket *sockets, size_t n, uint8_t family)
{
    for (size_t i = 0; i < n; i++) {
        if (sockets[i].family == family) {
            return sockets[i].address.port;
        }
    }
    return n > 0 ? sockets[0].address.port : SWARM_PORT;
}

static void add_told(struct list *list, const struct option_list *told,
                     const struct gossip_socket *sockets, size_t n)
{
    for (size_t i = 0; i < told->n; i++) {
        struct swim_addr addr = {0};
        struct swarm_addr at;
        if (swarm_addr_parse(told->items[i], &at, NULL) < 0) {
            continue; /* node_options_check has refused it */
        }
        addr.family = inet_pton(AF_INET, at.host, addr.ip) == 1    ? 4
                      : inet_pton(AF_INET6, at.host, addr.ip) == 1 ? 6
                                                                   : 0;
        addr.port = at.port == 0 ? port_of(sockets, n, addr.family) : at.port;
        if (addr.family != 0) {
            add(list, &addr);
        }
    }
}

/* The address of this host that the kernel would send from; nothing is sent. */
static bool source_towards(const struct swim_addr *to, struct swim_addr *out)
{
    struct sockaddr_storage at;
    socklen_t n = gossip_addr_to(to, &at);
    int fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good = false;

    if (fd < 0) {
        return false;
    }
    if (connect(fd, (const struct sockaddr *)&at, n) == 0) {
        n = sizeof at;
        good = getsockname(fd, (struct sockaddr *)&at, &n) == 0 &&
               gossip_addr_from((const struct sockaddr *)&at, out);
    }
    close(fd);
    return good;
}

/* Where a default route leads, by addresses that are for documents. */
static bool source_at_large(uint8_t family, struct swim_addr *out)
{
    const struct swim_addr v4 = {.family = 4, .port = 9, .ip = {192, 0, 2, 1}};
    const struct swim_addr v6 = {.family = 6, .port = 9, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};

    return source_towards(family == 4 ? &v4 : &v6, out);
}

/* Those of the interfaces; loopback only when asked for. A link's own need a zone, which is another
 * one on each host. */
static void add_interfaces(struct list *list, const struct gossip_socket *s, bool loopback)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0) {
        return;
    }
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        struct swim_addr addr;
        if (at->ifa_addr == NULL || (at->ifa_flags & IFF_UP) == 0 ||
            ((at->ifa_flags & IFF_LOOPBACK) != 0) != loopback ||
            !gossip_addr_from(at->ifa_addr, &addr) || addr.family != s->family ||
            (addr.family == 6 && addr.ip[0] == 0xfe && (addr.ip[1] & 0xc0) == 0x80)) {
            continue;
        }
        addr.port = s->address.port;
        add(list, &addr);
    }
    freeifaddrs(all);
}

static void add_any(struct list *list, const struct gossip_socket *s,
                    const struct swim_addr *towards)
{
    struct swim_addr addr;

    if ((towards != NULL && towards->family == s->family && source_towards(towards, &addr)) ||
        source_at_large(s->family, &addr)) {
        addr.port = s->address.port;
        add(list, &addr);
    }
    add_interfaces(list, s, false);
}

uint8_t gossip_own_addrs(const struct node_options *options, const struct gossip_socket *sockets,
                         size_t n_sockets, const struct swim_addr *towards,
                         struct swim_addr out[SWIM_ADDRS_MAX])
{
    struct list list = {.out = out};
    uint8_t first = towards != NULL ? towards->family : 4;

    add_told(&list, &options->advertise_addrs, sockets, n_sockets);
    if (list.n > 0) {
        return list.n;
    }
    /* The family of those to join comes first: it is the one that is tried. */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < n_sockets; i++) {
            if ((sockets[i].family == first) != (round == 0)) {
                continue;
            }
            if (sockets[i].is_any) {
                add_any(&list, &sockets[i], towards);
            } else {
                add(&list, &sockets[i].address);
            }
        }
    }
    for (size_t i = 0; i < n_sockets && list.n == 0; i++) {
        add_interfaces(&list, &sockets[i], true);
    }
    return list.n;
}
