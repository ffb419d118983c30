/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting a job, step by step. Whoever dies in between leaves this:
 *
 *   1  the specification stands in this node's journal     nobody else knows of it
 *   2  best effort: it spreads through the swarm           all begin at T that hear of it before
 *   3  every node is told to arm, and answers              those that were told begin at T
 *   4  all and quorum: it spreads, or is called off        called off: nobody begins who hears of
 *                                                          it before T; at T it ends on the others
 *   5  the answer
 *
 * So with `all` and `quorum` the death of this node between 3 and 4 lets those begin that were
 * armed; each of them ends by the job's own limits.
 */
#include "node/job_ask.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/gossip.h"
#include "node/job_json.h"
#include "node/job_targets.h"
#include "node/job_words.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"
#include "shared/swarm/swim_limits.h"

#define SECOND        INT64_C(1000000000)
#define DEFAULT_NS    (3 * SECOND)         /* from now to the start */
#define LEAST_NS      SECOND               /* the same, where other nodes have to be told */
#define ON_THE_WAY_NS (SECOND / 10)        /* who said "in a second" said it a moment ago */
#define MARGIN_NS     (SECOND / 5)         /* from the last answer to the start */
#define CALL_OFF_NS   (SECOND * 7 / 10)    /* the same where the policy may call it off */
#define LONG_NS       (24 * 3600 * SECOND) /* of a job with a limit, and no duration */

struct job_asking {
    struct node *node;
    struct asker asker;
    struct job_spec spec;
    struct job_targets targets;
    struct job_rows rows;
    struct job_fan fan;
    uint32_t n_armed, n_asked;
    bool own_is_due, fan_is_due;
    bool is_starting; /* answers may come before it is under way */
    bool is_gone;
    bool limit_given;
};

static void finish(struct job_asking *a, json_t *json, const struct err *err)
{
    const struct answer what = {.json = json};

    a->asker.done(a->asker.arg, json == NULL ? NULL : &what, err);
    json_decref(json);
    job_targets_deinit(&a->targets);
    job_rows_deinit(&a->rows);
    mem_free(a);
}

/* ---- 4 and 5 ---- */

static void call_off(struct job_asking *a, const char *why)
{
    char id[ID_TEXT_MAX];

    id_format(&a->spec.id, id);
    log_info("job %s is called off: %s", id, why);
    jobs_raise(a->node->jobs, &a->spec.id, JOB_ABORT);
}

static void on_called_off_each(struct job_fan *fan, const struct job_target *target,
                               const json_t *result, const struct err *err)
{
    struct job_asking *a = container_of(fan, struct job_asking, fan);
    struct job_row row = {.sid = target->sid};

    (void)err;
    memcpy(row.node, target->name, sizeof row.node);
    if (result != NULL && job_row_of_json(result, &row)) {
        (void)job_rows_take(&a->rows, &row);
        jobs_heard(a->node->jobs, &a->spec.id, &row);
    }
}

/* Of those that take part, whose clock is known least against ours: packets of two nodes that are
 * closer than that may be told in the wrong order. Null where nobody else does. */
static json_t *least_known_clock(const struct job_asking *a)
{
    uint64_t *sids = x_alloc((a->targets.n + 1) * sizeof *sids);
    struct gossip_clock clock = {0};
    json_t *json = json_null();
    size_t n = 0;

    for (size_t i = 0; i < a->targets.n; i++) {
        const struct job_row *row = job_rows_find(&a->rows, a->targets.list[i].sid);
        if (row != NULL && (row->state == JOB_ARMED || row->state == JOB_RUNNING)) {
            sids[n++] = row->sid;
        }
    }
    if (a->node->gossip != NULL && n > 0) {
        (void)gossip_clock_get(a->node->gossip, sids, n, &clock);
    }
    const struct job_row *worst = job_rows_find(&a->rows, clock.worst);
    if (worst != NULL) {
        json = json_pack("{s:o, s:o}", "node", to_json_text(worst->node), "bound_ns",
                         to_json_count(clock.worst_bound_ns));
    }
    mem_free(sids);
    return json;
}

