/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a classic BPF program as a set of ways to "accept". Each way (path) is given as the facts
 * that a packet on it must satisfy: "the two bytes at 12 are 0x800". The walk is an abstract
 * interpretation: registers are unknown, constant, or bytes of the packet, and only comparisons
 * with constants give facts; everything else is forgotten, which makes a path weaker and never
 * wrong. So each accepted packet satisfies all facts of at least one path. Programs come from
 * libpcap, but any instructions are survived. Pure; used by index_query.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/filter.h"

/* A comparison that holds: (load & mask) == value. The load is `bytes` big-endian bytes at `at`,
 * or, with from_header, at `at` plus four times the low nibble of the byte at `header` (the length
 * of an IPv4 header there). That the load fits into the captured bytes is part of the fact. */
struct index_fact {
    uint32_t at;
    uint32_t header;
    uint32_t mask;
    uint32_t value;
    uint16_t bytes; /* 1, 2 or 4 */
    uint16_t from_header;
};

/* Facts beyond this on one path are forgotten. */
#define INDEX_FACTS_MAX 24

struct index_path {
    uint32_t n;
    struct index_fact facts[INDEX_FACTS_MAX];
};

typedef void (*index_path_cb)(const struct index_path *path, void *arg);

/* Calls on_path for each way to accept, some perhaps twice. Where there are too many ways they are
 * merged into weaker ones. False when the program is not understood at all (backward jumps as of
 * `protochain`, jumps out of the program, unknown instructions): it may accept anything, whatever
 * on_path was told. */
bool index_program_paths(const struct filter_insn *program, uint32_t n, index_path_cb on_path,
                         void *arg);
