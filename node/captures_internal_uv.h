/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of node/captures share: captures_uv.c starts, stops and drains;
 * captures_report_uv.c lists and counts. Private to them.
 */
#pragma once

#include <sys/queue.h>
#include <uv.h>

#include "node/capture_failures.h"
#include "node/recording.h"

enum capture_state { CAPTURE_STARTING, CAPTURE_RUNNING, CAPTURE_FINISHING };

struct stop_waiter {
    struct stop_waiter *next;
    void (*done)(void *arg, struct json_t *session);
    void *arg;
};

struct capture {
    struct captures *captures;
    TAILQ_ENTRY(capture) next; /* in order of the requests */
    unsigned refs;             /* the list, and a sampling under way */
    enum capture_state state;
    struct recording *rec;
    struct recording_sample sample; /* not older than a second */
    bool is_counted;                /* in node->n_recordings */
    bool is_sampled;
    bool was_full;
    bool stop_wanted; /* while it still starts */
    bool finish_due;  /* no worker could be had for it */
    uv_poll_t poll;   /* the session's end */
    struct stop_waiter *waiters;
    struct err failed; /* the start's */
    void (*started)(void *arg, const char *id, const struct err *err);
    void *started_arg;
    void (*ended)(void *arg, const struct json_t *session, const struct err *failure);
    void *ended_arg;
};

TAILQ_HEAD(capture_list, capture);

struct refresh_waiter {
    struct refresh_waiter *next;
    void (*done)(void *arg);
    void *arg;
};

struct captures {
    struct node *node;
    uv_timer_t tick;
    uv_timer_t deadline; /* of draining */
    uv_async_t wake;     /* something is due in the next turn */
    unsigned open_handles;
    struct capture_list all;
    struct capture_list refused; /* to be told in the next turn */
    struct refresh_waiter *refreshing;
    bool is_sampling;
    bool is_draining;
    bool is_closing;
    void (*drained)(struct node *node);
    void (*closed)(struct node *node);
    struct captures_totals past; /* of those that have ended */
    struct capture_failures failures;
};

/* Reads all counters on a worker; the waiters are told then. */
void captures_sample(struct captures *captures);
void captures_add(struct captures_totals *totals, const struct recording_sample *sample);
void capture_unref(struct capture *capture);
/* Tells whoever drains once nothing is left to wait for. */
void captures_maybe_drained(struct captures *captures);
int capture_find(struct captures *captures, const char *id, struct capture **out, struct err *err);
