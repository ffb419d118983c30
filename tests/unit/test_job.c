/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node does about a job. The world around it, journal and capture, is job_world.h; the last
 * test lets thousands of worlds go wrong at random and looks at each step that the promises hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/job_world.h"

#define T JOB_EXAMPLE_T

static void a_job_is_armed_open_before_its_start_and_done_at_its_end(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    assert_int_equal(w.job.state, JOB_ARMED);
    assert_true(job_is_decided(&w.job));
    assert_false(w.job.begun);
    assert_int_equal(job_wake_ns(&w.job), T - JOB_LEAD_NS);
    job_world_until(&w, T - JOB_SECOND);
    assert_int_equal(w.n_open, 1);
    assert_int_equal(w.job.state, JOB_ARMED);
    job_world_until(&w, T);
    assert_int_equal(w.job.state, JOB_RUNNING);
    assert_int_equal(w.job.late_ns, 0);
    job_world_until(&w, spec.end_ns + 1);
    assert_int_equal(w.job.state, JOB_DONE);
    assert_string_equal(w.job.session, w.sessions[0]);
    assert_int_equal(w.n_sessions, 1);
    assert_int_equal(w.n_open, 0);
    assert_int_equal(job_wake_ns(&w.job), INT64_MAX);
    assert_false(job_is_over(&w.job, spec.end_ns + 1));
    assert_true(job_is_over(&w.job, job_spec_expires_ns(&spec)));
}

static void the_same_specification_again_changes_nothing(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    for (int64_t at = T - 4 * JOB_SECOND; at < T + 12 * JOB_SECOND; at += JOB_SECOND) {
        job_world_until(&w, at);
        job_on_spec(&w.job, &spec, true, w.now_ns);
        job_world_drain(&w);
    }
    assert_int_equal(w.n_sessions, 1);
    assert_int_equal(w.job.state, JOB_DONE);
    job_on_spec(&w.job, &spec, true, w.now_ns);
    assert_int_equal(w.job.state, JOB_DONE);
}

static void a_later_version_counts_until_the_capture_begins(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);
    struct job_spec second = job_example(1, T + 60 * JOB_SECOND);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    second.id = spec.id;
    second.version = 2;
    second.creator = 43; /* somebody else's */
    job_on_spec(&w.job, &second, true, w.now_ns);
    assert_int_equal(w.job.spec.start_ns, T);
    second.creator = 42;
    job_on_spec(&w.job, &second, true, w.now_ns);
    assert_int_equal(w.job.state, JOB_ARMING);
    job_world_drain(&w);
    assert_int_equal(w.job.spec.start_ns, T + 60 * JOB_SECOND);
    job_world_until(&w, T + 59 * JOB_SECOND);
    assert_true(w.job.begun);
    second.version = 3;
    second.end_ns += JOB_SECOND;
    job_on_spec(&w.job, &second, true, w.now_ns);
    assert_int_equal(w.job.spec.version, 2);
    job_world_until(&w, second.end_ns);
    assert_int_equal(w.job.state, JOB_DONE);
}

static void who_hears_of_it_late_skips_or_starts_as_it_says(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T + JOB_SECOND);
    job_world_begin(&w, &spec, true);
    assert_int_equal(w.job.state, JOB_MISSED);
    assert_int_equal(w.n_sessions, 0);
    spec.late = JOB_LATE_START;
    job_world_init(&w, T + 2 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    job_world_drain(&w);
    assert_int_equal(w.job.state, JOB_RUNNING);
    assert_int_equal(w.job.late_ns, 2 * JOB_SECOND);
    job_world_until(&w, spec.end_ns);
    assert_int_equal(w.job.state, JOB_DONE);
    job_world_init(&w, spec.end_ns); /* too late for anybody */
    job_world_begin(&w, &spec, true);
    assert_int_equal(w.job.state, JOB_MISSED);
}

