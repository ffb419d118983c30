/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a node: opens its parts (node/part.h), runs the loop, and ends. SIGTERM and SIGINT
 * drain: nothing new is accepted, viewers get a close frame, captures are flushed; the process is
 * gone within NODE_DRAIN_MAX_MS whatever hangs. A second signal ends it at once. SIGHUP reads again
 * what can change while running.
 */
#pragma once

#include "node/node.h"

#define NODE_DRAIN_MS     3500 /* what the parts get for draining */
#define NODE_DRAIN_MAX_MS 4500 /* then the process ends, with a line that says so */

struct node_run_opts {
    /* Called on SIGHUP before the parts are told; may change *options (the log level). May be NULL.
     */
    int (*reload)(void *arg, struct err *err);
    void *arg;
};

/* Returns when the node has ended: 0, or what kept it from starting. Once a process. */
int node_run(const struct node_options *options, const struct node_run_opts *opts, struct err *err);
