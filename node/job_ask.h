/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as they are asked for from outside. Any node can be asked; the one that is, is the
 * coordinator for this call alone: it asks or tells all nodes that the job is for, and what it
 * hears joins what the journal has. When it dies in the middle, the others still have what they
 * were told and what the swarm's desired state says. Answers are those of node/job_json.h. Loop
 * thread.
 */
#pragma once

#include "node/ask.h"
#include "node/jobs.h"

struct job_wish {
    struct job_spec spec; /* without id, version, creator, times */
    int64_t start_ns;     /* swarm time; 0: as soon as all can be armed */
    uint64_t duration_ns; /* 0: none */
};

/* On whose behalf other nodes are asked. */
struct job_caller {
    unsigned rights;
    const char *who; /* borrowed */
    uint64_t deadline_ns;
};

/* Makes the specification, arms the nodes, and lets it go or calls it off as the policy says. What
 * it gives is good until the answer; NULL: that came already, or is about to. job_asking_gone:
 * nobody waits for it any more; a job that nobody was told of is called off. */
struct job_asking;
struct job_asking *job_ask_start(struct node *node, const struct job_wish *wish,
                                 const struct job_caller *caller, const struct asker *asker);
void job_asking_gone(struct job_asking *asking);

/* One job of all nodes; only_here: the row of this node alone. */
void job_ask_status(struct node *node, const char *text, bool only_here,
                    const struct job_caller *caller, const struct asker *asker);
/* The same after the flag was raised on all nodes that can be reached. */
void job_ask_stop(struct node *node, const char *text, unsigned flag, bool only_here,
                  const struct job_caller *caller, const struct asker *asker);
/* From another node: as it is to be done here, answered with the row of this node when it is armed
 * in the journal. */
void job_ask_arm(struct node *node, const struct job_spec *spec, const struct asker *asker);
/* All that this node knows, oldest first, with what it has heard of the others so far. */
void job_ask_list(struct node *node, const struct asker *asker);
