/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table of routes. /openapi.json is made of it and a test walks it, so a route exists in one
 * place only. A file of handlers has one const array of records, listed in route_groups.c.
 */
#pragma once

#include "node/exchange.h"

struct route_param {
    const char *name;
    const char *type; /* "string", "integer", "boolean" */
    const char *help;
};

struct route {
    const char *method; /* "GET"; HEAD follows from it */
    const char *path;   /* "/api/v1/sessions/{id}"; {iface} takes one segment, decoded */
    unsigned right;     /* one api_right */
    bool is_websocket;
    size_t max_body;                  /* 0 = no content allowed */
    const struct route_param *params; /* of the query; ends with a NULL name */
    const char *summary;              /* for openapi */
    const char *body;                 /* what the content is, for openapi; NULL = none */
    struct json_t *(*schema)(void);   /* JSON Schema of the content, new reference; NULL = none */
    const char *answer;               /* media type of 200 */
    void (*handle)(struct exchange *ex, struct node *node);
};

/* One file of handlers: `const struct route_group rest_routes = {routes, ARRAY_LEN(routes)};`. */
struct route_group {
    const struct route *routes;
    size_t n;
};

/* All of them, listed in node/route_groups.c. */
extern const struct route_group *const route_groups[];
extern const size_t n_route_groups;
