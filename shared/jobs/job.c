/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/jobs/job.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

const char *const job_state_words[N_JOB_STATES] = {
    [JOB_UNREACHED] = "unreached", [JOB_ARMING] = "arming", [JOB_ARMED] = "armed",
    [JOB_RUNNING] = "running",     [JOB_MISSED] = "missed", [JOB_ABORTED] = "aborted",
    [JOB_FAILED] = "failed",       [JOB_DONE] = "done",     [JOB_NOT_MINE] = "not selected",
};

static void changed(struct job *job)
{
    job->change++;
}

static void become(struct job *job, enum job_state state, const char *reason)
{
    job->state = state;
    snprintf(job->reason, sizeof job->reason, "%s", reason == NULL ? "" : reason);
    changed(job);
}

static bool is_durable(const struct job *job)
{
    return job->written == job->change;
}

/* ---- what follows from the time and the flags ---- */

static void look_at_flags(struct job *job)
{
    if (job->flags == 0) {
        return;
    }
    if (job->is_resumed && job->doing == JOB_IDLE) {
        become(job, JOB_DONE, "it was stopped while the node was down");
        return;
    }
    if (job->state == JOB_RUNNING || job->is_resumed) {
        return; /* job_next ends it */
    }
    become(job, JOB_ABORTED,
           (job->flags & JOB_ABORT) != 0 ? "it was called off before its start"
                                         : "it was stopped before its start");
}

/* Nothing runs, and its time is over. */
static void look_at_end(struct job *job)
{
    if (job->begun) {
        become(job, JOB_DONE, "the node was down at its end");
    } else {
        become(job, JOB_MISSED, "its time was over when this node could have begun");
    }
}

static void look_at_start(struct job *job, int64_t now_ns)
{
    if (job->begun) {
        return;
    }
    if (now_ns > job->spec.start_ns && job->spec.late == JOB_LATE_SKIP) {
        become(job, JOB_MISSED, "its start was over when this node could have begun");
    } else if (now_ns >= job->spec.start_ns - JOB_LEAD_NS && job->state == JOB_ARMED &&
               is_durable(job)) {
        job->begun = true;
        changed(job);
    }
}

static void look(struct job *job, int64_t now_ns)
{
    if (job->state == JOB_ARMED && job->doing == JOB_OPEN && now_ns >= job->spec.start_ns) {
        become(job, JOB_RUNNING, NULL);
    }
    if (!job_state_is_final(job->state)) {
        look_at_flags(job);
    }
    if (!job_state_is_final(job->state) && now_ns >= job->spec.end_ns &&
        (job->doing == JOB_IDLE || job->doing == JOB_CHECKING)) {
        look_at_end(job);
    }
    if (!job_state_is_final(job->state)) {
        look_at_start(job, now_ns);
    }
}

/* ---- inputs ---- */

void job_begin(struct job *job, const struct job_spec *spec, bool matches, int64_t now_ns)
{
    *job = (struct job){.spec = *spec};
    become(job, matches ? JOB_ARMING : JOB_NOT_MINE, NULL);
    look(job, now_ns);
}

void job_restore(struct job *job, int64_t now_ns)
{
    job->doing = JOB_IDLE;
    job->change = job->writing = job->written = 0;
    job->retry_ns = 0;
    job->is_down = false;
    if (job_state_is_final(job->state)) {
        return;
    }
    if (job->begun) {
        job->is_resumed = true;
        changed(job);
    } else {
        become(job, JOB_ARMING, NULL); /* the host may be another one by now */
    }
    look(job, now_ns);
}

void job_on_spec(struct job *job, const struct job_spec *spec, bool matches, int64_t now_ns)
{
    bool counts = spec->version > job->spec.version && spec->creator == job->spec.creator &&
                  !job->begun && (!job_state_is_final(job->state) || job->state == JOB_NOT_MINE);

    if (counts) {
        job->spec = *spec;
        become(job, matches ? JOB_ARMING : JOB_NOT_MINE, NULL);
        look(job, now_ns);
    }
}

void job_on_flags(struct job *job, unsigned flags, int64_t now_ns)
{
    if ((job->flags | flags) != job->flags) {
        job->flags |= flags;
        changed(job);
        look(job, now_ns);
    }
}

void job_on_time(struct job *job, int64_t now_ns)
{
    look(job, now_ns);
}

void job_on_written(struct job *job, uint32_t change, const char *why, int64_t now_ns)
{
    if (why == NULL) {
        job->written = change;
        job->retry_ns = 0;
    } else {
        job->writing = job->written;
        job->retry_ns = now_ns + JOB_RETRY_NS;
        if (!job_state_is_final(job->state) && job->doing != JOB_OPENING &&
            job->doing != JOB_OPEN && job->doing != JOB_ENDING) {
            become(job, JOB_FAILED, why);
        }
    }
    look(job, now_ns);
}

