/* SPDX-License-Identifier: Apache-2.0
 *
 * What blocks to find out about store, disk and process. A worker looks at it for those who ask
 * (/health, /metrics, /api/v1/stats), once a second at most whoever asks how often, and every ten
 * seconds while nobody does: a node that has nothing to do is to cost nothing. The same beat closes
 * readers of the store that stand idle.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "node/node.h"
#include "shared/base/buf.h"

struct gauges_store {
    bool exists;
    bool is_readable; /* also when there is none */
    char why_not[256];
    bool is_encrypted;
    uint64_t sessions;
    uint64_t used_bytes;  /* on disk, with catalogue and its log */
    char no_writing[256]; /* why nothing can be recorded; "" = it can */
    uint64_t free_bytes;  /* of the file system; UINT64_MAX: unknown */
};

struct gauges_process {
    double cpu_seconds;
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t threads;
    uint64_t open_fds;
    uint64_t max_fds; /* UINT64_MAX: no limit */
};

struct gauges_sample {
    struct gauges_store store;
    struct gauges_process process;
    uint64_t taken_ns; /* monotonic; 0: not yet */
};

struct gauges;

/* Sets node->gauges and looks for the first time. Needs node->store and node->work. */
int gauges_open(struct node *node, struct err *err);
/* node->gauges is NULL when closed is called. */
void gauges_close(struct node *node, void (*closed)(struct node *node));
/* A worker may have left a reader of the store standing idle: it is looked at within a second, and
 * else within ten. */
void gauges_wake(struct node *node);
/* Calls done(arg) on the loop, now or later, when what gauges_newest gives is not older than a
 * second; also when the disk does not answer for two, and when the node is ending. */
void gauges_refresh(struct node *node, void (*done)(void *arg), void *arg);
/* A look has been under way for long: a dead disk, a full work queue. */
#define GAUGES_HANG_NS (15u * 1000000000ull)
bool gauges_hang(const struct gauges *gauges);
/* The newest one. Borrowed. */
const struct gauges_sample *gauges_newest(const struct gauges *gauges);

/* Families of store and process for /metrics. */
void gauges_metrics(struct node *node, struct buf *out);
