/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/auth.h"
#include "node/rpc_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

/* ---- what handlers see ---- */

struct rpc_call *rpc_call_ref(struct rpc_call *call)
{
    call->n_refs++;
    return call;
}

void rpc_call_unref(struct rpc_call *call)
{
    if (--call->n_refs > 0) {
        return;
    }
    json_decref(call->args);
    mem_free(call->target);
    mem_free(call);
}

bool rpc_call_is_gone(const struct rpc_call *call)
{
    return call->conn == NULL;
}

struct node *rpc_call_node(const struct rpc_call *call)
{
    return call->node;
}

const struct rpc_method *rpc_call_method(const struct rpc_call *call)
{
    return call->method;
}

const struct json_t *rpc_call_args(const struct rpc_call *call)
{
    return call->args;
}

uint32_t rpc_call_id(const struct rpc_call *call)
{
    return call->id;
}

unsigned rpc_call_rights(const struct rpc_call *call)
{
    return call->rights;
}

const char *rpc_call_who(const struct rpc_call *call)
{
    return call->who;
}

const char *rpc_call_key_id(const struct rpc_call *call)
{
    return call->key_id;
}

const char *rpc_call_peer(const struct rpc_call *call)
{
    return call->peer;
}

uint64_t rpc_call_deadline_ns(const struct rpc_call *call)
{
    return call->deadline_ns;
}

struct rpc_conn *rpc_call_conn(struct rpc_call *call)
{
    return call->conn;
}

void rpc_call_set_target(struct rpc_call *call, const char *target)
{
    mem_free(call->target);
    call->target = x_strdup(target);
}

void rpc_call_on_gone(struct rpc_call *call, void (*gone)(void *arg), void *arg)
{
    call->gone = gone;
    call->gone_arg = arg;
}

/* ---- the answer ---- */

/* It is not one of its connection any more. */
static struct rpc_conn *leave(struct rpc_call *call)
{
    struct rpc_conn *conn = call->conn;

    REQUIRE(conn != NULL);
    LIST_REMOVE(call, link);
    conn->n_large -= call->method->is_large;
    conn->server->n_large -= call->method->is_large;
    conn->n_calls--;
    conn->server->n_calls--;
    call->conn = NULL;
    return conn;
}

/* Sends the answer (if any) and ends the call. */
static void answer(struct rpc_call *call, struct buf *message)
{
    struct rpc_conn *conn = leave(call);

    rpc_conn_send(conn, message);
    rpc_conn_go_on(conn);
    rpc_call_unref(call);
}

/* What the call was about, where the handler did not say it. Never the text of a key. */
static const char *target_of(const struct rpc_call *call)
{
    static const char *const names[] = {"session_id", "interface", "replay_id",
                                        "key_id",     "node_id",   "name"};
    const char *target = call->target;

    for (size_t i = 0; target == NULL && i < ARRAY_LEN(names); i++) {
        target = rpc_arg_text(call->args, names[i]);
    }
    return target == NULL ? "" : target;
}

/* What was refused before a handler had it changed nothing, and a flood of that would push out what
 * did. */
static void audit(struct rpc_call *call, const char *outcome)
{
    struct rpc_server *server = call->node->rpc;

    if (!call->method->changes || !call->is_entered) {
        return;
    }
    const char *target = target_of(call);
    log_info("rpc: %s%s%.200s by %s (%s): %s", call->method->name, target[0] == '\0' ? "" : " ",
             target, call->who, call->peer, outcome);
    if (server == NULL || server->audit == NULL) {
        return;
    }
    struct store_audit_entry entry = {.time_ns = clock_wall_ns()};
    snprintf(entry.who, sizeof entry.who, "%s", call->who);
    snprintf(entry.peer, sizeof entry.peer, "%s", call->peer);
    snprintf(entry.method, sizeof entry.method, "%s", call->method->name);
    snprintf(entry.target, sizeof entry.target, "%s", target);
    snprintf(entry.outcome, sizeof entry.outcome, "%s", outcome);
    rpc_audit_add(server->audit, &entry);
}

