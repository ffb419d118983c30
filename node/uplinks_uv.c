/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of the node: a timer and a wake-up from the threads that read. Both look at what may be
 * told to the sniffers; the timer also forgets who has been away for long.
 */
#include <uv.h>

#include "node/captures.h"
#include "node/node.h"
#include "node/uplink_internal.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define LOOK_MS 100
#define REST_MS 60000 /* without uplink and recording: a node at rest wakes seldom */

struct uplinks_loop {
    struct node *node;
    struct uplinks *uplinks;
    uv_timer_t timer;
    uv_async_t async;
    unsigned n_open; /* handles */
    void (*closed)(struct node *node);
};

void uplinks_wake(struct uplinks *uplinks)
{
    uplinks_lock(uplinks);
    if (uplinks->loop != NULL) {
        uv_async_send(&uplinks->loop->async);
    }
    uplinks_unlock(uplinks);
}

/* Telling sends, which may end a connection, but never changes the table. */
static void tell_all(struct uplinks *uplinks)
{
    for (size_t i = 0; i < uplinks->n; i++) {
        if (uplinks->items[i]->conn != NULL) {
            ingest_conn_tell(uplinks->items[i]->conn);
        }
    }
}

static void forget_the_gone(struct uplinks *uplinks)
{
    uint64_t now_ms = clock_monotonic_ns() / 1000000u;

    for (size_t i = uplinks->n; i-- > 0;) {
        struct uplink *uplink = uplinks->items[i];
        uplink_record_look(uplinks, uplink);
        bool is_wanted = uplink->n_asks > 0; /* its sniffer is about to connect */
        uint64_t kept_ms = uplink->has_iface ? UPLINK_KEPT_MS : 0;
        if (uplink->conn != NULL || is_wanted || now_ms - uplink->down_ms < kept_ms) {
            continue;
        }
        uplink_record_stop(uplinks, uplink);
        if (uplink->has_iface) {
            log_info("uplink '%s' is forgotten: its sniffer has been away for %u s", uplink->name,
                     UPLINK_KEPT_MS / 1000u);
        }
        uplinks_lock(uplinks);
        uplinks_forget(uplinks, uplink, "its sniffer has been away for too long");
        uplinks_unlock(uplinks);
    }
}

static bool is_at_rest(const struct uplinks_loop *loop)
{
    return loop->uplinks->n == 0 && loop->node->n_recordings == 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct uplinks_loop *loop = container_of(timer, struct uplinks_loop, timer);

    if (loop->node->captures != NULL) {
        captures_settle(loop->node->captures);
    }
    tell_all(loop->uplinks);
    forget_the_gone(loop->uplinks);
    uv_timer_set_repeat(timer, is_at_rest(loop) ? REST_MS : LOOK_MS);
}

static void on_async(uv_async_t *async)
{
    struct uplinks_loop *loop = container_of(async, struct uplinks_loop, async);

    tell_all(loop->uplinks);
    if (uv_timer_get_repeat(&loop->timer) == REST_MS && !is_at_rest(loop)) {
        uv_timer_start(&loop->timer, on_timer, LOOK_MS, LOOK_MS);
    }
}

int uplinks_open(struct node *node, struct err *err)
{
    struct uplinks_loop *loop = x_alloc(sizeof *loop);
    int rc = uv_async_init(node->loop, &loop->async, on_async);

    if (rc < 0) {
        mem_free(loop);
        return err_set(err, rc, "cannot watch uplinks: %s", uv_strerror(rc));
    }
    uv_timer_init(node->loop, &loop->timer);
    uv_timer_start(&loop->timer, on_timer, LOOK_MS, LOOK_MS);
    loop->n_open = 2;
    loop->node = node;
    loop->uplinks = uplinks_new(node);
    loop->uplinks->loop = loop;
    node->uplinks = loop->uplinks;
    if (node->sources != NULL) {
        node_source_register(node, &uplink_provider);
    }
    return 0;
}

static void on_handle_closed(struct uplinks_loop *loop)
{
    if (--loop->n_open == 0) {
        struct node *node = loop->node;
        void (*closed)(struct node *) = loop->closed;
        mem_free(loop);
        closed(node);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of((uv_timer_t *)handle, struct uplinks_loop, timer));
}

static void on_async_closed(uv_handle_t *handle)
{
    on_handle_closed(container_of((uv_async_t *)handle, struct uplinks_loop, async));
}

void uplinks_close(struct node *node, void (*closed)(struct node *node))
{
    struct uplinks *uplinks = node->uplinks;
    struct uplinks_loop *loop = uplinks->loop;

    loop->closed = closed;
    node->uplinks = NULL;
    uplinks_lock(uplinks);
    uplinks->loop = NULL;
    while (uplinks->n > 0) {
        uplinks_forget(uplinks, uplinks->items[uplinks->n - 1], "the node is ending");
    }
    uplinks->refs--;
    uplinks_unlock(uplinks);
    uv_close((uv_handle_t *)&loop->timer, on_timer_closed);
    uv_close((uv_handle_t *)&loop->async, on_async_closed);
}
