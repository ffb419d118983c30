/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/index_random.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/packet/iface.h"

/* The pools, as text for filters and as bytes for packets. */
static const struct {
    const char *text;
    uint8_t bytes[4];
} ip4_pool[] = {
    {"10.0.0.1", {10, 0, 0, 1}},       {"10.0.0.2", {10, 0, 0, 2}},
    {"10.0.7.3", {10, 0, 7, 3}},       {"192.168.1.5", {192, 168, 1, 5}},
    {"8.8.8.8", {8, 8, 8, 8}},         {"0.0.0.0", {0, 0, 0, 0}},
    {"224.0.0.251", {224, 0, 0, 251}}, {"255.255.255.255", {255, 255, 255, 255}},
};
static const struct {
    const char *text;
    uint8_t bytes[16];
} ip6_pool[] = {
    {"fe80::1", {0xfe, 0x80, [15] = 1}},
    {"fe80::2", {0xfe, 0x80, [15] = 2}},
    {"2001:db8:1:2::3", {0x20, 1, 0x0d, 0xb8, 0, 1, 0, 2, [15] = 3}},
    {"2001:db8:1:9::3", {0x20, 1, 0x0d, 0xb8, 0, 1, 0, 9, [15] = 3}},
    {"::1", {[15] = 1}},
    {"ff02::fb", {0xff, 2, [15] = 0xfb}},
};
static const char *const net_pool[] = {
    "10.0.0.0/8",     "10.0.0.0/16",         "10.0.0.0/24",       "10.0.0.0/30",
    "192.168.0.0/16", "192.168.1.0/25",      "192.168.1.4/31",    "0.0.0.0/0",
    "8.8.8.8/32",     "224.0.0.0/4",         "10.0.0.0/15",       "fe80::/10",
    "fe80::/64",      "2001:db8::/32",       "2001:db8:1::/48",   "2001:db8:1:2::/64",
    "::/0",           "2001:db8:1:2::3/128", "2001:db8:1:2::/80", "2001:d00::/24",
};
static const uint16_t port_pool[] = {53, 80, 443, 1234, 40000, 65535, 0, 81};
static const uint8_t proto_pool[] = {6, 6, 17, 17, 132, 1, 58, 47, 44, 0, 41, 50, 255};
static const uint16_t type_pool[] = {0x0800, 0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806,
                                     0x8035, 0x88cc, 0x8847, 0x8864, 0x0026};
static const uint16_t vlan_pool[] = {0x8100, 0x8100, 0x88a8, 0x9100};
static const uint8_t last_mac_byte[] = {1, 2, 3, 0xff};

#define PICK(r, pool) ((pool)[random_below((r), ARRAY_LEN(pool))])

struct out {
    uint8_t *bytes;
    uint32_t n;
};

static void put(struct out *o, const void *bytes, uint32_t n)
{
    if (n <= RANDOM_PACKET_MAX - o->n) {
        memcpy(o->bytes + o->n, bytes, n);
        o->n += n;
    }
}

static void put8(struct out *o, uint32_t value)
{
    put(o, &(uint8_t){(uint8_t)value}, 1);
}

static void put16(struct out *o, uint32_t value)
{
    put8(o, value >> 8);
    put8(o, value);
}

static void put32(struct out *o, uint32_t value)
{
    put16(o, value >> 16);
    put16(o, value);
}

static void put_noise(struct random_source *r, struct out *o, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        put8(o, random_below(r, 256));
    }
}

static void put_transport(struct random_source *r, struct out *o)
{
    put16(o, PICK(r, port_pool));
    put16(o, PICK(r, port_pool));
    put32(o, 1);
    put32(o, 0);
    put16(o, 0x5000 | random_below(r, 64)); /* where TCP has its flags */
    put_noise(r, o, random_below(r, 20));
}

static void put_ip4(struct random_source *r, struct out *o)
{
    uint32_t words = random_below(r, 6) == 0 ? random_below(r, 16) : 5;
    bool is_fragment = random_below(r, 5) == 0;

    put8(o, (random_below(r, 12) == 0 ? random_below(r, 16) : 4) << 4 | words);
    put8(o, 0);
    put16(o, 60);
    put16(o, 7);
    put16(o, is_fragment ? random_below(r, 65536) : random_below(r, 2) << 14);
    put8(o, 64);
    put8(o, PICK(r, proto_pool));
    put16(o, 0);
    put(o, PICK(r, ip4_pool).bytes, 4);
    put(o, PICK(r, ip4_pool).bytes, 4);
    for (uint32_t i = 5; i < words; i++) {
        put32(o, 0x01010101);
    }
    put_transport(r, o);
}

