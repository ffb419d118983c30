/* SPDX-License-Identifier: Apache-2.0
 *
 * What blocks to find out about store, disk and process, looked at once a second by a worker, so
 * that /health, /metrics and /api/v1/stats answer from memory whoever asks how often. The same beat
 * closes readers of the store that stand idle.
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
/* The newest one. Borrowed. */
const struct gauges_sample *gauges_newest(const struct gauges *gauges);

/* Families of store and process for /metrics. */
void gauges_metrics(struct node *node, struct buf *out);
