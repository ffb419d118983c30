/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/index.h"

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/packet/decode.h"
#include "shared/store/index_builder.h"

const char *const protocol_names[PROTOCOLS] = {"other", "tcp", "udp", "icmp", "arp"};

/* By IP protocol number. */
static const uint8_t protocol_of_ip[256] = {
    [1] = PROTOCOL_ICMP, [6] = PROTOCOL_TCP, [17] = PROTOCOL_UDP, [58] = PROTOCOL_ICMP};

struct index_builder *index_builder_new(void)
{
    struct index_builder *b = x_alloc(sizeof *b);

    b->n_slots = SLOTS_MIN;
    b->link_type = UINT32_MAX;
    return b;
}

void index_builder_free(struct index_builder *b)
{
    mem_free(b);
}

void index_builder_reset(struct index_builder *b)
{
    memset(b->slots, 0, b->n_slots * sizeof b->slots[0]);
    memset(b->values_seen, 0, sizeof b->values_seen);
    memset(b->headers_seen, 0, sizeof b->headers_seen);
    memset(b->flows_seen, 0, sizeof b->flows_seen);
    memset(b->of_kind, 0, sizeof b->of_kind);
    memset(b->ports_seen, 0, sizeof b->ports_seen);
    b->few_repeats = b->flows_looked > FLOWS_ENOUGH && b->flows_found < b->flows_looked / 4;
    b->flows_looked = 0;
    b->flows_found = 0;
    b->flows_left_out = 0;
    b->tally = (struct protocol_tally){0};
    b->n_hashed = 0;
    if (b->n_slots > SLOTS_MIN && b->n_keys < b->n_slots / 8) {
        b->n_slots /= 2;
    }
    b->n_keys = 0;
    b->lost = 0;
}

enum found { FOUND, FREE, CROWDED };

static enum found find_slot(const struct index_builder *b, uint64_t key, uint32_t *slot)
{
    uint32_t at = (uint32_t)(key >> 24);

    for (int i = 0; i < PROBES_MAX; i++, at++) {
        at &= b->n_slots - 1;
        if (b->slots[at] == key || b->slots[at] == 0) {
            *slot = at;
            return b->slots[at] == key ? FOUND : FREE;
        }
    }
    return CROWDED;
}

static void grow(struct index_builder *b)
{
    uint32_t slot;

    b->n_slots *= 2;
    memset(b->slots, 0, b->n_slots * sizeof b->slots[0]);
    for (uint32_t i = 0; i < b->n_keys; i++) {
        if (find_slot(b, b->keys[i], &slot) == FREE) {
            b->slots[slot] = b->keys[i];
        }
    }
}

/* False when there are too many: the kind is then left out. */
static bool append_key(struct index_builder *b, uint64_t key)
{
    enum index_kind kind = index_kind_of(key);

    if (b->n_keys == INDEX_KEYS_MAX || b->of_kind[kind] == KIND_KEYS_MAX) {
        b->lost |= (uint8_t)(1u << kind);
        return false;
    }
    b->keys[b->n_keys] = key;
    b->n_keys++;
    b->of_kind[kind]++;
    return true;
}

static void add_key(struct index_builder *b, uint64_t key)
{
    uint32_t slot = 0;
    enum found found = find_slot(b, key, &slot);

    if (found == FOUND || !append_key(b, key) || found != FREE) {
        return;
    }
    b->slots[slot] = key;
    b->n_hashed++;
    if (b->n_hashed > b->n_slots / 2 && b->n_slots < SLOTS_MAX) {
        grow(b);
    }
}

static void add_port(struct index_builder *b, uint32_t proto, uint32_t port)
{
    uint32_t row = proto == 6 ? 0 : proto == 17 ? 1 : 2;
    uint64_t *seen = &b->ports_seen[row][port / 64];
    uint64_t bit = UINT64_C(1) << port % 64;

    if (!index_has_ports(proto)) {
        add_key(b, index_key_port(proto, port));
    } else if ((*seen & bit) == 0) {
        *seen |= bit;
        append_key(b, index_key_port(proto, port));
    }
}

/* True when this value of at most 48 bits was among the last ones. By value, not by hash: a sender
 * can build hashes that collide. */
static bool was_seen(struct index_builder *b, enum index_tag tag, uint64_t value)
{
    uint64_t tagged = (uint64_t)tag << 56 | value;
    uint64_t *seen = &b->values_seen[(tagged * 0x9e3779b97f4a7c15u >> 40) % VALUES_SEEN];
    bool same = *seen == tagged;

    *seen = tagged;
    return same;
}

