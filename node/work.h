/* SPDX-License-Identifier: Apache-2.0
 *
 * What blocks (SQLite, files, DNS, starting a capture) runs on libuv's threads and comes back to
 * the loop. At most WORK_MAX wait; beyond that work_run refuses and the client is told 503.
 */
#pragma once

#include <stdbool.h>

struct node;

#define WORK_MAX       256
#define WORK_APART_MAX 64

/* run(arg) on a worker thread, then done(arg) on the loop, also when the node is ending (then
 * run may have been left out: cancelled is true). False: too much waits; nothing is called. */
bool work_run(struct node *node, void (*run)(void *arg), void (*done)(void *arg, bool cancelled),
              void *arg);

/* The same on a thread of its own, for what waits for another node: a few of these on libuv's few
 * threads, and no file would be read any more. WORK_APART_MAX run at a time, the others when it is
 * their turn; the caller has a bound for how many there are. Cancelled also where no thread can be
 * made. */
void work_run_apart(struct node *node, void (*run)(void *arg),
                    void (*done)(void *arg, bool cancelled), void *arg);

/* It would be taken now by work_run. */
bool work_has_room(const struct node *node);

/* Before anything else of the node; sets node->work. */
void work_open(struct node *node);
/* After everything else: takes back what has not begun (its done comes with cancelled) and waits
 * for what runs; then node->work is NULL and closed is called, now or later. */
void work_close(struct node *node, void (*closed)(struct node *node));
