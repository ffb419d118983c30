/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/own_filter.h"

#include <string.h>

#include "shared/base/mem.h"

/* All of 127.0.0.0/8 is this host, whichever address of it a connection names. */
static bool is_loopback_v4(const char *address)
{
    return strncmp(address, "127.", 4) == 0;
}

static void put_address(struct buf *out, const char *side, const char *address)
{
    if (strchr(address, ':') != NULL) {
        buf_printf(out, "ip6 %s host %s", side, address);
    } else if (is_loopback_v4(address)) {
        buf_printf(out, "ip %s net 127.0.0.0/8", side);
    } else {
        buf_printf(out, "ip %s host %s", side, address);
    }
}

/* One loopback term stands for all. Quadratic, over a host's addresses. */
static bool is_repeated(const struct own_traffic *own, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(own->addresses[i], own->addresses[at]) == 0 ||
            (is_loopback_v4(own->addresses[i]) && is_loopback_v4(own->addresses[at]))) {
            return true;
        }
    }
    return false;
}

static void put_all_addresses(struct buf *out, const char *side, const struct own_traffic *own)
{
    const char *between = "";

    buf_put_str(out, "(");
    for (size_t i = 0; i < own->n_addresses; i++) {
        if (!is_repeated(own, i)) {
            buf_put_str(out, between);
            put_address(out, side, own->addresses[i]);
            between = " or ";
        }
    }
    buf_put_str(out, ")");
}

static bool same_address(const struct own_endpoint *a, const struct own_endpoint *b)
{
    return a->address == NULL || b->address == NULL ? a->address == b->address
                                                    : strcmp(a->address, b->address) == 0;
}

static void put_port(struct buf *out, const char *side, const struct own_endpoint *one)
{
    const char *protocol = one->udp ? "udp" : "tcp";

    if (one->port_from == one->port_to) {
        buf_printf(out, "%s %s port %u", protocol, side, one->port_from);
    } else {
        buf_printf(out, "%s %s portrange %u-%u", protocol, side, one->port_from, one->port_to);
    }
}

/* Said already, for the addresses of `like`: a node listens on one port by IPv4 and by IPv6. */
static bool is_said(const struct own_traffic *own, size_t at, const struct own_endpoint *like)
{
    const struct own_endpoint *one = &own->endpoints[at];

    for (size_t i = 0; i < at; i++) {
        const struct own_endpoint *other = &own->endpoints[i];
        if ((like == NULL || same_address(other, like)) && other->udp == one->udp &&
            other->port_from == one->port_from && other->port_to == one->port_to) {
            return true;
        }
    }
    return false;
}

/* All ports of endpoints with the address of the first; with like NULL, all ports. */
static void put_ports(struct buf *out, const char *side, const struct own_traffic *own,
                      const struct own_endpoint *like)
{
    const char *between = "";

    buf_put_str(out, "(");
    for (size_t i = 0; i < own->n_endpoints; i++) {
        if ((like == NULL || same_address(&own->endpoints[i], like)) && !is_said(own, i, like)) {
            buf_put_str(out, between);
            put_port(out, side, &own->endpoints[i]);
            between = " or ";
        }
    }
    buf_put_str(out, ")");
}

static bool is_first_of_its_address(const struct own_traffic *own, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (same_address(&own->endpoints[i], &own->endpoints[at])) {
            return false;
        }
    }
    return own->endpoints[at].address != NULL || own->n_addresses > 0;
}

static void put_group(struct buf *out, const char *side, const struct own_traffic *own,
                      const struct own_endpoint *like)
{
    buf_put_str(out, "(");
    if (like->address == NULL) {
        put_all_addresses(out, side, own);
    } else {
        put_address(out, side, like->address);
    }
    buf_put_str(out, " and ");
    put_ports(out, side, own, like);
    buf_put_str(out, ")");
}

void own_filter_build(const struct own_traffic *own, bool with_addresses, struct buf *out)
{
    static const char *const sides[] = {"src", "dst"};
    const char *between = "";

    if (own->n_endpoints == 0) {
        return;
    }
    for (size_t side = 0; side < ARRAY_LEN(sides); side++) {
        if (!with_addresses) {
            buf_put_str(out, between);
            put_ports(out, sides[side], own, NULL);
            between = " or ";
            continue;
        }
        for (size_t i = 0; i < own->n_endpoints; i++) {
            if (is_first_of_its_address(own, i)) {
                buf_put_str(out, between);
                put_group(out, sides[side], own, &own->endpoints[i]);
                between = " or ";
            }
        }
    }
}

char *own_filter_join(const char *own, const char *user)
{
    bool has_own = own != NULL && own[0] != '\0';
    bool has_user = user != NULL && user[0] != '\0';

    if (!has_own) {
        return x_strdup(has_user ? user : "");
    }
    return has_user ? x_sprintf("not (%s) and (%s)", own, user) : x_sprintf("not (%s)", own);
}
