/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "shared/base/addr.h"
#include "shared/base/mem.h"
#include "shared/packet/decode.h"
#include "shared/packet/decode_internal.h"

struct ip_name {
    uint8_t proto;
    const char *name;
};

/* Names as in IANA's registry, lower case; sorted by number. */
static const struct ip_name ip_names[] = {
    {0, "hopopt"},    {1, "icmp"},       {2, "igmp"},        {3, "ggp"},        {4, "ipip"},
    {5, "st"},        {6, "tcp"},        {8, "egp"},         {9, "igp"},        {12, "pup"},
    {17, "udp"},      {20, "hmp"},       {27, "rdp"},        {29, "iso-tp4"},   {33, "dccp"},
    {36, "xtp"},      {41, "ipv6"},      {43, "ipv6-route"}, {44, "ipv6-frag"}, {46, "rsvp"},
    {47, "gre"},      {50, "esp"},       {51, "ah"},         {55, "mobile"},    {57, "skip"},
    {58, "icmp6"},    {59, "ipv6-none"}, {60, "ipv6-opts"},  {73, "rspf"},      {81, "vmtp"},
    {88, "eigrp"},    {89, "ospf"},      {93, "ax.25"},      {94, "ipip"},      {97, "etherip"},
    {98, "encap"},    {103, "pim"},      {108, "ipcomp"},    {112, "vrrp"},     {113, "pgm"},
    {115, "l2tp"},    {124, "isis"},     {132, "sctp"},      {133, "fc"},       {135, "mobility"},
    {136, "udplite"}, {137, "mpls"},     {138, "manet"},     {139, "hip"},      {140, "shim6"},
    {141, "wesp"},    {142, "rohc"},     {143, "ethernet"},
};

struct ether_name {
    uint16_t ethertype;
    const char *name;
    const char *title;
};

static const struct ether_name ether_names[] = {
    {ETHERTYPE_IPV4, "ip", "IPv4"},
    {ETHERTYPE_ARP, "arp", "ARP"},
    {0x0842, "wol", "Wake-on-LAN"},
    {0x2000, "cdp", "CDP"},
    {0x6002, "mop", "MOP"},
    {0x6003, "decnet", "DECnet"},
    {0x6558, "teb", "TEB"},
    {ETHERTYPE_RARP, "rarp", "Reverse ARP"},
    {0x809b, "atalk", "Appletalk"},
    {0x80f3, "aarp", "Appletalk ARP"},
    {ETHERTYPE_VLAN, "vlan", "802.1Q"},
    {0x8137, "ipx", "IPX"},
    {ETHERTYPE_IPV6, "ip6", "IPv6"},
    {0x8808, "flow-control", "Flow Control"},
    {0x8809, "slow", "Slow Protocols"},
    {ETHERTYPE_PPP, "ppp", "PPP"},
    {ETHERTYPE_MPLS, "mpls", "MPLS unicast"},
    {ETHERTYPE_MPLS_MULTICAST, "mpls", "MPLS multicast"},
    {ETHERTYPE_PPPOE_DISCOVERY, "pppoe-discovery", "PPPoE D"},
    {ETHERTYPE_PPPOE, "pppoe", "PPPoE S"},
    {0x888e, "eapol", "EAPOL"},
    {0x8892, "profinet", "PROFINET"},
    {0x88a2, "aoe", "AoE"},
    {0x88a4, "ethercat", "EtherCAT"},
    {ETHERTYPE_QINQ, "vlan", "802.1Q-QinQ"},
    {0x88b8, "goose", "GOOSE"},
    {ETHERTYPE_ERSPAN, "erspan", "ERSPAN"},
    {0x88cc, "lldp", "LLDP"},
    {0x88e5, "macsec", "MACsec"},
    {0x88e7, "pbb", "802.1ah"},
    {0x88f7, "ptp", "PTP"},
    {0x8902, "cfm", "CFM"},
    {0x8906, "fcoe", "FCoE"},
    {0x8914, "fip", "FIP"},
    {0x8915, "roce", "RoCE"},
    {0x9000, "loopback", "Loopback"},
    {ETHERTYPE_QINQ_OLD, "vlan", "802.1Q-9100"},
};

const char *ip_protocol_name(uint8_t proto)
{
    for (size_t i = 0; i < ARRAY_LEN(ip_names) && ip_names[i].proto <= proto; i++) {
        if (ip_names[i].proto == proto) {
            return ip_names[i].name;
        }
    }
    return NULL;
}

static const struct ether_name *find_ethertype(uint32_t ethertype)
{
    for (size_t i = 0; i < ARRAY_LEN(ether_names); i++) {
        if (ether_names[i].ethertype == ethertype) {
            return &ether_names[i];
        }
    }
    return NULL;
}

const char *ethertype_name(uint32_t ethertype)
{
    const struct ether_name *found = find_ethertype(ethertype);
    return found == NULL ? NULL : found->name;
}

const char *ethertype_title(uint32_t ethertype)
{
    const struct ether_name *found = find_ethertype(ethertype);
    return found == NULL ? NULL : found->title;
}

static void put(char *out, size_t n, const char *text)
{
    if (n == 0) {
        return;
    }
    size_t len = strnlen(text, n - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

static bool is_link_frame(uint32_t link_type)
{
    return link_type == LINK_ETHERNET || link_type == LINK_SLL || link_type == LINK_SLL2;
}

void decode_proto_name(const struct decoded *d, char *out, size_t n)
{
    const char *name;
    if (d->family == DECODE_IPV4 || d->family == DECODE_IPV6) {
        name = ip_protocol_name(d->proto);
        if (name == NULL) {
            snprintf(out, n, "ip-%u", d->proto);
            return;
        }
    } else if (d->ethertype != 0) {
        name = ethertype_name(d->ethertype);
        if (name == NULL) {
            snprintf(out, n, "0x%04x", d->ethertype);
            return;
        }
    } else if (d->link_type == LINK_PPP) {
        name = "ppp";
    } else if (is_link_frame(d->link_type) && !d->cut) {
        name = "llc";
    } else {
        name = ""; /* so that JSON has null */
    }
    put(out, n, name);
}

void decode_tcp_flags(const struct decoded *d, char *out, size_t n)
{
    /* The order of tcpdump; URG has no fixed neighbour. */
    static const char letters[] = "FSRP.UEW";
    char text[sizeof letters];
    size_t len = 0;
    if (!d->has_tcp) {
        put(out, n, "");
        return;
    }
    if (d->tcp_flags == 0) {
        put(out, n, "none");
        return;
    }
    for (unsigned bit = 0; bit < 8; bit++) {
        if (d->tcp_flags >> bit & 1) {
            text[len++] = letters[bit];
        }
    }
    text[len] = '\0';
    put(out, n, text);
}

static void put_address(const struct decoded *d, bool source, char *out, size_t n)
{
    char text[ADDR_TEXT_MAX] = "";
    const uint8_t *addr = source ? d->src : d->dst;
    if (d->family == DECODE_IPV6) {
        addr_ipv6_text(addr, text);
    } else if (d->family != DECODE_NONE) {
        addr_ipv4_text(addr, text);
    } else if (d->has_mac) {
        addr_mac_text(source ? d->mac_src : d->mac_dst, text);
    }
    put(out, n, text);
}

void decode_src(const struct decoded *d, char *out, size_t n)
{
    put_address(d, true, out, n);
}

void decode_dst(const struct decoded *d, char *out, size_t n)
{
    put_address(d, false, out, n);
}
