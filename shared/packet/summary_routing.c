/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/bytes.h"
#include "shared/packet/summary_internal.h"

static void put_igmp_query(struct line *out, const uint8_t *p, uint32_t len)
{
    line_printf(out, "igmp query v%u", len >= 12 ? 3u : p[1] != 0 ? 2u : 1u);
    if (len < 12 && p[1] != 0 && p[1] != 100) {
        line_printf(out, " [max resp time %u]", p[1]);
    }
    if (get_be32(p + 4) != 0) {
        line_put(out, " [gaddr ");
        line_ipv4(out, p + 4);
        line_put(out, "]");
    }
}

static void put_igmp_group(struct line *out, const char *what, const uint8_t *p)
{
    line_put(out, what);
    line_ipv4(out, p + 4);
}

/* RFC 1112, 2236, 3376: 0 type, 1 maximum response time, 2 checksum, 4 group. */
void summary_igmp(struct line *out, struct span span)
{
    const uint8_t *p = span.p;
    if (span.n < 8) {
        line_put(out, "[|igmp]");
        return;
    }
    switch (p[0]) {
    case 0x11:
        put_igmp_query(out, p, span.len);
        break;
    case 0x12:
        put_igmp_group(out, "igmp v1 report ", p);
        break;
    case 0x13:
        line_printf(out, "igmp dvmrp, length %u", span.len);
        break;
    case 0x16:
        put_igmp_group(out, "igmp v2 report ", p);
        break;
    case 0x17:
        put_igmp_group(out, "igmp leave ", p);
        break;
    case 0x22:
        line_printf(out, "igmp v3 report, %u group record(s)", get_be16(p + 6));
        break;
    default:
        line_printf(out, "igmp-%u, length %u", p[0], span.len);
    }
}

static void put_ospf(struct line *out, const uint8_t *p)
{
    static const struct line_name types[] = {{1, "Hello"},      {2, "Database Description"},
                                             {3, "LS-Request"}, {4, "LS-Update"},
                                             {5, "LS-Ack"},     {0, NULL}};
    line_printf(out, "OSPFv%u, ", p[0]);
    line_named(out, types, p[1], "unknown packet type (%u)");
}

static void put_pim(struct line *out, const uint8_t *p)
{
    static const struct line_name types[] = {{0, "Hello"},
                                             {1, "Register"},
                                             {2, "Register-Stop"},
                                             {3, "Join / Prune"},
                                             {4, "Bootstrap"},
                                             {5, "Assert"},
                                             {6, "Graft"},
                                             {7, "Graft-ACK"},
                                             {8, "Candidate RP Advertisement"},
                                             {0, NULL}};
    line_printf(out, "PIMv%u, ", p[0] >> 4);
    line_named(out, types, p[0] & 0xf, "unknown type (%u)");
}

static void put_vrrp(struct line *out, const uint8_t *p)
{
    line_printf(out, "VRRPv%u, %s, vrid %u, prio %u", p[0] >> 4,
                (p[0] & 0xf) == 1 ? "Advertisement" : "unknown type", p[1], p[2]);
}

static void put_eigrp(struct line *out, const uint8_t *p, uint32_t len)
{
    static const struct line_name opcodes[] = {{1, "Update"}, {3, "Query"},      {4, "Reply"},
                                               {5, "Hello"},  {10, "SIA Query"}, {0, NULL}};
    line_put(out, "EIGRP ");
    line_named(out, opcodes, p[1], "opcode %u");
    line_printf(out, ", length: %u", len);
}

void summary_routing(struct line *out, uint8_t proto, struct span span)
{
    const char *name = ip_protocol_name(proto);
    bool room = span.n >= 4;
    if (proto == PROTO_OSPF && room) {
        put_ospf(out, span.p);
    } else if (proto == PROTO_PIM && room) {
        put_pim(out, span.p);
    } else if (proto == PROTO_VRRP && room) {
        put_vrrp(out, span.p);
    } else if (proto == PROTO_EIGRP && room) {
        put_eigrp(out, span.p, span.len);
        return;
    } else if (name != NULL) {
        line_put(out, name);
    } else {
        line_printf(out, "ip-proto-%u", proto);
    }
    line_printf(out, ", length %u", span.len);
}
