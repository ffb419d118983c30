/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/index.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/index_keys.h"
#include "shared/store/index_program.h"

/* More alternatives than this cost more to ask than they save: the query is open. */
#define ALTERNATIVES_MAX 8192
/* Up to here alternatives that another one covers are looked for, which takes n² time. */
#define COVERED_MAX 1024

/* A way to accept: all keys must be there. The most that the reading below can collect: the link
 * layer and two VLAN tags (5), two each of Ethernet addresses, addresses, networks and ports,
 * protocol and flow. */
#define KEYS_MAX 16

struct alternative {
    uint64_t n;
    uint64_t keys[KEYS_MAX]; /* sorted by kind and value, the rest zero */
};

struct index_query {
    const struct index_link *link; /* NULL: nothing is known of the link type */
    bool open;
    size_t n;
    size_t cap;
    struct alternative *alternatives; /* owned */
};

/* Reads a field of a packet on this path: true when the path says what it holds. */
static bool known(const struct index_path *path, const struct index_fact *field, uint32_t *value)
{
    for (uint32_t i = 0; i < path->n; i++) {
        const struct index_fact *fact = &path->facts[i];
        if (fact->at == field->at && fact->bytes == field->bytes &&
            fact->from_header == field->from_header && fact->header == field->header &&
            (fact->mask & field->mask) == field->mask) {
            *value = fact->value & field->mask;
            return true;
        }
    }
    return false;
}

static bool known_at(const struct index_path *path, uint32_t at, uint16_t bytes, uint32_t *value)
{
    uint32_t mask = bytes == 4 ? UINT32_MAX : (1u << 8 * bytes) - 1;

    return known(path, &(struct index_fact){.at = at, .bytes = bytes, .mask = mask}, value);
}

static bool has_key(const struct alternative *alt, uint64_t key)
{
    for (uint64_t i = 0; i < alt->n; i++) {
        if (alt->keys[i] == key) {
            return true;
        }
    }
    return false;
}

static bool is_before(uint64_t a, uint64_t b)
{
    return index_kind_of(a) != index_kind_of(b) ? index_kind_of(a) < index_kind_of(b) : a < b;
}

static void need(struct alternative *alt, uint64_t key)
{
    uint64_t i = alt->n;

    REQUIRE(alt->n < KEYS_MAX);
    if (has_key(alt, key)) {
        return;
    }
    for (; i > 0 && is_before(key, alt->keys[i - 1]); i--) {
        alt->keys[i] = alt->keys[i - 1];
    }
    alt->keys[i] = key;
    alt->n++;
}

/* Ethernet addresses are compared in two pieces, four bytes and two. */
static void read_macs(const struct index_path *path, struct alternative *alt)
{
    for (uint32_t at = 0; at <= 6; at += 6) {
        uint32_t high, low;
        if (known_at(path, at, 2, &high) && known_at(path, at + 2, 4, &low)) {
            need(alt, index_key(INDEX_MAC, INDEX_TAG_MAC, (uint64_t)high << 32 | low));
        }
    }
}

/* An IPv4 address and its network, which makes false answers rarer, or only the network it is in.
 * False when the whole address is not known. */
static bool read_ip4(const struct index_path *path, uint32_t at, struct alternative *alt,
                     struct index_addr *out)
{
    struct index_fact net = {.at = at, .bytes = 4, .mask = 0xffffff00};
    uint32_t value;

    if (known_at(path, at, 4, &value)) {
        *out = (struct index_addr){.low = value};
        need(alt, index_key_addr(out));
        need(alt, index_key(INDEX_NET, INDEX_TAG_IP4_24, value >> 8));
        return true;
    }
    if (known(path, &net, &value)) {
        need(alt, index_key(INDEX_NET, INDEX_TAG_IP4_24, value >> 8));
        return false;
    }
    net.mask = 0xffff0000;
    if (known(path, &net, &value)) {
        need(alt, index_key(INDEX_NET, INDEX_TAG_IP4_16, value >> 16));
    }
    return false;
}

