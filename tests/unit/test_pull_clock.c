/* SPDX-License-Identifier: Apache-2.0
 *
 * What a merged download takes for the clocks of its sessions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/pull_plan.h"
#include "shared/base/mem.h"

#define ROOT_A "00000000000000aa"
#define ROOT_B "00000000000000bb"
#define N1     "1111111111111111"
#define N2     "2222222222222222"

struct sample {
    int second;
    int64_t offset_ns;
    const char *root;
    bool is_step;
    const char *reference; /* NULL: null */
    int64_t reference_ns;
    int64_t bound_ns; /* 0: 1000 */
};

static json_t *sample_json(const struct sample *s)
{
    char time[40];
    json_t *reference = s->reference == NULL
                            ? json_null()
                            : json_pack("{s:s, s:I, s:I}", "id", s->reference, "offset_ns",
                                        (json_int_t)s->reference_ns, "bound_ns", (json_int_t)7);

    snprintf(time, sizeof time, "2026-11-26T00:00:%02d.000000000Z", s->second);
    return json_pack("{s:s, s:I, s:I, s:s, s:b, s:o}", "time", time, "offset_ns",
                     (json_int_t)s->offset_ns, "bound_ns",
                     (json_int_t)(s->bound_ns > 0 ? s->bound_ns : 1000), "root", s->root, "step",
                     (int)s->is_step, "reference", reference);
}

/* A session of a node whose id begins so. */
static void add(struct pull_plan *plan, const char *node_id, const struct sample *samples, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, sample_json(&samples[i]));
    }
    plan->sources = x_realloc(plan->sources, (plan->n_sources + 1) * sizeof *plan->sources);
    plan->sources[plan->n_sources++] =
        (struct pull_source){.node = x_strdup("node"),
                             .node_id = x_sprintf("%s%s", node_id, node_id),
                             .id = x_strdup("session"),
                             .session = json_pack("{s:o}", "clock", list)};
}

#define ADD(plan, node, ...)                                                                       \
    add(plan, node, (const struct sample[]){__VA_ARGS__},                                          \
        sizeof((const struct sample[]){__VA_ARGS__}) / sizeof(struct sample))

static void all_measured_against_one_member_take_its_clock(void **state)
{
    struct pull_plan plan = {0};

    (void)state;
    ADD(&plan, N1, {1, 50, ROOT_A, false, NULL, 0}, {9, 51, ROOT_A, false, NULL, 0});
    ADD(&plan, N2, {1, 900, ROOT_A, false, NULL, 0}, {2, 901, ROOT_A, false, N1, 850},
        {9, 902, ROOT_B, true, N1, 852});
    pull_plan_set_clocks(&plan);
    assert_string_equal(plan.reference, N1);
    assert_int_equal(plan.sources[0].n_clock, 1);
    assert_int_equal(plan.sources[0].clock[0].offset_ns, 0);
    assert_int_equal(plan.sources[0].clock[0].bound_ns, 0);
    assert_int_equal(plan.sources[1].n_clock, 2); /* the first was not measured yet */
    assert_int_equal(plan.sources[1].clock[0].offset_ns, 850);
    assert_int_equal(plan.sources[1].clock[0].bound_ns, 7);
    assert_int_equal(plan.sources[1].clock[1].offset_ns, 852);
    assert_true(plan.sources[1].clock[1].is_step);
    assert_true(plan.sources[1].clock[1].time_ns - plan.sources[1].clock[0].time_ns == 7000000000);
    pull_plan_deinit(&plan);
}

/* A clock that was set while it was not measured, or that of the reference itself: what all have is
 * the time of the swarm. */
static void a_step_that_was_not_measured_makes_it_the_time_of_the_swarm(void **state)
{
    struct pull_plan plan = {0};

    (void)state;
    ADD(&plan, N1, {1, 50, ROOT_A, false, NULL, 0});
    ADD(&plan, N2, {1, 900, ROOT_A, false, N1, 850}, {5, 5900, ROOT_A, true, NULL, 0});
    pull_plan_set_clocks(&plan);
    assert_null(plan.reference);
    assert_true(plan.is_one_swarm);
    assert_int_equal(plan.sources[0].clock[0].offset_ns, 50);
    assert_int_equal(plan.sources[1].n_clock, 2);
    assert_int_equal(plan.sources[1].clock[1].offset_ns, 5900);
    assert_int_equal(plan.sources[1].clock[1].bound_ns, 1000);
    pull_plan_deinit(&plan);

    ADD(&plan, N1, {1, 50, ROOT_A, false, NULL, 0}, {2, 60, ROOT_A, true, NULL, 0});
    ADD(&plan, N2, {1, 900, ROOT_A, false, N1, 850});
    pull_plan_set_clocks(&plan);
    assert_null(plan.reference);
    assert_int_equal(plan.sources[0].n_clock, 2);
    pull_plan_deinit(&plan);
}

static void samples_of_another_timeline_are_left_out(void **state)
{
    struct pull_plan plan = {0};

    (void)state;
    ADD(&plan, N1, {1, 50, ROOT_B, false, NULL, 0}, {2, 70, ROOT_A, false, NULL, 0});
    ADD(&plan, N2, {1, 900, ROOT_A, false, NULL, 0});
    ADD(&plan, "3333333333333333", {1, 5, ROOT_B, false, NULL, 0});
    pull_plan_set_clocks(&plan);
    assert_null(plan.reference);
    assert_int_equal(plan.sources[0].n_clock, 1);
    assert_int_equal(plan.sources[0].clock[0].offset_ns, 70);
    assert_int_equal(plan.sources[1].n_clock, 1);
    assert_int_equal(plan.sources[2].n_clock, 0);
    pull_plan_deinit(&plan);
}

/* Whatever stands there: no sample, and no harm. */
static void what_is_no_sample_is_none(void **state)
{
    static const char *const odd[] = {
        "null", "[]", "[1, null, [], {}]", "[{\"time\": 5, \"offset_ns\": 1, \"root\": \"r\"}]",
        "[{\"time\": \"2026-11-26T00:00:00Z\", \"offset_ns\": \"1\", \"root\": \"r\"}]"};

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct pull_plan plan = {0};
        add(&plan, N1, NULL, 0);
        json_object_set_new(plan.sources[0].session, "clock",
                            json_loads(odd[i], JSON_DECODE_ANY, NULL));
        pull_plan_set_clocks(&plan);
        assert_int_equal(plan.sources[0].n_clock, 0);
        pull_plan_deinit(&plan);
    }
}

/* A sample of a busy moment says little beside one that is known well. */
static void each_sample_counts_by_its_bound(void **state)
{
    struct pull_plan plan = {0};

    (void)state;
    ADD(&plan, N1, {1, 0, ROOT_A, .bound_ns = 50000}, {5, 400000, ROOT_A, .bound_ns = 1000000});
    pull_plan_set_clocks(&plan);
    assert_int_equal(plan.sources[0].n_clock, 2);
    assert_true(plan.sources[0].clock[1].offset_ns < 40000);
    assert_true(plan.sources[0].clock[1].bound_ns > 1360000);
    pull_plan_deinit(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_measured_against_one_member_take_its_clock),
        cmocka_unit_test(a_step_that_was_not_measured_makes_it_the_time_of_the_swarm),
        cmocka_unit_test(samples_of_another_timeline_are_left_out),
        cmocka_unit_test(what_is_no_sample_is_none),
        cmocka_unit_test(each_sample_counts_by_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
