/* SPDX-License-Identifier: Apache-2.0
 *
 * start-capture on several nodes, and questions about what may be a job or the capture of one node.
 */
#pragma once

#include "cli/manage.h"

struct job_call {
    const struct option_list *interfaces;
    bool of_nodes;        /* --nodes, --all or --select */
    const char *start_at; /* "+3s", or a time */
    int policy, late;     /* -1: not said */
    uint64_t quorum;
    bool wait, yes;
    struct json_t *args; /* moved: what is common with capture.start */
};

/* Is it a job, and no capture at once on the node asked? */
bool job_call_is_meant(const struct job_call *call);
int job_call_start(struct command_context *ctx, const struct job_call *call);

/* job.status of what may be a job; then *job is true. Else the session of capture.stats. */
int job_call_find(struct manage *manage, const char *id, struct json_t **answer, bool *is_job,
                  struct err *err);
/* Asks until it has ended; an interrupt stops it, on all nodes. */
int job_call_wait(struct command_context *ctx, struct manage **manage, const char *id,
                  struct json_t **job);
