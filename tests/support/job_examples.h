/* SPDX-License-Identifier: Apache-2.0
 *
 * A job for tests. Header only.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "shared/base/bytes.h"
#include "shared/jobs/job_spec.h"

#define JOB_SECOND    INT64_C(1000000000)
#define JOB_EXAMPLE_T (INT64_C(1800000000) * JOB_SECOND)

/* Begins at start_ns and lasts ten seconds, on all nodes. */
static inline struct job_spec job_example(uint64_t number, int64_t start_ns)
{
    uint8_t random[ID_RANDOM_BYTES] = {0};
    struct job_spec spec = {.version = 1,
                            .creator = 42,
                            .start_ns = start_ns,
                            .end_ns = start_ns + 10 * JOB_SECOND,
                            .deadline_ns = start_ns - JOB_SECOND,
                            .promisc = true};

    put_le64(random, number);
    spec.id = id_make((uint64_t)start_ns / 1000000u, random);
    snprintf(spec.interface, sizeof spec.interface, "eth*");
    snprintf(spec.filter, sizeof spec.filter, "udp port 53");
    snprintf(spec.name, sizeof spec.name, "dns");
    return spec;
}
