/* SPDX-License-Identifier: Apache-2.0
 *
 * Records and the journal of jobs from anybody. What is read keeps to its bounds and, written
 * again, says the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/jobs/job_journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void look_at_spec(const uint8_t *data, size_t n)
{
    uint8_t bytes[JOB_VALUE_MAX], again[JOB_VALUE_MAX];
    struct job_spec spec, other;

    if (!job_spec_read(data, n, &spec)) {
        return;
    }
    REQUIRE(job_spec_check(&spec, NULL) == 0 && spec.end_ns > spec.start_ns);
    REQUIRE(strnlen(spec.filter, sizeof spec.filter) <= JOB_FILTER_MAX);
    size_t written = job_spec_write(&spec, bytes);
    REQUIRE(written > 0 && written <= n);
    REQUIRE(job_spec_read(bytes, written, &other));
    REQUIRE(job_spec_write(&other, again) == written && memcmp(bytes, again, written) == 0);
}

static void look_at_flag(const uint8_t *data, size_t n)
{
    uint8_t bytes[JOB_VALUE_MAX];
    struct job_flag flag;

    if (job_flag_read(data, n, &flag)) {
        REQUIRE(flag.flags == JOB_STOP || flag.flags == JOB_ABORT);
        REQUIRE(job_flag_write(&flag, bytes) > 0);
    }
}

static void look_at_journal(const uint8_t *data, size_t n)
{
    struct job_journal_reader reader;
    struct job_rows rows = {0};
    struct job job;

    if (!job_journal_open(data, n, &reader)) {
        return;
    }
    while (job_journal_next(&reader, &job, &rows) == JOB_JOURNAL_JOB) {
        struct buf out = {0};
        job_journal_put(&out, &job, &rows);
        job_restore(&job, job.spec.start_ns);
        buf_deinit(&out);
        job_rows_deinit(&rows);
    }
    job_rows_deinit(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    look_at_spec(data, n);
    look_at_flag(data, n);
    look_at_journal(data, n);
    return 0;
}