static bool read_ip6(const struct index_path *path, uint32_t at, struct alternative *alt,
                     struct index_addr *out)
{
    uint32_t word[4];
    uint32_t n = 0;

    while (n < 4 && known_at(path, at + 4 * n, 4, &word[n])) {
        n++;
    }
    if (n == 0) {
        return false;
    }
    if (n == 1) {
        need(alt, index_key(INDEX_NET, INDEX_TAG_IP6_32, word[0]));
        return false;
    }
    struct index_addr addr = {.high = (uint64_t)word[0] << 32 | word[1], .is_ip6 = true};
    need(alt, index_key_ip6_64(addr.high));
    if (n < 4) {
        return false;
    }
    addr.low = (uint64_t)word[2] << 32 | word[3];
    *out = addr;
    need(alt, index_key_addr(out));
    return true;
}

struct ends {
    struct index_addr src, dst;
    bool has_src, has_dst;
};

/* `field` is the sender's port; the receiver's stands two bytes behind. */
static void read_ports(const struct index_path *path, struct index_fact field, uint32_t proto,
                       const struct ends *ends, struct alternative *alt)
{
    uint32_t sport, dport;

    field.bytes = 2;
    field.mask = UINT16_MAX;
    bool has_sport = known(path, &field, &sport);
    field.at += 2;
    bool has_dport = known(path, &field, &dport);
    if (has_sport) {
        need(alt, index_key_port(proto, sport));
    }
    if (has_dport) {
        need(alt, index_key_port(proto, dport));
    }
    if (has_sport && has_dport && ends->has_src && ends->has_dst) {
        need(alt, index_key_flow(proto, &ends->src, sport, &ends->dst, dport));
    }
}

static void read_net_ip4(const struct index_path *path, uint32_t at, struct alternative *alt)
{
    struct index_fact fragment = {.at = at + IP4_FRAGMENT, .bytes = 2, .mask = IP4_FRAGMENT_MASK};
    struct ends ends = {0};
    uint32_t proto, offset;

    ends.has_src = read_ip4(path, at + IP4_SRC, alt, &ends.src);
    ends.has_dst = read_ip4(path, at + IP4_DST, alt, &ends.dst);
    if (!known_at(path, at + IP4_PROTO, 1, &proto)) {
        return;
    }
    need(alt, index_key(INDEX_PROTO, INDEX_TAG_PROTO, proto));
    if (index_has_ports(proto) && known(path, &fragment, &offset) && offset == 0) {
        struct index_fact ports = {.at = at, .header = at, .from_header = 1};
        read_ports(path, ports, proto, &ends, alt);
    }
}

static void read_net_ip6(const struct index_path *path, uint32_t at, struct alternative *alt)
{
    struct ends ends = {0};
    uint32_t proto;

    ends.has_src = read_ip6(path, at + IP6_SRC, alt, &ends.src);
    ends.has_dst = read_ip6(path, at + IP6_DST, alt, &ends.dst);
    if (!known_at(path, at + IP6_PROTO, 1, &proto)) {
        return;
    }
    need(alt, index_key(INDEX_PROTO, INDEX_TAG_PROTO, proto));
    if (index_has_ports(proto)) {
        read_ports(path, (struct index_fact){.at = at + IP6_BYTES}, proto, &ends, alt);
    }
}

static void read_net(const struct index_path *path, enum index_net net, uint32_t at,
                     struct alternative *alt)
{
    struct index_addr ignored;

    switch (net) {
    case INDEX_NET_IP4:
        read_net_ip4(path, at, alt);
        break;
    case INDEX_NET_IP6:
        read_net_ip6(path, at, alt);
        break;
    case INDEX_NET_ARP:
        read_ip4(path, at + ARP_SENDER, alt, &ignored);
        read_ip4(path, at + ARP_TARGET, alt, &ignored);
        break;
    default:
        break;
    }
}