static void answer(struct job_fan *fan)
{
    struct job_asking *a = container_of(fan, struct job_asking, fan);
    struct jobs *jobs = a->node->jobs;
    const struct job *known = jobs_get(jobs, &a->spec.id);
    const struct job job = {.spec = a->spec, .flags = known == NULL ? 0 : known->flags};
    struct job_row own;

    if (jobs_own_row(jobs, &a->spec.id, &own)) {
        (void)job_rows_take(&a->rows, &own);
    }
    job_rows_label(a->node, &a->rows);
    json_t *json = job_json(&job, &a->rows, jobs_offset_ns(jobs));
    json_object_set_new(json, "limit_given", json_boolean(a->limit_given));
    json_object_set_new(json, "least_known_clock", least_known_clock(a));
    finish(a, json, NULL);
}

static void tell_call_off(struct job_asking *a)
{
    char id[ID_TEXT_MAX];

    id_format(&a->spec.id, id);
    a->fan.method = "job.stop";
    a->fan.args = json_pack("{s:s, s:b, s:b}", "job_id", id, "only_here", 1, "call_off", 1);
    a->fan.deadline_ns = clock_monotonic_ns() + (uint64_t)SECOND;
    a->fan.each = on_called_off_each;
    a->fan.done = answer;
    job_fan_start(&a->fan);
}

static void decide(struct job_asking *a)
{
    const struct job_spec *spec = &a->spec;
    bool goes = job_policy_goes(spec->policy, spec->quorum, a->n_armed, a->n_asked);
    char why[96];

    if (a->own_is_due || a->fan_is_due || a->is_starting) {
        return;
    }
    if (a->is_gone || !goes) {
        snprintf(why, sizeof why, "%u of %u nodes are armed", a->n_armed, a->n_asked);
        call_off(a, a->is_gone ? "who asked for it has gone" : why);
        tell_call_off(a);
        return;
    }
    jobs_spread(a->node->jobs, &spec->id);
    answer(&a->fan);
}

void job_asking_gone(struct job_asking *a)
{
    a->is_gone = true;
}

/* ---- 3 ---- */

static void note(struct job_asking *a, const struct job_row *row)
{
    a->n_armed += row->state == JOB_ARMED || row->state == JOB_RUNNING;
    (void)job_rows_take(&a->rows, row);
    jobs_heard(a->node->jobs, &a->spec.id, row);
}

static void on_each(struct job_fan *fan, const struct job_target *target, const json_t *result,
                    const struct err *err)
{
    struct job_asking *a = container_of(fan, struct job_asking, fan);
    struct job_row row = {.sid = target->sid};

    memcpy(row.node, target->name, sizeof row.node);
    if (result == NULL || !job_row_of_json(result, &row)) {
        row.state = JOB_UNREACHED;
        snprintf(row.reason, sizeof row.reason, "%.*s", JOB_REASON_MAX,
                 result != NULL ? "it answered with what is no row of a job" : err->text);
    }
    note(a, &row);
}

static void on_all(struct job_fan *fan)
{
    struct job_asking *a = container_of(fan, struct job_asking, fan);

    a->fan_is_due = false;
    decide(a);
}

static void on_own(void *arg, const struct job_row *row)
{
    struct job_asking *a = arg;

    a->own_is_due = false;
    note(a, row);
    decide(a);
}

static json_t *arm_args(const struct job_spec *spec)
{
    char text[JOB_WORDS_MAX];

    job_spec_text(spec, text);
    return json_pack("{s:s}", "spec", text);
}

/* On the clock of this host: answers that come later do not count. */
static uint64_t arm_deadline(struct job_asking *a, int64_t now_ns)
{
    int64_t left = a->spec.deadline_ns - now_ns;

    return clock_monotonic_ns() + (left > 0 ? (uint64_t)left : 0);
}

static void arm(struct job_asking *a, const struct job_caller *caller, int64_t now_ns)
{
    struct err err = {0};

    a->own_is_due = a->targets.has_self;
    a->fan_is_due = true;
    a->n_asked = (uint32_t)a->targets.n + (a->targets.has_self ? 1 : 0);
    a->fan = (struct job_fan){.node = a->node,
                              .rights = caller->rights,
                              .targets = a->targets.list,
                              .n = a->targets.n,
                              .method = "job.arm",
                              .args = arm_args(&a->spec),
                              .deadline_ns = arm_deadline(a, now_ns),
                              .each = on_each,
                              .done = on_all};
    snprintf(a->fan.who, sizeof a->fan.who, "%s", caller->who);
    if (a->spec.policy == JOB_BEST_EFFORT) {
        jobs_spread(a->node->jobs, &a->spec.id);
    }
    if (a->targets.has_self && jobs_arm(a->node->jobs, &a->spec, on_own, a, &err) < 0) {
        struct job_row row = {.sid = jobs_self(a->node->jobs), .state = JOB_FAILED};
        snprintf(row.node, sizeof row.node, "%.32s", a->node->name);
        snprintf(row.reason, sizeof row.reason, "%.255s", err.text);
        on_own(a, &row);
    }
    job_fan_start(&a->fan);
}

