/* SPDX-License-Identifier: Apache-2.0
 *
 * What a merged download is of: sessions of several nodes of a swarm, those of a job or those that
 * were named, and how each one's clock stood against a common time. All of it comes from nodes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/manage.h"
#include "shared/merge/merge_clock.h"

#define PULL_SOURCES_MAX 1024u

/* A session of a node. */
struct pull_source {
    char *node;             /* its name */
    char *node_id;          /* in full; NULL: the node asked, which is in no swarm */
    char *id;               /* of the session */
    struct json_t *session; /* as session.list has it */
    struct merge_clock_sample *clock;
    uint32_t n_clock; /* 0: nothing is known that can be compared with the others */
};

/* A node that has nothing to give, and why: it did not answer, or took no part in the job. */
struct pull_absent {
    char *node;
    char *node_id; /* or NULL */
    char *why;
    bool is_expected; /* it had nothing to record: the file lacks nothing of it */
};

struct pull_plan {
    struct pull_source *sources; /* by node and start of the session */
    uint32_t n_sources;
    struct pull_absent *absent;
    uint32_t n_absent;
    char *capture_id;  /* of the job, in full; NULL: none */
    char *reference;   /* whose clock is the common time: the first 16 digits of its id */
    bool is_one_swarm; /* with no reference: the common time is that of the swarm */
};

struct pull_request {
    const struct option_list *sessions; /* ids, starts of them, names, "last" */
    const char *capture_id;             /* NULL: the sessions */
};

/* True when one session of one node is meant, which needs no merge. */
bool pull_is_of_one(const struct command_context *ctx, const struct pull_request *request);

/* Asks the nodes. ERR_NOT_FOUND: nobody has such a session. Release with pull_plan_deinit, also
 * after a failure. */
int pull_plan_find(struct command_context *ctx, struct manage *manage,
                   const struct pull_request *request, struct pull_plan *plan);
void pull_plan_deinit(struct pull_plan *plan);

/* Takes the samples of all sessions: against the clock of one member, where each was measured
 * against it all the way; else against the time of the swarm that most are of. */
void pull_plan_set_clocks(struct pull_plan *plan);
