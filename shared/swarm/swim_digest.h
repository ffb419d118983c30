/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of members in a DIGEST (swim_frame.h), entry by entry: what it covers, and who stands in
 * it. Lists are in the order of sids, so that two sorted tables are compared in one walk; whatever
 * is out of order, outside of the buckets that the list says it covers, or no possible entry, ends
 * it.
 *
 *    0  u64 buckets, little-endian: bit b for sids whose top 6 bits are b
 *    8  entries of 21 bytes: u64 sid, u64 boot, u32 seq, little-endian, u8 state
 */
#pragma once

#include "shared/swarm/swim_frame.h"

struct swim_digest_entry {
    uint64_t sid;
    struct swim_incarnation incarnation;
    uint8_t state; /* enum swim_state */
};

struct swim_digest_list {
    uint64_t buckets;
    const uint8_t *at; /* borrowed from the frame */
    const uint8_t *end;
    uint64_t last; /* sid */
};

#define SWIM_DIGEST_HEAD 8 /* bytes before the entries */

static inline unsigned swim_digest_bucket(uint64_t sid)
{
    return (unsigned)(sid >> 58);
}

/* Writers: the head, then entries behind it in the order of sids. */
void swim_digest_put_head(uint8_t out[SWIM_DIGEST_HEAD], uint64_t buckets);
void swim_digest_put_entry(uint8_t out[SWIM_DIGEST_ENTRY], const struct swim_digest_entry *entry);

/* last: the sid that the list before it (SWIM_DIGEST_MORE) ended with, 0 for the first. False: the
 * bytes are no list. */
bool swim_digest_open(const uint8_t *bytes, size_t n, uint64_t last, struct swim_digest_list *list);
/* 1: an entry; 0: no more; −1: not a list, drop it. */
int swim_digest_next(struct swim_digest_list *list, struct swim_digest_entry *entry);
