/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/kernel_filter.h"

#include "shared/base/mem.h"
#include "shared/packet/iface.h"

/* Fields of an instruction's code (linux/bpf_common.h). */
#define CLASS(code) ((code)&0x07u)
#define MODE(code)  ((code)&0xe0u)
#define CLASS_LD    0x00u
#define CLASS_LDX   0x01u
#define CLASS_RET   0x06u
#define MODE_K      0x00u
#define MODE_ABS    0x20u
#define MODE_IND    0x40u
#define MODE_MSH    0xa0u
#define RET_SOURCE  0x18u

/* What the kernel tells of a packet beside its bytes (linux/filter.h, SKF_AD_). */
#define AD_OFFSET   (-0x1000)
#define AD_PROTOCOL 0
#define AD_PKTTYPE  4
#define AD_IFINDEX  8
#define AD_HATYPE   28

#define SLL_BYTES  16
#define SLL2_BYTES 20

struct field {
    int32_t at;
    int32_t ancillary;
};

/* False for a place in the header that the kernel has no word for. */
static bool move_load(struct filter_insn *insn, uint32_t link_type)
{
    static const struct field sll[] = {{0, AD_PKTTYPE}, {14, AD_PROTOCOL}};
    static const struct field sll2[] = {
        {0, AD_PROTOCOL}, {4, AD_IFINDEX}, {8, AD_HATYPE}, {10, AD_PKTTYPE}};
    bool is_two = link_type == LINK_SLL2;
    const struct field *fields = is_two ? sll2 : sll;
    size_t n = is_two ? ARRAY_LEN(sll2) : ARRAY_LEN(sll);
    int32_t header = is_two ? SLL2_BYTES : SLL_BYTES;
    int32_t at = (int32_t)insn->k;

    if (at < 0) {
        return true; /* asks the kernel already: VLAN tags */
    }
    if (at >= header) {
        insn->k = (uint32_t)(at - header);
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].at == at) {
            insn->k = (uint32_t)(AD_OFFSET + fields[i].ancillary);
            return true;
        }
    }
    return false;
}

static bool is_packet_load(uint16_t code)
{
    unsigned class = CLASS(code);
    unsigned mode = MODE(code);

    return (class == CLASS_LD || class == CLASS_LDX) &&
           (mode == MODE_ABS || mode == MODE_IND || mode == MODE_MSH);
}

bool kernel_filter_fix(struct filter_insn *insns, uint32_t n, uint32_t link_type, uint32_t snaplen)
{
    bool cooked = link_type == LINK_SLL || link_type == LINK_SLL2;

    for (uint32_t i = 0; i < n; i++) {
        struct filter_insn *insn = &insns[i];

        if (CLASS(insn->code) == CLASS_RET) {
            if ((insn->code & RET_SOURCE) == MODE_K && insn->k != 0) {
                insn->k = snaplen;
            }
        } else if (cooked && is_packet_load(insn->code) && !move_load(insn, link_type)) {
            return false;
        }
    }
    return true;
}
