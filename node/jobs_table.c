/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as they are asked for: by id, prefix or name, with what is known of all nodes.
 */
#include "node/jobs_internal_uv.h"

#include <string.h>

#include "node/captures.h"
#include "node/metrics.h"
#include "shared/base/mem.h"

/* ---- arming ---- */

static bool is_same(const struct job_spec *a, const struct job_spec *b)
{
    uint8_t one[JOB_VALUE_MAX], other[JOB_VALUE_MAX];
    size_t n = job_spec_write(a, one);

    return n == job_spec_write(b, other) && memcmp(one, other, n) == 0;
}

static struct job_entry *know(struct jobs *jobs, const struct job_spec *spec, struct err *err)
{
    uint8_t bytes[JOB_VALUE_MAX];
    struct job_entry *entry = jobs_entry(jobs, &spec->id);

    if (job_spec_check(spec, err) < 0) {
        return NULL;
    }
    if (job_spec_write(spec, bytes) == 0) {
        err_set(err, ERR_USAGE,
                "the job is too long to spread: a shorter filter, or fewer nodes and tags");
        return NULL;
    }
    if (entry == NULL) {
        return jobs_add(jobs, spec, err);
    }
    if (spec->version > entry->job.spec.version) {
        job_on_spec(&entry->job, spec,
                    job_selects(&spec->selector, jobs_self(jobs), &jobs->node->tags),
                    jobs_now_ns(jobs));
        jobs_drive(entry);
    } else if (spec->version == entry->job.spec.version && !is_same(spec, &entry->job.spec)) {
        err_set(err, ERR_EXISTS, "another job has that id");
        return NULL;
    }
    return entry;
}

int jobs_know(struct jobs *jobs, const struct job_spec *spec, struct err *err)
{
    struct err why = {0};

    if (jobs->is_ending) {
        return err_set(err, ERR_LIMIT, "the node is ending");
    }
    if (know(jobs, spec, &why) == NULL) {
        return err_set(err, why.code, "%s", why.text);
    }
    return 0;
}

int jobs_arm(struct jobs *jobs, const struct job_spec *spec,
             void (*decided)(void *arg, const struct job_row *row), void *arg, struct err *err)
{
    struct job_row row;
    int rc = jobs_know(jobs, spec, err);

    if (rc < 0) {
        return rc;
    }
    struct job_entry *entry = jobs_entry(jobs, &spec->id);
    if (entry->job.state == JOB_NOT_MINE) {
        return err_set(err, ERR_USAGE, "the job is not for this node");
    }
    if (job_is_decided(&entry->job)) {
        job_row_of(&entry->job, jobs_self(jobs), jobs->node->name, &row);
        decided(arg, &row);
        return 0;
    }
    struct job_waiter *waiter = x_alloc(sizeof *waiter);
    *waiter = (struct job_waiter){.next = entry->waiters, .decided = decided, .arg = arg};
    entry->waiters = waiter;
    return 0;
}

/* ---- flags ---- */

void jobs_take_flag(struct jobs *jobs, const struct id *id, unsigned flags)
{
    struct job_entry *entry = jobs_entry(jobs, id);

    /* As long as the time is not known, the swarm's record of the flag is all. */
    if (jobs->is_timed && entry != NULL && (entry->job.flags | flags) != entry->job.flags) {
        job_on_flags(&entry->job, flags, jobs_now_ns(jobs));
        jobs_drive(entry);
    }
}

void jobs_raise(struct jobs *jobs, const struct id *id, unsigned flag)
{
    struct job_entry *entry = jobs_entry(jobs, id);

    if (entry != NULL) {
        jobs_take_flag(jobs, id, flag);
        jobs_spread_flag(entry, flag);
    }
}

/* ---- finding ---- */

/* Ids first, so that nobody can hide one behind a name. */
int jobs_find(const struct jobs *jobs, const char *text, struct id *out, struct err *err)
{
    const struct job_entry *found = NULL;
    const struct job_entry *entry;
    unsigned n = 0;

    if (strcmp(text, "last") == 0) {
        found = TAILQ_LAST(&jobs->all, job_list);
        n = found != NULL;
    }
    for (int by_name = 0; by_name < 2 && n == 0; by_name++) {
        TAILQ_FOREACH (entry, &jobs->all, next) {
            if (by_name == 1 ? strcmp(entry->job.spec.name, text) == 0
                             : id_has_prefix(&entry->job.spec.id, text)) {
                found = entry;
                n++;
            }
        }
    }
    if (n > 1) {
        return err_set(err, ERR_AMBIGUOUS, "'%.64s' fits %u jobs: give more of the id", text, n);
    }
    if (found == NULL) {
        return err_set(err, ERR_NOT_FOUND, "no job '%.64s'", text);
    }
    *out = found->job.spec.id;
    return 0;
}