/* The link layer and its VLAN tags. The mirror of link_keys in index.c. */
static void read_link(const struct index_path *path, const struct index_link *link,
                      struct alternative *alt)
{
    struct index_fact selector = {
        .at = link->selector_at, .bytes = link->selector_bytes, .mask = index_selector_mask(link)};
    uint32_t net_at = link->net_at;
    uint32_t value = 0;

    if (link->is_ethernet) {
        read_macs(path, alt);
    }
    for (int depth = 0; link->selector_bytes > 0; depth++) {
        struct index_fact vlan = {.at = selector.at + 2, .bytes = 2, .mask = INDEX_VLAN_MASK};
        uint32_t id;
        if (!known(path, &selector, &value)) {
            return;
        }
        need(alt, index_key(INDEX_LINK, INDEX_TAG_LINK, value));
        if (depth == INDEX_VLANS_MAX || !index_is_vlan(link, value)) {
            break;
        }
        if (known(path, &vlan, &id)) {
            need(alt, index_key(INDEX_LINK, INDEX_TAG_VLAN, id));
        }
        selector.at += 4;
        net_at += 4;
    }
    read_net(path, index_net_of(link, value), net_at, alt);
}

static void on_path(const struct index_path *path, void *arg)
{
    struct index_query *q = arg;
    struct alternative alt = {0};

    if (q->link != NULL) {
        read_link(path, q->link, &alt);
    }
    if (alt.n == 0 || q->n == ALTERNATIVES_MAX) {
        q->open = true;
        return;
    }
    if (q->n == q->cap) {
        q->cap = q->cap > 0 ? 2 * q->cap : 8;
        q->alternatives = x_realloc(q->alternatives, q->cap * sizeof *q->alternatives);
    }
    q->alternatives[q->n++] = alt;
}

static int alternative_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct alternative));
}

static void drop_equal(struct index_query *q)
{
    size_t n = 0;

    if (q->n == 0) {
        return;
    }
    qsort(q->alternatives, q->n, sizeof *q->alternatives, alternative_compare);
    for (size_t i = 0; i < q->n; i++) {
        if (n == 0 || alternative_compare(&q->alternatives[n - 1], &q->alternatives[i]) != 0) {
            q->alternatives[n++] = q->alternatives[i];
        }
    }
    q->n = n;
}

/* `weak` asks for nothing that `strong` does not ask for. */
static bool covers(const struct alternative *weak, const struct alternative *strong)
{
    for (uint64_t i = 0; i < weak->n; i++) {
        if (!has_key(strong, weak->keys[i])) {
            return false;
        }
    }
    return true;
}

/* Where the keys of one alternative are there, so are those of all that it covers: asking them adds
 * nothing. No two are equal here. */
static void drop_covered(struct index_query *q)
{
    size_t n = 0;

    for (size_t i = 0; i < q->n; i++) {
        bool covered = false;
        for (size_t j = 0; j < q->n && !covered; j++) {
            covered = i != j && q->alternatives[j].n < q->alternatives[i].n &&
                      covers(&q->alternatives[j], &q->alternatives[i]);
        }
        if (covered) {
            q->alternatives[i].n = UINT64_MAX; /* still covers nothing: no alternative is longer */
        }
    }
    for (size_t i = 0; i < q->n; i++) {
        if (q->alternatives[i].n != UINT64_MAX) {
            q->alternatives[n++] = q->alternatives[i];
        }
    }
    q->n = n;
}

struct index_query *index_query_new(const struct filter_insn *program, uint32_t n,
                                    uint32_t link_type)
{
    struct index_query *q = x_alloc(sizeof *q);

    q->link = index_link_of(link_type);
    if (program == NULL || !index_program_paths(program, n, on_path, q)) {
        q->open = true;
    }
    if (q->open) {
        q->n = 0;
        return q;
    }
    drop_equal(q);
    if (q->n <= COVERED_MAX) {
        drop_covered(q);
    }
    return q;
}

