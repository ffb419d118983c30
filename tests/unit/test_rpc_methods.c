/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks THE table of methods: its promises, and that each parameter of each method is checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "shared/packet/filter_bound.h"
#include "shared/wire/rpc.h"
#include "shared/wire/rpc_methods.h"

/* A value that is good for a parameter. */
static json_t *good_value(const struct rpc_param *param)
{
    switch (param->type) {
    case RPC_TEXT:
        return json_string("x");
    case RPC_TEXTS:
        return json_pack("[s, s]", "a", "b");
    case RPC_BOOL:
        return json_true();
    case RPC_COUNT:
    case RPC_SIZE:
        return json_integer(1);
    case RPC_REAL:
    case RPC_DURATION:
        return json_real(1.5);
    case RPC_TIME:
        return json_string("-10m");
    case RPC_FILTER:
        return json_string("udp port 53");
    case RPC_TAGS:
        return json_pack("{s:s}", "site", "north");
    case RPC_WORD:
        return json_string(param->words[0]);
    }
    return NULL;
}

/* Arguments with all that must be there. */
static json_t *good_args(const struct rpc_method *method)
{
    json_t *args = json_object();

    for (size_t i = 0; i < method->n_params; i++) {
        if (method->params[i].required) {
            json_object_set_new(args, method->params[i].name, good_value(&method->params[i]));
        }
    }
    return args;
}

static void the_table_is_well_made(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rpc_methods; i++) {
        const struct rpc_method *m = &rpc_methods[i];
        assert_ptr_equal(rpc_method_find(m->name), m); /* so each name once */
        assert_non_null(strchr(m->name, '.'));
        assert_true(strlen(m->name) < RPC_METHOD_MAX);
        assert_int_not_equal(m->right, RIGHT_NONE);
        assert_non_null(m->what);
        assert_non_null(m->result);
        for (size_t k = 0; k < m->n_params; k++) {
            assert_non_null(m->params[k].what);
            assert_true((m->params[k].type == RPC_WORD) == (m->params[k].words != NULL));
            for (size_t l = 0; l < k; l++) {
                assert_string_not_equal(m->params[k].name, m->params[l].name);
            }
        }
    }
    assert_null(rpc_method_find("node.inf"));
}

/* What the issue and the command line count on. */
static void who_changes_needs_more_than_to_view(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rpc_methods; i++) {
        if (rpc_methods[i].changes) {
            assert_int_not_equal(rpc_methods[i].right, RIGHT_VIEW);
        }
    }
}

static void each_parameter_is_taken_when_it_is_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rpc_methods; i++) {
        const struct rpc_method *m = &rpc_methods[i];
        json_t *args = good_args(m);
        assert_int_equal(rpc_args_check(m, args, NULL), 0);
        for (size_t k = 0; k < m->n_params; k++) {
            struct err err = {0};
            json_object_set_new(args, m->params[k].name, good_value(&m->params[k]));
            if (rpc_args_check(m, args, &err) < 0) {
                fail_msg("%s: %s", m->name, err.text);
            }
        }
        json_decref(args);
    }
}

static void check_refused(const struct rpc_method *m, const char *name, json_t *value)
{
    json_t *args = good_args(m);
    struct err err = {0};

    json_object_set_new(args, name, value);
    assert_true(rpc_args_check(m, args, &err) < 0);
    if (strstr(err.text, name) == NULL) {
        fail_msg("%s, %s: %s", m->name, name, err.text);
    }
    json_decref(args);
}

static void each_parameter_of_a_wrong_type_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rpc_methods; i++) {
        const struct rpc_method *m = &rpc_methods[i];
        for (size_t k = 0; k < m->n_params; k++) {
            const struct rpc_param *p = &m->params[k];
            bool takes_numbers = p->type == RPC_COUNT || p->type == RPC_SIZE ||
                                 p->type == RPC_REAL || p->type == RPC_DURATION;
            check_refused(m, p->name, json_integer(-1));
            check_refused(m, p->name, json_pack("[i]", 1));
            check_refused(m, p->name, json_pack("{s:i}", "x", 1));
            if (p->type != RPC_BOOL) {
                check_refused(m, p->name, json_true());
            }
            if (!takes_numbers) {
                check_refused(m, p->name, json_integer(7));
            }
            if (p->max > 0) {
                check_refused(m, p->name, json_integer((json_int_t)p->max + 1));
            }
        }
        check_refused(m, "no_such_parameter", json_integer(1));
    }
}

static void what_must_be_there_is_missed_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rpc_methods; i++) {
        const struct rpc_method *m = &rpc_methods[i];
        for (size_t k = 0; k < m->n_params; k++) {
            if (m->params[k].required) {
                check_refused(m, m->params[k].name, json_null());
            }
        }
    }
}

static void a_misspelt_parameter_gets_a_hint(void **state)
{
    json_t *args = json_pack("{s:s}", "sesion_id", "x");
    struct err err = {0};

    (void)state;
    assert_int_equal(rpc_args_check(rpc_method_find("session.query"), args, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "is \"session_id\" meant?"));
    json_decref(args);
}

static void a_filter_that_costs_too_much_is_refused(void **state)
{
    char long_filter[FILTER_ASKED_BYTES + 2];
    json_t *args;
    struct err err = {0};

    (void)state;
    memset(long_filter, ' ', sizeof long_filter - 1);
    long_filter[sizeof long_filter - 1] = '\0';
    args = json_pack("{s:s}", "filter", long_filter);
    assert_int_equal(rpc_args_check(rpc_method_find("capture.start"), args, &err), ERR_FILTER);
    json_decref(args);
}

static void numbers_are_read_in_all_their_forms(void **state)
{
    json_t *args = json_pack("{s:s, s:f, s:i, s:s, s:n, s:f, s:s}", "a", "10k", "b", 2.0, "c", 3,
                             "d", "1m30s", "e", "f", 0.25, "g", "@5");

    (void)state;
    assert_int_equal(rpc_arg_count(args, "a", 0), 10000);
    assert_int_equal(rpc_arg_count(args, "b", 0), 2);
    assert_int_equal(rpc_arg_size(args, "c", 0), 3);
    assert_int_equal(rpc_arg_duration_ns(args, "d", 0), 90000000000);
    assert_int_equal(rpc_arg_count(args, "e", 77), 77);
    assert_int_equal(rpc_arg_count(args, "none", 78), 78);
    assert_int_equal(rpc_arg_duration_ns(args, "f", 0), 250000000);
    assert_int_equal(rpc_arg_time_ns(args, "g", 0, 0), 5000000000);
    assert_null(rpc_arg(args, "e"));
    assert_null(rpc_arg_text(args, "c"));
    assert_true(rpc_arg_bool(args, "none", true));
    json_decref(args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_well_made),
        cmocka_unit_test(who_changes_needs_more_than_to_view),
        cmocka_unit_test(each_parameter_is_taken_when_it_is_good),
        cmocka_unit_test(each_parameter_of_a_wrong_type_is_refused_by_name),
        cmocka_unit_test(what_must_be_there_is_missed_by_name),
        cmocka_unit_test(a_misspelt_parameter_gets_a_hint),
        cmocka_unit_test(a_filter_that_costs_too_much_is_refused),
        cmocka_unit_test(numbers_are_read_in_all_their_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
