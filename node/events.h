/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened on this node, numbered, for GET /api/v1/events and RPC: the last EVENTS_KEPT are
 * kept, so that who reconnects with Last-Event-ID misses none (or is told how many). The types are
 * in shared/wire/event_types.c. Numbers go up by one; a node that starts again begins with a larger
 * one (microseconds of the clock), so that a number means one event for ever.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

#define EVENTS_KEPT    4096
#define EVENTS_BEAT_MS 1000

struct events;
struct json_t;
struct node;

/* Sets node->events. */
int events_open(struct node *node, struct err *err);
/* Publishes node.stopping, after which watchers end what they write. */
void events_drain(struct node *node);
/* No watcher is left. node->events is NULL when closed is called. */
void events_close(struct node *node, void (*closed)(struct node *node));

/* Any thread. `data` is an object, moved; "time" and "node" are added to it. */
void events_publish(struct node *node, const char *type, struct json_t *data);

/* The number of the newest event; what comes next is larger. */
uint64_t events_newest(const struct events *events);
uint64_t events_published(const struct events *events); /* since the start */

/* Appends what follows number *after as Server-Sent Events until `max` bytes are reached, and moves
 * *after. Where events are gone already an event "lost" with their count comes first. True when
 * something is left. */
bool events_put(struct events *events, uint64_t *after, struct buf *out, size_t max);

/* The same one by one, under the lock: take gives false when it is full, after that event. */
typedef bool (*events_take_cb)(void *arg, uint64_t number, const char *type, const char *data);
bool events_each(struct events *events, uint64_t *after, events_take_cb take, void *arg);

/* Somebody who follows. Loop thread; embedded in its owner. */
struct events_watcher {
    LIST_ENTRY(events_watcher) link;
    void (*woken)(struct events_watcher *watcher);  /* there is something new */
    void (*beat)(struct events_watcher *watcher);   /* every EVENTS_BEAT_MS */
    void (*ending)(struct events_watcher *watcher); /* the node ends: unwatch */
};
void events_watch(struct events *events, struct events_watcher *watcher);
void events_unwatch(struct events *events, struct events_watcher *watcher);
size_t events_watchers(const struct events *events);

/* Families of this module for /metrics. */
void events_metrics(struct node *node, struct buf *out);