/* One way: its ports, if any, belong to `proto`. */
static void add_fields(struct index_query *q, const struct index_fields *fields, uint32_t proto,
                       bool with_proto)
{
    struct alternative *alt = &q->alternatives[q->n++];

    for (size_t i = 0; i < fields->n_addrs; i++) {
        const struct index_field_addr *from = &fields->addrs[i];
        struct index_addr addr = {.is_ip6 = from->is_ip6, .low = get_be32(from->bytes)};
        if (from->is_ip6) {
            addr.high = get_be64(from->bytes);
            addr.low = get_be64(from->bytes + 8);
        }
        need(alt, index_key_addr(&addr));
    }
    for (size_t i = 0; i < fields->n_ports; i++) {
        need(alt, index_key_port(proto, fields->ports[i]));
    }
    if (with_proto) {
        need(alt, index_key(INDEX_PROTO, INDEX_TAG_PROTO, proto));
    }
}

struct index_query *index_query_of_fields(const struct index_fields *fields)
{
    /* Those that decode.h reads ports of: TCP, UDP, DCCP, SCTP, UDP-Lite. */
    static const uint8_t with_ports[] = {6, 17, 33, 132, 136};
    struct index_query *q = x_alloc(sizeof *q);

    REQUIRE(fields->n_addrs <= INDEX_FIELDS_MAX && fields->n_ports <= INDEX_FIELDS_MAX);
    q->alternatives = x_alloc(sizeof with_ports * sizeof *q->alternatives);
    q->cap = sizeof with_ports;
    if (fields->n_addrs + fields->n_ports == 0 && !fields->has_proto) {
        q->open = true;
        return q;
    }
    if (fields->n_ports == 0) {
        add_fields(q, fields, fields->proto, fields->has_proto);
        return q;
    }
    for (size_t i = 0; i < sizeof with_ports; i++) {
        if (!fields->has_proto || fields->proto == with_ports[i]) {
            add_fields(q, fields, with_ports[i], true);
        }
    }
    return q;
}

void index_query_free(struct index_query *q)
{
    if (q != NULL) {
        mem_free(q->alternatives);
        mem_free(q);
    }
}

static bool has_bits(const uint8_t *bits, uint32_t n_bits, uint32_t n_probes, uint64_t hash)
{
    for (uint32_t i = 0; i < n_probes; i++) {
        uint32_t bit = index_bit(hash, i, n_bits);
        if ((bits[bit / 8] >> bit % 8 & 1) == 0) {
            return false;
        }
    }
    return true;
}

bool index_query_maybe(const struct index_query *q, const uint8_t *bloom, size_t n)
{
    if (q->open || n <= INDEX_HEADER_BYTES || n > UINT32_MAX / 8 || bloom[0] != INDEX_VERSION ||
        bloom[1] == 0 || bloom[1] > INDEX_PROBES_MAX) {
        return true;
    }
    const uint8_t *bits = bloom + INDEX_HEADER_BYTES;
    uint32_t n_bits = (uint32_t)(n - INDEX_HEADER_BYTES) * 8;

    for (size_t i = 0; i < q->n; i++) {
        const struct alternative *alt = &q->alternatives[i];
        bool maybe = true;
        for (uint64_t j = 0; j < alt->n && maybe; j++) {
            bool is_indexed = (bloom[2] >> index_kind_of(alt->keys[j]) & 1) != 0;
            maybe = !is_indexed || has_bits(bits, n_bits, bloom[1], alt->keys[j]);
        }
        if (maybe) {
            return true;
        }
    }
    return false;
}

bool index_query_is_open(const struct index_query *q)
{
    return q->open;
}

size_t index_query_alternatives(const struct index_query *q)
{
    return q->n;
}
