/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of offsets and swarm time against the truth of a model: bounds hold at every moment,
 * and in a quiet LAN they are small. PR_SEED=N runs the first with another seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/clock_model.h"

#define CHECKS    1000000
#define SAMPLES   4096
#define US        1000
#define CALM_ROOT 20000 /* ms until a swarm must have found its root */

static struct clock_model model;

static uint64_t first_seed(void)
{
    const char *given = getenv("PR_SEED");

    return given == NULL ? 1 : strtoull(given, NULL, 10);
}

static void run_checks(const struct clock_model_opts *opts, uint64_t seed, uint64_t n_checks)
{
    clock_model_init(&model, opts, seed);
    while (model.n_checks < n_checks) {
        clock_model_step(&model);
        if (model.n_broken > 0) {
            print_error("seed %llu: broken after %llu checks, %llu ns\n", (unsigned long long)seed,
                        (unsigned long long)model.n_checks, (unsigned long long)model.true_ns);
        }
        assert_int_equal(model.n_broken, 0);
    }
}

/* Delays of 10 µs to 3 s, one side as it likes; a tenth is lost; every clock at its limit. */
static void no_bound_is_ever_wrong(void **state)
{
    static const struct clock_model_opts wild = {.delay_least_ns = 10 * US,
                                                 .delay_most_ns = 30000 * US,
                                                 .spike_percent = 5,
                                                 .loss_percent = 10,
                                                 .drift_ppb = 250000,
                                                 .probe_ns = 100 * SWIM_MS,
                                                 .faults_per_10000 = 200};

    (void)state;
    for (uint64_t seed = first_seed(); seed < first_seed() + 4; seed++) {
        run_checks(&wild, seed, CHECKS / 2);
        assert_true(model.n_same_root > CHECKS / 2 / 20);
        assert_true(model.n_deaths > 3 && model.n_steps > 3);
    }
}

/* Fast probes and ways of nothing: rounding has nowhere to hide. */
static void rounding_breaks_no_bound(void **state)
{
    static const struct clock_model_opts tight = {.delay_least_ns = 0,
                                                  .delay_most_ns = 20,
                                                  .drift_ppb = 250000,
                                                  .probe_ns = 200,
                                                  .faults_per_10000 = 1};

    (void)state;
    run_checks(&tight, first_seed(), CHECKS / 5);
}

static void likely_bounds_hold_while_rates_do(void **state)
{
    static const struct clock_model_opts steady = {.delay_least_ns = 10 * US,
                                                   .delay_most_ns = 3000 * US,
                                                   .spike_percent = 5,
                                                   .loss_percent = 10,
                                                   .drift_ppb = 250000,
                                                   .probe_ns = 300 * SWIM_MS,
                                                   .keeps_rates = true,
                                                   .faults_per_10000 = 10};

    (void)state;
    run_checks(&steady, first_seed(), CHECKS / 2);
}

struct errors {
    uint32_t n;
    uint64_t theta[SAMPLES], bound[SAMPLES], swarm[SAMPLES], swarm_bound[SAMPLES];
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t p99(uint64_t *values, uint32_t n)
{
    qsort(values, n, sizeof *values, compare);
    return values[n * 99 / 100];
}

static void note_errors(struct clock_model *of, uint32_t node, uint32_t peer)
{
    struct errors *errors = of->context;
    const struct clock_model_node *one = &of->nodes[node];
    struct swim_estimate estimate;

    if (of->true_ns < 60000 * SWIM_MS || errors->n == SAMPLES) {
        return;
    }
    assert_true(swim_offset_get(&one->offsets[peer], one->mono_ns, &estimate));
    errors->theta[errors->n] =
        (uint64_t)llabs(estimate.theta_ns - clock_model_offset(of, node, peer));
    errors->bound[errors->n] = estimate.bound_ns;
    errors->swarm[errors->n] =
        (uint64_t)llabs(clock_model_swarm(of, node) - clock_model_swarm(of, peer));
    errors->swarm_bound[errors->n] = swim_clock_get(&one->clock, one->mono_ns).bound_ns;
    errors->n++;
}

/* 10 to 50 µs each way, one probe a second and node, quartz of ±50 ppm. */
static void a_quiet_lan_is_known_to_microseconds(void **state)
{
    static const struct clock_model_opts lan = {.delay_least_ns = 10 * US,
                                                .delay_most_ns = 50 * US,
                                                .drift_ppb = 50000,
                                                .probe_ns = 1000 * SWIM_MS / MODEL_NODES};
    static struct errors errors;

    (void)state;
    clock_model_init(&model, &lan, 7);
    model.on_sample = note_errors;
    model.context = &errors;
    while (errors.n < SAMPLES) {
        clock_model_step(&model);
    }
    assert_int_equal(model.n_broken, 0);
    uint64_t theta = p99(errors.theta, SAMPLES), swarm = p99(errors.swarm, SAMPLES);
    uint64_t bound = p99(errors.bound, SAMPLES), swarm_bound = p99(errors.swarm_bound, SAMPLES);
    print_message("p99: offset off by %.1f us, bound %.1f us; swarm time off by %.1f us, bound "
                  "%.1f us\n",
                  (double)theta / US, (double)bound / US, (double)swarm / US,
                  (double)swarm_bound / US);
    assert_in_range(theta, 0, 50 * US);
    assert_in_range(bound, 0, 150 * US);
    assert_in_range(swarm, 0, 1000 * US);
    assert_in_range(swarm_bound, 0, 5000 * US);
}

static void all_find_the_least_anchor(void **state)
{
    static const struct clock_model_opts calm = {.delay_least_ns = 10 * US,
                                                 .delay_most_ns = 500 * US,
                                                 .loss_percent = 5,
                                                 .drift_ppb = 100000,
                                                 .probe_ns = 100 * SWIM_MS};

    (void)state;
    for (uint64_t seed = 1; seed < 6; seed++) {
        clock_model_init(&model, &calm, seed);
        while (model.true_ns < CALM_ROOT * SWIM_MS) {
            clock_model_step(&model);
        }
        for (uint32_t i = 0; i < MODEL_NODES; i++) {
            struct swim_clock_view view =
                swim_clock_get(&model.nodes[i].clock, model.nodes[i].mono_ns);
            assert_int_equal(view.root, model.nodes[0].clock.view.root);
            assert_int_equal(view.rank, SWIM_RANK_ANCHOR);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_bound_is_ever_wrong),
        cmocka_unit_test(likely_bounds_hold_while_rates_do),
        cmocka_unit_test(rounding_breaks_no_bound),
        cmocka_unit_test(a_quiet_lan_is_known_to_microseconds),
        cmocka_unit_test(all_find_the_least_anchor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