void rpc_call_reply_packed(struct rpc_call *call, struct buf *result)
{
    audit(call, "ok");
    if (call->conn != NULL) {
        struct buf message = {0};
        call->conn->server->counters.answered++;
        buf_reserve(&message, result->len + 32);
        rpc_put_response(&message, call->id,
                         (struct rpc_span){.bytes = result->data, .n = result->len});
        answer(call, &message);
    }
    if (result->len > 0 && result->len <= RPC_WIPED_MAX) {
        explicit_bzero(result->data, result->len); /* a new key may be in it */
    }
    buf_deinit(result);
}

void rpc_call_reply(struct rpc_call *call, json_t *value)
{
    struct buf result = {0};

    rpc_put_json(&result, value);
    json_decref(value);
    rpc_call_reply_packed(call, &result);
}

void rpc_call_fail_of(struct rpc_call *call, const char *node, const char *code,
                      const char *message_text)
{
    audit(call, code);
    if (call->conn != NULL) {
        struct buf message = {0};
        call->conn->server->counters.failed++;
        rpc_put_error(&message, call->id, code, message_text, node);
        answer(call, &message);
    }
}

void rpc_call_fail(struct rpc_call *call, const char *code, const char *fmt, ...)
{
    struct err err;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&err, ERR_IO, fmt, ap);
    va_end(ap);
    rpc_call_fail_of(call, call->node->name, code, err.text);
}

void rpc_call_fail_err(struct rpc_call *call, const struct err *err)
{
    rpc_call_fail_of(call, call->node->name, err_name(err->code), err->text);
}

/* ---- its life ---- */

/* Tells who works for it; the call may be answered no more. */
static void tell_gone(struct rpc_call *call)
{
    void (*gone)(void *) = call->gone;

    call->gone = NULL;
    if (gone != NULL) {
        gone(call->gone_arg);
    }
}

/* The answer is this error, though somebody still works on it. */
static void give_up(struct rpc_call *call, const char *code, const char *text)
{
    rpc_call_ref(call);
    rpc_call_fail(call, code, "%s", text);
    tell_gone(call);
    rpc_call_unref(call);
}

static struct rpc_call *find_call(struct rpc_conn *conn, uint32_t id)
{
    struct rpc_call *call;

    LIST_FOREACH (call, &conn->calls, link) {
        if (call->id == id) {
            return call;
        }
    }
    return NULL;
}

void rpc_call_cancel(struct rpc_conn *conn, uint32_t id)
{
    struct rpc_call *call = find_call(conn, id);

    if (call != NULL) {
        conn->server->counters.cancelled++;
        give_up(call, RPC_CODE_CANCELLED, "the caller cancelled it");
    } else {
        rpc_subscription_cancel(conn, id);
    }
}

void rpc_calls_end(struct rpc_conn *conn)
{
    while (!LIST_EMPTY(&conn->calls)) {
        struct rpc_call *call = LIST_FIRST(&conn->calls);
        leave(call);
        tell_gone(call);
        rpc_call_unref(call);
    }
}

uint64_t rpc_calls_expire(struct rpc_conn *conn, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;
    struct rpc_call *call = LIST_FIRST(&conn->calls);

    while (call != NULL) {
        struct rpc_call *following = LIST_NEXT(call, link);
        if (call->deadline_ns <= now_ns) {
            conn->server->counters.late++;
            give_up(call, RPC_CODE_DEADLINE, "the time that the caller gave is over");
        } else if (call->deadline_ns < next_ns) {
            next_ns = call->deadline_ns;
        }
        call = following;
    }
    return next_ns;
}

/* ---- the beginning ---- */

static rpc_handle_cb find_handler(const char *method)
{
    for (size_t i = 0; i < n_rpc_handler_groups; i++) {
        const struct rpc_handler_group *group = rpc_handler_groups[i];
        for (size_t j = 0; j < group->n; j++) {
            if (strcmp(group->handlers[j].method, method) == 0) {
                return group->handlers[j].handle;
            }
        }
    }
    return NULL;
}

