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

struct work_queue {
    struct node *node;
    LIST_HEAD(, work_item) items;
    size_t n;
    void (*closed)(struct node *node); /* set while closing */
};

void work_open(struct node *node)
{
    node->work = x_alloc(sizeof *node->work);
    node->work->node = node;
}

static void close_if_idle(struct work_queue *queue)
{
    struct node *node = queue->node;
    void (*closed)(struct node *) = queue->closed;

    if (closed == NULL || queue->n > 0) {
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
