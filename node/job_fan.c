/* SPDX-License-Identifier: Apache-2.0 */
#include "node/job_fan.h"

#include <jansson.h>

#include "node/peers.h"
#include "shared/base/mem.h"

#define VALUES_MAX 256u /* in a row of a job */

struct calling {
    struct job_fan *fan;
    const struct job_target *target;
};

static void go_on(struct job_fan *fan);

static void on_answer(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    struct calling *calling = arg;
    struct job_fan *fan = calling->fan;
    json_t *json = NULL;
    struct err err = {0};

    if (error != NULL) {
        err_set(&err, rpc_code_to_err(error->code), "%s", error->message);
    } else if (rpc_to_json(result, VALUES_MAX, &json, &err) < 0) {
        json = NULL;
    }
    fan->each(fan, calling->target, json, &err);
    json_decref(json);
    mem_free(calling);
    fan->n_out--;
    go_on(fan);
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
    const struct peers_call call = {.sid = target->sid,
                                    .method = fan->method,
                                    .args = {fan->packed.data, fan->packed.len},
                                    .rights = fan->rights,
                                    .who = fan->who,
                                    .deadline_ns = fan->deadline_ns};
    (void)peers_call(fan->node, &call, on_answer, calling);
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
        buf_deinit(&fan->packed);
        fan->done(fan);
    }
}

void job_fan_start(struct job_fan *fan)
{
    fan->at = fan->n_out = 0;
    fan->is_turning = false;
    rpc_put_json(&fan->packed, fan->args);
    json_decref(fan->args);
    fan->args = NULL;
    go_on(fan);
}