const struct job *jobs_get(const struct jobs *jobs, const struct id *id)
{
    const struct job_entry *entry = jobs_entry(jobs, id);

    return entry == NULL ? NULL : &entry->job;
}

const struct job_rows *jobs_rows(const struct jobs *jobs, const struct id *id)
{
    const struct job_entry *entry = jobs_entry(jobs, id);

    return entry == NULL ? NULL : &entry->rows;
}

bool jobs_own_row(const struct jobs *jobs, const struct id *id, struct job_row *out)
{
    const struct job_entry *entry = jobs_entry(jobs, id);

    if (entry == NULL || entry->job.state == JOB_NOT_MINE) {
        return false;
    }
    job_row_of(&entry->job, jobs_self(jobs), jobs->node->name, out);
    return true;
}

void jobs_heard(struct jobs *jobs, const struct id *id, const struct job_row *row)
{
    struct job_entry *entry = jobs_entry(jobs, id);

    if (entry != NULL && row->sid != jobs_self(jobs)) {
        jobs->wants_writing = job_rows_take(&entry->rows, row) || jobs->wants_writing;
    }
}

void jobs_each(const struct jobs *jobs, void (*each)(const struct job *job, void *arg), void *arg)
{
    const struct job_entry *entry;

    TAILQ_FOREACH (entry, &jobs->all, next) {
        each(&entry->job, arg);
    }
}

void jobs_spread(struct jobs *jobs, const struct id *id)
{
    struct job_entry *entry = jobs_entry(jobs, id);

    if (entry != NULL) {
        jobs_spread_entry(entry);
    }
}

/* ---- counters ---- */

struct refreshing {
    struct jobs *jobs;
    void (*done)(void *arg);
    void *arg;
};

static void take_counters(struct job_entry *entry)
{
    struct job *job = &entry->job;
    struct session_counters counters;
    struct store_writer_stats stats;

    if (job->doing == JOB_OPEN &&
        captures_counters(entry->jobs->node->captures, job->session, &counters) &&
        captures_stats(entry->jobs->node->captures, job->session, &stats)) {
        job_on_tally(job, &(struct job_tally){.packets = stats.packets,
                                              .bytes = stats.bytes,
                                              .lost_kernel = counters.total.kernel,
                                              .lost_interface = counters.total.interface,
                                              .lost_store = counters.total.store,
                                              .limit = counters.total.limit});
    }
}

static void on_refreshed(void *arg)
{
    struct refreshing *r = arg;
    struct job_entry *entry;

    TAILQ_FOREACH (entry, &r->jobs->all, next) {
        take_counters(entry);
    }
    r->done(r->arg);
    mem_free(r);
}

void jobs_refresh(struct jobs *jobs, void (*done)(void *arg), void *arg)
{
    struct refreshing *r = x_alloc(sizeof *r);

    *r = (struct refreshing){.jobs = jobs, .done = done, .arg = arg};
    captures_refresh(jobs->node->captures, on_refreshed, r);
}

void jobs_metrics(struct node *node, struct buf *out)
{
    const struct jobs *jobs = node->jobs;
    const struct job_entry *entry;
    uint64_t n[N_JOB_STATES] = {0};

    if (jobs == NULL) {
        return;
    }
    TAILQ_FOREACH (entry, &jobs->all, next) {
        n[job_shown(&entry->job)]++;
    }
    metrics_family(out, "packetrecorder_jobs", "gauge",
                   "Jobs that are known, by their state here.");
    for (int state = JOB_ARMING; state < N_JOB_STATES; state++) {
        struct buf label = {0};
        metrics_label(&label, "state", job_state_words[state]);
        metrics_count(out, "packetrecorder_jobs", (const char *)label.data, n[state]);
        buf_deinit(&label);
    }
    metrics_family(out, "packetrecorder_jobs_refused_total", "counter",
                   "Jobs that were not taken since too many are known.");
    metrics_count(out, "packetrecorder_jobs_refused_total", "", jobs->n_refused);
}
