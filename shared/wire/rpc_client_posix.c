/* SPDX-License-Identifier: Apache-2.0
 *
 * What came lies in link.plain until it is a whole message; the message is lent to the caller from
 * there and taken off at the next call. Messages that came while another was waited for are copied
 * to `kept`.
 */
#include "shared/wire/rpc_client.h"

#include <errno.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/unpack.h"
#include "shared/wire/dial.h"
#include "shared/wire/rpc_link.h"

#define NS_PER_MS 1000000ULL

struct kept {
    uint8_t *bytes; /* owned */
    size_t n;
};

struct rpc_client {
    struct rpc_link link;
    size_t taken; /* bytes of link.plain that are lent, and go with the next call */
    struct rpc_scan scan;
    struct buf lent; /* the kept message that is lent */
    struct kept kept[RPC_CLIENT_KEPT_MAX];
    size_t n_kept;
    size_t kept_bytes;
    uint32_t calls[RPC_CLIENT_CALLS_MAX]; /* ids under way */
    size_t n_calls;
    uint32_t last_id;
    struct rpc_error error;
};

const struct rpc_error *rpc_client_error(const struct rpc_client *client)
{
    return &client->error;
}

bool rpc_client_is_broken(const struct rpc_client *client)
{
    return client->link.broken != 0;
}

void rpc_client_interrupt(struct rpc_client *client)
{
    dial_interrupt(client->link.dial);
}

int rpc_client_open(const struct rpc_client_opts *opts, uint64_t deadline_ns,
                    struct rpc_client **out, struct err *err)
{
    struct rpc_client *client = x_alloc(sizeof *client);
    int rc = rpc_link_open(&client->link, opts, deadline_ns, err);

    if (rc < 0) {
        rpc_client_close(client);
        return rc;
    }
    *out = client;
    return 0;
}

void rpc_client_close(struct rpc_client *client)
{
    if (client == NULL) {
        return;
    }
    for (size_t i = 0; i < client->n_kept; i++) {
        mem_free(client->kept[i].bytes);
    }
    rpc_link_close(&client->link);
    buf_deinit(&client->lent);
    mem_free(client);
}

/* ---- sending ---- */

/* Milliseconds until the deadline, at least 1; 0 for none. */
static uint64_t left_ms(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();

    if (deadline_ns == UINT64_MAX) {
        return 0;
    }
    uint64_t ms = deadline_ns > now ? (deadline_ns - now) / NS_PER_MS : 0;
    ms = ms > RPC_DEADLINE_MAX_MS ? RPC_DEADLINE_MAX_MS : ms;
    return ms == 0 ? 1 : ms;
}

int rpc_client_send_with(struct rpc_client *client, const char *method, struct rpc_span args,
                         const struct rpc_call_options *options, uint64_t deadline_ns, uint32_t *id,
                         struct err *err)
{
    struct rpc_call_options all = *options;
    struct buf message = {0};
    int rc = rpc_link_is_well(&client->link, err);

    if (rc < 0) {
        return rc;
    }
    if (client->n_calls == RPC_CLIENT_CALLS_MAX) {
        return err_set(err, ERR_LIMIT, "%s: %u calls are under way already", client->link.name,
                       RPC_CLIENT_CALLS_MAX);
    }
    all.deadline_ms = left_ms(deadline_ns);
    rpc_put_request_with(&message, client->last_id + 1, method, args, &all);
    if (message.len > RPC_REQUEST_MAX) {
        rc = err_set(err, ERR_LIMIT, "%s: a call of %zu bytes is larger than a node takes (%u)",
                     method, message.len, RPC_REQUEST_MAX);
    } else {
        client->last_id++;
        client->calls[client->n_calls++] = client->last_id;
        *id = client->last_id;
        rc = rpc_link_send(&client->link, message.data, message.len, deadline_ns, err);
    }
    buf_deinit(&message);
    return rc;
}

int rpc_client_send(struct rpc_client *client, const char *method, struct rpc_span args,
                    uint64_t deadline_ns, uint32_t *id, struct err *err)
{
    const struct rpc_call_options none = {0};

    return rpc_client_send_with(client, method, args, &none, deadline_ns, id, err);
}