static void what_cannot_be_captured_fails_with_its_words(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    w.check_fails = "no interface matches";
    job_world_begin(&w, &spec, true);
    assert_int_equal(w.job.state, JOB_FAILED);
    assert_string_equal(w.job.reason, "no interface matches");
    assert_true(job_is_decided(&w.job));
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    w.open_fails = "the interface went away";
    job_world_until(&w, T);
    assert_int_equal(w.job.state, JOB_FAILED);
    assert_string_equal(w.job.reason, "the interface went away");
}

static void without_a_journal_nothing_is_armed(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    w.write_fails = "the disk is full";
    job_world_begin(&w, &spec, true);
    assert_int_equal(w.job.state, JOB_FAILED);
    assert_string_equal(w.job.reason, "the disk is full");
    job_world_until(&w, spec.end_ns);
    assert_int_equal(w.n_sessions, 0);
}

static void a_journal_that_fails_before_the_start_starts_nothing(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    assert_int_equal(w.job.state, JOB_ARMED);
    w.write_fails = "the disk is full";
    job_world_until(&w, spec.end_ns);
    assert_int_equal(w.n_sessions, 0);
    assert_int_equal(w.job.state, JOB_FAILED);
    w.write_fails = NULL; /* and it is written when that is possible again */
    job_world_until(&w, spec.end_ns + 2 * JOB_RETRY_NS);
    assert_int_equal(w.job.written, w.job.change);
}

static void flags_end_what_runs_and_leave_nothing_of_what_does_not(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    job_world_until(&w, T - JOB_SECOND);
    assert_int_equal(w.n_open, 1);
    job_on_flags(&w.job, JOB_ABORT, w.now_ns);
    job_world_drain(&w);
    assert_int_equal(w.job.state, JOB_ABORTED);
    assert_int_equal(w.n_open, 0);
    assert_string_equal(w.job.session, "");
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    job_world_until(&w, T + JOB_SECOND);
    job_on_flags(&w.job, JOB_STOP, w.now_ns);
    job_world_drain(&w);
    assert_int_equal(w.job.state, JOB_DONE);
    assert_int_equal(w.n_open, 0);
    assert_string_not_equal(w.job.session, "");
    job_on_flags(&w.job, JOB_ABORT, w.now_ns);
    assert_int_equal(w.job.flags, JOB_STOP | JOB_ABORT);
    assert_int_equal(w.job.state, JOB_DONE);
}

static void a_restart_goes_on_in_the_same_session(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    job_world_until(&w, T + JOB_SECOND);
    job_world_crash(&w, T + 3 * JOB_SECOND);
    assert_int_equal(w.job.state, JOB_RUNNING);
    assert_true(w.job.is_resumed);
    assert_int_equal(w.n_sessions, 1);
    assert_int_equal(w.n_open, 1);
    job_world_crash(&w, spec.end_ns + JOB_SECOND);
    assert_int_equal(w.job.state, JOB_DONE);
    assert_string_equal(w.job.session, w.sessions[0]);
}

static void a_restart_before_the_start_arms_anew_and_behind_it_is_late(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 60 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    job_world_crash(&w, T - 30 * JOB_SECOND);
    assert_int_equal(w.job.state, JOB_ARMED);
    job_world_crash(&w, T + 1);
    assert_int_equal(w.job.state, JOB_MISSED);
    job_world_crash(&w, T + 2);
    assert_int_equal(w.job.state, JOB_MISSED);
}

static void a_node_that_goes_down_orderly_leaves_the_job_running(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, true);
    job_world_until(&w, T + JOB_SECOND);
    job_world_end(&w, JOB_ENDED_DOWN, NULL);
    assert_int_equal(w.job.state, JOB_RUNNING);
    job_world_until(&w, T + 2 * JOB_SECOND);
    assert_int_equal(w.n_open, 0); /* nothing begins while it ends */
    job_world_crash(&w, T + 3 * JOB_SECOND);
    assert_int_equal(w.n_open, 1);
    assert_int_equal(w.n_sessions, 1);
}

