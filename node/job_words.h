/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a job needs randomness or hex: a new id, and a specification as the text that travels
 * from node to node.
 */
#pragma once

#include <stdbool.h>

#include "shared/jobs/job_spec.h"

#define JOB_WORDS_MAX (2 * JOB_VALUE_MAX + 1)

struct id job_id_new(uint64_t wall_ns);
/* "" when it cannot be written. */
void job_spec_text(const struct job_spec *spec, char out[JOB_WORDS_MAX]);
bool job_spec_of_text(const char *text, struct job_spec *spec);
