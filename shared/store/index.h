/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of a frame (a run of up to about 1 MiB of packets): a small Bloom filter over the
 * addresses, ports, protocols, ether types and flows in it. At most 1 % of the packet bytes, sized
 * by the number of distinct keys. A query asks it through an index_query that is derived from the
 * compiled BPF program itself (never from the text of the expression): each way through the program
 * to "accept" compares header fields with constants; those that the index understands become keys
 * that must all be present, everything else is ignored, so a frame without the keys of any
 * accepting path cannot contain a match. What is not understood is scanned, never missed. Pure.
 *
 * The bytes of a filter; the keys and their hash are in index_keys.h:
 *
 *   0  u8  version = 1
 *   1  u8  k: bits set for each key, 1 to 8
 *   2  u8  kinds: bit n = every key of enum index_kind n that occurs is in here; of the others
 *          nothing is known (they did not fit)
 *   3  u8  0
 *   4  ..  m = 8 * (bytes - 4) bits, bit i is bit i % 8 of byte 4 + i / 8. A key h sets, for
 *          j = 0 … k-1, bit ((low + j * high) mod 2^32) * m / 2^32 with low = h mod 2^32,
 *          high = h / 2^32 | 1.
 *
 * Any other version or length, and no bytes at all, mean "may contain anything".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/packet/block.h"
#include "shared/packet/filter.h"
#include "shared/store/protocol.h"

#define INDEX_VERSION 1
/* Of one frame; of one kind a quarter of it. Kinds that have more are left out of the filter. */
#define INDEX_KEYS_MAX 65536u

/* Collects keys of one frame. Reusable; memory is bounded by INDEX_KEYS_MAX distinct keys. */
struct index_builder;

struct index_builder *index_builder_new(void);
void index_builder_free(struct index_builder *b);
void index_builder_reset(struct index_builder *b);
/* About 20 ns a packet: called for every packet that is stored. */
void index_builder_add(struct index_builder *b, const struct packet_view *packet,
                       uint32_t link_type);
/* What was added since the reset. Borrowed. */
const struct protocol_tally *index_builder_tally(const struct index_builder *b);
/* Writes the filter; returns its bytes (0 = "may contain anything", used when nothing fits). `cap`
 * is the most that may be used, e.g. 1 % of the packet bytes. out holds at least cap bytes. */
size_t index_builder_finish(struct index_builder *b, uint8_t *out, size_t cap);

struct index_query;

/* From a program for one link type. NULL program: matches all. Never fails: at worst the query says
 * "maybe" to all. */
struct index_query *index_query_new(const struct filter_insn *program, uint32_t n,
                                    uint32_t link_type);

/* Fields of one packet as decode.h finds them, for queries that speak of columns in place of BPF:
 * all that are named must be there. */
#define INDEX_FIELDS_MAX 4

struct index_field_addr {
    bool is_ip6;
    uint8_t bytes[16]; /* IPv4: the first four */
};

struct index_fields {
    size_t n_addrs; /* sender or receiver */
    struct index_field_addr addrs[INDEX_FIELDS_MAX];
    size_t n_ports; /* of either side */
    uint16_t ports[INDEX_FIELDS_MAX];
    bool has_proto; /* IP protocol, behind extension headers */
    uint8_t proto;
};

/* Works for every link type. Nothing named: matches all. */
struct index_query *index_query_of_fields(const struct index_fields *fields);
void index_query_free(struct index_query *q);
/* True when the frame whose filter this is may hold a match. n = 0 bytes: always true. */
bool index_query_maybe(const struct index_query *q, const uint8_t *bloom, size_t n);
/* True when the query narrows nothing. */
bool index_query_is_open(const struct index_query *q);
/* The number of alternatives (ways to accept) that are asked; 0 = nothing can match. */
size_t index_query_alternatives(const struct index_query *q);
