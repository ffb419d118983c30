/* SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: a specification comes (jobs_arm from the node that was asked, jobs_know with the
 * swarm's desired state) and gets an entry; its machine is driven; what it wants written goes to a
 * worker together with what all others want; what waits for it to be armed is told.
 */
#include "node/jobs_internal_uv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "node/gossip.h"
#include "node/job_file_posix.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/jobs/job_journal.h"

#define LATEST_MS 3600000 /* the timer looks again at least so often: the clock may be set */

/* ---- time ---- */

int64_t jobs_offset_ns(struct jobs *jobs)
{
    struct gossip_clock clock;

    if (jobs->node->gossip != NULL && gossip_clock_get(jobs->node->gossip, NULL, 0, &clock)) {
        jobs->offset_ns = clock.offset_ns;
    }
    return jobs->offset_ns;
}

int64_t jobs_now_ns(struct jobs *jobs)
{
    int64_t offset_ns = jobs_offset_ns(jobs);

    return (int64_t)clock_wall_ns() - offset_ns;
}

uint64_t jobs_self(const struct jobs *jobs)
{
    return jobs->node->gossip == NULL ? 0 : gossip_self(jobs->node->gossip);
}

/* ---- the table ---- */

struct job_entry *job_entry_ref(struct job_entry *entry)
{
    entry->refs++;
    return entry;
}

void job_entry_unref(struct job_entry *entry)
{
    if (--entry->refs == 0) {
        job_rows_deinit(&entry->rows);
        mem_free(entry);
    }
}

struct job_entry *jobs_entry(const struct jobs *jobs, const struct id *id)
{
    struct job_entry *entry;

