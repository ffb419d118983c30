/* SPDX-License-Identifier: Apache-2.0
 *
 * Random packets of many shapes, sane and broken, and random filter expressions, both from small
 * pools of values so that they meet often. Deterministic: everything follows from the seed. Used by
 * the soundness test of the index.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tests/support/splitmix.h"

struct random_source {
    uint64_t state;
};

static inline uint64_t random_u64(struct random_source *r)
{
    return splitmix_u64(&r->state);
}

/* 0 … n-1 */
static inline uint32_t random_below(struct random_source *r, uint32_t n)
{
    return splitmix_below(&r->state, n);
}

#define RANDOM_PACKET_MAX 256

/* Writes a packet of the link type; returns its bytes, 0 to RANDOM_PACKET_MAX. */
uint32_t random_packet(struct random_source *r, uint32_t link_type, uint8_t *out);

/* Writes a filter expression. It may be one that libpcap refuses for some link types. */
void random_filter(struct random_source *r, char *out, size_t n);
