/* SPDX-License-Identifier: Apache-2.0
 *
 * A node with nothing but a relay, whose interfaces are made up (fake_node_source.h) and whose
 * events are counted (fake_events.h). Header only; include it after cmocka.h in one test.
 */
#pragma once

#include "node/viewer_uv.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "tests/support/fake_events.h"
#include "tests/support/fake_node_source.h"

#define DEADLINE_NS UINT64_C(20000000000)

static uv_loop_t loop;
static struct node node;
static struct node_options options;
static bool is_closed;

static void on_closed(struct node *of)
{
    (void)of;
    is_closed = true;
}

static void begin_node(void)
{
    memset(&fake_interface, 0, sizeof fake_interface);
    fake_interface.time_ns = clock_wall_ns() + 1000000000u; /* viewers get what comes later */
    node = (struct node){.loop = &loop, .options = &options, .name = "alpha"};
    options = (struct node_options){
        .max_captures = 2, .backlog_bytes = 4 << 20, .viewer_queue_bytes = 1 << 20};
    is_closed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    work_open(&node);
    assert_int_equal(relay_open(&node, NULL), 0);
}

static void end_node(void)
{
    relay_close(&node, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_null(node.relay);
    work_close(&node, on_closed);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* Runs the loop until the condition holds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        uint64_t deadline = clock_monotonic_ns() + DEADLINE_NS;                                    \
        while (!(condition)) {                                                                     \
            uv_run(&loop, UV_RUN_NOWAIT);                                                          \
            assert_true(clock_monotonic_ns() < deadline);                                          \
        }                                                                                          \
    } while (0)
