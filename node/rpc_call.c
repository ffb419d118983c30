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

/* A part's answer. */
static void pour(struct rpc_call *call, struct rpc_span result, const struct rpc_error *error)
{
    struct rpc_conn *conn = leave(call);

    call->sink(call->sink_arg, result, error);
    rpc_conn_go_on(conn);
    rpc_call_unref(call);
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

/* A method of several actions: `list`, which is meant where none is named, only looks. */
static bool only_lists(const struct rpc_call *call)
{
    const char *action = rpc_arg_text(call->args, "action");

    for (size_t i = 0; i < call->method->n_params; i++) {
        if (strcmp(call->method->params[i].name, "action") == 0) {
            return action == NULL || strcmp(action, "list") == 0;
        }
    }
    return false;
}

/* What was refused before a handler had it changed nothing, and a flood of that would push out what
 * did. */
static void audit(struct rpc_call *call, const char *outcome)
{
    struct rpc_server *server = call->node->rpc;

    if (!call->method->changes || !call->is_entered || only_lists(call)) {
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

/* moved: the buffer of the result, or NULL. */
static void reply(struct rpc_call *call, struct rpc_span result, struct buf *moved)
{
    audit(call, "ok");
    if (call->conn == NULL) {
        return;
    }
    if (call->sink != NULL) {
        pour(call, result, NULL);
        return;
    }
    struct rpc_conn *conn = leave(call);
    conn->server->counters.answered++;
    rpc_conn_answer(conn, call->id, result, moved);
    rpc_conn_go_on(conn);
    rpc_call_unref(call);
}

void rpc_call_reply_packed(struct rpc_call *call, struct buf *result)
{
    reply(call, (struct rpc_span){.bytes = result->data, .n = result->len}, result);
    if (result->len > 0 && result->len <= RPC_WIPED_MAX) {
        explicit_bzero(result->data, result->len); /* a new key may be in it */
    }
    buf_deinit(result);
}

void rpc_call_reply_span(struct rpc_call *call, struct rpc_span result)
{
    reply(call, result, NULL);
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
    if (call->conn != NULL && call->sink != NULL) {
        struct rpc_error error = {0};
        snprintf(error.code, sizeof error.code, "%s", code);
        snprintf(error.message, sizeof error.message, "%s", message_text);
        snprintf(error.node, sizeof error.node, "%s", node);
        pour(call, (struct rpc_span){0}, &error);
    } else if (call->conn != NULL) {
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
        if (call->id == id && call->sink == NULL) {
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

/* The first whose time is over, and the earliest deadline of the others. */
static struct rpc_call *find_late(struct rpc_conn *conn, uint64_t now_ns, uint64_t *next_ns)
{
    struct rpc_call *call;

    *next_ns = UINT64_MAX;
    LIST_FOREACH (call, &conn->calls, link) {
        if (call->deadline_ns <= now_ns) {
            return call;
        }
        *next_ns = call->deadline_ns < *next_ns ? call->deadline_ns : *next_ns;
    }
    return NULL;
}

uint64_t rpc_calls_expire(struct rpc_conn *conn, uint64_t now_ns)
{
    struct rpc_call *late;
    uint64_t next_ns;

    /* One that ends takes its parts along, and the last part ends the whole: from the start. */
    while ((late = find_late(conn, now_ns, &next_ns)) != NULL) {
        conn->server->counters.late++;
        give_up(late, RPC_CODE_DEADLINE, "the time that the caller gave is over");
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

static void join(struct rpc_call *call, struct rpc_conn *conn)
{
    call->conn = conn;
    call->n_refs = 1; /* until it is answered */
    LIST_INSERT_HEAD(&conn->calls, call, link);
    conn->n_large += call->method->is_large;
    conn->server->n_large += call->method->is_large;
    conn->n_calls++;
    conn->server->n_calls++;
}

static struct rpc_call *make_call(struct rpc_conn *conn, const struct rpc_message *message)
{
    struct rpc_call *call = x_alloc(sizeof *call);
    const struct rpc_method *method = rpc_method_find(message->method);

    call->node = conn->server->node;
    call->id = message->id;
    call->method = method == NULL ? &unknown_method : method;
    call->rights = conn->rights;
    call->deadline_ns = UINT64_MAX;
    memcpy(call->who, conn->who, sizeof call->who);
    memcpy(call->key_id, conn->key_id, sizeof call->key_id);
    snprintf(call->peer, sizeof call->peer, "%s", stream_peer(conn->stream));
    join(call, conn);
    return call;
}

struct rpc_call *rpc_call_part(struct rpc_call *whole,
                               void (*sink)(void *arg, struct rpc_span result,
                                            const struct rpc_error *error),
                               void *arg)
{
    struct rpc_call *part = x_alloc(sizeof *part);

    part->node = whole->node;
    part->id = whole->id;
    part->method = whole->method;
    part->args = json_incref(whole->args);
    part->rights = whole->rights;
    part->deadline_ns = whole->deadline_ns;
    memcpy(part->who, whole->who, sizeof part->who);
    memcpy(part->key_id, whole->key_id, sizeof part->key_id);
    memcpy(part->peer, whole->peer, sizeof part->peer);
    part->sink = sink;
    part->sink_arg = arg;
    join(part, whole->conn);
    return rpc_call_ref(part);
}

void rpc_call_end_part(struct rpc_call *part)
{
    if (part->conn != NULL) {
        leave(part);
        tell_gone(part);
        rpc_call_unref(part);
    }
    rpc_call_unref(part);
}

/* A node's word for whom it asks; everybody else speaks for himself. */
static bool take_rights(struct rpc_call *call, const struct rpc_call_options *options)
{
    const struct rpc_conn *conn = call->conn;

    if (conn->is_node != options->is_forwarded) {
        rpc_call_fail(call, "permission",
                      conn->is_node ? "a node calls on behalf of somebody: \"forwarded\" is missing"
                                    : "\"forwarded\" is for nodes, in the channel of nodes");
        return false;
    }
    if (conn->is_node) {
        call->rights = options->rights & api_role_rights(ROLE_ADMIN);
        call->key_id[0] = '\0';
        snprintf(call->who, sizeof call->who, "%.60s via %.30s", options->who, conn->who);
    }
    if (call->method->of_nodes && !conn->is_node) {
        rpc_call_fail(call, "permission", "%s is what nodes ask each other", call->method->name);
        return false;
    }
    if ((call->rights & call->method->right) != call->method->right) {
        conn->server->counters.rejected[RPC_REJECTED_RIGHT]++;
        rpc_call_fail(call, "permission", "%s needs a key with the right '%s'", call->method->name,
                      api_right_name(call->method->right));
        return false;
    }
    return true;
}

static bool take_args(struct rpc_call *call, struct rpc_span args)
{
    struct err err = {0};

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
    return true;
}

/* True: it is this node's to answer. False: it was answered with what is wrong with it, or goes to
 * others. */
static bool read_call(struct rpc_call *call, const struct rpc_message *message)
{
    struct rpc_call_options options;
    struct rpc_span args;
    struct err err = {0};

    if (rpc_decode_params(message->params, &args, &options, &err) < 0) {
        rpc_call_fail(call, RPC_CODE_BAD_REQUEST, "%s", err.text);
        return false;
    }
    if (!take_rights(call, &options) || !take_args(call, args)) {
        return false;
    }
    if (options.deadline_ms > 0) {
        call->deadline_ns = clock_monotonic_ns() + options.deadline_ms * 1000000u;
        rpc_server_watch_deadline(call->conn->server, call->deadline_ns);
    }
    return !rpc_forward(call, args, &options);
}

void rpc_call_handle(struct rpc_call *call)
{
    rpc_handle_cb handle = find_handler(call->method->name);

    if (handle != NULL) {
        call->is_entered = true;
        handle(call, call->node);
    } else {
        rpc_call_fail(call, RPC_CODE_NOT_IMPLEMENTED, "this node cannot do %s", call->method->name);
    }
}

void rpc_call_begin(struct rpc_conn *conn, const struct rpc_message *message)
{
    struct rpc_server *server = conn->server;
    bool is_twice = find_call(conn, message->id) != NULL || rpc_subscription_has(conn, message->id);
    bool is_full = server->n_calls >= RPC_CALLS_MAX;
    struct rpc_call *call = make_call(conn, message);

    if (is_twice) {
        rpc_call_fail(call, RPC_CODE_BAD_REQUEST, "a call with this id is not answered yet");
    } else if (server->draining) {
        rpc_call_fail(call, RPC_CODE_ENDING, "the node is ending");
    } else if (is_full) {
        server->counters.rejected[RPC_REJECTED_BUSY]++;
        rpc_call_fail(call, RPC_CODE_BUSY, "%d calls are in flight: try again later",
                      RPC_CALLS_MAX);
    } else if (call->method == &unknown_method) {
        refuse_unknown(call, message->method);
    } else if (read_call(call, message)) {
        rpc_call_handle(call);
    }
}
