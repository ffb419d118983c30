/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures that record into the node's store: started and stopped over HTTP (later RPC) and by
 * uplinks, each a capture session (shared/capture/session) with a store writer of its own. All on
 * the loop thread; what blocks goes to node/work. Counters are read from the capture threads once a
 * second, and when somebody asks with captures_refresh.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/capture/session_posix.h"
#include "shared/store/store.h"
#include "shared/store/store_writer.h"

struct captures;
struct json_t;
struct node;

/* Sets node->captures. Needs node->store, node->work and node->events. */
int captures_open(struct node *node, struct err *err);
/* Stops all and waits until they are flushed; at the monotonic deadline what waits for the disk is
 * given up. done is called once. */
void captures_stop_all(struct captures *captures, uint64_t deadline_ns,
                       void (*done)(struct node *node));
/* After captures_stop_all. node->captures is NULL when closed is called. */
void captures_close(struct captures *captures, void (*closed)(struct node *node));

struct capture_request {
    const char *const *interfaces;
    size_t n_interfaces;
    const char *filter;
    const char *name;
    const char *tags; /* JSON object */
    uint64_t max_packets;
    uint64_t max_bytes;
    uint64_t duration_ns;
    uint32_t snaplen;
    bool promisc;
    uint64_t clock_reference; /* sid of a member whose clock is measured as well; 0: none */
    bool of_uplink; /* what a sniffer feeds: bounded by UPLINKS_MAX, not by --max-captures */
    /* Wall clock; 0 = at once, and no such end. Packets outside of them are cut by their stamps
     * (session_posix.h). What ends before from_ns leaves no session. */
    uint64_t from_ns;
    uint64_t until_ns;
    /* Goes on in the session that has exactly these tags, where there is one; its packets and bytes
     * count against the limits. */
    bool resumes;
    /* On the loop, after a start that went well: it has ended. session: as stored, borrowed, or
     * NULL: there is none. failure: NULL, or why it ended early. NULL: nobody wants to know. */
    void (*ended)(void *arg, const struct json_t *session, const struct err *failure);
    void *ended_arg;
};

/* Copies the request; calls done later on the loop: with the session's id, or NULL and the error.
 * ERR_LIMIT: --max-captures are running, or the node is ending; ERR_USAGE: name or tags too long;
 * else what opening the sources and the store said. */
void captures_start(struct captures *captures, const struct capture_request *request,
                    void (*done)(void *arg, const char *id, const struct err *err), void *arg);
/* ERR_NOT_FOUND, ERR_AMBIGUOUS. id as everywhere: whole, a prefix of at least 8 characters, a name,
 * "last". done when it is flushed, with the session as `sessions --json` shows it (owned by the
 * callee). */
int captures_stop(struct captures *captures, const char *id,
                  void (*done)(void *arg, struct json_t *session), void *arg, struct err *err);

/* Tells the uplinks that are recorded what of them is durable by now. Never waits. */
void captures_settle(struct captures *captures);

/* Running ones, as objects of an array, oldest first. New reference. */
struct json_t *captures_list(struct captures *captures);
/* One of them, or NULL with ERR_NOT_FOUND or ERR_AMBIGUOUS. New reference. */
struct json_t *captures_find(struct captures *captures, const char *id, struct err *err);
/* The counters of a running one, not older than a second; false when there is none of that id. */
bool captures_counters(struct captures *captures, const char *id, struct session_counters *out);
/* What its writer has stored; the same. */
bool captures_stats(struct captures *captures, const char *id, struct store_writer_stats *out);
/* True while that session (whole id) is recorded here. */
bool captures_has(const struct captures *captures, const char *id);

/* Reads all counters anew, then calls done(arg) on the loop; also when the node is ending. */
void captures_refresh(struct captures *captures, void (*done)(void *arg), void *arg);

/* What all captures since the start come to. It never goes back while they end. A counter that none
 * of them offered is LEDGER_UNKNOWN. */
struct captures_totals {
    uint64_t started;
    uint64_t ended;
    uint64_t failed; /* ended with an error */
    struct ledger ledger;
    struct protocol_tally protocols;
    struct store_delays delays;
    size_t running;
    size_t disk_full;     /* running ones that cannot write at the moment */
    uint64_t queue_bytes; /* of the running ones: what waits for their writers, and how much may */
    uint64_t queue_limit;
};
void captures_totals(const struct captures *captures, struct captures_totals *out);

/* The newest recording that ended before it was told to and was not started again since; NULL for
 * none. *n: how many there are. Borrowed for this turn of the loop. */
struct capture_failure;
const struct capture_failure *captures_failed(const struct captures *captures, size_t *n);

/* Families of this module for /metrics. */
struct buf;
void captures_metrics(struct node *node, struct buf *out);
