/* SPDX-License-Identifier: Apache-2.0
 *
 * One call to many members, 64 in flight, each answer told as it comes. On the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "shared/base/buf.h"
#include "shared/jobs/job_status.h"

#define JOB_FAN_IN_FLIGHT 64
#define JOB_FAN_WHO_MAX   128

struct json_t;

struct job_target {
    uint64_t sid;
    char name[JOB_NODE_NAME_MAX + 1];
    bool is_gone; /* dead, or has left: not called */
};

struct job_fan {
    struct node *node;
    const struct job_target *targets; /* borrowed until done */
    size_t n;
    const char *method;
    struct json_t *args; /* moved; for all the same */
    unsigned rights;     /* of who asked for it, and who that is */
    char who[JOB_FAN_WHO_MAX];
    uint64_t deadline_ns; /* monotonic */
    /* result: borrowed; NULL: err says why there is none. */
    void (*each)(struct job_fan *fan, const struct job_target *target, const struct json_t *result,
                 const struct err *err);
    void (*done)(struct job_fan *fan); /* last; what holds the fan may be freed then */
    size_t at, n_out;
    bool is_turning;
    struct buf packed;
};

/* Embedded in the struct of who calls. done may come before this returns. */
void job_fan_start(struct job_fan *fan);
