/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/index_builder.h"

#include <string.h>

/* Bits a key: what a filter has where there is room, below what the kinds that are nice to have are
 * left out, and below what even ports and addresses are. 12 bits give 0.5 % of false answers a key,
 * 8 bits 2 %, 4 bits 15 %. More than PROBES_BEST probes would take longer and gain nearly nothing.
 */
#define BITS_BEST   12u
#define BITS_GOOD   8u
#define BITS_POOR   4u
#define PROBES_BEST 5u

/* The kinds that fit into n_bits, as a mask, with the number of their keys. Kinds are taken in the
 * order of what queries lose without them: flows come last, since their addresses and ports one by
 * one say nearly as much. */
static uint8_t choose_kinds(const struct index_builder *b, uint64_t n_bits, uint32_t *n_keys)
{
    static const struct {
        enum index_kind kind;
        uint32_t bits; /* fewest a key that it may leave */
    } order[INDEX_KINDS] = {
        {INDEX_LINK, BITS_POOR}, {INDEX_PROTO, BITS_POOR}, {INDEX_ADDR, BITS_POOR},
        {INDEX_PORT, BITS_POOR}, {INDEX_MAC, BITS_GOOD},   {INDEX_NET, BITS_GOOD},
        {INDEX_FLOW, BITS_GOOD},
    };
    uint8_t kinds = 0;
    uint32_t n = 0;

    for (size_t i = 0; i < INDEX_KINDS; i++) {
        uint32_t more = b->of_kind[order[i].kind];
        uint8_t bit = (uint8_t)(1u << order[i].kind);
        if ((b->lost & bit) == 0 && (more == 0 || (uint64_t)(n + more) * order[i].bits <= n_bits)) {
            kinds |= bit;
            n += more;
        }
    }
    *n_keys = n;
    return kinds;
}

/* Flows that found no room were collected in vain: the next frames do without, until there would be
 * room. */
static void decide_on_flows(struct index_builder *b, uint8_t kinds, uint32_t n_keys, uint64_t room)
{
    if (b->without_flows) {
        b->without_flows = (uint64_t)(n_keys + b->flows_left_out) * BITS_GOOD > room;
    } else {
        b->without_flows = b->of_kind[INDEX_FLOW] > 0 && (kinds >> INDEX_FLOW & 1) == 0;
    }
}

/* The best number of probes is ln 2 times the bits a key. */
static uint32_t probes_for(uint64_t n_bits, uint32_t n_keys)
{
    uint64_t k = n_keys == 0 ? 1 : (n_bits * 693 + 500ull * n_keys) / (1000ull * n_keys);

    return k < 1 ? 1 : k > PROBES_BEST ? PROBES_BEST : (uint32_t)k;
}

static void set_bits(uint8_t *bits, uint32_t n_bits, uint32_t n_probes, uint64_t key)
{
    for (uint32_t i = 0; i < n_probes; i++) {
        uint32_t bit = index_bit(key, i, n_bits);
        bits[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

size_t index_builder_finish(struct index_builder *b, uint8_t *out, size_t cap)
{
    uint32_t n_keys;

    if (cap <= INDEX_HEADER_BYTES) {
        return 0;
    }
    uint64_t room = (uint64_t)(cap - INDEX_HEADER_BYTES) * 8;
    uint8_t kinds = choose_kinds(b, room, &n_keys);
    decide_on_flows(b, kinds, n_keys, room);
    uint64_t best = (uint64_t)n_keys * BITS_BEST + 8;
    uint32_t n_bytes = (uint32_t)((best < room ? best : room) / 8);
    uint32_t n_probes = probes_for((uint64_t)n_bytes * 8, n_keys);
    if (kinds == 0) {
        return 0;
    }

    uint8_t *bits = out + INDEX_HEADER_BYTES;
    memset(bits, 0, n_bytes);
    out[0] = INDEX_VERSION;
    out[1] = (uint8_t)n_probes;
    out[2] = kinds;
    out[3] = 0;
    for (uint32_t i = 0; i < b->n_keys; i++) {
        if ((kinds >> index_kind_of(b->keys[i]) & 1) != 0) {
            set_bits(bits, n_bytes * 8, n_probes, b->keys[i]);
        }
    }
    return INDEX_HEADER_BYTES + n_bytes;
}
