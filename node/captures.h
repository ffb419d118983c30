/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures that record into the node's store: started and stopped over HTTP (later RPC), each a
 * capture session (shared/capture/session) with a store writer. All on the loop thread but what it
 * hands to node/work.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/capture/session_posix.h"
#include "shared/store/store.h"

struct captures;
struct json_t;
struct node;

struct captures *captures_new(struct node *node);
/* Stops all and waits until they are flushed (at most until the monotonic deadline). */
void captures_stop_all(struct captures *captures, void (*done)(struct node *node));
void captures_free(struct captures *captures);

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
};

/* Copies the request; calls done on the loop: 0 and the session's id, or the error. */
void captures_start(struct captures *captures, const struct capture_request *request,
                    void (*done)(void *arg, const char *id, const struct err *err), void *arg);
/* ERR_NOT_FOUND. done when it is flushed, with the session as `sessions --json` shows it (owned by
 * the callee). */
int captures_stop(struct captures *captures, const char *id,
                  void (*done)(void *arg, struct json_t *session), void *arg, struct err *err);

/* Running ones, as objects of an array. New reference. */
struct json_t *captures_list(struct captures *captures);
size_t captures_running(const struct captures *captures);
/* The live counters of a running one; false when there is none of that id. */
bool captures_counters(struct captures *captures, const char *id, struct session_counters *out);
