/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of methods against those who answer them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/rpc.h"

static size_t handlers_of(const char *method)
{
    size_t n = 0;

    for (size_t i = 0; i < n_rpc_handler_groups; i++) {
        for (size_t k = 0; k < rpc_handler_groups[i]->n; k++) {
            n += strcmp(rpc_handler_groups[i]->handlers[k].method, method) == 0;
        }
    }
    return n;
}

static void each_method_has_one_who_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rpc_methods; i++) {
        if (handlers_of(rpc_methods[i].name) != 1) {
            fail_msg("%s has %zu handlers", rpc_methods[i].name, handlers_of(rpc_methods[i].name));
        }
    }
}

static void nobody_answers_what_is_not_in_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rpc_handler_groups; i++) {
        for (size_t k = 0; k < rpc_handler_groups[i]->n; k++) {
            assert_non_null(rpc_method_find(rpc_handler_groups[i]->handlers[k].method));
            assert_non_null(rpc_handler_groups[i]->handlers[k].handle);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_has_one_who_answers),
        cmocka_unit_test(nobody_answers_what_is_not_in_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