static void put_ip6(struct random_source *r, struct out *o)
{
    uint32_t next = PICK(r, proto_pool);

    put32(o, 0x60000000);
    put16(o, 40);
    put8(o, next);
    put8(o, 64);
    put(o, PICK(r, ip6_pool).bytes, 16);
    put(o, PICK(r, ip6_pool).bytes, 16);
    if (next == 0 || next == 44) { /* hop-by-hop options, fragment */
        put8(o, PICK(r, proto_pool));
        put8(o, 0);
        put16(o, random_below(r, 3) == 0 ? 8 : 0);
        put32(o, 9);
    }
    put_transport(r, o);
}

static void put_arp(struct random_source *r, struct out *o)
{
    put32(o, 0x00010800);
    put16(o, 0x0604);
    put16(o, 1 + random_below(r, 2));
    put_noise(r, o, 6);
    put(o, PICK(r, ip4_pool).bytes, 4);
    put_noise(r, o, 6);
    put(o, PICK(r, ip4_pool).bytes, 4);
}

static void put_net(struct random_source *r, struct out *o, uint32_t type)
{
    switch (random_below(r, 25) == 0 ? 0 : type) {
    case 0x0800:
        put_ip4(r, o);
        break;
    case 0x86dd:
        put_ip6(r, o);
        break;
    case 0x0806:
    case 0x8035:
        put_arp(r, o);
        break;
    case 0x8847:
        put32(o, 0x00001140); /* MPLS, bottom of the stack */
        put_ip4(r, o);
        break;
    case 0x8864:
        put32(o, 0x11000001); /* PPPoE session */
        put32(o, 0x00300021);
        put_ip4(r, o);
        break;
    default:
        put_noise(r, o, random_below(r, 60));
        break;
    }
}

static void put_ethernet(struct random_source *r, struct out *o)
{
    uint32_t n_vlans = random_below(r, 3) == 0 ? random_below(r, 4) : 0;
    uint32_t type = PICK(r, type_pool);

    for (int i = 0; i < 2; i++) {
        put32(o, 0x02000000);
        put8(o, 0);
        put8(o, PICK(r, last_mac_byte));
    }
    for (uint32_t i = 0; i < n_vlans; i++) {
        put16(o, PICK(r, vlan_pool));
        put16(o, random_below(r, 8) << 13 | (5 + random_below(r, 3)));
    }
    put16(o, type);
    put_net(r, o, type);
}

static void put_link(struct random_source *r, struct out *o, uint32_t link_type)
{
    static const uint32_t families[] = {2, 2, 10, 24, 28, 30, 7};
    uint32_t type = PICK(r, type_pool);
    uint32_t family = PICK(r, families);

    switch (link_type) {
    case LINK_SLL:
        put_noise(r, o, 14);
        put16(o, type);
        put_net(r, o, type);
        break;
    case LINK_SLL2:
        put16(o, type);
        put_noise(r, o, 18);
        put_net(r, o, type);
        break;
    case LINK_PPP:
        type = random_below(r, 2) != 0 ? 0x0800 : 0x86dd;
        put16(o, 0xff03);
        put16(o, type == 0x0800 ? 0x21 : 0x57);
        put_net(r, o, type);
        break;
    case LINK_NULL:
    case LINK_LOOP:
        put32(o, random_below(r, 2) != 0 ? family : __builtin_bswap32(family));
        put_net(r, o, family == 2 ? 0x0800 : 0x86dd);
        break;
    case LINK_ETHERNET:
        put_ethernet(r, o);
        break;
    default:
        put_net(r, o, random_below(r, 2) != 0 ? 0x0800 : 0x86dd);
        break;
    }
}

uint32_t random_packet(struct random_source *r, uint32_t link_type, uint8_t *out)
{
    struct out o = {.bytes = out};

    if (random_below(r, 20) == 0) {
        put_noise(r, &o, random_below(r, 100));
        return o.n;
    }
    put_link(r, &o, link_type);
    if (random_below(r, 8) == 0) {
        for (uint32_t i = 1 + random_below(r, 3); i > 0 && o.n > 0; i--) {
            out[random_below(r, o.n)] = (uint8_t)random_below(r, 256);
        }
    }
    return random_below(r, 6) == 0 ? random_below(r, o.n + 1) : o.n;
}

struct text {
    char *at;
    size_t left;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(t->at, t->left, fmt, ap);
    va_end(ap);
    size_t used = n > 0 && (size_t)n < t->left ? (size_t)n : 0;
    t->at += used;
    t->left -= used;
}

static const char *direction(struct random_source *r)
{
    static const char *const words[] = {"", "", "src ", "dst ", "src or dst ", "src and dst "};
    return PICK(r, words);
}

