/* SPDX-License-Identifier: Apache-2.0
 *
 * A job as tables and lines, from the object of job.status, and what the exit code says of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/base/err.h"

struct json_t; /* jansson's json_t */

/* One row a node: session, or why there is none. */
void job_table_print(const struct json_t *job, FILE *out);
/* Jobs, one a line. */
void job_list_print(const struct json_t *jobs, FILE *out);

/* Every node has ended, or cannot be asked while the job's end is over (now, ns since 1970). */
bool job_has_ended(const struct json_t *job, uint64_t now_ns);
/* Contract: 0 all nodes, ERR_PARTLY some, ERR_CAPTURE none; err says how many. */
int job_outcome(const struct json_t *job, struct err *err);

/* A capture of one node in the shape of a job, for capture-status. New reference. */
struct json_t *job_of_session(const struct json_t *session);
