/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/jobs/job_status.h"
#include "tests/support/job_examples.h"
#include "tests/support/splitmix.h"

static struct job_row row_of(uint64_t sid, enum job_state state, uint64_t packets)
{
    struct job_row row = {.sid = sid, .state = state, .tally.packets = packets};

    snprintf(row.node, sizeof row.node, "n%u", (unsigned)sid);
    return row;
}

static void the_row_that_knows_more_stays(void **state)
{
    struct job_rows rows = {0};
    struct job_row row = row_of(1, JOB_UNREACHED, 0);

    (void)state;
    assert_true(job_rows_take(&rows, &row));
    row = row_of(1, JOB_ARMED, 0);
    assert_true(job_rows_take(&rows, &row));
    row = row_of(1, JOB_UNREACHED, 0);
    assert_false(job_rows_take(&rows, &row));
    row = row_of(1, JOB_RUNNING, 10);
    assert_true(job_rows_take(&rows, &row));
    row = row_of(1, JOB_RUNNING, 9);
    assert_false(job_rows_take(&rows, &row));
    row = row_of(1, JOB_DONE, 11);
    assert_true(job_rows_take(&rows, &row));
    row = row_of(1, JOB_NOT_MINE, 0);
    assert_false(job_rows_take(&rows, &row));
    assert_int_equal(rows.n, 1);
    assert_int_equal(job_rows_find(&rows, 1)->tally.packets, 11);
    assert_null(job_rows_find(&rows, 2));
    job_rows_deinit(&rows);
}

/* Any order, any repetition: the same rows. */
static void merging_is_commutative_associative_and_idempotent(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t random = seed;
        struct job_rows a = {0}, b = {0};
        struct job_row all[24];

        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            all[i] = row_of(splitmix_below(&random, 6), splitmix_below(&random, JOB_NOT_MINE),
                            splitmix_below(&random, 3));
            snprintf(all[i].reason, sizeof all[i].reason, "%u", splitmix_below(&random, 3));
            (void)job_rows_take(&a, &all[i]);
        }
        for (int i = 0; i < 400; i++) {
            (void)job_rows_take(&b, &all[splitmix_below(&random, ARRAY_LEN(all))]);
        }
        for (size_t i = ARRAY_LEN(all); i > 0; i--) {
            (void)job_rows_take(&b, &all[i - 1]);
        }
        assert_int_equal(a.n, b.n);
        for (uint32_t i = 0; i < a.n; i++) {
            assert_int_equal(job_row_precedence(&a.rows[i], &b.rows[i]), 0);
            assert_true(i == 0 || a.rows[i - 1].sid < a.rows[i].sid);
        }
        job_rows_deinit(&a);
        job_rows_deinit(&b);
    }
}

static enum job_state of(size_t n, const enum job_state *states)
{
    struct job_rows rows = {0};

    for (size_t i = 0; i < n; i++) {
        struct job_row row = row_of(i, states[i], 0);
        (void)job_rows_take(&rows, &row);
    }
    enum job_state result = job_rows_state(&rows);
    job_rows_deinit(&rows);
    return result;
}

static void one_word_for_all(void **state)
{
    (void)state;
    assert_int_equal(of(0, NULL), JOB_UNREACHED);
    assert_int_equal(of(3, (enum job_state[]){JOB_DONE, JOB_RUNNING, JOB_ARMED}), JOB_RUNNING);
    assert_int_equal(of(3, (enum job_state[]){JOB_MISSED, JOB_ARMED, JOB_FAILED}), JOB_ARMED);
    assert_int_equal(of(3, (enum job_state[]){JOB_FAILED, JOB_FAILED, JOB_DONE}), JOB_DONE);
    assert_int_equal(of(3, (enum job_state[]){JOB_MISSED, JOB_FAILED, JOB_MISSED}), JOB_MISSED);
    assert_int_equal(of(2, (enum job_state[]){JOB_ABORTED, JOB_UNREACHED}), JOB_ABORTED);
}

static void a_policy_says_whether_it_goes(void **state)
{
    (void)state;
    assert_true(job_policy_goes(JOB_ALL, 0, 3, 3));
    assert_false(job_policy_goes(JOB_ALL, 0, 2, 3));
    assert_true(job_policy_goes(JOB_BEST_EFFORT, 0, 1, 3));
    assert_false(job_policy_goes(JOB_BEST_EFFORT, 0, 0, 3));
    assert_true(job_policy_goes(JOB_QUORUM, 0, 2, 3)); /* more than half of them */
    assert_false(job_policy_goes(JOB_QUORUM, 0, 1, 2));
    assert_true(job_policy_goes(JOB_QUORUM, 66, 66, 100));
    assert_false(job_policy_goes(JOB_QUORUM, 66, 65, 100));
}

static void a_row_of_this_node_says_what_it_does(void **state)
{
    struct job job = {0};
    struct job_spec spec = job_example(1, JOB_EXAMPLE_T);
    struct job_row row;

    (void)state;
    job_begin(&job, &spec, true, JOB_EXAMPLE_T - JOB_SECOND);
    job.state = JOB_ARMED; /* and the journal does not have it */
    job_row_of(&job, 3, "n3", &row);
    assert_int_equal(row.state, JOB_ARMING);
    job.begun = job.is_resumed = true;
    job.state = JOB_RUNNING;
    job_row_of(&job, 3, "n3", &row);
    assert_int_equal(row.state, JOB_RUNNING);
    assert_string_equal(row.reason, "resumed after the node was down");
    assert_string_equal(row.node, "n3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_that_knows_more_stays),
        cmocka_unit_test(merging_is_commutative_associative_and_idempotent),
        cmocka_unit_test(one_word_for_all),
        cmocka_unit_test(a_policy_says_whether_it_goes),
        cmocka_unit_test(a_row_of_this_node_says_what_it_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
