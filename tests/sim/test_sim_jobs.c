/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs over whole swarms: each node has the state machine of node/jobs, a journal that survives it,
 * and a capture that is open or not; what it knows of jobs comes and goes as desired state of the
 * simulated swarm alone. Nodes die, come late and are cut off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/jobs/job.h"
#include "shared/swarm/swim_kv.h"
#include "tests/sim/sim.h"
#include "tests/support/job_examples.h"

#define STEP_MS 10

/* What one node has of the one job of a test. */
struct agent {
    bool is_up;
    bool knows, durable_knows;
    struct job job, durable;
    unsigned flags; /* that came before the job */
    bool is_open;
    unsigned n_sessions;
};

struct world {
    struct swim_sim *sim;
    uint32_t n;
    struct agent *agents;
    struct job_spec spec;
};

static int64_t swarm_now(struct world *w, uint32_t i)
{
    struct swim_now now = swim_sim_time_of(w->sim, i);
    uint64_t bound;

    return now.wall_ns + swim_time_correction(swim_sim_core(w->sim, i), now, &bound);
}

static void world_init(struct world *w, uint64_t seed, uint32_t n, uint32_t n_start)
{
    *w = (struct world){.n = n};
    w->sim = swim_sim_new(&(struct swim_sim_opts){.seed = seed, .n_nodes = n});
    w->agents = x_alloc(n * sizeof *w->agents);
    for (uint32_t i = 0; i < n_start; i++) {
        swim_sim_start(w->sim, i);
    }
    assert_true(swim_sim_run_until(w->sim, swim_sim_all_agree, 0, 30000));
    assert_true(swim_sim_run_for(w->sim, 10000)); /* clocks have been told */
}

static void world_deinit(struct world *w)
{
    swim_sim_free(w->sim);
    mem_free(w->agents);
}

/* ---- a node ---- */

static void put(struct world *w, uint32_t i, struct swim_kv *kv)
{
    enum swim_kv_result result =
        swim_kv_put(swim_sim_core(w->sim, i), swim_sim_time_of(w->sim, i), kv);

    assert_true(result == SWIM_KV_TAKEN || result == SWIM_KV_OLD);
    swim_sim_drain(w->sim, i);
}

static void spread(struct world *w, uint32_t i)
{
    uint8_t value[JOB_VALUE_MAX];
    struct swim_kv kv = {.owner = w->spec.creator,
                         .version = w->spec.version,
                         .flags = SWIM_KV_EXPIRES,
                         .value = value,
                         .n_value = (uint16_t)job_spec_write(&w->spec, value)};

    job_key(&w->spec.id, 0, kv.key);
    put(w, i, &kv);
}

static void spread_flag(struct world *w, uint32_t i, unsigned flag)
{
    const struct job_flag what = {.id = w->spec.id,
                                  .flags = flag,
                                  .who = swim_sim_sid(w->sim, i),
                                  .until_ns = job_spec_expires_ns(&w->spec)};
    uint8_t value[JOB_VALUE_MAX];
    struct swim_kv kv = {.owner = what.who,
                         .version = 1,
                         .flags = SWIM_KV_EXPIRES,
                         .value = value,
                         .n_value = (uint16_t)job_flag_write(&what, value)};

    job_key(&w->spec.id, flag, kv.key);
    put(w, i, &kv);
}

static void drive(struct world *w, uint32_t i)
{
    struct agent *a = &w->agents[i];
    int64_t now_ns = swarm_now(w, i);
    struct job_action action;

    while (a->knows && job_next(&a->job, now_ns, &action)) {
        switch (action.kind) {
        case JOB_WRITE:
            a->durable = a->job;
            a->durable_knows = true;
            job_on_written(&a->job, action.change, NULL, now_ns);
            break;
        case JOB_CHECK:
            job_on_checked(&a->job, NULL, now_ns);
            break;
        case JOB_START:
            assert_true(a->durable.begun);
            assert_true(a->n_sessions == 0 || a->job.is_resumed); /* exactly once */
            a->n_sessions += a->n_sessions == 0;
            a->is_open = true;
            job_on_opened(&a->job, "session", NULL, now_ns);
            break;
        case JOB_END:
            a->is_open = false;
            job_on_ended(&a->job, JOB_ENDED_WELL, NULL, now_ns);
            break;
        }
    }
}

static void learn(struct world *w, uint32_t i, const struct swim_kv *kv)
{
    struct agent *a = &w->agents[i];
    struct job_spec spec;
    struct job_flag flag;

    if (job_spec_read(kv->value, kv->n_value, &spec)) {
        if (!a->knows) {
            job_begin(&a->job, &spec, true, swarm_now(w, i));
            a->knows = true;
        }
        job_on_flags(&a->job, a->flags, swarm_now(w, i));
    } else if (job_flag_read(kv->value, kv->n_value, &flag)) {
        a->flags |= flag.flags;
        if (a->knows) {
            job_on_flags(&a->job, flag.flags, swarm_now(w, i));
        }
    }
}