static void add_value(struct index_builder *b, enum index_kind kind, enum index_tag tag,
                      uint64_t value)
{
    if (!was_seen(b, tag, value)) {
        add_key(b, index_key(kind, tag, value));
    }
}

static void add_addr(struct index_builder *b, const struct index_addr *addr)
{
    if (addr->is_ip6) {
        add_key(b, index_key_addr(addr));
        add_key(b, index_key(INDEX_NET, INDEX_TAG_IP6_32, addr->high >> 32));
        add_key(b, index_key_ip6_64(addr->high));
    } else if (!was_seen(b, INDEX_TAG_IP4, addr->low)) {
        add_key(b, index_key_addr(addr));
        add_key(b, index_key(INDEX_NET, INDEX_TAG_IP4_16, addr->low >> 16));
        add_key(b, index_key(INDEX_NET, INDEX_TAG_IP4_24, addr->low >> 8));
    }
}

static __attribute__((noinline)) void add_flow(struct index_builder *b, const struct flow *flow)
{
    if ((flow->has & HAS_SRC) != 0) {
        add_addr(b, &flow->src);
    }
    if ((flow->has & HAS_DST) != 0) {
        add_addr(b, &flow->dst);
    }
    if ((flow->has & HAS_PROTO) != 0) {
        add_value(b, INDEX_PROTO, INDEX_TAG_PROTO, flow->proto);
    }
    if ((flow->has & HAS_SPORT) != 0) {
        add_port(b, flow->proto, flow->sport);
    }
    if ((flow->has & HAS_DPORT) != 0) {
        add_port(b, flow->proto, flow->dport);
    }
    if (flow->has == HAS_ALL && b->without_flows) {
        b->lost |= 1u << INDEX_FLOW;
        b->flows_left_out++;
    } else if (flow->has == HAS_ALL) {
        add_key(b, index_key_flow(flow->proto, &flow->src, flow->sport, &flow->dst, flow->dport));
    }
}

static bool is_same_flow(const struct flow *a, const struct flow *b)
{
    return a->src.low == b->src.low && a->dst.low == b->dst.low && a->src.high == b->src.high &&
           a->dst.high == b->dst.high && a->sport == b->sport && a->dport == b->dport &&
           a->net == b->net && a->proto == b->proto && a->has == b->has;
}

/* Most packets belong to a flow that this frame has seen already, and end here. */
static void add_flow_once(struct index_builder *b, const struct flow *flow)
{
    if (b->few_repeats && ++b->sample % FLOW_SAMPLE != 0) {
        add_flow(b, flow);
        return;
    }
    uint64_t h = flow->src.low * 0x9e3779b97f4a7c15u ^ flow->dst.low * 0xc2b2ae3d27d4eb4fu ^
                 ((uint64_t)flow->sport << 32 | flow->dport) * 0x165667b19e3779f9u;
    struct flow *seen = &b->flows_seen[(h ^ h >> 29) % FLOWS_SEEN];

    b->flows_looked++;
    if (is_same_flow(seen, flow)) {
        b->flows_found++;
        return;
    }
    *seen = *flow;
    add_flow(b, flow);
}

static inline void read_ports(const struct packet_view *packet, uint32_t at, struct flow *flow)
{
    if (packet->caplen >= at + 2) {
        flow->sport = get_be16(packet->data + at);
        flow->has |= HAS_SPORT;
    }
    if (packet->caplen >= at + 4) {
        flow->dport = get_be16(packet->data + at + 2);
        flow->has |= HAS_DPORT;
    }
}

static inline void read_addr4(const struct packet_view *packet, uint32_t at,
                              struct index_addr *addr, uint16_t has, struct flow *flow)
{
    if (packet->caplen >= at + 4) {
        addr->low = get_be32(packet->data + at);
        flow->has |= has;
    }
}

static inline void read_addr6(const struct packet_view *packet, uint32_t at,
                              struct index_addr *addr, uint16_t has, struct flow *flow)
{
    addr->is_ip6 = true;
    if (packet->caplen >= at + 16) {
        addr->high = get_be64(packet->data + at);
        addr->low = get_be64(packet->data + at + 8);
        flow->has |= has;
    }
}

