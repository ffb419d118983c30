/* SPDX-License-Identifier: Apache-2.0
 *
 * A request that is answered by a worker thread: `run` there, then `reply` on the loop, unless the
 * client is gone. Embedded in the struct of a handler, which holds what the two tell each other.
 */
#pragma once

#include "node/exchange.h"
#include "node/node.h"
#include "shared/store/store.h"

struct api_job {
    struct exchange *ex; /* a reference */
    struct node *node;
    struct err err; /* set by run: then the answer is this error */
    /* On a worker. */
    void (*run)(struct api_job *job);
    /* On the loop; not called after an error or when the client is gone. */
    void (*reply)(struct api_job *job);
    /* On the loop, last; frees the struct around it. */
    void (*release)(struct api_job *job);
};

/* Starts it; when too much waits the answer is 503 and release follows at once. */
void api_job_start(struct api_job *job, struct exchange *ex, struct node *node);

/* On a worker: use(store, job) with a reader; its error goes into job->err. Where there is no store
 * yet: ERR_NOT_FOUND. */
void api_job_read(struct api_job *job,
                  int (*use)(struct store *store, struct api_job *job, struct err *err));

/* As exchange_fail, for errors of a node's own: what a client cannot mend is a 5xx. */
void api_fail(struct exchange *ex, const struct err *err);

/* ?name= as a number within bounds, or `otherwise` when absent. False: the 400 is sent. */
bool api_query_number(struct exchange *ex, const char *name, uint64_t min, uint64_t max,
                      uint64_t otherwise, uint64_t *out);
/* ?filter=, borrowed, NULL when absent; within what a filter may cost. */
bool api_query_filter(struct exchange *ex, const char **out);
/* ?name= as a point in time. */
bool api_query_time(struct exchange *ex, const char *name, uint64_t otherwise, uint64_t *out);
/* ?name=1|true|yes|0|false|no; alone (?data) means yes. */
bool api_query_flag(struct exchange *ex, const char *name, bool *out);
