/* SPDX-License-Identifier: Apache-2.0
 *
 * Three states: opening (parts one by one, on this thread), running, ending (drain all, then close
 * one by one in the other order). A part that fails to open ends the node in the same way.
 */
#include "node/node_uv.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "node/last_resort_posix.h"
#include "node/notify_posix.h"
#include "node/part.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

struct life {
    struct node node;
    const struct node_run_opts *opts;
    uv_loop_t loop;
    uv_signal_t term;
    uv_signal_t interrupt;
    uv_signal_t hangup;
    uv_timer_t watchdog;
    size_t n_open;     /* parts that are open */
    size_t n_draining; /* whose done is awaited, and one for drain() itself */
};

static struct life *life_of(struct node *node)
{
    return container_of(node, struct life, node);
}

static void close_next(struct node *node)
{
    struct life *life = life_of(node);

    if (life->n_open == 0) {
        uv_close((uv_handle_t *)&life->term, NULL);
        uv_close((uv_handle_t *)&life->interrupt, NULL);
        uv_close((uv_handle_t *)&life->hangup, NULL);
        uv_close((uv_handle_t *)&life->watchdog, NULL);
        return;
    }
    const struct node_part *part = &node_parts[--life->n_open];
    log_debug("closing %s", part->name);
    part->close(node, close_next);
}

static void on_drained(struct node *node)
{
    struct life *life = life_of(node);

    REQUIRE(life->n_draining > 0);
    if (--life->n_draining == 0) {
        close_next(node);
    }
}

static void drain(struct life *life)
{
    uint64_t deadline_ns = clock_monotonic_ns() + NODE_DRAIN_MS * 1000000ULL;

    life->node.stopping = true;
    life->n_draining = 1;
    for (size_t i = 0; i < life->n_open; i++) {
        if (node_parts[i].drain != NULL) {
            life->n_draining++;
            node_parts[i].drain(&life->node, deadline_ns, on_drained);
        }
    }
    on_drained(&life->node);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct life *life = handle->data;

    if (life->node.stopping) {
        return;
    }
    log_info("%s: ending", number == SIGTERM ? "SIGTERM" : "SIGINT");
    uv_signal_stop(&life->term);
    uv_signal_stop(&life->interrupt);
    last_resort_arm(NODE_DRAIN_MAX_MS, 0);
    notify_send("STOPPING=1\nSTATUS=draining");
    drain(life);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    struct life *life = handle->data;
    struct err err = {0};

    (void)number;
    if (life->node.stopping) {
        return;
    }
    log_info("SIGHUP: reading again what can change");
    if (life->opts->reload != NULL && life->opts->reload(life->opts->arg, &err) < 0) {
        log_error("%s; the configuration stays as it was", err.text);
    }
    for (size_t i = 0; i < life->n_open; i++) {
        if (node_parts[i].reload != NULL && node_parts[i].reload(&life->node, &err) < 0) {
            log_error("%s: %s; what was in force stays so", node_parts[i].name, err.text);
        }
    }
}

/* Only a loop that turns says that it lives. */
static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_send("WATCHDOG=1");
}

static void start_watchdog(struct life *life)
{
    uint64_t period_ms = notify_watchdog_ms();

    REQUIRE(uv_timer_init(&life->loop, &life->watchdog) == 0);
    uv_unref((uv_handle_t *)&life->watchdog);
    if (period_ms > 0) {
        REQUIRE(uv_timer_start(&life->watchdog, on_watchdog, period_ms, period_ms) == 0);
    }
}

static void watch_signals(struct life *life)
{
    REQUIRE(uv_signal_init(&life->loop, &life->term) == 0);
    REQUIRE(uv_signal_init(&life->loop, &life->interrupt) == 0);
    REQUIRE(uv_signal_init(&life->loop, &life->hangup) == 0);
    life->term.data = life->interrupt.data = life->hangup.data = life;
    REQUIRE(uv_signal_start(&life->term, on_end_signal, SIGTERM) == 0);
    REQUIRE(uv_signal_start(&life->interrupt, on_end_signal, SIGINT) == 0);
    REQUIRE(uv_signal_start(&life->hangup, on_hangup, SIGHUP) == 0);
}

static void name_node(struct node *node)
{
    if (node->options->node_name != NULL) {
        snprintf(node->name, sizeof node->name, "%s", node->options->node_name);
    } else if (gethostname(node->name, sizeof node->name - 1) < 0 || node->name[0] == '\0') {
        snprintf(node->name, sizeof node->name, "%s", "localhost");
    }
}

static int tag_node(struct node *node, struct err *err)
{
    const struct option_list *list = &node->options->tags;
    int rc = 0;

    for (size_t i = 0; i < list->n && rc == 0; i++) {
        rc = tags_add(&node->tags, list->items[i], err);
    }
    return rc < 0 ? err_wrap(err, "--tag") : 0;
}

static int open_parts(struct life *life, struct err *err)
{
    for (; life->n_open < n_node_parts; life->n_open++) {
        const struct node_part *part = &node_parts[life->n_open];
        log_debug("opening %s", part->name);
        int rc = part->open(&life->node, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

int node_run(const struct node_options *options, const struct node_run_opts *opts, struct err *err)
{
    struct life *life = x_alloc(sizeof *life);

    life->opts = opts;
    life->node.options = options;
    life->node.loop = &life->loop;
    life->node.started_ns = clock_wall_ns();
    name_node(&life->node);
    int rc = tag_node(&life->node, err);
    if (rc < 0) {
        mem_free(life);
        return rc;
    }
    rc = uv_loop_init(&life->loop);
    if (rc < 0) {
        mem_free(life);
        return err_set(err, rc, "cannot make an event loop: %s", uv_strerror(rc));
    }
    signal(SIGPIPE, SIG_IGN);
    watch_signals(life);
    start_watchdog(life);
    rc = open_parts(life, err);
    if (rc == 0) {
        log_info("node '%s' is ready", life->node.name);
        notify_send("READY=1\nSTATUS=serving");
    } else {
        life->node.stopping = true;
        last_resort_arm(NODE_DRAIN_MAX_MS, err_exit_code(rc));
        close_next(&life->node);
    }
    uv_run(&life->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&life->loop);
    if (left == 0) {
        mem_free(life);
    } else {
        log_warn("the loop still has open handles");
    }
    last_resort_disarm();
    return rc;
}