static void a_job_of_others_is_kept_and_nothing_else(void **state)
{
    struct job_world w;
    struct job_spec spec = job_example(1, T);

    (void)state;
    job_world_init(&w, T - 5 * JOB_SECOND);
    job_world_begin(&w, &spec, false);
    job_world_until(&w, spec.end_ns + JOB_SECOND);
    assert_int_equal(w.job.state, JOB_NOT_MINE);
    assert_int_equal(w.n_sessions, 0);
    assert_int_equal(w.job.written, w.job.change); /* a restart must not forget it */
}

/* ---- anything may happen at any moment ---- */

static void something_happens(struct job_world *w, const struct job_spec *spec, uint64_t *random)
{
    switch (splitmix_below(random, 12)) {
    case 0:
        job_world_crash(w, w->now_ns + splitmix_below(random, 3000) * 1000000);
        break;
    case 1:
        job_on_spec(&w->job, spec, true, w->now_ns);
        break;
    case 2:
        w->is_held = !w->is_held; /* the disk and the captures answer later */
        break;
    case 3:
        w->write_fails = w->write_fails == NULL ? "no" : NULL;
        break;
    case 4:
        if (splitmix_below(random, 8) == 0) {
            job_on_flags(&w->job, 1u + splitmix_below(random, 2), w->now_ns);
        }
        break;
    case 5:
        if (splitmix_below(random, 8) == 0) {
            job_world_end(w, JOB_ENDED_BADLY, "down");
        }
        break;
    case 6:
        w->open_fails = splitmix_below(random, 8) == 0 ? "no" : NULL;
        break;
    default:
        job_world_until(w, w->now_ns + 1 + splitmix_below(random, 900) * 1000000);
        break;
    }
    job_world_drain(w);
}

static void whatever_happens_it_runs_at_most_once_and_ends(void **state)
{
    uint32_t n_final[N_JOB_STATES] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        uint64_t random = seed;
        struct job_world w;
        struct job_spec spec = job_example(seed, T);

        spec.late = splitmix_below(&random, 2) == 0 ? JOB_LATE_SKIP : JOB_LATE_START;
        job_world_init(&w, T - 4 * JOB_SECOND);
        w.seed = seed;
        job_world_begin(&w, &spec, true);
        for (int i = 0; i < 60; i++) {
            something_happens(&w, &spec, &random);
        }
        w.is_held = false;
        w.write_fails = w.open_fails = NULL;
        job_world_drain(&w);
        job_world_until(&w, spec.end_ns + JOB_GRACE_NS + 1);
        job_world_until(&w, w.now_ns + 2 * JOB_RETRY_NS);
        job_world_check(&w);
        assert_true(job_state_is_final(w.job.state));
        assert_int_equal(w.n_open, 0);
        assert_int_equal(w.job.written, w.job.change);
        n_final[w.job.state]++;
    }
    assert_true(n_final[JOB_DONE] > 1000 && n_final[JOB_FAILED] > 1000);
    assert_true(n_final[JOB_MISSED] > 100 && n_final[JOB_ABORTED] > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_armed_open_before_its_start_and_done_at_its_end),
        cmocka_unit_test(the_same_specification_again_changes_nothing),
        cmocka_unit_test(a_later_version_counts_until_the_capture_begins),
        cmocka_unit_test(who_hears_of_it_late_skips_or_starts_as_it_says),
        cmocka_unit_test(what_cannot_be_captured_fails_with_its_words),
        cmocka_unit_test(without_a_journal_nothing_is_armed),
        cmocka_unit_test(a_journal_that_fails_before_the_start_starts_nothing),
        cmocka_unit_test(flags_end_what_runs_and_leave_nothing_of_what_does_not),
        cmocka_unit_test(a_restart_goes_on_in_the_same_session),
        cmocka_unit_test(a_restart_before_the_start_arms_anew_and_behind_it_is_late),
        cmocka_unit_test(a_node_that_goes_down_orderly_leaves_the_job_running),
        cmocka_unit_test(a_job_of_others_is_kept_and_nothing_else),
        cmocka_unit_test(whatever_happens_it_runs_at_most_once_and_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
