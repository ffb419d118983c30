/* SPDX-License-Identifier: Apache-2.0
 *
 * Which nodes a manage command is for, and what it says of those that do not answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/manage_nodes.h"
#include "shared/base/mem.h"

/* The options of a call as text; "" for none; NULL where they are refused. */
static char *options_of(const struct manage_args *args, struct err *err)
{
    json_t *options = NULL;

    if (manage_nodes_options(args, &options, err) < 0) {
        assert_null(options);
        return NULL;
    }
    char *text = options == NULL ? strdup("") : json_dumps(options, JSON_COMPACT);
    json_decref(options);
    return text;
}

static void nodes_are_named_in_many_ways(void **state)
{
    static const struct {
        const char *nodes[3];
        const char *select[3];
        bool all;
        const char *wanted;
    } cases[] = {
        {{NULL}, {NULL}, false, ""},
        {{NULL}, {NULL}, true, "{\"nodes\":\"all\"}"},
        {{"all"}, {NULL}, false, "{\"nodes\":\"all\"}"},
        {{"n1,all"}, {NULL}, false, "{\"nodes\":\"all\"}"},
        {{"n1,n2", "n3"}, {NULL}, false, "{\"nodes\":[\"n1\",\"n2\",\"n3\"]}"},
        {{"n1,,n2,", "n1"}, {NULL}, false, "{\"nodes\":[\"n1\",\"n2\"]}"},
        {{NULL}, {"a=b", "c="}, false, "{\"select\":[\"a=b\",\"c=\"]}"},
        {{NULL}, {"a=b,c"}, false, "{\"select\":[\"a=b,c\"]}"},
        {{","}, {NULL}, false, NULL},
        {{NULL}, {"a"}, false, NULL},
        {{NULL}, {"=a"}, false, NULL},
        {{"n1"}, {NULL}, true, NULL},
        {{"n1"}, {"a=b"}, false, NULL},
        {{NULL}, {"a=b"}, true, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct manage_args args = {.all = cases[i].all,
                                   .nodes.items = (const char **)(uintptr_t)cases[i].nodes,
                                   .select.items = (const char **)(uintptr_t)cases[i].select};
        struct err err = {0};
        while (cases[i].nodes[args.nodes.n] != NULL) {
            args.nodes.n++;
        }
        while (cases[i].select[args.select.n] != NULL) {
            args.select.n++;
        }
        char *text = options_of(&args, &err);
        if (cases[i].wanted == NULL) {
            assert_null(text);
            assert_int_equal(err.code, ERR_USAGE);
        } else {
            assert_non_null(text);
            assert_string_equal(text, cases[i].wanted);
        }
        free(text);
    }
}

static void what_one_node_answers_is_for_one(void **state)
{
    const char *one[] = {"n1"};
    const char *two[] = {"n1,n2"};
    struct manage_args args = {.nodes = {one, 1}};
    struct err err = {0};
    char *node = NULL;

    (void)state;
    assert_int_equal(manage_nodes_one(&args, &node, &err), 0);
    assert_string_equal(node, "n1");
    mem_free(node);
    args = (struct manage_args){0};
    assert_int_equal(manage_nodes_one(&args, &node, &err), 0);
    assert_null(node);
    args.all = true;
    assert_int_equal(manage_nodes_one(&args, &node, &err), ERR_USAGE);
    args = (struct manage_args){.nodes = {two, 1}};
    assert_int_equal(manage_nodes_one(&args, &node, &err), ERR_USAGE);
}

static int outcome_of(const char *text, struct err *err)
{
    json_t *answers = json_loads(text, 0, NULL);

    assert_non_null(answers);
    *err = (struct err){0};
    int rc = manage_tell_unanswered(answers, err);
    json_decref(answers);
    return rc;
}

static void the_outcome_is_that_of_all(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(outcome_of("[{\"node\":\"a\",\"result\":1}]", &err), 0);
    assert_int_equal(outcome_of("[{\"node\":\"a\",\"result\":null},"
                                "{\"node\":\"b\",\"error\":{\"code\":\"deadline\"}}]",
                                &err),
                     ERR_PARTLY);
    assert_string_equal(err.text, "1 of 2 nodes did it");
    assert_int_equal(err_exit_code(err.code), 3);
    assert_int_equal(outcome_of("[{\"node\":\"a\",\"error\":{}},"
                                "{\"node\":\"b\",\"error\":{\"message\":\"gone\"}}]",
                                &err),
                     ERR_IO);
    assert_int_equal(err_exit_code(err.code), 1);
    assert_int_equal(outcome_of("[]", &err), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_are_named_in_many_ways),
        cmocka_unit_test(what_one_node_answers_is_for_one),
        cmocka_unit_test(the_outcome_is_that_of_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
