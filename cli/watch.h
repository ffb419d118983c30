/* SPDX-License-Identifier: Apache-2.0
 *
 * Following interfaces of many nodes through the one that is asked: which streams are open, what is
 * asked next, and what comes of it goes into a live merge (shared/merge). One call of a stream is
 * under way at a time: live.open, then live.read after live.read while the merge wants more, and
 * live.close. A stream that ends is told of, and opened anew after a while; the others go on. No
 * clock, no I/O: calls go out by watch_ops, answers are handed in. Nodes are hostile; what they
 * answer is believed about their own packets alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/merge/merge.h"
#include "shared/wire/rpc.h"

/* Followed at once; those beyond are told of, and not opened. */
#define WATCH_STREAMS_MAX 900u
#define WATCH_NODES_MAX   4096u

struct json_t; /* jansson's json_t */

struct watch_ops {
    /* Begins a call for that node (NULL: the one asked). 0 with its number. */
    int (*call)(void *arg, const char *node, const char *method, struct rpc_span args, uint32_t *id,
                struct err *err);
    /* A sentence about what happened, for people; printable ASCII but for names. */
    void (*tell)(void *arg, const char *text);
    void *arg;
};

struct watch_spec {
    const char *pattern; /* of names of interfaces, as of fnmatch */
    const char *filter;  /* NULL = all */
    uint32_t snaplen;    /* 0 = all */
    struct merge *merge; /* live; borrowed */
    struct watch_ops ops;
};

struct watch;

/* Borrows the texts of the spec. */
struct watch *watch_new(const struct watch_spec *spec);
void watch_free(struct watch *watch); /* takes NULL */

/* What node.interfaces answered: [{node, id, result | error}]. Opens what fits and is new, what has
 * ended some time ago, and stops opening what is gone; says who did not answer. ERR_DAMAGED: that
 * is no such answer. */
int watch_list(struct watch *watch, const struct json_t *answers, uint64_t now_ns, struct err *err);
/* The same of the node asked alone: an array of interfaces. */
int watch_list_own(struct watch *watch, const struct json_t *interfaces, uint64_t now_ns,
                   struct err *err);

/* An answer to a call of ours: error is NULL, or the node's. False: the call was not of a stream.
 * now_ns is monotonic. */
bool watch_answer(struct watch *watch, uint32_t id, struct rpc_span result,
                  const struct rpc_error *error, uint64_t now_ns);
/* Asks for more where the merge wants it now. */
void watch_go_on(struct watch *watch, uint64_t now_ns);
/* The connection has gone, and with it all streams. */
void watch_broke(struct watch *watch, const char *why, uint64_t now_ns);

/* The end: closes what is open; nothing is opened any more. */
void watch_close(struct watch *watch, uint64_t now_ns);
/* Calls under way. */
uint32_t watch_n_calls(const struct watch *watch);
/* Streams that there are, open or not. */
uint32_t watch_n_streams(const struct watch *watch);
/* Streams that are open. */
uint32_t watch_n_open(const struct watch *watch);
/* The sources of the merge end. */
void watch_end_sources(struct watch *watch);

/* What came of a node, so far. */
struct watch_told {
    const char *node;
    const char *id; /* "" = not known */
    uint64_t packets;
    uint64_t bytes;
    uint64_t lost;    /* between its captures and here */
    uint64_t dropped; /* by their kernels and interfaces */
    uint64_t late;
    uint64_t early;
    uint32_t n_open;
    uint32_t
        n_gaps; /* times that a stream ended and was opened anew: what was between is missing */
    bool is_followed; /* some of it was, at some time */
    bool is_whole;    /* it answered, and all that fits was followed from then to now */
    const char *why;  /* it is not; "" */
};

uint32_t watch_n_nodes(const struct watch *watch);
struct watch_told watch_told(const struct watch *watch, uint32_t node);
/* Of all of them: the counters, n_open, n_gaps and is_followed. */
struct watch_told watch_sum(const struct watch *watch);