static void refuse_unknown(struct rpc_call *call, const char *name)
{
    const char *names[64];
    size_t n = 0;

    for (size_t i = 0; i < n_rpc_methods && n < ARRAY_LEN(names); i++) {
        names[n++] = rpc_methods[i].name;
    }
    const char *near = text_nearest(name, names, n);
    rpc_call_fail(call, RPC_CODE_UNKNOWN_METHOD, "there is no method \"%s\"%s%s%s", name,
                  near == NULL ? "" : ": is \"", near == NULL ? "" : near,
                  near == NULL ? "" : "\" meant?");
}

/* Stands in for a method that is not known, so that its call can be refused like any other. */
static const struct rpc_method unknown_method = {.name = "unknown", .right = RIGHT_ADMIN};

static struct rpc_call *make_call(struct rpc_conn *conn, const struct rpc_message *message)
{
    struct rpc_call *call = x_alloc(sizeof *call);
    const struct rpc_method *method = rpc_method_find(message->method);

    call->conn = conn;
    call->node = conn->server->node;
    call->n_refs = 1; /* until it is answered */
    call->id = message->id;
    call->method = method == NULL ? &unknown_method : method;
    call->rights = conn->rights;
    call->deadline_ns = UINT64_MAX;
    memcpy(call->who, conn->who, sizeof call->who);
    memcpy(call->key_id, conn->key_id, sizeof call->key_id);
    snprintf(call->peer, sizeof call->peer, "%s", stream_peer(conn->stream));
    LIST_INSERT_HEAD(&conn->calls, call, link);
    conn->n_large += call->method->is_large;
    conn->server->n_large += call->method->is_large;
    conn->n_calls++;
    conn->server->n_calls++;
    return call;
}

/* False: the call is answered with what is wrong with it. */
static bool read_call(struct rpc_call *call, const struct rpc_message *message)
{
    struct rpc_call_options options;
    struct rpc_span args;
    struct err err = {0};

    if (rpc_decode_params(message->params, &args, &options, &err) < 0) {
        rpc_call_fail(call, RPC_CODE_BAD_REQUEST, "%s", err.text);
        return false;
    }
    if (args.bytes == NULL) {
        call->args = json_object();
    } else if (rpc_to_json(args, RPC_VALUES_MAX, &call->args, &err) < 0) {
        rpc_call_fail(call, RPC_CODE_BAD_REQUEST, "%s", err.text);
        return false;
    }
    if (rpc_args_check(call->method, call->args, &err) < 0) {
        rpc_call_fail_err(call, &err);
        return false;
    }
    if (options.deadline_ms > 0) {
        call->deadline_ns = clock_monotonic_ns() + options.deadline_ms * 1000000u;
        rpc_server_watch_deadline(call->conn->server, call->deadline_ns);
    }
    return true;
}

void rpc_call_begin(struct rpc_conn *conn, const struct rpc_message *message)
{
    struct rpc_server *server = conn->server;
    bool is_twice = find_call(conn, message->id) != NULL || rpc_subscription_has(conn, message->id);
    bool is_full = server->n_calls >= RPC_CALLS_MAX;
    struct rpc_call *call = make_call(conn, message);
    const struct rpc_method *method = call->method;
    rpc_handle_cb handle = find_handler(method->name);

    if (is_twice) {
        rpc_call_fail(call, RPC_CODE_BAD_REQUEST, "a call with this id is not answered yet");
    } else if (server->draining) {
        rpc_call_fail(call, RPC_CODE_ENDING, "the node is ending");
    } else if (is_full) {
        server->counters.rejected[RPC_REJECTED_BUSY]++;
        rpc_call_fail(call, RPC_CODE_BUSY, "%d calls are in flight: try again later",
                      RPC_CALLS_MAX);
    } else if (method == &unknown_method) {
        refuse_unknown(call, message->method);
    } else if ((conn->rights & method->right) != method->right) {
        server->counters.rejected[RPC_REJECTED_RIGHT]++;
        rpc_call_fail(call, "permission", "%s needs a key with the right '%s'", method->name,
                      api_right_name(method->right));
    } else if (read_call(call, message)) {
        if (handle != NULL) {
            call->is_entered = true;
            handle(call, server->node);
        } else {
            rpc_call_fail(call, RPC_CODE_NOT_IMPLEMENTED, "this node cannot do %s", method->name);
        }
    }
}
