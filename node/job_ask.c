/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job_ask.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/gossip.h"
#include "node/job_json.h"
#include "node/job_targets.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

#define ANSWER_NS                                                                                  \
    (2u * 1000000000ull) /* for one question to all, where the caller says nothing                 \
                          */

static void tell(const struct asker *asker, json_t *json, const struct err *err)
{
    const struct answer what = {.json = json};

    asker->done(asker->arg, json == NULL ? NULL : &what, err);
    json_decref(json);
}

/* ---- one question to all nodes of a job ---- */

struct polling {
    struct node *node;
    struct asker asker;
    struct id id;
    struct job_targets targets;
    struct job_rows heard;
    unsigned flag; /* 0: only asked */
    struct job_fan fan;
};

/* What was known of a node, and what it said: is_unheard where it said nothing now. */
static void add_unheard(struct polling *p, const struct job_target *target, const char *why)
{
    const struct job_rows *known = jobs_rows(p->node->jobs, &p->id);
    const struct job_row *old = known == NULL ? NULL : job_rows_find(known, target->sid);
    struct job_row row = {.sid = target->sid};

    if (old != NULL) {
        row = *old;
    } else {
        snprintf(row.reason, sizeof row.reason, "%.*s", JOB_REASON_MAX, why);
    }
    memcpy(row.node, target->name, sizeof row.node);
    row.is_unheard = true;
    (void)job_rows_take(&p->heard, &row);
}

static void on_each(struct job_fan *fan, const struct job_target *target, const json_t *result,
                    const struct err *err)
{
    struct polling *p = container_of(fan, struct polling, fan);
    struct job_row row = {.sid = target->sid};

    memcpy(row.node, target->name, sizeof row.node);
    if (result != NULL && job_row_of_json(result, &row)) {
        jobs_heard(p->node->jobs, &p->id, &row);
        (void)job_rows_take(&p->heard, &row);
    } else {
        add_unheard(p, target,
                    result != NULL ? "it answered with what is no row of a job" : err->text);
    }
}

/* Of nodes that are known no more, and were heard of. */
static void add_forgotten(struct polling *p)
{
    const struct job_rows *known = jobs_rows(p->node->jobs, &p->id);

    for (uint32_t i = 0; known != NULL && i < known->n; i++) {
        if (job_rows_find(&p->heard, known->rows[i].sid) == NULL) {
            struct job_row row = known->rows[i];
            row.is_unheard = true;
            (void)job_rows_take(&p->heard, &row);
        }
    }
}

static void on_polled(struct job_fan *fan)
{
    struct polling *p = container_of(fan, struct polling, fan);
    struct jobs *jobs = p->node->jobs;
    const struct job *job = jobs == NULL ? NULL : jobs_get(jobs, &p->id);
    struct job_row own;
    struct err err = {0};

    if (job == NULL) {
        err_set(&err, ERR_NOT_FOUND, "the job is known no more");
        tell(&p->asker, NULL, &err);
    } else {
        if (jobs_own_row(jobs, &p->id, &own)) {
            (void)job_rows_take(&p->heard, &own);
        }
        add_forgotten(p);
        job_rows_label(p->node, &p->heard);
        tell(&p->asker, job_json(job, &p->heard, jobs_offset_ns(jobs)), NULL);
    }
    job_targets_deinit(&p->targets);
    job_rows_deinit(&p->heard);
    mem_free(p);
}

static void poll_all(void *arg)
{
    struct polling *p = arg;
    char id[ID_TEXT_MAX];

    id_format(&p->id, id);
    p->fan.args = json_pack("{s:s, s:b}", "job_id", id, "only_here", 1);
    if (p->flag != 0) {
        json_object_set_new(p->fan.args, "call_off", json_boolean(p->flag == JOB_ABORT));
    }
    job_fan_start(&p->fan);
}

static uint64_t earlier_of(uint64_t deadline_ns)
{
    uint64_t ours = clock_monotonic_ns() + ANSWER_NS;
    uint64_t margin = 200000000u;

    return deadline_ns > margin && deadline_ns - margin < ours ? deadline_ns - margin : ours;
}

