/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of a manage command: to the node asked, or through it to a member of its swarm.
 */
#include <poll.h>
#include <string.h>

#include <jansson.h>

#include "cli/manage_internal_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/base/unpack.h"

#define VALUES_MAX 1000000u /* in one answer */
#define KEY_MAX    32u      /* of a member of session.read's answer */
#define CURSOR_MAX 4096u

/* What is sent: the parameters and, of the options, those that are there. */
struct packed_call {
    struct buf args;
    struct buf values[3];
    struct rpc_call_options options;
};

/* Takes args. */
static void pack_call(struct packed_call *call, const json_t *options, json_t *args)
{
    struct {
        const char *name;
        struct rpc_span *span;
    } all[] = {{"node", &call->options.node},
               {"nodes", &call->options.nodes},
               {"select", &call->options.select}};

    if (args != NULL) {
        rpc_put_json(&call->args, args);
        json_decref(args);
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const json_t *value = json_object_get(options, all[i].name);
        if (value != NULL) {
            rpc_put_json(&call->values[i], value);
            *all[i].span = (struct rpc_span){call->values[i].data, call->values[i].len};
        }
    }
}

static void unpack_call(struct packed_call *call)
{
    if (call->args.len > 0) {
        explicit_bzero(call->args.data, call->args.len); /* a key may be in it */
    }
    buf_deinit(&call->args);
    for (size_t i = 0; i < ARRAY_LEN(call->values); i++) {
        buf_deinit(&call->values[i]);
    }
}

static json_t *options_for(const char *node)
{
    return node == NULL ? NULL : json_pack("{s:o}", "node", to_json_text(node));
}

/* Takes args. */
static int call_with(struct manage *manage, const json_t *options, const char *method, json_t *args,
                     struct rpc_span *result, struct err *err)
{
    struct packed_call packed = {0};

    pack_call(&packed, options, args);
    int rc = rpc_client_call_with(manage->client, method,
                                  (struct rpc_span){packed.args.data, packed.args.len},
                                  &packed.options, manage_deadline_ns(manage), result, err);
    unpack_call(&packed);
    manage->answer_bytes = rc < 0 ? 0 : result->n;
    return rc;
}

static int call_on(struct manage *manage, const char *node, const char *method, json_t *args,
                   struct rpc_span *result, struct err *err)
{
    json_t *options = options_for(node);
    int rc = call_with(manage, options, method, args, result, err);

    json_decref(options);
    return rc;
}

int manage_send_on(struct manage *manage, const char *node, const char *method, json_t *args,
                   uint64_t deadline_ns, uint32_t *id, struct err *err)
{
    struct packed_call packed = {0};
    json_t *options = options_for(node);

    pack_call(&packed, options, args);
    int rc = rpc_client_send_with(manage->client, method,
                                  (struct rpc_span){packed.args.data, packed.args.len},
                                  &packed.options, deadline_ns, id, err);
    unpack_call(&packed);
    json_decref(options);
    return rc;
}

struct rpc_client *manage_client(struct manage *manage)
{
    return manage->client;
}

static int to_json(const char *method, struct rpc_span value, json_t **out, struct err *err)
{
    if (value.bytes == NULL) {
        *out = json_null();
        return 0;
    }
    int rc = rpc_to_json(value, VALUES_MAX, out, err);
    if (rc == ERR_USAGE) {
        return err_set(err, ERR_DAMAGED, "the node answered %s with what is no JSON", method);
    }
    return rc < 0 ? err_wrap(err, "the answer to %s", method) : 0;
}

int manage_call_with(struct manage *manage, const json_t *options, const char *method, json_t *args,
                     json_t **result, struct err *err)
{
    struct rpc_span span = {0};
    int rc = call_with(manage, options, method, args, &span, err);

    return rc < 0 ? rc : to_json(method, span, result, err);
}

int manage_call_on(struct manage *manage, const char *node, const char *method, json_t *args,
                   json_t **result, struct err *err)
{
    struct rpc_span span = {0};
    int rc = call_on(manage, node, method, args, &span, err);

    return rc < 0 ? rc : to_json(method, span, result, err);
}

int manage_call(struct manage *manage, const char *method, json_t *args, json_t **result,
                struct err *err)
{
    return manage_call_on(manage, manage->node, method, args, result, err);
}

size_t manage_answer_bytes(const struct manage *manage)
{
    return manage->answer_bytes;
}