/* Up again: what the journal has is told to the swarm once more. */
static void rise(struct world *w, uint32_t i)
{
    struct agent *a = &w->agents[i];

    a->is_up = true;
    a->knows = a->durable_knows;
    a->flags = 0;
    if (a->knows) {
        a->job = a->durable;
        job_restore(&a->job, swarm_now(w, i));
        spread(w, i);
    }
}

static void turn(struct world *w, uint32_t i)
{
    struct agent *a = &w->agents[i];
    struct swim_kv kv;

    if (!swim_sim_is_running(w->sim, i)) {
        a->is_up = a->is_open = false;
        return;
    }
    if (!a->is_up) {
        rise(w, i);
    }
    while (swim_kv_next_change(swim_sim_core(w->sim, i), &kv)) {
        learn(w, i, &kv);
    }
    if (a->is_open && swarm_now(w, i) >= a->job.spec.end_ns) {
        a->is_open = false;
        job_on_ended(&a->job, JOB_ENDED_WELL, NULL, swarm_now(w, i));
    }
    if (a->knows) {
        job_on_time(&a->job, swarm_now(w, i));
    }
    drive(w, i);
    /* Nobody is past the end, whoever is cut off. */
    assert_true(!a->is_open || swarm_now(w, i) < a->job.spec.end_ns + JOB_GRACE_NS);
}

static void run_for(struct world *w, uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += STEP_MS) {
        assert_true(swim_sim_run_for(w->sim, STEP_MS));
        for (uint32_t i = 0; i < w->n; i++) {
            turn(w, i);
        }
    }
}

static uint32_t count(const struct world *w, enum job_state state)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        n += w->agents[i].knows && w->agents[i].job.state == state;
    }
    return n;
}

/* A job of ten seconds, `ms` from now by the clock of a node, told by that node. */
static void start_job(struct world *w, uint32_t node, int64_t ms)
{
    w->spec = job_example(node, swarm_now(w, node) + ms * 1000000);
    w->spec.creator = swim_sim_sid(w->sim, node);
    spread(w, node);
    turn(w, node);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return (*x > *y) - (*x < *y);
}

/* By how much two nodes differ in what swarm time is at this instant: p99 of all pairs, and the
 * most. */
static int64_t skew_p99(struct world *w, int64_t *most)
{
    static int64_t skews[32 * 31 / 2];
    size_t n = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        for (uint32_t j = 0; j < i; j++) {
            skews[n++] = llabs(swarm_now(w, i) - swarm_now(w, j));
        }
    }
    qsort(skews, n, sizeof skews[0], by_value);
    *most = skews[n - 1];
    return skews[n * 99 / 100];
}

/* ---- what may happen ---- */

static void all_that_hear_of_it_run_it_once(void **state)
{
    struct world w;
    int64_t most;

    (void)state;
    world_init(&w, 3, 32, 32);
    start_job(&w, 5, 3000);
    run_for(&w, 2500);
    assert_int_equal(count(&w, JOB_ARMED), 32);
    for (uint32_t i = 0; i < w.n; i++) {
        assert_true(w.agents[i].is_open);
    }
    assert_true(skew_p99(&w, &most) < 1000000);
    assert_true(most < 1500000); /* nobody is far from all others */
    spread(&w, 9);               /* the same once more, from somebody else */
    run_for(&w, 1500);
    assert_int_equal(count(&w, JOB_RUNNING), 32);
    run_for(&w, 10500);
    assert_int_equal(count(&w, JOB_DONE), 32);
    world_deinit(&w);
}

static void who_joins_late_says_so_or_starts_late(void **state)
{
    for (enum job_late late = JOB_LATE_SKIP; late <= JOB_LATE_START; late++) {
        struct world w;

        (void)state;
        world_init(&w, 4, 12, 10);
        w.spec = job_example(1, swarm_now(&w, 1) + 3 * JOB_SECOND);
        w.spec.late = late;
        w.spec.creator = swim_sim_sid(w.sim, 1);
        spread(&w, 1);
        run_for(&w, 500);
        swim_sim_start(w.sim, 10); /* before T */
        run_for(&w, 4500);
        swim_sim_start(w.sim, 11); /* behind it */
        run_for(&w, 5000);
        assert_int_equal(count(&w, JOB_RUNNING), late == JOB_LATE_START ? 12 : 11);
        assert_int_equal(count(&w, JOB_MISSED), late == JOB_LATE_START ? 0 : 1);
        if (late == JOB_LATE_START) {
            assert_true(w.agents[11].job.late_ns > JOB_SECOND);
        }
        assert_int_equal(w.agents[10].job.late_ns, 0);
        world_deinit(&w);
    }
}

static void halves_that_heal_in_time_take_part_and_later_ones_say_so(void **state)
{
    static const uint32_t heal_ms[] = {2000, 14000, 26000}; /* before T, while it runs, behind it */

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(heal_ms); k++) {
        struct world w;

        world_init(&w, 20 + k, 16, 16);
        swim_sim_partition(w.sim, swim_sim_halves);
        run_for(&w, 15000); /* the halves are dead to each other */
        start_job(&w, 1, 12000);
        run_for(&w, heal_ms[k]);
        swim_sim_heal(w.sim);
        run_for(&w, k == 0 ? 11000 : 15000);
        assert_int_equal(count(&w, JOB_MISSED), k == 0 ? 0 : 8);
        assert_int_equal(count(&w, k == 0 ? JOB_RUNNING : JOB_DONE), k == 0 ? 16 : 8);
        run_for(&w, 12000);
        assert_int_equal(count(&w, JOB_DONE), k == 0 ? 16 : 8);
        world_deinit(&w);
    }
}