/* True when that call was under way. */
static bool forget_call(struct rpc_client *client, uint32_t id)
{
    for (size_t i = 0; i < client->n_calls; i++) {
        if (client->calls[i] == id) {
            client->calls[i] = client->calls[--client->n_calls];
            return true;
        }
    }
    return false;
}

int rpc_client_cancel(struct rpc_client *client, uint32_t id, uint64_t deadline_ns, struct err *err)
{
    struct buf message = {0};
    int rc = rpc_link_is_well(&client->link, err);

    if (rc < 0 || !forget_call(client, id)) {
        return rc;
    }
    rpc_put_cancel(&message, id);
    rc = rpc_link_send(&client->link, message.data, message.len, deadline_ns, err);
    buf_deinit(&message);
    return rc;
}

/* ---- receiving ---- */

/* What was lent goes. */
static void take_back(struct rpc_client *client)
{
    if (client->taken > 0) {
        client->link.used += client->taken;
        client->taken = 0;
    }
    buf_deinit(&client->lent);
}

static int damaged(struct rpc_client *client, const char *what, struct err *err)
{
    err_set(err, ERR_DAMAGED, "what answers there is no packetrecorder: %s", what);
    return rpc_link_broke(&client->link, ERR_DAMAGED, err);
}

/* Looks at a whole message. 1 when it is for the caller, 0 when it was for us, negative. */
static int look_at(struct rpc_client *client, const uint8_t *bytes, size_t n,
                   struct rpc_message *message, struct err *err)
{
    if (rpc_decode(bytes, n, message, NULL, NULL) < 0) {
        return damaged(client, "a message that is no msgpack-RPC", err);
    }
    if (message->kind == RPC_REQUEST) {
        return damaged(client, "it makes calls itself", err);
    }
    if (message->kind == RPC_RESPONSE) {
        if (message->id == 0 || message->id > client->last_id) {
            return damaged(client, "it answers a call that nobody made", err);
        }
        return forget_call(client, message->id) ? 1 : 0; /* else it was cancelled */
    }
    if (strcmp(message->method, RPC_CLOSING) == 0) {
        struct unpack params = unpack_from(message->params.bytes, message->params.n);
        if (unpack_array(&params, 1) == 1) {
            struct rpc_span said = {params.in.p, unpack_left(&params)};
            struct rpc_error error = {.code = ""};
            (void)rpc_decode_error(said, &error, NULL);
            memcpy(client->link.farewell, error.message, sizeof client->link.farewell);
        }
        return 0;
    }
    return 1;
}

/* The next message from the wire. 1, or negative. It is lent; nothing may be lent before. */
static int next_message(struct rpc_client *client, uint64_t deadline_ns,
                        struct rpc_message *message, struct err *err)
{
    int rc = 0;

    while (rc == 0) {
        enum rpc_scan_state found = rpc_scan(&client->scan, rpc_link_bytes(&client->link),
                                             rpc_link_left(&client->link), RPC_RESPONSE_MAX);
        if (found == RPC_SCAN_BAD) {
            return damaged(client, "no msgpack-RPC, or a message that is too large", err);
        }
        if (found == RPC_SCAN_MORE) {
            rc = rpc_link_wait(&client->link, deadline_ns, err);
            rc = rc > 0 ? 0 : rc;
            continue;
        }
        size_t n = client->scan.at;
        client->scan = (struct rpc_scan){0};
        rc = look_at(client, rpc_link_bytes(&client->link), n, message, err);
        client->taken = n;
        if (rc == 0) {
            take_back(client);
        }
    }
    return rc;
}

/* Copies the message that is lent behind the others. */
static int keep(struct rpc_client *client, struct err *err)
{
    size_t n = client->taken;
    uint8_t *copy = NULL;

    if (client->n_kept == RPC_CLIENT_KEPT_MAX ||
        n > RPC_CLIENT_KEPT_MAX_BYTES - client->kept_bytes) {
        err_set(err, ERR_LIMIT, "the node sends more than is asked for");
        return rpc_link_broke(&client->link, ERR_LIMIT, err);
    }
    copy = try_alloc(n);
    if (copy == NULL) {
        err_set(err, ERR_NO_MEMORY, "no memory for what the node sends");
        return rpc_link_broke(&client->link, ERR_NO_MEMORY, err);
    }
    memcpy(copy, rpc_link_bytes(&client->link), n);
    client->kept[client->n_kept++] = (struct kept){copy, n};
    client->kept_bytes += n;
    return 0;
}