/* The value behind a name, where it is one that we know. */
static void read_member(struct unpack *u, const char *name, size_t n, struct manage_chunk *out)
{
    if (n == 4 && memcmp(name, "data", n) == 0) {
        out->data = unpack_bin(u, RPC_RESPONSE_MAX, &out->n);
    } else if (n == 6 && memcmp(name, "offset", n) == 0) {
        out->offset = unpack_u64(u);
    } else if (n == 8 && memcmp(name, "checksum", n) == 0) {
        out->checksum = (uint32_t)unpack_u64_most(u, UINT32_MAX);
    } else if (n == 7 && memcmp(name, "missing", n) == 0) {
        out->missing = unpack_u64(u);
    } else if (n == 8 && memcmp(name, "left_out", n) == 0) {
        out->left_out = unpack_u64(u);
    } else if (n == 4 && memcmp(name, "next", n) == 0 && !unpack_is_nil(u)) {
        size_t length = 0;
        const char *text = unpack_str(u, CURSOR_MAX, &length);
        if (!unpack_failed(u) && out->next == NULL && memchr(text, '\0', length) == NULL) {
            out->next = x_sprintf("%.*s", (int)length, text);
        }
    } else if (n != 4 || memcmp(name, "next", n) != 0) {
        unpack_skip(u, UNPACK_DEPTH_MAX);
    }
}

int manage_read_answer(struct rpc_span span, struct manage_chunk *out, struct err *err)
{
    struct manage_chunk chunk = {.offset = UINT64_MAX};
    struct unpack u = unpack_from(span.bytes, span.bytes == NULL ? 0 : span.n);
    uint32_t n_members = unpack_map(&u, 64);
    for (uint32_t i = 0; i < n_members && !unpack_failed(&u); i++) {
        size_t n = 0;
        const char *name = unpack_str(&u, KEY_MAX, &n);
        if (!unpack_failed(&u)) {
            read_member(&u, name, n, &chunk);
        }
    }
    if (unpack_failed(&u) || chunk.offset == UINT64_MAX || (chunk.data == NULL && chunk.n > 0)) {
        mem_free(chunk.next);
        return err_set(err, ERR_DAMAGED,
                       "the node answered session.read with something that is no piece of a file; "
                       "is it a packetrecorder of another version?");
    }
    *out = chunk;
    return 0;
}

/* The node has as many readers as it may have: one of them ends sooner or later. */
static bool is_full(const struct manage *manage, int rc)
{
    const char *code = rpc_client_error(manage->client)->code;

    return (rc == ERR_LIMIT || rc == ERR_IO) && !rpc_client_is_broken(manage->client) &&
           (strcmp(code, "limit") == 0 || strcmp(code, "busy") == 0);
}

static int read_when_there_is_room(struct manage *manage, const char *node, json_t *args,
                                   struct rpc_span *span, struct err *err)
{
    uint64_t deadline_ns = manage_deadline_ns(manage);
    int rc = call_on(manage, node, "session.read", json_incref(args), span, err);

    while (rc < 0 && is_full(manage, rc) && clock_monotonic_ns() < deadline_ns) {
        (void)poll(NULL, 0, MANAGE_AGAIN_MS); /* an interrupt ends it */
        rc = manage_was_interrupted()
                 ? err_set(err, ERR_INTERRUPTED, "interrupted")
                 : call_on(manage, node, "session.read", json_incref(args), span, err);
    }
    json_decref(args);
    return rc;
}

int manage_read_on(struct manage *manage, const char *node, json_t *args, struct manage_chunk *out,
                   struct err *err)
{
    struct rpc_span span = {0};
    int rc = read_when_there_is_room(manage, node, args, &span, err);

    return rc < 0 ? rc : manage_read_answer(span, out, err);
}

int manage_read(struct manage *manage, json_t *args, struct manage_chunk *out, struct err *err)
{
    return manage_read_on(manage, manage->node, args, out, err);
}

int manage_next_event(struct manage *manage, json_t **event, struct err *err)
{
    struct rpc_message message;
    int rc;

    do {
        rc = rpc_client_receive(manage->client, UINT64_MAX, &message, err);
        if (rc < 0) {
            return rc;
        }
    } while (message.kind != RPC_NOTIFICATION || strcmp(message.method, RPC_EVENT) != 0);
    struct unpack params = unpack_from(message.params.bytes, message.params.n);
    if (unpack_array(&params, 1) != 1) {
        return err_set(err, ERR_DAMAGED, "the node told of an event that is none");
    }
    const struct rpc_span one = {params.in.p, unpack_left(&params)};
    return to_json("events.subscribe", one, event, err);
}
