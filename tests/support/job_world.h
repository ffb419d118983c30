/* SPDX-License-Identifier: Apache-2.0
 *
 * The world around a job's state machine in tests: a journal that is what was durable, sessions
 * that the store holds, a capture that is open or not. Answers come at once, or when the world is
 * no longer held. Each step looks that the promises of job.h hold. Header only.
 */
#pragma once

#include <stdlib.h>

#include "shared/base/mem.h"
#include "shared/jobs/job.h"
#include "tests/support/job_examples.h"
#include "tests/support/splitmix.h"

#define JOB_WORLD_SESSIONS 8

struct job_world {
    struct job job;
    struct job durable; /* the journal; version 0: there is none */
    struct job_spec spec;
    bool matches;
    int64_t now_ns;
    uint64_t seed; /* of a random run, for who has to look for a failure */
    bool is_held;  /* answers wait */
    bool wants_write, wants_check, wants_open, wants_end;
    struct job snapshot; /* what is being written */
    const char *write_fails, *check_fails, *open_fails;
    char sessions[JOB_WORLD_SESSIONS][ID_TEXT_MAX];
    unsigned n_sessions;
    unsigned n_open;
};

static inline void job_world_require(const struct job_world *w, bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "seed %llu, %lld ms behind T: %s (state %s)\n", (unsigned long long)w->seed,
                (long long)((w->now_ns - w->spec.start_ns) / 1000000), what,
                job_state_words[w->job.state]);
        abort();
    }
}

static inline void job_world_check(const struct job_world *w)
{
    job_world_require(w, w->n_open <= 1, "two captures at a time");
    job_world_require(w, w->n_sessions <= 1, "a second session");
    if (w->n_open == 1) {
        job_world_require(w, w->durable.begun, "a capture that the journal does not have");
        job_world_require(w, w->now_ns <= w->job.spec.end_ns + JOB_GRACE_NS + 1, "past its end");
    }
    if (w->job.state == JOB_DONE) {
        job_world_require(w, w->job.begun, "done and not begun");
    }
}

static inline void job_world_init(struct job_world *w, int64_t now_ns)
{
    *w = (struct job_world){.now_ns = now_ns};
}

static inline void job_world_end(struct job_world *w, enum job_end end, const char *why)
{
    if (w->n_open == 1) {
        w->n_open = 0;
        w->wants_end = false;
        if (w->now_ns < w->job.spec.start_ns && job_state_is_final(w->job.state)) {
            w->n_sessions = 0; /* there was no packet */
        }
        job_on_ended(&w->job, end, why, w->now_ns);
    }
}

/* The capture of a job that is resumed goes on in its session; the store finds it by the job. */
static inline void job_world_open(struct job_world *w)
{
    if (w->open_fails != NULL) {
        job_on_opened(&w->job, NULL, w->open_fails, w->now_ns);
        return;
    }
    bool had_one = w->n_sessions > 0;
    job_world_require(w, !had_one || w->job.is_resumed, "begun twice in one life");
    if (!had_one) {
        snprintf(w->sessions[0], ID_TEXT_MAX, "session");
        w->n_sessions++;
    }
    w->n_open++;
    job_on_opened(&w->job, w->sessions[0], NULL, w->now_ns);
    if (w->now_ns >= w->job.spec.end_ns) { /* such a capture ends at once */
        job_world_end(w, JOB_ENDED_WELL, NULL);
    }
}

static inline void job_world_answer(struct job_world *w)
{
    if (w->wants_write) {
        w->wants_write = false;
        if (w->write_fails == NULL) {
            w->durable = w->snapshot;
        }
        job_on_written(&w->job, w->snapshot.change, w->write_fails, w->now_ns);
    }
    if (w->wants_check) {
        w->wants_check = false;
        job_on_checked(&w->job, w->check_fails, w->now_ns);
    }
    if (w->wants_open) {
        w->wants_open = false;
        job_world_open(w);
    }
    if (w->wants_end) {
        job_world_end(w, JOB_ENDED_WELL, NULL);
    }
}

static inline void job_world_drain(struct job_world *w)
{
    struct job_action action;

    unsigned n = 0;

    for (;;) {
        bool any = false;
        while (job_next(&w->job, w->now_ns, &action)) {
            job_world_require(w, n++ < 100, "it never rests");
            any = true;
            switch (action.kind) {
            case JOB_WRITE: /* one at a time: what is under way is overtaken */
                w->wants_write = true;
                w->snapshot = w->job;
                break;
            case JOB_CHECK:
                w->wants_check = true;
                break;
            case JOB_START:
                w->wants_open = true;
                break;
            case JOB_END:
                w->wants_end = true;
                break;
            }
            if (!w->is_held) {
                job_world_answer(w);
            }
        }
        if (!w->is_held) {
            job_world_answer(w);
        }
        if (!any) {
            break;
        }
    }
    job_world_check(w);
}

static inline void job_world_begin(struct job_world *w, const struct job_spec *spec, bool matches)
{
    w->spec = *spec;
    w->matches = matches;
    job_begin(&w->job, spec, matches, w->now_ns);
    job_world_drain(w);
}

/* A capture ends by itself at its end; the machine is looked at when it wants to be. */
static inline void job_world_until(struct job_world *w, int64_t until_ns)
{
    while (w->now_ns < until_ns) {
        int64_t wake = job_wake_ns(&w->job);
        int64_t next = wake < until_ns ? wake : until_ns;
        if (w->n_open == 1 && w->job.spec.end_ns < next) {
            next = w->job.spec.end_ns;
        }
        w->now_ns = next > w->now_ns ? next : w->now_ns;
        if (w->n_open == 1 && w->now_ns >= w->job.spec.end_ns) {
            job_world_end(w, JOB_ENDED_WELL, NULL);
        }
        job_on_time(&w->job, w->now_ns);
        job_world_drain(w);
        if (next <= w->now_ns && wake <= w->now_ns && job_wake_ns(&w->job) <= w->now_ns) {
            job_world_require(w, false, "it wakes and does nothing");
        }
    }
}

/* Down now, up again later, with what the journal had. A specification that it did not have comes
 * again from the others. */
static inline void job_world_crash(struct job_world *w, int64_t up_ns)
{
    w->n_open = 0;
    w->wants_write = w->wants_check = w->wants_open = w->wants_end = false;
    w->now_ns = up_ns > w->now_ns ? up_ns : w->now_ns;
    if (w->durable.spec.version == 0) {
        job_begin(&w->job, &w->spec, w->matches, w->now_ns);
    } else {
        w->job = w->durable;
        job_restore(&w->job, w->now_ns);
    }
    job_world_drain(w);
}
