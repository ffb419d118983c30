/* SPDX-License-Identifier: Apache-2.0
 *
 * What one node does about one job, as a state machine without clock, file or capture: inputs come
 * with the swarm time in them, then job_next says what is to be done until there is nothing left,
 * and job_wake_ns when to look again.
 *
 *   arming ── checked, in the journal ──► armed ── T ──► running ── its limits, its end ──► done
 *      │                                    │               │ the node goes down and comes back:
 *      └─► failed, missed, aborted ◄────────┴───────────────┘ goes on in the same session
 *
 * The capture is open a while before T and cuts its packets by their stamps, so nothing has to
 * happen at T. Each job runs at most once on a node: the journal says that its capture begins
 * before it does (`begun`), and a start that the journal does not have is no start. Whatever comes
 * twice, late or in another order changes nothing more. Flags are merged by OR.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/jobs/job_spec.h"

#define JOB_LEAD_NS    (INT64_C(3) * 1000000000) /* the capture is open so long before T */
#define JOB_GRACE_NS   (INT64_C(2) * 1000000000) /* behind its end it is told to stop once more */
#define JOB_RETRY_NS   (INT64_C(5) * 1000000000) /* a journal that could not be written */
#define JOB_REASON_MAX 255

enum job_state {
    JOB_UNREACHED, /* of another node: nothing is known */
    JOB_ARMING,
    JOB_ARMED,
    JOB_RUNNING,
    JOB_MISSED, /* final, from here on */
    JOB_ABORTED,
    JOB_FAILED,
    JOB_DONE,
    JOB_NOT_MINE, /* it is for others; kept for them */
    N_JOB_STATES
};
extern const char *const job_state_words[N_JOB_STATES];

struct job_tally {
    uint64_t packets;
    uint64_t bytes;
    uint64_t lost_kernel, lost_interface, lost_store; /* UINT64_MAX: not known */
    uint64_t limit;
};

enum job_doing { JOB_IDLE, JOB_CHECKING, JOB_OPENING, JOB_OPEN, JOB_ENDING };

struct job {
    struct job_spec spec;
    unsigned flags;
    enum job_state state;
    bool begun; /* its capture is open, or will be at once */
    bool is_resumed;
    char session[ID_TEXT_MAX]; /* "": none yet */
    char reason[JOB_REASON_MAX + 1];
    int64_t late_ns; /* the capture was open so long behind T */
    struct job_tally tally;

    /* Not in the journal. */
    enum job_doing doing;
    uint32_t change;  /* counts what the journal has to know */
    uint32_t writing; /* of these, what was given to be written */
    uint32_t written; /* and what is durable */
    int64_t retry_ns; /* not written again before; 0: at once */
    bool is_down;     /* the node ends: nothing begins any more */
};

/* A specification that is new here. matches: it is for this node. */
void job_begin(struct job *job, const struct job_spec *spec, bool matches, int64_t now_ns);
/* After a restart: what the journal had of it stands in *job already. */
void job_restore(struct job *job, int64_t now_ns);
/* The same specification once more, or a later version of it: counts until the capture begins. */
void job_on_spec(struct job *job, const struct job_spec *spec, bool matches, int64_t now_ns);
void job_on_flags(struct job *job, unsigned flags, int64_t now_ns);
void job_on_time(struct job *job, int64_t now_ns);

/* What came of what job_next gave. why: NULL where it went well. */
void job_on_written(struct job *job, uint32_t change, const char *why, int64_t now_ns);
void job_on_checked(struct job *job, const char *why, int64_t now_ns);
/* session: of the capture. */
void job_on_opened(struct job *job, const char *session, const char *why, int64_t now_ns);

enum job_end {
    JOB_ENDED_WELL,  /* by its limits, its end, or because it was told to */
    JOB_ENDED_BADLY, /* why says so */
    JOB_ENDED_DOWN,  /* the node ends: it goes on when it comes back */
};
void job_on_ended(struct job *job, enum job_end end, const char *why, int64_t now_ns);
/* Nothing of it may begin here. Before its capture does. */
void job_fail(struct job *job, const char *why);
void job_on_tally(struct job *job, const struct job_tally *tally);

enum job_action_kind {
    JOB_WRITE, /* the journal; then job_on_written with this change */
    JOB_CHECK, /* could it be captured? */
    JOB_START, /* opens the capture: job_on_opened, and one day job_on_ended */
    JOB_END,   /* stops it; of a job that has not run nothing is kept */
};
struct job_action {
    enum job_action_kind kind;
    uint32_t change;
};
bool job_next(struct job *job, int64_t now_ns, struct job_action *action);
/* INT64_MAX: only an input changes something. */
int64_t job_wake_ns(const struct job *job);

/* As it is to be shown: what is not durable yet is still arming. */
enum job_state job_shown(const struct job *job);
static inline bool job_state_is_final(enum job_state state)
{
    return state >= JOB_MISSED;
}
/* Whoever waits for it to be armed has an answer. */
bool job_is_decided(const struct job *job);
/* Neither it nor anybody needs it any more. */
bool job_is_over(const struct job *job, int64_t now_ns);
