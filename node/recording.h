/* SPDX-License-Identifier: Apache-2.0
 *
 * One capture into the store: what blocks of it. Opening sources and store, reading counters and
 * ending run on worker threads; the request to stop may come from the loop. node/captures_uv drives
 * it.
 */
#pragma once

#include <pthread.h>

#include "node/captures.h"
#include "node/recording_clock_posix.h"

/* How far it is, as last looked at. */
struct recording_sample {
    struct session_counters counters;
    struct store_writer_stats stats;
    char excluded[sizeof((struct store_session *)NULL)->excluded]; /* left out now; "" = unknown */
};

struct recording {
    struct node *node;
    /* A copy of the request. */
    char **interfaces;
    size_t n_interfaces;
    char *filter;
    char *name;
    char *tags;
    uint64_t max_packets;
    uint64_t max_bytes;
    uint64_t duration_ns;
    uint64_t from_ns;
    uint64_t until_ns;
    bool resumes;
    uint32_t snaplen;
    bool promisc;
    struct recording_clock clock;
    /* Set by recording_start. */
    struct source *sources[SESSION_MAX_SOURCES];
    uint32_t n_sources;
    char *excluded;
    struct store *store;
    struct consumer *writer;
    struct session *session;
    struct store_session described; /* as it was at the start; ifaces owned */
    bool encrypted;
    pthread_mutex_t lock; /* reading counters against ending */
    bool is_over;
    uint64_t lost; /* by the store, as last sampled */
    /* Set by recording_finish. */
    struct recording_sample last;
    enum session_end end;
    struct err failure; /* code 0: it ended well */
    bool is_resumed;    /* the session was there before */
    bool is_void;       /* it ended before its first instant: there is no session of it */
    struct json_t *result;
};

struct recording *recording_new(struct node *node, const struct capture_request *request);
void recording_free(struct recording *rec); /* takes NULL; never started, or finished */

/* On failure nothing is left: no session, no lock. */
int recording_start(struct recording *rec, struct err *err);
/* False when it is over; *out is then untouched. */
bool recording_sample(struct recording *rec, struct recording_sample *out);
/* Tells an uplink what of it is durable. Never waits: left out while a sample is taken. */
void recording_settle(struct recording *rec);
/* After the session's end: flushes, gives the store back, and fills in what came of it. */
void recording_finish(struct recording *rec);

/* As session JSON with these counters. New reference. */
struct json_t *recording_json(struct recording *rec, const struct recording_sample *sample);
