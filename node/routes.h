/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the route of a request. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "node/route.h"
#include "shared/base/buf.h"

#define ROUTE_PARAMS_MAX 4

struct route_param_value {
    const char *name; /* in the route's path, not terminated */
    size_t name_len;
    char *value; /* owned, decoded */
};

struct route_match {
    const struct route *route; /* NULL: none of that method, or no such path */
    bool is_path_known;
    struct route_param_value params[ROUTE_PARAMS_MAX];
    size_t n_params;
};

struct route_table {
    const struct route_group *const *groups;
    size_t n_groups;
};

/* path: still encoded, without the query. HEAD finds GET. Release *out in any case. */
void route_find(const struct route_table *table, const char *method, const char *path,
                struct route_match *out);
void route_match_deinit(struct route_match *match);
/* The decoded value of {name}, or NULL. */
const char *route_match_param(const struct route_match *match, const char *name);

/* "GET, HEAD, OPTIONS" of a path, for Allow; every method of the table for "*". */
void route_put_allow(const struct route_table *table, const char *path, struct buf *out);