static void say_host(struct random_source *r, struct text *t)
{
    if (random_below(r, 3) == 0) {
        say(t, "%shost %s", direction(r), PICK(r, ip6_pool).text);
    } else {
        static const char *const protos[] = {"", "", "", "ip ", "arp ", "rarp "};
        say(t, "%s%shost %s", PICK(r, protos), direction(r), PICK(r, ip4_pool).text);
    }
}

static void say_port(struct random_source *r, struct text *t)
{
    static const char *const protos[] = {"", "tcp ", "udp ", "sctp ", "ip6 and tcp ", "ip and "};
    uint32_t a = PICK(r, port_pool), b = PICK(r, port_pool);

    if (random_below(r, 5) == 0) {
        say(t, "%s%sportrange %u-%u", PICK(r, protos), direction(r), a, b);
    } else {
        say(t, "%s%sport %u", PICK(r, protos), direction(r), a);
    }
}

/* A conversation, as people ask for it. */
static void say_flow(struct random_source *r, struct text *t)
{
    const char *proto = random_below(r, 2) != 0 ? "tcp" : "udp";
    bool is_ip6 = random_below(r, 3) == 0;
    const char *a = is_ip6 ? PICK(r, ip6_pool).text : PICK(r, ip4_pool).text;
    const char *b = is_ip6 ? PICK(r, ip6_pool).text : PICK(r, ip4_pool).text;
    uint32_t p = PICK(r, port_pool), q = PICK(r, port_pool);

    switch (random_below(r, 3)) {
    case 0:
        say(t, "%s and src host %s and src port %u and dst host %s and dst port %u", proto, a, p, b,
            q);
        break;
    case 1:
        say(t, "%s and host %s and host %s and port %u and port %u", proto, a, b, p, q);
        break;
    default:
        say(t, "host %s and port %u", a, p);
        break;
    }
}

static void say_plain(struct random_source *r, struct text *t)
{
    static const char *const plain[] = {
        "ip",
        "ip6",
        "arp",
        "rarp",
        "tcp",
        "udp",
        "icmp",
        "icmp6",
        "sctp",
        "vlan",
        "vlan 5",
        "vlan 6",
        "multicast",
        "broadcast",
        "ip multicast",
        "ip6 multicast",
        "mpls",
        "pppoes",
        "stp",
        "llc",
        "ether proto 0x88cc",
        "ip proto 47",
        "ip6 proto 17",
        "ip proto 6",
        "proto 132",
        "ip6 protochain 6",
        "ip protochain 17",
        "greater 60",
        "less 60",
        "len > 70",
        "inbound",
        "0 = 0",
        "tcp[13] & 2 != 0",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "tcp[0:2] = 80",
        "udp[2:2] = 53",
        "ip[0] & 0xf != 5",
        "ip[6:2] & 0x1fff = 0",
        "ip[9] = 6",
        "ip[12:4] = 0x0a000001",
        "ip6[6] = 6",
        "ip[16] = ip[12]",
        "ether[0] & 1 = 0",
        "ether[12:2] = 0x0800",
        "udp[0:2] = udp[2:2]",
        "ip[9] + 1 = 7",
        "tcp[0:4] = 0x00500050",
        "ether host 02:00:00:00:00:01",
        "ether src 02:00:00:00:00:02",
        "ether dst ff:ff:ff:ff:ff:ff",
        "ether[0:4] = 0x02000000",
        "ip[0] = 0x45",
        "tcp[(tcp[12]>>4)*4] = 1",
        "icmp[0] = 8",
        "ip broadcast",
        "ether multicast",
    };
    say(t, "%s", PICK(r, plain));
}

static void say_filter(struct random_source *r, struct text *t, int depth)
{
    if (depth > 0 && random_below(r, 3) != 0) {
        say(t, "(");
        say_filter(r, t, depth - 1);
        say(t, random_below(r, 2) != 0 ? " and " : " or ");
        say_filter(r, t, depth - 1);
        say(t, ")");
        return;
    }
    say(t, random_below(r, 6) == 0 ? "not " : "");
    switch (random_below(r, 6)) {
    case 0:
    case 1:
        say_host(r, t);
        break;
    case 2:
        say_port(r, t);
        break;
    case 3:
        say(t, "%snet %s", direction(r), PICK(r, net_pool));
        break;
    case 4:
        say(t, "(");
        say_flow(r, t);
        say(t, ")");
        break;
    default:
        say_plain(r, t);
        break;
    }
}

void random_filter(struct random_source *r, char *out, size_t n)
{
    struct text t = {out, n};

    out[0] = '\0';
    if (random_below(r, 6) == 0) {
        say(&t, random_below(r, 3) == 0 ? "vlan and vlan and " : "vlan and ");
    }
    say_filter(r, &t, (int)random_below(r, 4));
}
