/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/queue.h>

#include <uv.h>

#include "node/node.h"
#include "node/work.h"
#include "shared/base/mem.h"

struct work_item {
    uv_work_t request;
    struct work_queue *queue;
    LIST_ENTRY(work_item) link;
    void (*run)(void *arg);
    void (*done)(void *arg, bool cancelled);
    void *arg;
};

/* What has a thread of its own. */
struct apart_item {
    TAILQ_ENTRY(apart_item) link; /* of those that have not begun */
    struct work_queue *queue;
    uv_async_t ended;
    uv_thread_t thread;
    void (*run)(void *arg);
    void (*done)(void *arg, bool cancelled);
    void *arg;
    bool has_thread;
};

struct work_queue {
    struct node *node;
    LIST_HEAD(, work_item) items;
    size_t n;
    TAILQ_HEAD(, apart_item) waiting;
    size_t n_apart;                    /* with those that wait */
    size_t n_threads;                  /* of them */
    void (*closed)(struct node *node); /* set while closing */
};

void work_open(struct node *node)
{
    node->work = x_alloc(sizeof *node->work);
    node->work->node = node;
    TAILQ_INIT(&node->work->waiting);
}

static void close_if_idle(struct work_queue *queue)
{
    struct node *node = queue->node;
    void (*closed)(struct node *) = queue->closed;

    if (closed == NULL || queue->n + queue->n_apart > 0) {
        return;
    }
    node->work = NULL;
    mem_free(queue);
    closed(node);
}

void work_close(struct node *node, void (*closed)(struct node *node))
{
    struct work_queue *queue = node->work;

    queue->closed = closed;
    struct work_item *item;
    LIST_FOREACH (item, &queue->items, link) {
        uv_cancel((uv_req_t *)&item->request); /* fails where it runs already */
    }
    while (!TAILQ_EMPTY(&queue->waiting)) {
        struct apart_item *apart = TAILQ_FIRST(&queue->waiting);
        TAILQ_REMOVE(&queue->waiting, apart, link);
        uv_async_send(&apart->ended);
    }
    close_if_idle(queue);
}

static void on_work(uv_work_t *request)
{
    struct work_item *item = container_of(request, struct work_item, request);

    item->run(item->arg);
}

static void on_done(uv_work_t *request, int status)
{
    struct work_item *item = container_of(request, struct work_item, request);
    struct work_queue *queue = item->queue;

    item->done(item->arg, status == UV_ECANCELED);
    LIST_REMOVE(item, link);
    queue->n--;
    mem_free(item);
    close_if_idle(queue);
}

bool work_has_room(const struct node *node)
{
    return node->work->n < WORK_MAX;
}

bool work_run(struct node *node, void (*run)(void *arg), void (*done)(void *arg, bool cancelled),
              void *arg)
{
    struct work_queue *queue = node->work;

    if (!work_has_room(node)) {
        return false;
    }
    struct work_item *item = x_alloc(sizeof *item);
    item->queue = queue;
    item->run = run;
    item->done = done;
    item->arg = arg;
    LIST_INSERT_HEAD(&queue->items, item, link);
    queue->n++;
    REQUIRE(uv_queue_work(node->loop, &item->request, on_work, on_done) == 0);
    return true;
}

/* ---- apart ---- */

static void on_apart_closed(uv_handle_t *handle)
{
    struct apart_item *item = container_of((uv_async_t *)handle, struct apart_item, ended);
    struct work_queue *queue = item->queue;

    mem_free(item);
    queue->n_apart--;
    close_if_idle(queue);
}

static void run_apart(void *arg)
{
    struct apart_item *item = arg;

    item->run(item->arg);
    uv_async_send(&item->ended);
}

static void begin_apart(struct work_queue *queue)
{
    while (queue->n_threads < WORK_APART_MAX && !TAILQ_EMPTY(&queue->waiting)) {
        struct apart_item *item = TAILQ_FIRST(&queue->waiting);
        TAILQ_REMOVE(&queue->waiting, item, link);
        item->has_thread = uv_thread_create(&item->thread, run_apart, item) == 0;
        if (item->has_thread) {
            queue->n_threads++;
        } else {
            uv_async_send(&item->ended);
        }
    }
}

static void on_apart_ended(uv_async_t *ended)
{
    struct apart_item *item = container_of(ended, struct apart_item, ended);
    struct work_queue *queue = item->queue;

    if (item->has_thread) {
        uv_thread_join(&item->thread); /* it does nothing any more */
        queue->n_threads--;
    }
    item->done(item->arg, !item->has_thread);
    uv_close((uv_handle_t *)ended, on_apart_closed);
    begin_apart(queue);
}

void work_run_apart(struct node *node, void (*run)(void *arg),
                    void (*done)(void *arg, bool cancelled), void *arg)
{
    struct work_queue *queue = node->work;
    struct apart_item *item = x_alloc(sizeof *item);

    item->queue = queue;
    item->run = run;
    item->done = done;
    item->arg = arg;
    REQUIRE(uv_async_init(node->loop, &item->ended, on_apart_ended) == 0);
    TAILQ_INSERT_TAIL(&queue->waiting, item, link);
    queue->n_apart++;
    begin_apart(queue);
}