    TAILQ_FOREACH (entry, &jobs->all, next) {
        if (id_compare(&entry->job.spec.id, id) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void insert(struct jobs *jobs, struct job_entry *entry)
{
    struct job_entry *other;

    TAILQ_FOREACH_REVERSE(other, &jobs->all, job_list, next)
    {
        if (id_compare(&other->job.spec.id, &entry->job.spec.id) < 0) {
            TAILQ_INSERT_AFTER(&jobs->all, other, entry, next);
            break;
        }
    }
    if (other == NULL) {
        TAILQ_INSERT_HEAD(&jobs->all, entry, next);
    }
    jobs->n++;
}

static struct job_entry *entry_new(struct jobs *jobs)
{
    struct job_entry *entry = x_alloc(sizeof *entry);

    *entry = (struct job_entry){.jobs = jobs, .refs = 1};
    return entry;
}

static void take_out(struct job_entry *entry)
{
    TAILQ_REMOVE(&entry->jobs->all, entry, next);
    entry->jobs->n--;
    entry->is_gone = true;
    job_entry_unref(entry);
}

/* What is over goes; where the table is full, also what has ended and nobody can begin any more. */
static void make_room(struct jobs *jobs, int64_t now_ns)
{
    struct job_entry *entry = TAILQ_FIRST(&jobs->all);

    while (entry != NULL) {
        struct job_entry *next = TAILQ_NEXT(entry, next);
        bool is_past = job_state_is_final(entry->job.state) && entry->job.doing == JOB_IDLE &&
                       now_ns > entry->job.spec.end_ns;
        if (entry->waiters == NULL &&
            (job_is_over(&entry->job, now_ns) || (jobs->n >= JOBS_MAX && is_past))) {
            take_out(entry);
            jobs->wants_writing = true;
        }
        entry = next;
    }
}

/* ---- the journal ---- */

struct writing {
    struct jobs *jobs;
    struct buf bytes;
    struct err err;
};

static void flush(struct jobs *jobs);

static void run_write(void *arg)
{
    struct writing *w = arg;

    (void)job_file_write(w->jobs->dir, &w->bytes, &w->err);
}

static void maybe_closed(struct jobs *jobs);

static void on_written(void *arg, bool cancelled)
{
    struct writing *w = arg;
    struct jobs *jobs = w->jobs;
    struct job_entry *entry = TAILQ_FIRST(&jobs->all);

    if (cancelled) { /* the node ends, and this is not to be lost */
        run_write(w);
    }
    if (w->err.code < 0) {
        log_error("%s", w->err.text);
    }
    jobs->is_writing = false;
    int64_t now_ns = jobs_now_ns(jobs);
    while (entry != NULL) { /* nothing of what follows takes one out */
        struct job_entry *next = TAILQ_NEXT(entry, next);
        if (entry->snapshot != 0 && entry->snapshot != entry->job.written) {
            job_on_written(&entry->job, entry->snapshot, w->err.code < 0 ? w->err.text : NULL,
                           now_ns);
            jobs_drive(entry);
        }
        entry = next;
    }
    buf_deinit(&w->bytes);
    mem_free(w);
    flush(jobs);
    maybe_closed(jobs);
}

static void flush(struct jobs *jobs)
{
    struct job_entry *entry;

    if (jobs->is_writing || !jobs->wants_writing) {
        return;
    }
    struct writing *w = x_alloc(sizeof *w);
    *w = (struct writing){.jobs = jobs};
    job_journal_begin(&w->bytes, jobs->floor_ms);
    TAILQ_FOREACH (entry, &jobs->all, next) {
        entry->snapshot = entry->job.change;
        job_journal_put(&w->bytes, &entry->job, &entry->rows);
    }
    jobs->wants_writing = false;
    jobs->is_writing = true;
    if (!work_run(jobs->node, run_write, on_written, w)) {
        on_written(w, true); /* too much waits: a moment of the loop, and not a lost promise */
    }
}

/* ---- driving ---- */

static void tell_decided(struct job_entry *entry)
{
    struct job_waiter *waiter = entry->waiters;
    struct job_row row;

    if (waiter == NULL || !job_is_decided(&entry->job)) {
        return;
    }
    job_row_of(&entry->job, jobs_self(entry->jobs), entry->jobs->node->name, &row);
    entry->waiters = NULL;
    while (waiter != NULL) {
        struct job_waiter *next = waiter->next;
        waiter->decided(waiter->arg, &row);
        mem_free(waiter);
        waiter = next;
    }
}

static void on_timer(uv_timer_t *timer);

static uint64_t ms_until(uint64_t due_ns)
{
    uint64_t now_ns = clock_boot_ns();

    return due_ns <= now_ns ? 0 : (due_ns - now_ns) / 1000000u + 1;
}

void jobs_arm_timer(struct jobs *jobs)
{
    struct job_entry *entry;
    int64_t now_ns = jobs_now_ns(jobs);
    int64_t at = INT64_MAX;

    if (jobs->is_ending) {
        uv_timer_stop(&jobs->timer);
        return;
    }
    if (!jobs->is_timed) {
        uv_update_time(jobs->node->loop);
        uv_timer_start(&jobs->timer, on_timer, ms_until(jobs->untimed_ns), 0);
        return;
    }
    TAILQ_FOREACH (entry, &jobs->all, next) {
        int64_t one = job_wake_ns(&entry->job);
        at = one < at ? one : at;
    }
    uint64_t wait_ms = at <= now_ns ? 0 : (uint64_t)(at - now_ns) / 1000000u + 1;
    uint64_t clocks_ms = ms_until(jobs_clocks_due_ns(jobs));
    wait_ms = clocks_ms < wait_ms ? clocks_ms : wait_ms;
    uint64_t later_ms = ms_until(jobs_later_due_ns(jobs));
    wait_ms = later_ms < wait_ms ? later_ms : wait_ms;
    if (TAILQ_EMPTY(&jobs->all) && TAILQ_EMPTY(&jobs->later)) {
        uv_timer_stop(&jobs->timer);
        return;
    }
    uv_update_time(jobs->node->loop);
    uv_timer_start(&jobs->timer, on_timer, wait_ms < LATEST_MS ? wait_ms : LATEST_MS, 0);
}

static void say(struct job_entry *entry)
{
    const struct job *job = &entry->job;
    char id[ID_TEXT_MAX];

    if (job->state == entry->said) {
        return;
    }
    entry->said = job->state;
    if (job->state == JOB_NOT_MINE || job->state == JOB_ARMING) {
        return;
    }
    id_format(&job->spec.id, id);
    if (job->state == JOB_ARMED) {
        jobs_clocks_armed(entry);
    }
    if (job->state == JOB_RUNNING) {
        jobs_spread_begun(entry);
    }
    entry->jobs->n_armed += job->state == JOB_ARMED;
    entry->jobs->n_missed += job->state == JOB_MISSED;
    entry->jobs->n_failed += job->state == JOB_FAILED;
    if (job->state == JOB_FAILED || job->state == JOB_MISSED) {
        log_warn("job %s is %s here: %s", id, job_state_words[job->state], job->reason);
    } else {
        log_info("job %s is %s%s%s", id, job_state_words[job->state],
                 job->reason[0] == '\0' ? "" : ": ", job->reason);
    }
}

void jobs_drive(struct job_entry *entry)
{
    struct jobs *jobs = entry->jobs;
    struct job_action action;

    (void)job_entry_ref(entry);
    while (!jobs->is_ending && !entry->is_gone &&
           job_next(&entry->job, jobs_now_ns(jobs), &action)) {
        switch (action.kind) {
        case JOB_WRITE:
            jobs->wants_writing = true;
            break;
        case JOB_CHECK:
            jobs_check(entry);
            break;
        case JOB_START:
            jobs_start(entry);
            break;
        case JOB_END:
            jobs_end(entry);
            break;
        }
    }
    say(entry);
    tell_decided(entry);
    job_entry_unref(entry);
    flush(jobs);
    jobs_arm_timer(jobs);
}

static void on_timer(uv_timer_t *timer)
{
    struct jobs *jobs = container_of(timer, struct jobs, timer);
    struct job_entry *entry = TAILQ_FIRST(&jobs->all);

    if (!jobs_look_at_time(jobs)) {
        jobs_arm_timer(jobs);
        return;
    }
    while (entry != NULL) {
        struct job_entry *next = TAILQ_NEXT(entry, next);
        job_on_time(&entry->job, jobs_now_ns(jobs));
        jobs_drive(entry);
        entry = next;
    }
    jobs_let_go_on(jobs);
    jobs_clocks_look(jobs);
    make_room(jobs, jobs_now_ns(jobs));
    flush(jobs);
    jobs_arm_timer(jobs);
}

struct job_entry *jobs_add(struct jobs *jobs, const struct job_spec *spec, struct err *err)
{
    int64_t now_ns = jobs_now_ns(jobs);

    make_room(jobs, now_ns);
    if (jobs->n >= JOBS_MAX) {
        jobs->n_refused++;
        err_set(err, ERR_LIMIT, "this node knows %d jobs already, which is as many as it can",
                JOBS_MAX);
        return NULL;
    }
    struct job_entry *entry = entry_new(jobs);
    job_begin(&entry->job, spec, job_selects(&spec->selector, jobs_self(jobs), &jobs->node->tags),
              now_ns);
    if (id_unix_ms(&spec->id) < jobs->floor_ms && !job_state_is_final(entry->job.state)) {
        job_fail(&entry->job, "its journal was damaged: it may have run here already");
    }
    insert(jobs, entry);
    jobs_drive(entry);
    return entry;
}

/* ---- opening ---- */

/* What cannot be read is no reason not to start: but nothing of before is begun then. */
static void distrust(struct jobs *jobs, const char *why)
{
    struct err err = {0};

    jobs->floor_ms = clock_wall_ns() / 1000000u;
    log_error("the journal of jobs in '%s' %s: no job of before begins here", jobs->dir, why);
    if (job_file_put_aside(jobs->dir, &err) < 0) {
        log_error("%s", err.text);
    }
}

static void restore(struct jobs *jobs, const struct buf *bytes)
{
    struct job_journal_reader reader;
    enum job_journal_result result = JOB_JOURNAL_DAMAGED;

    if (bytes->len == 0) {
        return;
    }
    if (!job_journal_open(bytes->data, bytes->len, &reader)) {
        distrust(jobs, "is none");
        return;
    }
    jobs->floor_ms = reader.floor_ms;
    for (;;) {
        struct job_entry *entry = entry_new(jobs);
        result = jobs->n < JOBS_MAX ? job_journal_next(&reader, &entry->job, &entry->rows)
                                    : JOB_JOURNAL_END;
        if (result != JOB_JOURNAL_JOB || jobs_entry(jobs, &entry->job.spec.id) != NULL) {
            job_entry_unref(entry);
            break;
        }
        entry->said = entry->job.state;
        insert(jobs, entry);
    }
    if (result == JOB_JOURNAL_DAMAGED) {
        distrust(jobs, "is damaged");
    }
}

void jobs_begin_again(struct jobs *jobs)
{
    make_room(jobs, jobs_now_ns(jobs));
    struct job_entry *entry = TAILQ_FIRST(&jobs->all);
    while (entry != NULL) {
        struct job_entry *next = TAILQ_NEXT(entry, next);
        job_restore(&entry->job, jobs_now_ns(jobs));
        jobs_drive(entry);
        entry = next;
    }
}

int jobs_open(struct node *node, struct err *err)
{
    const struct node_options *options = node->options;
    struct jobs *jobs = x_alloc(sizeof *jobs);
    struct buf bytes = {0};

    *jobs = (struct jobs){.node = node, .untimed_ns = clock_boot_ns() + JOBS_UNTIMED_NS};
    TAILQ_INIT(&jobs->all);
    TAILQ_INIT(&jobs->later);
    jobs->dir = options->state_dir != NULL ? x_strdup(options->state_dir)
                                           : x_sprintf("%s.d/node", options->database);
    int rc = job_file_read(jobs->dir, &bytes, err);
    if (rc < 0) {
        mem_free(jobs->dir);
        mem_free(jobs);
        buf_deinit(&bytes);
        return rc;
    }
    REQUIRE(uv_timer_init(node->loop, &jobs->timer) == 0);
    node->jobs = jobs;
    restore(jobs, &bytes);
    buf_deinit(&bytes);
    jobs_spread_open(jobs);
    if (!jobs_look_at_time(jobs)) {
        jobs_arm_timer(jobs);
    }
    return 0;
}

/* ---- ending ---- */

void jobs_busy(struct job_entry *entry)
{
    (void)job_entry_ref(entry);
    entry->jobs->n_busy++;
}

void jobs_idle(struct job_entry *entry)
{
    struct jobs *jobs = entry->jobs;

    jobs->n_busy--;
    job_entry_unref(entry);
    maybe_closed(jobs);
}

void jobs_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    struct jobs *jobs = node->jobs;
    struct job_entry *entry;

    (void)deadline_ns;
    jobs->is_ending = true;
    uv_timer_stop(&jobs->timer);
    jobs_let_go_on(jobs);
    TAILQ_FOREACH (entry, &jobs->all, next) {
        while (entry->waiters != NULL) { /* who asked is told that it is not armed */
            struct job_waiter *waiter = entry->waiters;
            struct job_row row;
            job_row_of(&entry->job, jobs_self(jobs), node->name, &row);
            snprintf(row.reason, sizeof row.reason, "the node is ending");
            entry->waiters = waiter->next;
            waiter->decided(waiter->arg, &row);
            mem_free(waiter);
        }
    }
    done(node);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct jobs *jobs = handle->data;
    struct node *node = jobs->node;
    void (*closed)(struct node * node) = jobs->closed;

    while (!TAILQ_EMPTY(&jobs->all)) {
        take_out(TAILQ_FIRST(&jobs->all));
    }
    mem_free(jobs->dir);
    mem_free(jobs);
    node->jobs = NULL;
    closed(node);
}

static void maybe_closed(struct jobs *jobs)
{
    if (jobs->closed != NULL && !jobs->is_writing && jobs->n_busy == 0 &&
        !uv_is_closing((uv_handle_t *)&jobs->timer)) {
        jobs->timer.data = jobs;
        uv_close((uv_handle_t *)&jobs->timer, on_timer_closed);
    }
}

void jobs_close(struct node *node, void (*closed)(struct node *node))
{
    node->jobs->is_ending = true;
    node->jobs->closed = closed;
    jobs_spread_close(node->jobs);
    maybe_closed(node->jobs);
}