static void flags_of_both_halves_are_on_all_after_the_healing(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 31, 16, 16);
    start_job(&w, 1, 3000);
    run_for(&w, 4000);
    assert_int_equal(count(&w, JOB_RUNNING), 16);
    swim_sim_partition(w.sim, swim_sim_halves);
    run_for(&w, 500);
    spread_flag(&w, 0, JOB_STOP);
    run_for(&w, 2000);
    assert_int_equal(count(&w, JOB_DONE), 8);
    assert_int_equal(count(&w, JOB_RUNNING), 8); /* who cannot hear of it */
    spread_flag(&w, 15, JOB_ABORT);
    run_for(&w, 2000);
    assert_int_equal(count(&w, JOB_DONE), 16);
    swim_sim_heal(w.sim);
    run_for(&w, 20000);
    for (uint32_t i = 0; i < w.n; i++) {
        assert_int_equal(w.agents[i].job.flags, JOB_STOP | JOB_ABORT);
    }
    world_deinit(&w);
}

/* The coordinator tells one node and dies. */
static void the_job_outlives_who_asked_for_it(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 41, 16, 16);
    start_job(&w, 0, 4000);
    run_for(&w, 400);
    swim_sim_kill(w.sim, 0);
    run_for(&w, 5000);
    assert_int_equal(count(&w, JOB_RUNNING), 15 + (w.agents[0].job.state == JOB_RUNNING));
    spread_flag(&w, 7, JOB_STOP); /* any other node stops it */
    run_for(&w, 2000);
    assert_true(count(&w, JOB_DONE) >= 15);
    swim_sim_restart(w.sim, 0); /* its journal knows the job, and the others that it was stopped */
    run_for(&w, 15000);
    assert_true(job_state_is_final(w.agents[0].job.state));
    world_deinit(&w);
}

static void restarts_at_any_moment_make_no_second_session(void **state)
{
    uint32_t n_resumed = 0, n_done = 0;

    (void)state;
    for (uint64_t seed = 50; seed < 58; seed++) {
        struct world w;
        uint64_t random = seed;

        world_init(&w, seed, 12, 12);
        start_job(&w, 2, 3000);
        for (unsigned i = 0; i < 20; i++) {
            uint32_t node = (uint32_t)((random = random * 6364136223846793005u + 1) >> 40) % w.n;
            if (swim_sim_is_running(w.sim, node)) {
                swim_sim_kill(w.sim, node);
            } else {
                swim_sim_restart(w.sim, node);
            }
            run_for(&w, 400);
        }
        for (uint32_t i = 0; i < w.n; i++) {
            if (!swim_sim_is_running(w.sim, i)) {
                swim_sim_restart(w.sim, i);
            }
        }
        run_for(&w, 20000);
        for (uint32_t i = 0; i < w.n; i++) {
            assert_true(w.agents[i].knows && job_state_is_final(w.agents[i].job.state));
            assert_true(w.agents[i].n_sessions <= 1);
            n_resumed += w.agents[i].job.is_resumed;
        }
        n_done += count(&w, JOB_DONE);
        world_deinit(&w);
    }
    assert_true(n_resumed > 5 && n_done > 50);
}

static bool all_know(struct swim_sim *sim, uint32_t unused)
{
    (void)unused;
    for (uint32_t i = 0; i < swim_sim_n_nodes(sim); i++) {
        if (swim_kv_count(swim_sim_core(sim, i)) == 0) {
            return false;
        }
    }
    return true;
}

/* With PR_LONG=1 a thousand. */
static void a_large_swarm_hears_of_it_within_a_second(void **state)
{
    const char *is_long = getenv("PR_LONG");
    uint32_t n = is_long != NULL && strcmp(is_long, "1") == 0 ? 1000 : 100;
    struct world w;

    (void)state;
    world_init(&w, 61, n, n);
    start_job(&w, 3, 3000);
    double began = swim_sim_now_s(w.sim);
    assert_true(swim_sim_run_until(w.sim, all_know, 0, 3000));
    double took = swim_sim_now_s(w.sim) - began;
    print_message("%u nodes know of a job after %.2f s\n", n, took);
    assert_true(took <= 1.0);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_hear_of_it_run_it_once),
        cmocka_unit_test(who_joins_late_says_so_or_starts_late),
        cmocka_unit_test(halves_that_heal_in_time_take_part_and_later_ones_say_so),
        cmocka_unit_test(flags_of_both_halves_are_on_all_after_the_healing),
        cmocka_unit_test(the_job_outlives_who_asked_for_it),
        cmocka_unit_test(restarts_at_any_moment_make_no_second_session),
        cmocka_unit_test(a_large_swarm_hears_of_it_within_a_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