static void ask_all(struct node *node, const struct id *id, unsigned flag,
                    const struct job_caller *caller, const struct asker *asker)
{
    struct polling *p = x_alloc(sizeof *p);
    const struct job *job = jobs_get(node->jobs, id);

    *p = (struct polling){.node = node, .asker = *asker, .id = *id, .flag = flag};
    job_targets_of(node, &job->spec.selector, &p->targets);
    p->fan = (struct job_fan){.node = node,
                              .targets = p->targets.list,
                              .n = p->targets.n,
                              .method = flag == 0 ? "job.status" : "job.stop",
                              .deadline_ns = earlier_of(caller->deadline_ns),
                              .rights = caller->rights,
                              .each = on_each,
                              .done = on_polled};
    snprintf(p->fan.who, sizeof p->fan.who, "%s", caller->who);
    jobs_refresh(node->jobs, poll_all, p);
}

/* ---- this node alone ---- */

struct own_row {
    struct node *node;
    struct asker asker;
    struct id id;
};

static void on_own_row(void *arg)
{
    struct own_row *o = arg;
    struct job_row row;
    struct err err = {0};

    if (jobs_own_row(o->node->jobs, &o->id, &row)) {
        tell(&o->asker, job_row_json(&row), NULL);
    } else {
        err_set(&err, ERR_NOT_FOUND, "the job is not for this node");
        tell(&o->asker, NULL, &err);
    }
    mem_free(o);
}

static void ask_here(struct node *node, const struct id *id, const struct asker *asker)
{
    struct own_row *o = x_alloc(sizeof *o);

    *o = (struct own_row){.node = node, .asker = *asker, .id = *id};
    jobs_refresh(node->jobs, on_own_row, o);
}

/* ---- questions ---- */

void job_ask_status(struct node *node, const char *text, bool only_here,
                    const struct job_caller *caller, const struct asker *asker)
{
    struct err err = {0};
    struct id id;

    if (jobs_find(node->jobs, text, &id, &err) < 0) {
        tell(asker, NULL, &err);
    } else if (only_here) {
        ask_here(node, &id, asker);
    } else {
        ask_all(node, &id, 0, caller, asker);
    }
}

void job_ask_stop(struct node *node, const char *text, unsigned flag, bool only_here,
                  const struct job_caller *caller, const struct asker *asker)
{
    struct err err = {0};
    struct id id;

    if (jobs_find(node->jobs, text, &id, &err) < 0) {
        tell(asker, NULL, &err);
        return;
    }
    jobs_raise(node->jobs, &id, flag);
    if (only_here) {
        ask_here(node, &id, asker);
    } else {
        ask_all(node, &id, flag, caller, asker);
    }
}

static void on_armed(void *arg, const struct job_row *row)
{
    struct asker *asker = arg;

    tell(asker, job_row_json(row), NULL);
    mem_free(asker);
}

void job_ask_arm(struct node *node, const struct job_spec *spec, const struct asker *asker)
{
    struct asker *copy = x_alloc(sizeof *copy);
    struct err err = {0};

    *copy = *asker;
    if (jobs_arm(node->jobs, spec, on_armed, copy, &err) < 0) {
        tell(copy, NULL, &err);
        mem_free(copy);
    }
}

struct listing {
    struct node *node;
    json_t *list;
};

static void add_job(const struct job *job, void *arg)
{
    struct listing *l = arg;
    const struct job_rows *known = jobs_rows(l->node->jobs, &job->spec.id);
    struct job_rows rows = {0};
    struct job_row own;

    for (uint32_t i = 0; known != NULL && i < known->n; i++) {
        (void)job_rows_take(&rows, &known->rows[i]);
    }
    if (jobs_own_row(l->node->jobs, &job->spec.id, &own)) {
        (void)job_rows_take(&rows, &own);
    }
    job_rows_label(l->node, &rows);
    json_array_append_new(l->list, job_json(job, &rows, jobs_offset_ns(l->node->jobs)));
    job_rows_deinit(&rows);
}

void job_ask_list(struct node *node, const struct asker *asker)
{
    struct listing l = {.node = node, .list = json_array()};

    jobs_each(node->jobs, add_job, &l);
    tell(asker, l.list, NULL);
}
