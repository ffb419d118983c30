/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a watch share: watch.c (streams and their calls), watch_list_jansson.c (whom
 * and what to follow). Private.
 */
#pragma once

#include "cli/watch.h"

#define WATCH_NAME_MAX 256u

enum watch_state {
    WATCH_ENDED, /* may be opened at retry_ns */
    WATCH_OPENING,
    WATCH_OPEN, /* nothing is under way */
    WATCH_READING,
    WATCH_CLOSING,
};

struct watch_stream {
    char *iface; /* owned */
    uint32_t node;
    enum watch_state state;
    bool is_listed; /* its node still has it */
    bool was_open;
    uint32_t call;
    uint64_t stream; /* of the node */
    uint32_t source; /* of the merge; UINT32_MAX: none yet */
    struct merge_clock_sample clock;
    bool has_clock;
    uint64_t lost; /* of this opening */
    uint64_t lost_before;
    uint64_t opened_ns;
    uint64_t retry_ns;
    uint32_t n_failures; /* in a row */
    uint32_t n_gaps;
};

struct watch_node {
    char *name;    /* owned */
    char *id;      /* owned; "" = not known */
    bool is_asked; /* the node asked itself, alone: calls need no name */
    bool answers;
    bool is_unfit; /* and that is said */
    bool is_whole;
    char why[256];
};

struct watch {
    struct watch_spec spec;
    struct watch_node *nodes; /* owned */
    uint32_t n_nodes;
    struct watch_stream *streams; /* owned */
    uint32_t n_streams;
    uint32_t *owners; /* owned: the stream of each source of the merge */
    uint32_t n_owners;
    bool is_closing;
    bool is_full; /* that there are more than WATCH_STREAMS_MAX is said */
};

/* A sum that stops at the most: counters of others may be anything. */
static inline uint64_t watch_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void watch_say(struct watch *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void watch_not_whole(struct watch_node *node, const char *why);
void watch_open_stream(struct watch *w, struct watch_stream *s, uint64_t now_ns);