static inline void read_ip4(const struct packet_view *packet, uint32_t at, struct flow *flow)
{
    read_addr4(packet, at + IP4_SRC, &flow->src, HAS_SRC, flow);
    read_addr4(packet, at + IP4_DST, &flow->dst, HAS_DST, flow);
    if (packet->caplen <= at + IP4_PROTO) {
        return;
    }
    const uint8_t *ip = packet->data + at;
    flow->proto = ip[IP4_PROTO];
    flow->has |= HAS_PROTO;
    if (index_has_ports(flow->proto) && (get_be16(ip + IP4_FRAGMENT) & IP4_FRAGMENT_MASK) == 0) {
        read_ports(packet, at + 4 * (ip[0] & 0xfu), flow);
    }
}

static inline void read_ip6(const struct packet_view *packet, uint32_t at, struct flow *flow)
{
    read_addr6(packet, at + IP6_SRC, &flow->src, HAS_SRC, flow);
    read_addr6(packet, at + IP6_DST, &flow->dst, HAS_DST, flow);
    if (packet->caplen <= at + IP6_PROTO) {
        return;
    }
    flow->proto = packet->data[at + IP6_PROTO];
    flow->has |= HAS_PROTO;
    if (index_has_ports(flow->proto)) {
        read_ports(packet, at + IP6_BYTES, flow);
    }
}

/* The networks of an IPv6 address whose second half was not captured. */
static void add_cut_ip6(struct index_builder *b, const struct packet_view *packet, uint32_t at)
{
    if (packet->caplen >= at + 16 || packet->caplen < at + 4) {
        return;
    }
    add_key(b, index_key(INDEX_NET, INDEX_TAG_IP6_32, get_be32(packet->data + at)));
    if (packet->caplen >= at + 8) {
        add_key(b, index_key_ip6_64(get_be64(packet->data + at)));
    }
}

static struct index_addr decoded_addr(const struct decoded *d, const uint8_t *addr)
{
    if (d->family == DECODE_IPV6) {
        return (struct index_addr){
            .high = get_be64(addr), .low = get_be64(addr + 8), .is_ip6 = true};
    }
    return (struct index_addr){.low = get_be32(addr)};
}

/* The keys of what decode.h finds, wherever it stands: what index_query_of_fields asks for. BPF
 * programs do not need them. */
static __attribute__((noinline)) void
add_decoded(struct index_builder *b, const struct packet_view *packet, uint32_t link_type)
{
    struct flow flow = {.has = HAS_SRC | HAS_DST};
    struct decoded d;

    decode_packet(packet, link_type, &d);
    if (d.family == DECODE_NONE) {
        return;
    }
    flow.net = (uint8_t)d.family;
    flow.src = decoded_addr(&d, d.src);
    flow.dst = decoded_addr(&d, d.dst);
    flow.proto = d.proto;
    flow.has |= d.family != DECODE_ARP ? HAS_PROTO : 0;
    if (d.has_ports) {
        flow.sport = d.sport;
        flow.dport = d.dport;
        flow.has |= HAS_SPORT | HAS_DPORT;
    }
    b->protocol = d.family == DECODE_ARP ? PROTOCOL_ARP : protocol_of_ip[d.proto];
    add_flow_once(b, &flow);
}

/* Headers between IP and the transport, and transports whose ports BPF does not know. */
static bool is_further_proto(enum index_net net, uint8_t proto)
{
    switch (proto) {
    case 0:  /* hop-by-hop options */
    case 43: /* routing */
    case 44: /* fragment */
    case 60: /* destination options */
        return net == INDEX_NET_IP6;
    case 33:  /* DCCP */
    case 51:  /* AH */
    case 136: /* UDP-Lite */
        return true;
    default:
        return false;
    }
}

/* True when decode.h may find other fields than add_net: something else than IP or ARP follows the
 * link layer that we know (MPLS, PPPoE, SNAP, more VLAN tags), the link type has several forms, or
 * the transport is not where BPF looks for it. */
static bool is_beyond(const struct index_link *link, const struct packet_view *packet,
                      enum index_net net, uint32_t at)
{
    const uint8_t *data = packet->data;

    if (net == INDEX_NET_NONE || link->link_type == LINK_PPP) {
        return true;
    }
    if (net == INDEX_NET_ARP) { /* lengths of hardware and protocol addresses */
        return packet->caplen >= at + 6 && (data[at + 4] != 6 || data[at + 5] != 4);
    }
    at += net == INDEX_NET_IP4 ? IP4_PROTO : IP6_PROTO;
    return packet->caplen > at && is_further_proto(net, data[at]);
}

