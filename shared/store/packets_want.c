/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/packets_want.h"

#include <arpa/inet.h>
#include <string.h>

bool packets_want_addr(struct packets_want *want, enum packets_end end, const char *text)
{
    struct index_field_addr addr = {0};

    if (want->n_addrs == PACKETS_WANT_MAX) {
        return false;
    }
    if (inet_pton(AF_INET, text, addr.bytes) != 1) {
        addr.is_ip6 = true;
        if (inet_pton(AF_INET6, text, addr.bytes) != 1) {
            return false;
        }
    }
    want->addrs[want->n_addrs].end = end;
    want->addrs[want->n_addrs].addr = addr;
    want->n_addrs++;
    return true;
}

bool packets_want_port(struct packets_want *want, enum packets_end end, int64_t port)
{
    if (port < 0 || port > UINT16_MAX) {
        want->nothing = true;
        return true;
    }
    if (want->n_ports == PACKETS_WANT_MAX) {
        return false;
    }
    want->ports[want->n_ports].end = end;
    want->ports[want->n_ports].port = (uint16_t)port;
    want->n_ports++;
    return true;
}

bool packets_want_proto(struct packets_want *want, const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n >= sizeof want->proto) { /* no packet has such a name */
        want->nothing = true;
        return true;
    }
    if (want->proto[0] != '\0' && strcmp(want->proto, name) != 0) {
        want->nothing = true;
        return true;
    }
    memcpy(want->proto, name, n + 1);
    return true;
}

bool packets_want_is_open(const struct packets_want *want)
{
    return !want->nothing && want->n_addrs == 0 && want->n_ports == 0 && want->proto[0] == '\0';
}

static bool is_addr(const struct decoded *d, const uint8_t *bytes,
                    const struct index_field_addr *addr)
{
    if (addr->is_ip6) {
        return d->family == DECODE_IPV6 && memcmp(bytes, addr->bytes, 16) == 0;
    }
    return (d->family == DECODE_IPV4 || d->family == DECODE_ARP) &&
           memcmp(bytes, addr->bytes, 4) == 0;
}

static bool addrs_match(const struct packets_want *want, const struct decoded *d)
{
    for (size_t i = 0; i < want->n_addrs; i++) {
        const struct index_field_addr *addr = &want->addrs[i].addr;
        enum packets_end end = want->addrs[i].end;
        bool is_src = end != PACKETS_DST && is_addr(d, d->src, addr);
        if (!is_src && (end == PACKETS_SRC || !is_addr(d, d->dst, addr))) {
            return false;
        }
    }
    return true;
}

static bool ports_match(const struct packets_want *want, const struct decoded *d)
{
    for (size_t i = 0; i < want->n_ports; i++) {
        uint16_t port = want->ports[i].port;
        enum packets_end end = want->ports[i].end;
        bool is_src = end != PACKETS_DST && d->sport == port;
        if (!d->has_ports || (!is_src && (end == PACKETS_SRC || d->dport != port))) {
            return false;
        }
    }
    return true;
}

bool packets_want_matches(const struct packets_want *want, const struct decoded *d)
{
    char proto[PACKETS_PROTO_MAX];

    if (want->nothing || !addrs_match(want, d) || !ports_match(want, d)) {
        return false;
    }
    if (want->proto[0] == '\0') {
        return true;
    }
    decode_proto_name(d, proto, sizeof proto);
    return strcmp(proto, want->proto) == 0;
}

/* The one IP protocol of that name. "mpls" is also what MPLS without IP is called, and some names
 * stand for two protocols: then the index cannot be asked. */
static bool proto_number(const char *name, uint8_t *out)
{
    size_t n_found = 0;

    if (strcmp(name, "mpls") == 0) {
        return false;
    }
    for (unsigned i = 0; i < 256; i++) {
        const struct decoded d = {.family = DECODE_IPV4, .proto = (uint8_t)i};
        char proto[PACKETS_PROTO_MAX];
        decode_proto_name(&d, proto, sizeof proto);
        if (strcmp(proto, name) == 0) {
            *out = (uint8_t)i;
            n_found++;
        }
    }
    return n_found == 1;
}

void packets_want_fields(const struct packets_want *want, struct index_fields *out)
{
    *out = (struct index_fields){0};
    for (size_t i = 0; i < want->n_addrs && i < INDEX_FIELDS_MAX; i++) {
        out->addrs[out->n_addrs++] = want->addrs[i].addr;
    }
    for (size_t i = 0; i < want->n_ports && i < INDEX_FIELDS_MAX; i++) {
        out->ports[out->n_ports++] = want->ports[i].port;
    }
    out->has_proto = want->proto[0] != '\0' && proto_number(want->proto, &out->proto);
}
