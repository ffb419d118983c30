/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as desired state of the swarm. What this node knows it tells again after a restart, so that
 * the swarm forgets a job only when all its nodes have; what comes from others is looked at on the
 * loop.
 */
#include "node/jobs_internal_uv.h"

#include <inttypes.h>
#include <string.h>

#include "node/gossip.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/swarm/swim_kv.h"

_Static_assert(JOB_VALUE_MAX == SWIM_KV_VALUE_MAX && JOB_KEY_BYTES == SWIM_KV_KEY_BYTES,
               "a record of a job is one of the swarm");

static void put(struct jobs *jobs, struct swim_kv *kv, const char *what)
{
    struct err err = {0};

    if (gossip_kv_put(jobs->node->gossip, kv, &err) < 0) {
        log_warn("%s is not told to nodes that come later: %s", what, err.text);
    }
}

void jobs_spread_entry(struct job_entry *entry)
{
    const struct job_spec *spec = &entry->job.spec;
    uint8_t value[JOB_VALUE_MAX];
    struct swim_kv kv = {
        .owner = spec->creator, .version = spec->version, .flags = SWIM_KV_EXPIRES, .value = value};

    if (entry->jobs->node->gossip == NULL || entry->jobs->is_ending) {
        return;
    }
    kv.n_value = (uint16_t)job_spec_write(spec, value);
    job_key(&spec->id, 0, kv.key);
    put(entry->jobs, &kv, "a job");
    for (unsigned flag = JOB_STOP; flag <= JOB_ABORT; flag <<= 1) {
        if ((entry->job.flags & flag) != 0) {
            jobs_spread_flag(entry, flag);
        }
    }
}

void jobs_spread_begun(struct job_entry *entry)
{
    uint8_t key[JOB_KEY_BYTES];

    job_key(&entry->job.spec.id, 0, key);
    if (entry->jobs->node->gossip != NULL && !gossip_kv_has(entry->jobs->node->gossip, key)) {
        jobs_spread_entry(entry);
    }
}

/* Whoever raises it first; the records of two differ in who it was alone. */
void jobs_spread_flag(struct job_entry *entry, unsigned flag)
{
    const struct job_spec *spec = &entry->job.spec;
    const struct job_flag what = {.id = spec->id,
                                  .flags = flag,
                                  .who = jobs_self(entry->jobs),
                                  .until_ns = job_spec_expires_ns(spec)};
    uint8_t value[JOB_VALUE_MAX];
    struct swim_kv kv = {.owner = what.who, .version = 1, .flags = SWIM_KV_EXPIRES, .value = value};

    if (entry->jobs->node->gossip == NULL || entry->jobs->is_ending) {
        return;
    }
    kv.n_value = (uint16_t)job_flag_write(&what, value);
    job_key(&spec->id, flag, kv.key);
    if (!gossip_kv_has(entry->jobs->node->gossip, kv.key)) {
        put(entry->jobs, &kv, flag == JOB_STOP ? "a job's stop" : "a job's abort");
    }
}

/* ---- what comes ---- */

static void take_spec(struct jobs *jobs, const struct swim_kv *kv)
{
    struct job_spec spec;
    uint8_t key[JOB_KEY_BYTES];
    struct err err = {0};

    if (!job_spec_read(kv->value, kv->n_value, &spec)) {
        return;
    }
    job_key(&spec.id, 0, key);
    if (memcmp(key, kv->key, sizeof key) != 0 || spec.creator != kv->owner ||
        spec.version != kv->version) {
        return; /* not the creator's */
    }
    if (jobs_know(jobs, &spec, &err) < 0) {
        log_debug("a job of the swarm was not taken: %s", err.text);
    }
}

static void take_flag(struct jobs *jobs, const struct swim_kv *kv)
{
    struct job_flag flag;
    uint8_t key[JOB_KEY_BYTES];

    if (!job_flag_read(kv->value, kv->n_value, &flag)) {
        return;
    }
    job_key(&flag.id, flag.flags, key);
    if (memcmp(key, kv->key, sizeof key) == 0) {
        jobs_take_flag(jobs, &flag.id, flag.flags);
    }
}

static void on_spec(const struct swim_kv *kv, void *arg)
{
    take_spec(arg, kv);
}

static void on_flag(const struct swim_kv *kv, void *arg)
{
    take_flag(arg, kv);
}

/* A flag may have come before its job. */
static void on_changed(void *arg)
{
    struct jobs *jobs = arg;

    if (jobs->node->jobs != jobs || jobs->is_ending || !jobs_look_at_time(jobs)) {
        return;
    }
    gossip_kv_each(jobs->node->gossip, on_spec, jobs);
    gossip_kv_each(jobs->node->gossip, on_flag, jobs);
}

void jobs_spread_open(struct jobs *jobs)
{
    struct job_entry *entry;

    if (jobs->node->gossip == NULL) {
        return;
    }
    TAILQ_FOREACH (entry, &jobs->all, next) {
        jobs_spread_entry(entry);
    }
    gossip_kv_watch(jobs->node->gossip, on_changed, jobs);
    on_changed(jobs);
}

void jobs_spread_close(struct jobs *jobs)
{
    if (jobs->node->gossip != NULL) {
        gossip_kv_watch(jobs->node->gossip, NULL, NULL);
    }
}
