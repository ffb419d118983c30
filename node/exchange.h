/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP request and its answer, as handlers see it. A handler runs on the loop thread and must
 * not block: it answers at once, or later (after node/work_uv), or as a stream. Exactly one answer
 * an exchange. The connection below knows nothing of handlers; handlers know nothing of sockets.
 *
 * An exchange is shared (exchange_ref/unref): whoever answers later holds a reference, and writes
 * into nothing once the connection is gone (exchange_is_gone).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/wire/api_key.h"
#include "shared/wire/http.h"

struct exchange;
struct json_t;
struct node;
struct route;
struct ws_conn;
struct ws_conn_opts;

struct exchange *exchange_ref(struct exchange *ex);
void exchange_unref(struct exchange *ex);
bool exchange_is_gone(const struct exchange *ex);
struct node *exchange_node(const struct exchange *ex);

/* The request. Texts are decoded, borrowed, NULL when absent. */
const struct http_head *exchange_head(const struct exchange *ex);
const struct route *exchange_route(const struct exchange *ex);
const char *exchange_path(const struct exchange *ex, const char *name);  /* {name} of the route */
const char *exchange_query(const struct exchange *ex, const char *name); /* ?name= */
const char *exchange_header(const struct exchange *ex, const char *name);
const uint8_t *exchange_body(const struct exchange *ex, size_t *n);
/* Who asks: key id ("" = none needed), rights in force (api_right bits), for the log and audits. */
const char *exchange_key_id(const struct exchange *ex);
unsigned exchange_rights(const struct exchange *ex);
const char *exchange_peer(const struct exchange *ex); /* "10.0.0.1:40000" */

/* A whole answer. Headers of the answer are added before. reply copies; json is moved. */
void exchange_add_header(struct exchange *ex, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void exchange_reply(struct exchange *ex, unsigned status, const char *type, const void *data,
                    size_t n);
void exchange_reply_text(struct exchange *ex, unsigned status, const char *text);
void exchange_reply_json(struct exchange *ex, unsigned status, struct json_t *value);
/* RFC 9457; the title is the status' text. */
void exchange_problem(struct exchange *ex, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same from an error: ERR_NOT_FOUND 404, ERR_FILTER and ERR_USAGE 400, ERR_PERMISSION 500,
 * ERR_IN_USE 409, ERR_FULL 507, ERR_LIMIT 413, else 500. */
void exchange_fail(struct exchange *ex, const struct err *err);

/* An answer as a stream: with the length known, or chunked (HTTP_LENGTH_UNKNOWN). write copies and
 * gives false when enough is queued: then wait for `drained`. end closes it; abort breaks the
 * connection, so that a cut answer is never taken for a whole one. */
struct exchange_stream_ops {
    void (*drained)(struct exchange *ex, void *arg);
    void (*gone)(struct exchange *ex, void *arg); /* the peer went away; nothing follows */
};
void exchange_begin(struct exchange *ex, unsigned status, const char *type, uint64_t length,
                    const struct exchange_stream_ops *ops, void *arg);
bool exchange_write(struct exchange *ex, const void *data, size_t n);
void exchange_end(struct exchange *ex);
void exchange_abort(struct exchange *ex);

/* It asks for a WebSocket, in every point as it should. */
bool exchange_is_upgrade(const struct exchange *ex);
/* Upgrades to a WebSocket (checked: method, version, key; a bad request gets its 400/426 and NULL).
 * The exchange is over then. */
struct ws_conn *exchange_upgrade(struct exchange *ex, const struct ws_conn_opts *opts);