static void add_net(struct index_builder *b, const struct packet_view *packet, enum index_net net,
                    uint32_t at)
{
    struct flow flow = {.net = (uint8_t)net};

    switch (net) {
    case INDEX_NET_IP4:
        read_ip4(packet, at, &flow);
        break;
    case INDEX_NET_IP6:
        read_ip6(packet, at, &flow);
        add_cut_ip6(b, packet, at + IP6_SRC);
        add_cut_ip6(b, packet, at + IP6_DST);
        break;
    case INDEX_NET_ARP:
        read_addr4(packet, at + ARP_SENDER, &flow.src, HAS_SRC, &flow);
        read_addr4(packet, at + ARP_TARGET, &flow.dst, HAS_DST, &flow);
        break;
    default:
        return;
    }
    b->protocol = net == INDEX_NET_ARP ? PROTOCOL_ARP : protocol_of_ip[flow.proto];
    add_flow_once(b, &flow);
}

static void add_macs(struct index_builder *b, const struct packet_view *packet)
{
    const uint8_t *p = packet->data;

    if (packet->caplen >= 6) {
        add_value(b, INDEX_MAC, INDEX_TAG_MAC, (uint64_t)get_be16(p) << 32 | get_be32(p + 2));
    }
    if (packet->caplen >= 12) {
        add_value(b, INDEX_MAC, INDEX_TAG_MAC, (uint64_t)get_be16(p + 6) << 32 | get_be32(p + 8));
    }
}

/* True when the keys of this Ethernet header, without VLAN tags, are there already. */
static bool header_was_seen(struct index_builder *b, const struct packet_view *packet)
{
    if (packet->caplen < 14) {
        return false;
    }
    struct header header = {get_le64(packet->data), ~get_le64(packet->data + 6)};
    uint64_t h = (header.first ^ header.last_inverted << 7) * 0x9e3779b97f4a7c15u;
    struct header *seen = &b->headers_seen[(h >> 40) % HEADERS_SEEN];
    bool same = seen->first == header.first && seen->last_inverted == header.last_inverted;

    *seen = header;
    return same;
}

static bool read_selector(const struct index_link *link, const struct packet_view *packet,
                          uint32_t at, uint32_t *value)
{
    const uint8_t *p = packet->data + at;

    if (packet->caplen < at + link->selector_bytes) {
        return false;
    }
    *value = link->selector_bytes == 2   ? get_be16(p)
             : link->selector_bytes == 4 ? get_be32(p)
                                         : *p & link->selector_mask;
    return true;
}

/* The mirror of read_link in index_query.c. */
static void add_link(struct index_builder *b, const struct index_link *link,
                     const struct packet_view *packet)
{
    uint32_t selector_at = link->selector_at;
    uint32_t net_at = link->net_at;
    uint32_t value = 0;
    bool is_new = !link->is_ethernet || !header_was_seen(b, packet);

    if (is_new && link->is_ethernet) {
        add_macs(b, packet);
    }
    for (int depth = 0; link->selector_bytes > 0; depth++) {
        if (!read_selector(link, packet, selector_at, &value)) {
            return;
        }
        if (is_new || depth > 0) {
            add_value(b, INDEX_LINK, INDEX_TAG_LINK, value);
        }
        if (depth == INDEX_VLANS_MAX || !index_is_vlan(link, value)) {
            break;
        }
        if (packet->caplen >= selector_at + 4) {
            uint32_t id = get_be16(packet->data + selector_at + 2) & INDEX_VLAN_MASK;
            add_value(b, INDEX_LINK, INDEX_TAG_VLAN, id);
        }
        selector_at += 4;
        net_at += 4;
    }
    enum index_net net = index_net_of(link, value);
    add_net(b, packet, net, net_at);
    if (is_beyond(link, packet, net, net_at)) {
        add_decoded(b, packet, link->link_type);
    }
}

void index_builder_add(struct index_builder *b, const struct packet_view *packet,
                       uint32_t link_type)
{
    if (link_type != b->link_type) {
        b->link = index_link_of(link_type);
        b->link_type = link_type;
    }
    b->protocol = PROTOCOL_OTHER;
    if (b->link != NULL) {
        add_link(b, b->link, packet);
    } else {
        add_decoded(b, packet, link_type);
    }
    b->tally.packets[b->protocol]++;
    b->tally.bytes[b->protocol] += packet->caplen;
}

const struct protocol_tally *index_builder_tally(const struct index_builder *b)
{
    return &b->tally;
}