void job_on_checked(struct job *job, const char *why, int64_t now_ns)
{
    if (job->doing != JOB_CHECKING) {
        return;
    }
    job->doing = JOB_IDLE;
    if (job->state == JOB_ARMING) {
        become(job, why == NULL ? JOB_ARMED : JOB_FAILED, why);
    }
    look(job, now_ns);
}

void job_on_opened(struct job *job, const char *session, const char *why, int64_t now_ns)
{
    if (job->doing != JOB_OPENING) {
        return;
    }
    if (why != NULL) {
        job->doing = JOB_IDLE;
        if (!job_state_is_final(job->state)) {
            become(job, JOB_FAILED, why);
        }
        return;
    }
    job->doing = JOB_OPEN;
    if (!job->is_resumed) {
        job->late_ns = now_ns > job->spec.start_ns ? now_ns - job->spec.start_ns : 0;
    }
    snprintf(job->session, sizeof job->session, "%s", session);
    changed(job);
    look(job, now_ns);
}

void job_on_ended(struct job *job, enum job_end end, const char *why, int64_t now_ns)
{
    if (job->doing != JOB_OPEN && job->doing != JOB_ENDING) {
        return;
    }
    job->doing = JOB_IDLE;
    job->is_down = end == JOB_ENDED_DOWN;
    if (job_state_is_final(job->state)) {
        job->session[0] = '\0'; /* it has not run: nothing of it was kept */
        changed(job);
    } else if (end == JOB_ENDED_BADLY) {
        become(job, JOB_FAILED, why);
    } else if (end == JOB_ENDED_WELL) {
        become(job, JOB_DONE, why);
    }
    (void)now_ns; /* of a node that goes down the journal stays as it is */
}

void job_fail(struct job *job, const char *why)
{
    if (!job->begun && !job_state_is_final(job->state)) {
        become(job, JOB_FAILED, why);
    }
}

void job_on_tally(struct job *job, const struct job_tally *tally)
{
    job->tally = *tally;
}

/* ---- outputs ---- */

static bool wants_end(const struct job *job, int64_t now_ns)
{
    if (job->doing == JOB_ENDING) { /* told, and not heard of since */
        return false;
    }
    return job->doing == JOB_OPEN && (job->flags != 0 || job_state_is_final(job->state) ||
                                      now_ns >= job->spec.end_ns + JOB_GRACE_NS);
}

bool job_next(struct job *job, int64_t now_ns, struct job_action *action)
{
    if (job->writing != job->change && now_ns >= job->retry_ns) {
        job->writing = job->change;
        *action = (struct job_action){JOB_WRITE, job->change};
        return true;
    }
    if (wants_end(job, now_ns)) {
        job->doing = JOB_ENDING;
        *action = (struct job_action){.kind = JOB_END};
        return true;
    }
    if (job->doing != JOB_IDLE || job->is_down || job_state_is_final(job->state)) {
        return false;
    }
    if (job->state == JOB_ARMING) {
        job->doing = JOB_CHECKING;
        *action = (struct job_action){.kind = JOB_CHECK};
        return true;
    }
    if (job->begun && is_durable(job)) {
        job->doing = JOB_OPENING;
        *action = (struct job_action){.kind = JOB_START};
        return true;
    }
    return false;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t job_wake_ns(const struct job *job)
{
    int64_t at = INT64_MAX;

    if (job->writing != job->change) {
        at = job->retry_ns;
    }
    if (job_state_is_final(job->state)) {
        return at;
    }
    switch (job->doing) {
    case JOB_IDLE:
        if (job->state == JOB_ARMED && !job->begun && is_durable(job)) {
            at = earlier(at, job->spec.start_ns - JOB_LEAD_NS);
        }
        return earlier(at, job->spec.end_ns);
    case JOB_CHECKING:
        return earlier(at, job->spec.end_ns);
    case JOB_OPEN:
        at = job->state == JOB_ARMED ? earlier(at, job->spec.start_ns) : at;
        return earlier(at, job->spec.end_ns + JOB_GRACE_NS);
    default:
        return at; /* somebody is at it, and tells */
    }
}

enum job_state job_shown(const struct job *job)
{
    return job->state == JOB_ARMED && !job->begun && !is_durable(job) ? JOB_ARMING : job->state;
}

bool job_is_decided(const struct job *job)
{
    return job_state_is_final(job->state) || job->state == JOB_RUNNING ||
           (job->state == JOB_ARMED && (is_durable(job) || job->begun));
}

bool job_is_over(const struct job *job, int64_t now_ns)
{
    return job_state_is_final(job->state) && job->doing == JOB_IDLE &&
           now_ns >= job_spec_expires_ns(&job->spec);
}
