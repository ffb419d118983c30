/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as JSON: what job.* answer, and rows as one node tells them another.
 *
 *   {"id","name","state","start_at","end_at","interface","filter","late","policy","stopped",
 *    "nodes":[{"node","id","state","session","reason","late_ns","packets","bytes",
 *              "loss":{"kernel","interface","store","limit"}}]}
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/jobs/job_status.h"

struct json_t;

/* New references. offset_ns: this host's wall clock minus swarm time. */
struct json_t *job_row_json(const struct job_row *row);
struct json_t *job_json(const struct job *job, const struct job_rows *rows, int64_t offset_ns);
/* A row as another node tells it; *row has sid and node already. False: it is none. */
bool job_row_of_json(const struct json_t *json, struct job_row *row);
