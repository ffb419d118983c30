/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job_fan.h"

#include <jansson.h>

#include "shared/base/mem.h"

struct calling {
    struct job_fan *fan;
    const struct job_target *target;
};

static void go_on(struct job_fan *fan);

static void on_answer(void *arg, const json_t *result, const struct err *err)
{
    struct calling *calling = arg;
    struct job_fan *fan = calling->fan;

    fan->each(fan, calling->target, result, err);
    mem_free(calling);
    fan->n_out--;
    go_on(fan);
}

/* Until members can call each other: what they do follows from the swarm's desired state, and
 * their answers are not heard. */
static void call_member(struct node *node, uint64_t sid, const char *method, const json_t *args,
                        uint64_t deadline_ns,
                        void (*done)(void *arg, const json_t *result, const struct err *err),
                        void *arg)
{
    struct err err = {0};

    (void)node;
    (void)sid;
    (void)method;
    (void)args;
    (void)deadline_ns;
    err_set(&err, ERR_UNSUPPORTED, "this node cannot call others");
    done(arg, NULL, &err);
}

static void begin_one(struct job_fan *fan)
{
    const struct job_target *target = &fan->targets[fan->at++];
    struct err err = {0};

    if (target->is_gone) {
        err_set(&err, ERR_NOT_FOUND, "the node is not there");
        fan->each(fan, target, NULL, &err);
        return;
    }
    struct calling *calling = x_alloc(sizeof *calling);
    *calling = (struct calling){fan, target};
    fan->n_out++;
    call_member(fan->node, target->sid, fan->method, fan->args, fan->deadline_ns, on_answer,
                calling);
}

/* Answers may come at once, which calls this again: `is_turning` makes it one loop. */
static void go_on(struct job_fan *fan)
{
    if (fan->is_turning) {
        return;
    }
    fan->is_turning = true;
    while (fan->at < fan->n && fan->n_out < JOB_FAN_IN_FLIGHT) {
        begin_one(fan);
    }
    fan->is_turning = false;
    if (fan->at == fan->n && fan->n_out == 0) {
        json_decref(fan->args);
        fan->args = NULL;
        fan->done(fan);
    }
}

void job_fan_start(struct job_fan *fan)
{
    fan->at = fan->n_out = 0;
    fan->is_turning = false;
    go_on(fan);
}
