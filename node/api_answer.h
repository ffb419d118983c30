/* SPDX-License-Identifier: Apache-2.0
 *
 * What handlers of the API share: errors of a node as answers, and the query's parameters.
 */
#pragma once

#include "node/exchange.h"
#include "node/node.h"

/* The `done` of an asker whose arg is a reference to an exchange: 200 with the objects, or the
 * error; the reference is given back. */
struct answer;
void api_reply_json(void *arg, const struct answer *answer, const struct err *err);

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
