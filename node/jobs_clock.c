/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of a job measure each other's clocks, by pings in a row, when it is armed and again
 * and again while it runs: so that its packets of many nodes can be told in one order.
 */
#include "node/jobs_internal_uv.h"

#include <stdlib.h>

#include "node/gossip.h"
#include "node/job_targets.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_limits.h"

/* Short ids, each once when they are sorted. */
struct sids {
    uint64_t *list;
    size_t n;
};

static void add_targets(struct jobs *jobs, const struct job *job, struct sids *out)
{
    struct job_targets targets;

    job_targets_of(jobs->node, &job->spec.selector, &targets);
    if (targets.n > 0) {
        out->list = x_realloc(out->list, (out->n + targets.n) * sizeof *out->list);
    }
    for (size_t i = 0; i < targets.n; i++) {
        if (!targets.list[i].is_gone) {
            out->list[out->n++] = targets.list[i].sid;
        }
    }
    job_targets_deinit(&targets);
}

static int compare_sids(const void *a, const void *b)
{
    const uint64_t *one = a;
    const uint64_t *other = b;

    return *one < *other ? -1 : *one > *other;
}

static void sort(struct sids *sids)
{
    size_t n = 0;

    if (sids->n > 0) {
        qsort(sids->list, sids->n, sizeof *sids->list, compare_sids);
    }
    for (size_t i = 0; i < sids->n; i++) {
        if (n == 0 || sids->list[n - 1] != sids->list[i]) {
            sids->list[n++] = sids->list[i];
        }
    }
    sids->n = n;
}

/* More than can be measured in one go are gone round. */
static void measure(struct jobs *jobs, struct sids *sids)
{
    uint64_t window[SWIM_BURST_TARGETS];
    size_t n = sids->n < SWIM_BURST_TARGETS ? sids->n : SWIM_BURST_TARGETS;

    for (size_t i = 0; i < n; i++) {
        window[i] = sids->list[(jobs->clocks_at + i) % sids->n];
    }
    if (n > 0) {
        jobs->clocks_at = (jobs->clocks_at + n) % sids->n;
        gossip_clock_measure(jobs->node->gossip, window, n);
    }
}

void jobs_clocks_armed(struct job_entry *entry)
{
    struct jobs *jobs = entry->jobs;
    struct sids sids = {0};

    if (jobs->node->gossip == NULL) {
        return;
    }
    add_targets(jobs, &entry->job, &sids);
    sort(&sids);
    measure(jobs, &sids);
    mem_free(sids.list);
}

/* From a moment before its start. */
static bool is_on(const struct job *job)
{
    return job->begun && !job_state_is_final(job->state);
}

uint64_t jobs_clocks_due_ns(struct jobs *jobs)
{
    const struct job_entry *entry;

    TAILQ_FOREACH (entry, &jobs->all, next) {
        if (jobs->node->gossip != NULL && is_on(&entry->job)) {
            return jobs->clocks_due_ns;
        }
    }
    jobs->clocks_due_ns = 0; /* the next one that begins measures at once */
    return UINT64_MAX;
}

void jobs_clocks_look(struct jobs *jobs)
{
    uint64_t now_ns = clock_boot_ns();
    const struct job_entry *entry;
    struct sids sids = {0};

    if (now_ns < jobs_clocks_due_ns(jobs)) {
        return;
    }
    TAILQ_FOREACH (entry, &jobs->all, next) {
        if (is_on(&entry->job)) {
            add_targets(jobs, &entry->job, &sids);
        }
    }
    sort(&sids);
    measure(jobs, &sids);
    mem_free(sids.list);
    jobs->clocks_due_ns = now_ns + JOBS_CLOCKS_EVERY_NS;
}
