/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_job.h"

static void on_refused(void *arg, bool is_ending, const char *why)
{
    struct rpc_job *job = arg;

    rpc_call_fail(job->call, is_ending ? RPC_CODE_ENDING : RPC_CODE_BUSY, "%s", why);
    rpc_call_unref(job->call);
}

/* `gone` of the call is read on the loop alone: a job that began runs to its end. */
static void on_done(void *arg, const struct answer *answer, const struct err *err)
{
    struct rpc_job *job = arg;
    struct rpc_call *call = job->call;

    if (answer == NULL) {
        rpc_call_fail_err(call, err);
    } else if (!rpc_call_is_gone(call)) {
        job->reply(job);
    } else {
        struct buf nothing = {0};
        rpc_call_reply_packed(call, &nothing); /* done, though nobody hears it: the audit */
    }
    rpc_call_unref(call);
}

void rpc_job_start(struct rpc_job *job, struct rpc_call *call, struct node *node)
{
    const struct asker asker = {.done = on_done, .refused = on_refused, .arg = job};

    job->call = rpc_call_ref(call);
    ask_start(&job->ask, node, &asker);
}