/* Lends the kept message at `index`. */
static void lend_kept(struct rpc_client *client, size_t index, struct rpc_message *message)
{
    struct kept kept = client->kept[index];

    client->n_kept--;
    client->kept_bytes -= kept.n;
    memmove(&client->kept[index], &client->kept[index + 1],
            (client->n_kept - index) * sizeof client->kept[0]);
    client->lent = (struct buf){.data = kept.bytes, .len = kept.n, .cap = kept.n};
    (void)rpc_decode(kept.bytes, kept.n, message, NULL, NULL); /* it was good before */
}

int rpc_client_receive(struct rpc_client *client, uint64_t deadline_ns, struct rpc_message *message,
                       struct err *err)
{
    take_back(client);
    if (client->n_kept > 0) {
        lend_kept(client, 0, message);
        return 1;
    }
    int rc = rpc_link_is_well(&client->link, err);
    return rc < 0 ? rc : next_message(client, deadline_ns, message, err);
}

int rpc_client_answer(struct rpc_client *client, const struct rpc_message *message,
                      struct rpc_span *result, struct err *err)
{
    struct rpc_error *error = &client->error;

    if (message->error.bytes == NULL) {
        *result = message->result;
        return 0;
    }
    if (rpc_decode_error(message->error, error, NULL) < 0 || error->message[0] == '\0') {
        *error = (struct rpc_error){.code = "error"};
        return err_set(err, ERR_IO, "%s: the call failed, and the node does not say why",
                       client->link.name);
    }
    return error->node[0] == '\0'
               ? err_set(err, rpc_code_to_err(error->code), "%s", error->message)
               : err_set(err, rpc_code_to_err(error->code), "%s: %s", error->node, error->message);
}

static bool is_answer_to(const struct kept *kept, uint32_t id)
{
    struct rpc_message message;

    return rpc_decode(kept->bytes, kept->n, &message, NULL, NULL) == 0 &&
           message.kind == RPC_RESPONSE && message.id == id;
}

int rpc_client_wait(struct rpc_client *client, uint32_t id, uint64_t deadline_ns,
                    struct rpc_span *result, struct err *err)
{
    struct rpc_message message = {.kind = RPC_NOTIFICATION};
    int rc = 0;

    take_back(client);
    for (size_t i = 0; i < client->n_kept; i++) {
        if (is_answer_to(&client->kept[i], id)) {
            lend_kept(client, i, &message);
            return rpc_client_answer(client, &message, result, err);
        }
    }
    rc = rpc_link_is_well(&client->link, err);
    while (rc >= 0) {
        rc = next_message(client, deadline_ns, &message, err);
        if (rc == 1 && message.kind == RPC_RESPONSE && message.id == id) {
            return rpc_client_answer(client, &message, result, err);
        }
        rc = rc == 1 ? keep(client, err) : rc;
        take_back(client);
    }
    if (rc == -ETIMEDOUT || rc == ERR_INTERRUPTED) {
        (void)rpc_client_cancel(client, id, 0, NULL);
    }
    return rc;
}

int rpc_client_call_with(struct rpc_client *client, const char *method, struct rpc_span args,
                         const struct rpc_call_options *options, uint64_t deadline_ns,
                         struct rpc_span *result, struct err *err)
{
    uint32_t id = 0;

    take_back(client);
    int rc = rpc_client_send_with(client, method, args, options, deadline_ns, &id, err);
    return rc < 0 ? rc : rpc_client_wait(client, id, deadline_ns, result, err);
}

int rpc_client_call(struct rpc_client *client, const char *method, struct rpc_span args,
                    uint64_t deadline_ns, struct rpc_span *result, struct err *err)
{
    const struct rpc_call_options none = {0};

    return rpc_client_call_with(client, method, args, &none, deadline_ns, result, err);
}
