/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/jobs/job_journal.h"
#include "tests/support/job_examples.h"

static void fill(struct buf *out, unsigned n_jobs, unsigned n_rows)
{
    job_journal_begin(out, 77);
    for (unsigned i = 0; i < n_jobs; i++) {
        struct job job = {.spec = job_example(i, JOB_EXAMPLE_T),
                          .flags = JOB_STOP,
                          .state = JOB_RUNNING,
                          .begun = true,
                          .is_resumed = i % 2 == 1,
                          .late_ns = 5,
                          .tally = {1, 2, UINT64_MAX, 4, 5, 6}};
        struct job_rows rows = {0};
        memset(job.reason, 'r', JOB_REASON_MAX);
        snprintf(job.session, sizeof job.session, "session %u", i);
        for (unsigned k = 0; k < n_rows; k++) {
            struct job_row row = {.sid = UINT64_MAX - k, .state = JOB_DONE, .late_ns = INT64_MIN};
            memset(row.node, 'n', JOB_NODE_NAME_MAX);
            memset(row.reason, 'w', JOB_REASON_MAX);
            memset(row.session, 's', ID_TEXT_MAX - 1);
            memset(&row.tally, 0xff, sizeof row.tally);
            assert_true(job_rows_take(&rows, &row));
        }
        job_journal_put(out, &job, &rows);
        job_rows_deinit(&rows);
    }
}

static void what_is_written_comes_back(void **state)
{
    struct buf out = {0};
    struct job_journal_reader reader;
    struct job job;
    struct job_rows rows = {0};

    (void)state;
    fill(&out, 3, 100);
    assert_true(job_journal_open(out.data, out.len, &reader));
    assert_int_equal(reader.floor_ms, 77);
    for (unsigned i = 0; i < 3; i++) {
        struct job_spec spec = job_example(i, JOB_EXAMPLE_T);
        assert_int_equal(job_journal_next(&reader, &job, &rows), JOB_JOURNAL_JOB);
        assert_memory_equal(&job.spec.id, &spec.id, sizeof spec.id);
        assert_int_equal(job.state, JOB_RUNNING);
        assert_true(job.begun);
        assert_int_equal(job.is_resumed, i % 2);
        assert_int_equal(job.flags, JOB_STOP);
        assert_int_equal(job.late_ns, 5);
        assert_int_equal(strlen(job.reason), JOB_REASON_MAX);
        assert_true(job.tally.lost_kernel == UINT64_MAX);
        assert_int_equal(job.tally.limit, 6);
        assert_int_equal(rows.n, 100);
        assert_int_equal(rows.rows[99].late_ns, INT64_MIN);
        job_rows_deinit(&rows);
    }
    assert_int_equal(job_journal_next(&reader, &job, &rows), JOB_JOURNAL_END);
    buf_deinit(&out);
}

/* All records before the damage, and none behind it or of it. */
static void read_damaged(const struct buf *out, size_t n, size_t whole)
{
    struct job_journal_reader reader;
    struct job job;
    struct job_rows rows = {0};
    size_t got = 0;

    if (!job_journal_open(out->data, n, &reader)) {
        return;
    }
    while (job_journal_next(&reader, &job, &rows) == JOB_JOURNAL_JOB) {
        got++;
        job_rows_deinit(&rows);
    }
    job_rows_deinit(&rows);
    assert_int_equal(got, whole);
}

static void damage_ends_the_reading_where_it_is(void **state)
{
    struct buf out = {0};

    (void)state;
    fill(&out, 2, 1);
    size_t second = JOB_JOURNAL_HEAD + 8 + get_le32(out.data + JOB_JOURNAL_HEAD);
    for (size_t i = JOB_JOURNAL_HEAD; i < out.len; i++) {
        out.data[i] ^= 0x20;
        read_damaged(&out, out.len, i < second ? 0 : 1);
        out.data[i] ^= 0x20;
    }
    for (size_t cut = JOB_JOURNAL_HEAD; cut < out.len; cut++) {
        read_damaged(&out, cut, cut < second ? 0 : 1);
    }
    read_damaged(&out, out.len, 2);
    assert_false(job_journal_open(out.data, JOB_JOURNAL_HEAD - 1, &(struct job_journal_reader){0}));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(damage_ends_the_reading_where_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
