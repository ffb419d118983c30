/* SPDX-License-Identifier: Apache-2.0
 *
 * An RPC call that is answered by a worker thread: `run` there, then `reply` on the loop, unless
 * the call is gone. Embedded in the struct of a handler, which holds what the two tell each other.
 */
#pragma once

#include "node/node.h"
#include "node/rpc.h"
#include "shared/store/store.h"

struct rpc_job {
    struct rpc_call *call; /* a reference */
    struct node *node;
    struct err err; /* set by run: then the answer is this error */
    /* On a worker. */
    void (*run)(struct rpc_job *job);
    /* On the loop; not called after an error or when the call is gone. */
    void (*reply)(struct rpc_job *job);
    /* On the loop, last; frees the struct around it. */
    void (*release)(struct rpc_job *job);
};

/* Starts it; when too much waits the answer is "busy" and release follows at once. */
void rpc_job_start(struct rpc_job *job, struct rpc_call *call, struct node *node);

/* On a worker: use(store, job) with a reader; its error goes into job->err. Where there is no store
 * yet: ERR_NOT_FOUND. */
void rpc_job_read(struct rpc_job *job,
                  int (*use)(struct store *store, struct rpc_job *job, struct err *err));
