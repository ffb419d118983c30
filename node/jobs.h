/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs that this node knows, its own part in them and what it heard of the others': the glue
 * between the state machine (shared/jobs/job.h), the captures, the journal in the state directory
 * and the swarm's desired state. A node without a swarm runs jobs for itself. All on the loop; what
 * blocks is on workers. Times are swarm time in ns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/jobs/job_status.h"

#define JOBS_UNTIMED_NS (10ull * 1000000000)
#define JOBS_MAX        256 /* that are known at a time; more are refused and counted */

struct jobs;
struct json_t;

/* Sets node->jobs and goes on with what the journal has. After captures and the swarm. */
int jobs_open(struct node *node, struct err *err);
/* Nothing begins any more; what runs goes on when the node comes back. */
void jobs_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node));
/* node->jobs is NULL when closed is called. */
void jobs_close(struct node *node, void (*closed)(struct node *node));

/* Somebody who has to know what time it is. */
struct jobs_later {
    TAILQ_ENTRY(jobs_later) next;
    bool wants_settled; /* also, that it will not step: whoever says when something begins */
    void (*go_on)(struct jobs_later *later);
};
/* True: swarm time is not known yet, or not settled (for SWIM_CLOCK_SETTLE after a swarm was
 * founded), and go_on is called, once, when it is, or will not be: a node that nobody answers goes
 * by its own clock after JOBS_UNTIMED_NS. */
bool jobs_wait_for_time(struct jobs *jobs, struct jobs_later *later);
/* Of one that waits: go_on will not be called. */
void jobs_wait_no_more(struct jobs *jobs, struct jobs_later *later);
int64_t jobs_now_ns(struct jobs *jobs);
/* This host's wall clock minus swarm time, now. */
int64_t jobs_offset_ns(struct jobs *jobs);
/* Of this node in the swarm; 0: there is none. */
uint64_t jobs_self(const struct jobs *jobs);

/* This node is to do its part. decided: once, now or later: its row when it is armed in the
 * journal, or why not. ERR_LIMIT: JOBS_MAX; ERR_USAGE: the specification is not well, or another
 * one of that id is known. */
int jobs_arm(struct jobs *jobs, const struct job_spec *spec,
             void (*decided)(void *arg, const struct job_row *row), void *arg, struct err *err);
/* From the swarm, or to be kept for it. The same errors. */
int jobs_know(struct jobs *jobs, const struct job_spec *spec, struct err *err);
/* By its id, at least 8 characters of it, its name, or "last". ERR_NOT_FOUND, ERR_AMBIGUOUS. */
int jobs_find(const struct jobs *jobs, const char *text, struct id *out, struct err *err);
/* Raises a flag here and, as desired state, everywhere. */
void jobs_raise(struct jobs *jobs, const struct id *id, unsigned flag);
/* A flag that somebody has raised. */
void jobs_take_flag(struct jobs *jobs, const struct id *id, unsigned flags);

/* Borrowed for this turn; NULL: not known. */
const struct job *jobs_get(const struct jobs *jobs, const struct id *id);
/* What is known of the others. */
const struct job_rows *jobs_rows(const struct jobs *jobs, const struct id *id);
/* The row of this node; false: the job is not known here, or not for it. */
bool jobs_own_row(const struct jobs *jobs, const struct id *id, struct job_row *out);
/* What was heard of another node is kept, and written when something else is. */
void jobs_heard(struct jobs *jobs, const struct id *id, const struct job_row *row);
/* Oldest first. */
void jobs_each(const struct jobs *jobs, void (*each)(const struct job *job, void *arg), void *arg);
/* Refreshes the counters of what runs here, then calls done(arg). */
void jobs_refresh(struct jobs *jobs, void (*done)(void *arg), void *arg);
/* The record of desired state is told to the swarm. */
void jobs_spread(struct jobs *jobs, const struct id *id);

void jobs_metrics(struct node *node, struct buf *out);
