/* SPDX-License-Identifier: Apache-2.0
 *
 * One replay of a session by the node: a thread with a reader of the store and the interfaces that
 * are sent on. It opens everything first and says so, then sends at the packets' moments until it
 * is at the end or told to stop. node/replays has the table of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/store/store.h"

struct json_t;
struct node_store;
struct replay_run;

struct replay_request {
    const char *session;   /* as everywhere */
    const char *interface; /* NULL: each packet goes out where it was recorded */
    const char *filter;    /* NULL = all */
    uint64_t from_ns;
    uint64_t to_ns;
    double speed;   /* as in pacing */
    uint64_t count; /* ends after so many packets; 0 = no limit */
    uint64_t loop;  /* rounds; 0 = until it is stopped */
};

enum replay_state { REPLAY_OPENING, REPLAY_RUNNING, REPLAY_ENDED };

/* Starts the thread; texts are copied. changed(arg) is called on that thread
 * when the state has changed. ERR_LIMIT: there is no thread. */
int replay_run_start(struct node_store *store, const struct replay_request *request,
                     void (*changed)(void *arg), void *arg, struct replay_run **out,
                     struct err *err);
/* Any thread. It ends within a moment; what an interface does not take is given up at the monotonic
 * deadline. */
void replay_run_stop(struct replay_run *run, uint64_t deadline_ns);
/* Waits for the thread, which has nothing to do any more when the state is REPLAY_ENDED. Once. */
void replay_run_join(struct replay_run *run);
void replay_run_free(struct replay_run *run); /* after join */

const char *replay_run_id(const struct replay_run *run);
enum replay_state replay_run_state(struct replay_run *run);
/* Why it did not begin, or ended early; code 0 = it did not. */
struct err replay_run_error(struct replay_run *run);
/* {"replay_id", "session_id", "state", "interface", "filter", "loop", "round", "started", "ended",
 * "stopped", "error", "packets", "bytes", "errors", …}: what it is and what it did so far. New
 * reference. */
struct json_t *replay_run_json(struct replay_run *run);
/* Packets and bytes that went out so far. */
void replay_run_counts(struct replay_run *run, uint64_t *packets, uint64_t *bytes);
