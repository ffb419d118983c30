/* SPDX-License-Identifier: Apache-2.0
 *
 * One RPC call and its one answer, as handlers see it. By the time a handler is called the method
 * is known, the caller has the right, and the arguments are as the table of methods says
 * (shared/wire/rpc_methods.h). A handler runs on the loop thread and must not block: it answers at
 * once or later (node/work.h, node/rpc_job.h). The answer is given on the loop.
 *
 * A call is shared (rpc_call_ref/unref): whoever answers later holds a reference. When the caller
 * went away, cancelled, or its time is over, the call is gone and an answer goes nowhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/wire/api_key.h"
#include "shared/wire/rpc.h"
#include "shared/wire/rpc_methods.h"

struct json_t;
struct node;
struct rpc_call;
struct rpc_conn;

typedef void (*rpc_handle_cb)(struct rpc_call *call, struct node *node);

struct rpc_handler {
    const char *method; /* of rpc_methods */
    rpc_handle_cb handle;
};

struct rpc_handler_group {
    const struct rpc_handler *handlers;
    size_t n;
};

/* All of them (node/rpc_groups.c); each method has exactly one. */
extern const struct rpc_handler_group *const rpc_handler_groups[];
extern const size_t n_rpc_handler_groups;

struct rpc_call *rpc_call_ref(struct rpc_call *call);
void rpc_call_unref(struct rpc_call *call);
bool rpc_call_is_gone(const struct rpc_call *call);
struct node *rpc_call_node(const struct rpc_call *call);

/* The call. Borrowed while a reference is held. */
const struct rpc_method *rpc_call_method(const struct rpc_call *call);
const struct json_t *rpc_call_args(const struct rpc_call *call); /* an object; rpc_arg_* read it */
uint32_t rpc_call_id(const struct rpc_call *call);
/* Who calls: api_right bits; "key pr_ID" or "uid N", for log and audit; the key's id ("" at the
 * UNIX socket). */
unsigned rpc_call_rights(const struct rpc_call *call);
const char *rpc_call_who(const struct rpc_call *call);
const char *rpc_call_key_id(const struct rpc_call *call);
const char *rpc_call_peer(const struct rpc_call *call); /* "10.0.0.1:40000" or "unix" */
/* Monotonic; UINT64_MAX: the caller waits for ever. */
uint64_t rpc_call_deadline_ns(const struct rpc_call *call);

/* What the call is about, for the audit, when the arguments do not say it: an id that was found or
 * made. Copied. Before the answer. */
void rpc_call_set_target(struct rpc_call *call, const char *target);
/* gone(arg) is called once when the call is gone before it was answered: what works for it may
 * stop. NULL takes it back. */
void rpc_call_on_gone(struct rpc_call *call, void (*gone)(void *arg), void *arg);

/* The answer: once a call. value is moved. */
void rpc_call_reply(struct rpc_call *call, struct json_t *value);
/* result: one msgpack value; its bytes are moved, the buffer is empty afterwards. Short ones are
 * wiped. */
void rpc_call_reply_packed(struct rpc_call *call, struct buf *result);
/* code: one of rpc.h, or of err_name(). */
void rpc_call_fail(struct rpc_call *call, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void rpc_call_fail_err(struct rpc_call *call, const struct err *err);
/* The same when another node failed: its name stands in the error. */
void rpc_call_fail_of(struct rpc_call *call, const char *node, const char *code,
                      const char *message);

/* The connection of a call, for what outlives it (subscriptions). */
struct rpc_conn *rpc_call_conn(struct rpc_call *call);
