/* SPDX-License-Identifier: Apache-2.0
 *
 * Arbitrary bytes as a BPF program and a packet: reading the program ends, and when the program
 * accepts the packet, an index over the packet says "maybe".
 *
 *   0  link type, one of a table     1  number of instructions
 *   2  eight bytes an instruction: u16 code, u8 jt, u8 jf, u32 k, little-endian; then the packet
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/packet/iface.h"
#include "shared/store/index.h"

#define STEPS_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A machine of our own, since libpcap's ends the program at codes that it does not know. Values are
 * as the BPF paper has them; whatever fails rejects the packet. */
struct machine {
    const struct filter_insn *program;
    uint32_t n;
    const struct packet_view *packet;
    uint32_t pc, a, x;
    uint32_t memory[16];
};

static bool load(const struct machine *m, uint64_t at, uint32_t bytes, uint32_t *out)
{
    const uint8_t *p = m->packet->data + at;

    if (at > m->packet->caplen || bytes > m->packet->caplen - at) {
        return false;
    }
    *out = bytes == 4 ? get_be32(p) : bytes == 2 ? get_be16(p) : *p;
    return true;
}

static bool run_load(struct machine *m, const struct filter_insn *i)
{
    static const uint32_t sizes[] = {4, 2, 1, 0};
    uint32_t bytes = sizes[i->code >> 3 & 3];
    bool is_x = (i->code & 7) == 1;
    uint32_t *to = is_x ? &m->x : &m->a;

    switch (i->code & 0xe0) {
    case 0x00:
        *to = i->k;
        return true;
    case 0x20:
        return !is_x && bytes > 0 && load(m, i->k, bytes, to);
    case 0x40:
        return !is_x && bytes > 0 && load(m, (uint64_t)m->x + i->k, bytes, to);
    case 0x60:
        *to = m->memory[i->k % 16];
        return true;
    case 0x80:
        *to = m->packet->len;
        return true;
    case 0xa0:
        if (!is_x || !load(m, i->k, 1, to)) {
            return false;
        }
        *to = 4 * (*to & 0xf);
        return true;
    default:
        return false;
    }
}

static bool run_alu(struct machine *m, const struct filter_insn *i)
{
    uint32_t v = (i->code & 8) != 0 ? m->x : i->k;

    switch (i->code & 0xf0) {
    case 0x00:
        m->a += v;
        return true;
    case 0x10:
        m->a -= v;
        return true;
    case 0x20:
        m->a *= v;
        return true;
    case 0x30:
        m->a = v != 0 ? m->a / v : 0;
        return v != 0;
    case 0x40:
        m->a |= v;
        return true;
    case 0x50:
        m->a &= v;
        return true;
    case 0x60:
        m->a = v < 32 ? m->a << v : 0;
        return true;
    case 0x70:
        m->a = v < 32 ? m->a >> v : 0;
        return true;
    case 0x80:
        m->a = -m->a;
        return true;
    case 0xa0:
        m->a ^= v;
        return true;
    default:
        return false;
    }
}

static bool run_jump(struct machine *m, const struct filter_insn *i)
{
    uint32_t v = (i->code & 8) != 0 ? m->x : i->k;
    bool yes;

    switch (i->code & 0xf0) {
    case 0x00:
        m->pc += i->k;
        return true;
    case 0x10:
        yes = m->a == v;
        break;
    case 0x20:
        yes = m->a > v;
        break;
    case 0x30:
        yes = m->a >= v;
        break;
    case 0x40:
        yes = (m->a & v) != 0;
        break;
    default:
        return false;
    }
    m->pc += yes ? i->jt : i->jf;
    return true;
}

static bool run_store(struct machine *m, const struct filter_insn *i)
{
    m->memory[i->k % 16] = (i->code & 7) == 2 ? m->a : m->x;
    return true;
}

static bool run_misc(struct machine *m, const struct filter_insn *i)
{
    if ((i->code & 0xf8) == 0x00) {
        m->x = m->a;
    } else {
        m->a = m->x;
    }
    return (i->code & 0x78) == 0;
}

static bool accepts(struct machine *m)
{
    static bool (*const run[])(struct machine * m, const struct filter_insn *i) = {
        run_load, run_load, run_store, run_store, run_alu, run_jump, NULL, run_misc};

    for (int steps = 0; steps < STEPS_MAX && m->pc < m->n; steps++) {
        const struct filter_insn *i = &m->program[m->pc++];
        uint32_t class = i->code & 7;
        if (class == 6) {
            return ((i->code & 0x18) == 0x10 ? m->a : i->k) != 0;
        }
        if (!run[class](m, i)) {
            return false;
        }
    }
    return false;
}

static uint32_t read_program(struct bytes_reader *r, uint32_t n, struct filter_insn *out)
{
    uint32_t i = 0;

    while (i < n && bytes_left(r) >= 8) {
        out[i].code = bytes_le16(r);
        out[i].jt = bytes_u8(r);
        out[i].jf = bytes_u8(r);
        out[i].k = bytes_le32(r);
        i++;
    }
    return i;
}

static void check(const struct filter_insn *program, uint32_t n, const struct packet_view *packet,
                  uint32_t link_type)
{
    static struct index_builder *b;
    struct machine m = {.program = program, .n = n, .packet = packet};
    struct index_query *q = index_query_new(program, n, link_type);
    bool yes = accepts(&m);
    uint8_t bloom[256];

    b = b != NULL ? b : index_builder_new();
    for (size_t cap = 0; cap <= sizeof bloom; cap += 16) {
        index_builder_reset(b);
        index_builder_add(b, packet, link_type);
        size_t bytes = index_builder_finish(b, bloom, cap);
        REQUIRE(bytes <= cap);
        bool maybe = index_query_maybe(q, bloom, bytes);
        REQUIRE(maybe || !yes);
        cap = cap == 16 ? sizeof bloom - 16 : cap;
    }
    index_query_free(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint32_t link_types[] = {LINK_ETHERNET, LINK_RAW, LINK_IPV4, LINK_IPV6, LINK_NULL,
                                          LINK_LOOP,     LINK_SLL, LINK_SLL2, LINK_PPP,  105};
    struct filter_insn program[256] = {0};
    struct bytes_reader r = bytes_reader(data, n);
    uint32_t link_type = link_types[bytes_u8(&r) % ARRAY_LEN(link_types)];
    uint32_t n_insns = read_program(&r, bytes_u8(&r), program);

    if (r.failed) {
        return 0;
    }
    struct packet_view packet = {.data = r.p, .caplen = (uint32_t)bytes_left(&r)};
    packet.len = packet.caplen;
    check(program, n_insns, &packet, link_type);
    return 0;
}
