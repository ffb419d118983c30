/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of texts under a lock, so that any thread may publish; the loop is woken once however many
 * came. Watchers read the ring themselves, from where they are, so a slow one costs nothing and
 * loses the oldest.
 */
#include "node/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "node/metrics.h"
#include "node/node.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

struct event {
    uint64_t id;
    char *type;
    char *data;
};

struct events {
    struct node *node;
    pthread_mutex_t lock;
    struct event ring[EVENTS_KEPT];
    uint64_t first_id; /* of this life */
    uint64_t next_id;
    bool is_closing;
    uv_async_t wake;
    uv_timer_t beat;
    unsigned open_handles;
    LIST_HEAD(, events_watcher) watchers;
    size_t n_watchers;
    void (*closed)(struct node *node);
};

static void on_wake(uv_async_t *wake)
{
    struct events *e = container_of(wake, struct events, wake);

    for (struct events_watcher *w = LIST_FIRST(&e->watchers), *next; w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        w->woken(w);
    }
}

static void on_beat(uv_timer_t *timer)
{
    struct events *e = container_of(timer, struct events, beat);

    for (struct events_watcher *w = LIST_FIRST(&e->watchers), *next; w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        w->beat(w);
    }
    if (e->n_watchers == 0) {
        uv_timer_stop(timer);
    }
}

int events_open(struct node *node, struct err *err)
{
    struct events *e = x_alloc(sizeof *e);

    (void)err;
    e->node = node;
    e->first_id = e->next_id = clock_wall_ns() / 1000u;
    pthread_mutex_init(&e->lock, NULL);
    REQUIRE(uv_async_init(node->loop, &e->wake, on_wake) == 0);
    REQUIRE(uv_timer_init(node->loop, &e->beat) == 0);
    e->open_handles = 2;
    node->events = e;
    return 0;
}

void events_drain(struct node *node)
{
    struct events *e = node->events;

    events_publish(node, "node.stopping", json_object());
    for (struct events_watcher *w = LIST_FIRST(&e->watchers), *next; w != NULL; w = next) {
        next = LIST_NEXT(w, link);
        w->ending(w);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct events *e = handle->data;

    if (--e->open_handles > 0) {
        return;
    }
    struct node *node = e->node;
    void (*closed)(struct node * node) = e->closed;
    for (size_t i = 0; i < EVENTS_KEPT; i++) {
        mem_free(e->ring[i].type);
        free(e->ring[i].data);
    }
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
    node->events = NULL;
    closed(node);
}

void events_close(struct node *node, void (*closed)(struct node *node))
{
    struct events *e = node->events;

    REQUIRE(LIST_EMPTY(&e->watchers));
    e->closed = closed;
    pthread_mutex_lock(&e->lock);
    e->is_closing = true;
    pthread_mutex_unlock(&e->lock);
    e->wake.data = e->beat.data = e;
    uv_close((uv_handle_t *)&e->wake, on_closed);
    uv_close((uv_handle_t *)&e->beat, on_closed);
}

void events_publish(struct node *node, const char *type, struct json_t *data)
{
    struct events *e = node->events;
    char time[TEXT_NUMBER_MAX];

    if (e == NULL) {
        json_decref(data);
        return;
    }
    text_format_time(clock_wall_ns(), time);
    json_object_set_new(data, "time", json_string(time));
    json_object_set_new(data, "node", json_string(node->name));
    char *text = json_dumps(data, JSON_COMPACT);
    REQUIRE(text != NULL);
    json_decref(data);

    pthread_mutex_lock(&e->lock);
    struct event *slot = &e->ring[e->next_id % EVENTS_KEPT];
    mem_free(slot->type);
    free(slot->data);
    *slot = (struct event){.id = e->next_id++, .type = x_strdup(type), .data = text};
    if (!e->is_closing) {
        uv_async_send(&e->wake);
    }
    pthread_mutex_unlock(&e->lock);
}

uint64_t events_newest(const struct events *events)
{
    struct events *e = (struct events *)events;

    pthread_mutex_lock(&e->lock);
    uint64_t id = e->next_id - 1;
    pthread_mutex_unlock(&e->lock);
    return id;
}

uint64_t events_published(const struct events *events)
{
    return events_newest(events) + 1 - events->first_id;
}

static bool tell_lost(uint64_t number, uint64_t n, bool known, events_take_cb take, void *arg)
{
    char text[48] = "{\"count\":null}"; /* of an earlier life of the node: nobody counted */

    if (known) {
        snprintf(text, sizeof text, "{\"count\":%" PRIu64 "}", n);
    }
    return take(arg, number, "lost", text);
}

bool events_each(struct events *e, uint64_t *after, events_take_cb take, void *arg)
{
    bool goes_on = true;

    pthread_mutex_lock(&e->lock);
    uint64_t kept = e->next_id - e->first_id;
    uint64_t oldest = e->next_id - (kept < EVENTS_KEPT ? kept : EVENTS_KEPT);

    if (*after >= e->next_id) { /* the clock went back between two lives, or it was made up */
        *after = oldest - 1;
        goes_on = tell_lost(*after, 0, false, take, arg);
    } else if (*after != 0 && *after + 1 < oldest) {
        uint64_t n = oldest - 1 - *after;
        bool known = *after + 1 >= e->first_id;
        *after = oldest - 1;
        goes_on = tell_lost(*after, n, known, take, arg);
    } else if (*after + 1 < oldest) { /* 0: all that is kept */
        *after = oldest - 1;
    }
    while (goes_on && *after + 1 < e->next_id) {
        const struct event *event = &e->ring[++*after % EVENTS_KEPT];
        goes_on = take(arg, event->id, event->type, event->data);
    }
    bool more = *after + 1 < e->next_id;
    pthread_mutex_unlock(&e->lock);
    return more;
}

struct sse {
    struct buf *out;
    size_t max;
};

static bool put_sse(void *arg, uint64_t number, const char *type, const char *data)
{
    struct sse *sse = arg;
    char id[48];

    snprintf(id, sizeof id, "id: %" PRIu64 "\nevent: ", number);
    buf_put_str(sse->out, id);
    buf_put_str(sse->out, type);
    buf_put_str(sse->out, "\ndata: ");
    buf_put_str(sse->out, data);
    buf_put_str(sse->out, "\n\n");
    return sse->out->len < sse->max;
}

bool events_put(struct events *events, uint64_t *after, struct buf *out, size_t max)
{
    struct sse sse = {.out = out, .max = max};

    return events_each(events, after, put_sse, &sse);
}

void events_watch(struct events *e, struct events_watcher *watcher)
{
    LIST_INSERT_HEAD(&e->watchers, watcher, link);
    if (e->n_watchers++ == 0) {
        uv_timer_start(&e->beat, on_beat, EVENTS_BEAT_MS, EVENTS_BEAT_MS);
    }
}

void events_unwatch(struct events *e, struct events_watcher *watcher)
{
    LIST_REMOVE(watcher, link);
    e->n_watchers--;
}

size_t events_watchers(const struct events *e)
{
    return e->n_watchers;
}

void events_metrics(struct node *node, struct buf *out)
{
    if (node->events == NULL) {
        return;
    }
    metrics_family(out, "packetrecorder_events_total", "counter", "Events published.");
    metrics_count(out, "packetrecorder_events_total", "", events_published(node->events));
    metrics_family(out, "packetrecorder_event_followers", "gauge",
                   "Clients that follow /api/v1/events.");
    metrics_count(out, "packetrecorder_event_followers", "", events_watchers(node->events));
}
