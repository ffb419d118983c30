/* SPDX-License-Identifier: Apache-2.0
 *
 * A question (node/ask.h) that RPC alone asks, and whose answer is no JSON: `run` of the ask on a
 * worker, then `reply` on the loop, unless the call is gone. Embedded in the struct of a handler,
 * which holds what the two tell each other.
 */
#pragma once

#include "node/ask.h"
#include "node/rpc.h"

struct rpc_job {
    struct ask ask;        /* its run is the handler's; release frees the struct around both */
    struct rpc_call *call; /* a reference */
    /* On the loop; not called after an error or when the call is gone. */
    void (*reply)(struct rpc_job *job);
};

void rpc_job_start(struct rpc_job *job, struct rpc_call *call, struct node *node);