/* ---- 1 ---- */

static int set_times(struct job_asking *a, const struct job_wish *wish, int64_t now_ns,
                     struct err *err)
{
    struct job_spec *spec = &a->spec;
    bool is_far = a->targets.n > 0;
    int64_t least_ns = is_far ? LEAST_NS - ON_THE_WAY_NS : 0;

    spec->start_ns = wish->start_ns != 0 ? wish->start_ns : now_ns + DEFAULT_NS;
    if (spec->start_ns < now_ns + least_ns) {
        return err_set(err, ERR_USAGE,
                       is_far ? "the nodes have to be told before the start: it is at least a "
                                "second from now (and 3 s where nothing is said)"
                              : "the start of the job is over already");
    }
    a->limit_given =
        wish->duration_ns != 0 || wish->spec.max_packets != 0 || wish->spec.max_bytes != 0;
    uint64_t lasts_ns = wish->duration_ns != 0 ? wish->duration_ns
                        : a->limit_given       ? (uint64_t)LONG_NS
                                               : (uint64_t)JOB_DEFAULT_END_NS;
    if (lasts_ns > (uint64_t)JOB_LONGEST_NS) {
        return err_set(err, ERR_USAGE, "a job lasts 366 days at the most");
    }
    spec->end_ns = spec->start_ns + (int64_t)lasts_ns;
    int64_t margin_ns = spec->policy == JOB_BEST_EFFORT ? MARGIN_NS : CALL_OFF_NS;
    spec->deadline_ns = spec->start_ns - margin_ns;
    if (!is_far) {
        spec->deadline_ns = spec->start_ns > now_ns ? spec->start_ns : now_ns;
    }
    return 0;
}

/* Which node's clock is known least. */
static void say_clocks(struct job_asking *a)
{
    uint64_t sids[SWIM_BURST_TARGETS];
    size_t n = 0;

    for (size_t i = 0; i < a->targets.n && n < SWIM_BURST_TARGETS; i++) {
        sids[n++] = a->targets.list[i].sid;
    }
    if (a->node->gossip != NULL && n > 0) {
        gossip_clock_measure(a->node->gossip, sids, n);
    }
}

struct job_asking *job_ask_start(struct node *node, const struct job_wish *wish,
                                 const struct job_caller *caller, const struct asker *asker)
{
    struct job_asking *a = x_alloc(sizeof *a);
    int64_t now_ns = jobs_now_ns(node->jobs);
    struct err err = {0};
    char id[ID_TEXT_MAX];

    *a = (struct job_asking){.node = node, .asker = *asker, .spec = wish->spec};
    a->spec.id = job_id_new(clock_wall_ns());
    a->spec.version = 1;
    a->spec.creator = jobs_self(node->jobs);
    job_targets_of(node, &a->spec.selector, &a->targets);
    int rc = set_times(a, wish, now_ns, &err);
    if (rc == 0 && a->targets.n == 0 && !a->targets.has_self) {
        rc = err_set(&err, ERR_NOT_FOUND,
                     a->spec.selector.by == JOB_SELECTS_TAGS
                         ? "no node has these tags: 'members' shows those that there are"
                         : "no node is selected");
    }
    rc = rc < 0 ? rc : jobs_know(node->jobs, &a->spec, &err);
    if (rc < 0) {
        finish(a, NULL, &err);
        return NULL;
    }
    id_format(&a->spec.id, id);
    log_info("job %s for %zu nodes was asked for by %s", id,
             a->targets.n + (a->targets.has_self ? 1 : 0), caller->who);
    say_clocks(a);
    a->is_starting = true;
    arm(a, caller, now_ns);
    a->is_starting = false;
    if (!a->own_is_due && !a->fan_is_due) {
        decide(a);
        return NULL;
    }
    return a;
}
