/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a live view share: live_view_posix.c (start, end, the lock),
 * live_view_link_posix.c (one connection), live_view_output.c (what the consumer is given).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cli/live_view_output.h"
#include "cli/live_view_posix.h"
#include "cli/viewer_resume.h"
#include "cli/viewer_stream.h"
#include "cli/viewer_zstd.h"
#include "shared/base/backoff.h"
#include "shared/base/log.h"

struct ws_client;

struct live_view_link {
    struct live_view *view;
    const char *interface;
    pthread_t thread;
    bool started;
    bool ended;               /* the thread has returned; under the lock */
    struct ws_client *client; /* under the lock: for interrupting it */
    struct resume resume;
    struct stream_reader reader;
    struct viewer_zstd *zstd; /* NULL = not compressed */
    struct backoff backoff;
    uint32_t map[STREAM_IFACES_MAX]; /* the section's interfaces to the output's */
    bool map_is_same;                /* map[i] == i for all */
    bool was_connected;
    bool got_data;        /* since the connection was made */
    uint64_t began_ns;    /* monotonic: the first connection was asked for */
    uint64_t lost_untold; /* for people */
    struct log_limit tell_limit;
    uint64_t lost_away; /* by the numbers of the node's answer; goes with the note */
    char note[192];     /* goes into the file with the next interface; "" = none */
};

struct live_view {
    struct live_view_spec spec;
    struct url_endpoint endpoint;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* monotonic */
    int done_fds[2];
    int stop_fd; /* eventfd: readable once stopping */
    bool stopping;
    bool over;
    int code;
    struct err err;
    struct live_view_output output;
    uint64_t gaps;
    uint32_t connected;
    struct live_view_link *links;
};

/* With the lock. The first reason counts. */
void live_view_end(struct live_view *view, int code, const struct err *err);
void live_view_tell(struct live_view *view, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The thread of a link. */
void *live_view_link_main(void *arg);
