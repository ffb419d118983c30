/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_job.h"

#include "node/store_access.h"
#include "node/work.h"

/* `gone` of the call is read on the loop alone: a job that began runs to its end. */
static void run(void *arg)
{
    struct rpc_job *job = arg;

    job->run(job);
}

static void finish(struct rpc_job *job)
{
    struct rpc_call *call = job->call;

    job->release(job);
    rpc_call_unref(call);
}

static void done(void *arg, bool cancelled)
{
    struct rpc_job *job = arg;

    if (cancelled) {
        rpc_call_fail(job->call, RPC_CODE_ENDING, "the node is ending");
    } else if (job->err.code < 0) {
        rpc_call_fail_err(job->call, &job->err);
    } else if (!rpc_call_is_gone(job->call)) {
        job->reply(job);
    } else {
        struct buf nothing = {0};
        rpc_call_reply_packed(job->call, &nothing); /* done, though nobody hears it: the audit */
    }
    finish(job);
}

void rpc_job_start(struct rpc_job *job, struct rpc_call *call, struct node *node)
{
    job->call = rpc_call_ref(call);
    job->node = node;
    if (!work_run(node, run, done, job)) {
        rpc_call_fail(call, RPC_CODE_BUSY, "the node has too much to do: try again later");
        finish(job);
    }
}

void rpc_job_read(struct rpc_job *job,
                  int (*use)(struct store *store, struct rpc_job *job, struct err *err))
{
    struct store *store = NULL;

    if (node_store_borrow(job->node->store, &store, &job->err) < 0) {
        return;
    }
    int r = use(store, job, &job->err);
    node_store_return(job->node->store, store, r);
    if (r < 0 && job->err.code == 0) {
        err_set(&job->err, r, "%s", err_name(r));
    }
}
