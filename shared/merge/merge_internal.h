/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of shared/merge share of a merge. Private.
 */
#pragma once

#include "shared/merge/merge_source.h"

/* The packet that the output ends with. */
struct merge_place {
    uint64_t key;
    uint64_t number;
    uint32_t rank;
    bool is_any; /* false: nothing was written */
};

/* An interface of the output: of which source it is. */
struct merge_out_iface {
    uint32_t source;
    uint32_t iface;
    uint32_t era;
};

struct merge {
    struct merge_source **sources; /* owned */
    uint32_t n_sources;
    struct time_heap heap; /* of sources: not before when the next packet of each comes */
    bool is_classic;
    bool is_begun; /* the head is written */
    uint64_t hold_ns;
    uint64_t window_ns;
    uint64_t from_ns;
    uint64_t to_ns;
    uint64_t reorder_bytes; /* of one source */
    size_t share_bytes;
    uint64_t now_ns;
    struct merge_place place;
    struct merge_place resumed;   /* as it was saved: what lies behind it is not written again */
    struct merge_out_iface *outs; /* owned */
    uint32_t n_outs;
    uint32_t cap_outs;
    uint64_t n_unnumbered;
    uint64_t last_ns;
    uint32_t link_type; /* classic: of the file */
    uint32_t waits_for; /* UINT32_MAX: nobody */
    char *application;
    char *comment;
};

/* Appends the head, once. */
void merge_put_head(struct merge *m, struct buf *out);
/* Appends a packet, and its interface before it where that is new. */
void merge_put_packet(struct merge *m, struct merge_source *s, const struct merge_entry *e,
                      struct buf *out);
/* The number in the output of an interface of a source in that era, which it gets now if it has
 * none; *is_new: an interface has to be described. */
uint32_t merge_out_number(struct merge *m, struct merge_source *s, uint32_t iface, uint32_t era,
                          bool *is_new);
