/* SPDX-License-Identifier: Apache-2.0
 *
 * Following a node live: what `view` and packetrecorder-extcap do alike. One connection and one
 * thread an interface; what comes is given to one consumer (a capture file, the printer) in the
 * order in which it arrives, interfaces numbered anew. A connection that breaks is made again with
 * backoff and goes on where it was (cli/viewer_resume). The consumer is called under one lock: when
 * it is slow, the connections stand still, the node's queue for this viewer fills, and the node
 * drops and tells; nothing is piled up here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/packet/consumer.h"
#include "shared/wire/url.h"

#define LIVE_VIEW_LINKS_MAX 64

struct live_view;

/* As file_writer_statistics. */
struct pcapng_statistics;
typedef int (*live_view_statistics_cb)(struct consumer *consumer, uint32_t iface,
                                       const struct pcapng_statistics *statistics,
                                       const char *comment, struct err *err);

struct live_view_spec {
    const struct url_endpoint *endpoint;
    const char *api_key;  /* NULL = none */
    bool all_nodes;       /* live_view_interfaces: those of the other members too */
    unsigned all_wait_ms; /* for members that do not answer; 0 = a moment */
    const char *ca_file;  /* NULL = the system's */
    const char *const *interfaces;
    size_t n_interfaces; /* 1 to LIVE_VIEW_LINKS_MAX */
    const char *filter;
    uint32_t snaplen;
    uint64_t history_ns;
    bool compress;
    uint64_t max_packets; /* 0 = no limit */
    bool wait;            /* also before the first success: try again */
    bool reconnect;
    struct consumer *consumer;
    bool is_file;                       /* the consumer is a file writer, which takes statistics */
    live_view_statistics_cb statistics; /* of another consumer that does; else NULL */
    /* A sentence about what happened, for people. From any thread, one at a time. May be NULL. */
    void (*tell)(void *arg, const char *text);
    void *arg;
};

struct live_view_counters {
    uint64_t packets;
    uint64_t bytes;
    uint64_t lost;      /* told by the node: this viewer was too slow, or away too long */
    uint64_t kernel;    /* dropped by the node's kernel and interfaces; UINT64_MAX = unknown */
    uint64_t interface; /* the same */
    uint64_t gaps;      /* times that the node began anew: what lies between is not counted */
    uint64_t duplicates;
    uint64_t from_store;
    uint32_t connected; /* links that are up now */
};

/* Copies the spec (not the consumer). Interfaces that are asked of the node first: see
 * live_view_interfaces. */
struct live_view *live_view_new(const struct live_view_spec *spec);
int live_view_start(struct live_view *view, struct err *err);
/* Readable when it is over: a limit, an error, a reader that went away. */
int live_view_done_fd(const struct live_view *view);
/* Asks all to end; returns at once. Again: nothing. */
void live_view_stop(struct live_view *view);
/* The consumer's tick, when nobody uses it at the moment: notices a reader that went away. */
void live_view_tick(struct live_view *view);
void live_view_counters(struct live_view *view, struct live_view_counters *out);
/* Waits for the threads, at most grace_ms, and writes the end. *abandoned: one hangs in a connect
 * or a write; then do not free, end the process. Returns what the view ended with: 0, or the error,
 * -EPIPE for a reader that went away. */
int live_view_finish(struct live_view *view, uint64_t grace_ms, bool *abandoned, struct err *err);
void live_view_free(struct live_view *view); /* takes NULL; finished */

/* Asks GET /api/v1/interfaces for the names; each() is told what is known of one. *status as
 * http_call. */
struct live_view_interface {
    const char *name;
    const char *node;        /* whose it is; "" = not said */
    const char *description; /* "" = none */
    const char *link_type;   /* "" = unknown */
    bool up;
    bool loopback;
};
int live_view_interfaces(const struct live_view_spec *spec, uint64_t deadline_ns,
                         void (*each)(const struct live_view_interface *interface, void *arg),
                         void *arg, unsigned *status, struct err *err);
