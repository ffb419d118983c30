/* SPDX-License-Identifier: Apache-2.0
 *
 * What session_posix.c (life, requests, results) and session_loop_posix.c (the packet loop) share.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "shared/capture/block_pool_posix.h"
#include "shared/capture/lane_posix.h"
#include "shared/capture/session_posix.h"

struct session {
    /* set at the start, then read only */
    bool live;
    uint32_t n_sources;
    uint32_t n_lanes;
    uint64_t seal_ns; /* 0 = at once */
    uint64_t started_ns;
    intake_unmatched_cb unmatched;
    void *unmatched_arg;
    int wake_fds[2]; /* read end is polled by the capture thread; anybody writes */
    int done_fds[2]; /* gets a byte at the end */
    pthread_t thread;

    /* the capture thread's own */
    struct intake intake;
    struct intake_feed feeds[SESSION_MAX_SOURCES];
    bool source_ended[SESSION_MAX_SOURCES];
    struct block_pool *pool;
    struct lane *lanes[SESSION_MAX_CONSUMERS];
    bool lane_overloaded[SESSION_MAX_CONSUMERS];
    uint64_t open_since_ns; /* 0 = the open block is empty or was not looked at */
    uint64_t stats_at_ns;
    uint64_t waited_at_ns; /* when wait_for_packets was last called, and what was captured then */
    struct ledger waited_at;
    uint64_t deadline_ns;
    bool ended;
    bool is_early; /* before the first instant that is captured, which is at */
    uint64_t from_mono_ns;
    uint64_t early_read_ns;                          /* when what is to be left out was read last */
    struct source_stats before[SESSION_MAX_SOURCES]; /* until then */

    /* requests: any thread, signal handlers */
    atomic_bool stop;
    atomic_bool abort;
    atomic_bool snapshot_wanted;

    /* What came before it was given to the lanes; 0 = not known. */
    atomic_uint_fast64_t idle_ns;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t change;
    struct session_counters snapshot;
    uint64_t snapshot_number;
    bool finished;

    struct session_result result; /* written by the capture thread before `finished` */
    bool joined;
};

/* The body of the capture thread. */
void session_loop(struct session *session);

/* intake's exchange: offers the full block to the lanes and gives an empty one. */
struct block *session_exchange(struct block *full, uint32_t need, void *arg);

void session_read_stats(struct session *session);
void session_total(const struct session *session, struct ledger *out);
void session_count(struct session *session, struct session_counters *out);
void session_serve_snapshot(struct session *session);
/* Keeps the first error and ends the loop. */
void session_fail(struct session *session, int code, const struct err *err);
