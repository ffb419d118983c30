/* SPDX-License-Identifier: Apache-2.0
 *
 * What is captured on the real loopback, as the loop asks about it; skipped without rights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/sources_internal_uv.h"
#include "shared/base/mem.h"

static uv_loop_t loop;
static struct node_options options;
static struct node node = {.loop = &loop, .options = &options};
static bool is_closed;

static void on_closed(struct node *of)
{
    (void)of;
    is_closed = true;
}

/* Filters are compiled under the lock of the list, and names in them are looked up. */
static void the_loop_never_waits_for_a_filter_that_is_compiled(void **state)
{
    const struct source_request request = {.interface = "lo", .filter = "udp"};
    struct source *source = NULL;
    char *excluded = NULL;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(node_sources_open(&node, NULL), 0);
    if (node_source_open(&node, &request, &source, &excluded, NULL) < 0) {
        skip();
    }
    uv_mutex_lock(&node.sources->mutex); /* as a worker would */
    alarm(5);
    char *now = node_source_excluded(source);
    alarm(0);
    uv_mutex_unlock(&node.sources->mutex);
    assert_string_equal(now, excluded);
    mem_free(now);
    mem_free(excluded);
    source->ops->close(source);
    node_sources_close(&node, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loop_never_waits_for_a_filter_that_is_compiled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
