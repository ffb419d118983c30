/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of node/jobs share: jobs_uv.c has the table, the time and the journal;
 * jobs_capture.c checks and captures; jobs_spread.c talks with the swarm; jobs_clock.c measures the
 * clocks of its members; jobs_time.c waits until there is a time to go by. Private to them.
 */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "node/jobs.h"

struct job_waiter {
    struct job_waiter *next;
    void (*decided)(void *arg, const struct job_row *row);
    void *arg;
};

struct job_entry {
    struct jobs *jobs;
    TAILQ_ENTRY(job_entry) next; /* by their ids: the oldest first */
    struct job job;
    struct job_rows rows; /* of the others */
    struct job_waiter *waiters;
    unsigned refs;       /* the table, and what is under way */
    bool is_gone;        /* no longer in the table */
    uint32_t snapshot;   /* its change that is being written; 0: it is not in it */
    enum job_state said; /* to the log */
};
TAILQ_HEAD(job_list, job_entry);

struct jobs {
    struct node *node;
    uv_timer_t timer;
    struct job_list all;
    size_t n;
    char *dir;         /* owned */
    uint64_t floor_ms; /* a damaged journal: what is older may have run */
    bool is_writing;
    bool wants_writing;
    bool is_ending;
    unsigned n_busy; /* workers and captures that will call back */
    void (*closed)(struct node *node);
    bool is_timed;       /* swarm time is known: before, nothing is decided */
    uint64_t untimed_ns; /* since boot: until then it is waited for */
    TAILQ_HEAD(, jobs_later) later;
    int64_t offset_ns;      /* our wall clock minus swarm time, as last known */
    uint64_t clocks_due_ns; /* since boot: the members' are measured again; 0: at once */
    size_t clocks_at;       /* those that are next, where they are many */
    uint64_t n_refused, n_armed, n_missed, n_failed;
};

#define JOBS_CLOCKS_EVERY_NS (10ull * 1000000000)

/* jobs_uv.c */
/* What the journal has goes on, now that the time is known. */
void jobs_begin_again(struct jobs *jobs);
struct job_entry *jobs_entry(const struct jobs *jobs, const struct id *id);
/* For what is due next. */
void jobs_arm_timer(struct jobs *jobs);
/* Does what its machine wants done; afterwards the timer is right. */
void jobs_drive(struct job_entry *entry);
struct job_entry *job_entry_ref(struct job_entry *entry);
void job_entry_unref(struct job_entry *entry);
/* Something is under way that holds the entry, and no longer. */
void jobs_busy(struct job_entry *entry);
void jobs_idle(struct job_entry *entry);
/* A new entry, driven; NULL: there are too many. */
struct job_entry *jobs_add(struct jobs *jobs, const struct job_spec *spec, struct err *err);

/* jobs_capture.c */
void jobs_check(struct job_entry *entry);
void jobs_start(struct job_entry *entry);
void jobs_end(struct job_entry *entry);

/* jobs_time.c */
/* False: nothing is to be decided yet. */
bool jobs_look_at_time(struct jobs *jobs);
/* Those that wait go on where they may; all, to be told so, where the node ends. */
void jobs_let_go_on(struct jobs *jobs);
/* Since boot, when somebody who waits may go on; UINT64_MAX: nobody waits. */
uint64_t jobs_later_due_ns(struct jobs *jobs);

/* jobs_spread.c */
void jobs_spread_open(struct jobs *jobs);
void jobs_spread_close(struct jobs *jobs);
void jobs_spread_entry(struct job_entry *entry);
/* It has begun, so nobody calls it off any more: where its creator died before it said so, the
 * others hear of it here, and can tell of it and stop it. */
void jobs_spread_begun(struct job_entry *entry);
void jobs_spread_flag(struct job_entry *entry, unsigned flag);

/* jobs_clock.c */
void jobs_clocks_armed(struct job_entry *entry);
/* Measures, where it is time. */
void jobs_clocks_look(struct jobs *jobs);
/* Since boot, when to look; UINT64_MAX: no job begins or runs. */
uint64_t jobs_clocks_due_ns(struct jobs *jobs);
