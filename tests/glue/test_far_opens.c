/* SPDX-License-Identifier: Apache-2.0
 *
 * Who opens an interface of a node that does not answer waits long: this keeps nothing else from
 * the workers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/no_store.h"
#include "tests/support/relay_node.h"

#define FAR 6 /* more than libuv has threads */

static int set_up(void **state)
{
    (void)state;
    begin_node();
    return 0;
}

static void on_joined(void *arg, struct relay_stream *stream, const struct err *err)
{
    assert_non_null(stream);
    assert_null(err);
    ++*(unsigned *)arg;
}

static void join(const char *interface, unsigned *n_joined)
{
    const struct relay_request request = {.interface = interface};

    relay_join(node.relay, &request, on_joined, n_joined);
}

static void read_a_file(void *arg)
{
    (void)arg;
}

static void on_read(void *arg, bool cancelled)
{
    assert_false(cancelled);
    *(bool *)arg = true;
}

static void nodes_that_do_not_answer_keep_no_file_from_being_read(void **state)
{
    static const char *const names[FAR] = {"n1/e", "n2/e", "n3/e", "n4/e", "n5/e", "n6/e"};
    bool is_read = false;
    unsigned n_far = 0;
    unsigned n_near = 0;

    (void)state;
    options.max_captures = FAR + 1;
    pthread_mutex_lock(&fake_far);
    for (int i = 0; i < FAR; i++) {
        join(names[i], &n_far);
    }
    RUN_UNTIL(atomic_load(&fake_interface.opens) == FAR);
    assert_true(work_run(&node, read_a_file, on_read, &is_read));
    RUN_UNTIL(is_read);
    join("eth0", &n_near);
    RUN_UNTIL(n_near == 1);
    fake_give(1);
    assert_int_equal(n_far, 0);
    pthread_mutex_unlock(&fake_far);
    RUN_UNTIL(n_far == FAR);
    end_node();
}

/* ---- work of its own thread ---- */

struct apart {
    atomic_uint running;
    atomic_uint n_run;
    unsigned n_done;
    unsigned n_cancelled;
};

static void run_apart(void *arg)
{
    struct apart *apart = arg;

    atomic_fetch_add(&apart->running, 1);
    pthread_mutex_lock(&fake_far);
    pthread_mutex_unlock(&fake_far);
    assert_true(atomic_fetch_sub(&apart->running, 1) <= WORK_APART_MAX);
    atomic_fetch_add(&apart->n_run, 1);
}

static void on_apart(void *arg, bool cancelled)
{
    struct apart *apart = arg;

    apart->n_done++;
    apart->n_cancelled += cancelled;
}

static void begin_apart(struct apart *apart, unsigned n)
{
    pthread_mutex_lock(&fake_far);
    for (unsigned i = 0; i < n; i++) {
        work_run_apart(&node, run_apart, on_apart, apart);
    }
    RUN_UNTIL(atomic_load(&apart->running) == WORK_APART_MAX);
    assert_int_equal(apart->n_done, 0);
    assert_true(work_has_room(&node));
}

static void threads_are_bounded_and_the_others_wait_for_their_turn(void **state)
{
    struct apart apart = {0};

    (void)state;
    begin_apart(&apart, 2 * WORK_APART_MAX + 10);
    pthread_mutex_unlock(&fake_far);
    RUN_UNTIL(apart.n_done == 2 * WORK_APART_MAX + 10);
    assert_int_equal(atomic_load(&apart.n_run), apart.n_done);
    assert_int_equal(apart.n_cancelled, 0);
    end_node();
}

static void the_end_of_a_node_waits_only_for_what_runs(void **state)
{
    struct apart apart = {0};

    (void)state;
    begin_apart(&apart, WORK_APART_MAX + 10);
    relay_close(&node, on_closed);
    RUN_UNTIL(is_closed);
    is_closed = false;
    work_close(&node, on_closed);
    RUN_UNTIL(apart.n_done == 10);
    assert_int_equal(apart.n_cancelled, 10);
    assert_false(is_closed);
    pthread_mutex_unlock(&fake_far);
    RUN_UNTIL(is_closed);
    assert_int_equal(apart.n_done, WORK_APART_MAX + 10);
    assert_int_equal(apart.n_cancelled, 10);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nodes_that_do_not_answer_keep_no_file_from_being_read, set_up),
        cmocka_unit_test_setup(threads_are_bounded_and_the_others_wait_for_their_turn, set_up),
        cmocka_unit_test_setup(the_end_of_a_node_waits_only_for_what_runs, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
