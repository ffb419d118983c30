/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes come in through dial_receive, through the channel where there is one, and lie in `plain`
 * until they are a whole message; the message is borrowed to the caller from there and taken off at
 * the next call. Messages that came while another was waited for are copied to `kept`.
 *
 * A node that sends without end never lets dial_wait wait, so each round of a loop looks at the
 * clock itself.
 */
#include "shared/wire/rpc_client.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/unpack.h"
#include "shared/wire/api_key.h"
#include "shared/wire/channel.h"
#include "shared/wire/dial.h"

#define NS_PER_MS 1000000ULL

struct kept {
    uint8_t *bytes; /* owned */
    size_t n;
};

struct rpc_client {
    struct dial *dial;
    struct channel *channel; /* NULL: UNIX socket */
    char name[RPC_ENDPOINT_TEXT_MAX];
    struct buf raw;   /* what the kernel gave, of a channel */
    struct buf plain; /* messages */
    size_t taken;     /* bytes of it that are lent, and go with the next call */
    struct rpc_scan scan;
    struct buf lent; /* the kept message that is lent */
    struct kept kept[RPC_CLIENT_KEPT_MAX];
    size_t n_kept;
    size_t kept_bytes;
    uint32_t calls[RPC_CLIENT_CALLS_MAX]; /* ids under way */
    size_t n_calls;
    uint32_t last_id;
    int broken; /* why; 0 = it is well */
    struct rpc_error error;
    struct rpc_error closing; /* what the node said before it ended the connection */
};

const struct rpc_error *rpc_client_error(const struct rpc_client *client)
{
    return &client->error;
}

bool rpc_client_is_broken(const struct rpc_client *client)
{
    return client->broken != 0;
}

void rpc_client_interrupt(struct rpc_client *client)
{
    dial_interrupt(client->dial);
}

/* ---- the connection ---- */

/* The connection is of no use any more; says whose it was. */
static int broke(struct rpc_client *client, struct err *err)
{
    client->broken = err_wrap(err, "%s", client->name);
    return client->broken;
}

static int on_end(struct rpc_client *client, struct err *err)
{
    if (client->closing.message[0] != '\0') {
        return err_set(err, -ECONNRESET, "the node ended the connection: %s",
                       client->closing.message);
    }
    if (client->channel != NULL) {
        return channel_ended(client->channel, err);
    }
    return client->plain.len > client->taken
               ? err_set(err, ERR_DAMAGED, "the connection was cut inside a message")
               : err_set(err, -ECONNRESET, "the node ended the connection");
}

static int keep_plain(struct rpc_client *client, const struct channel_data *data, struct err *err)
{
    if (!buf_try_reserve(&client->plain, data->n)) {
        return err_set(err, ERR_NO_MEMORY, "no memory for what the node sends");
    }
    buf_append(&client->plain, data->bytes, data->n);
    return 0;
}

/* Reads raw bytes through the channel; what it wants to send is queued. */
static int open_raw(struct rpc_client *client, struct err *err)
{
    struct bytes_reader in = bytes_reader(client->raw.data, client->raw.len);
    struct channel_data data = {NULL, 0};
    struct buf out = {0};
    int rc = CHANNEL_OPENED;

    while (rc > CHANNEL_MORE) {
        rc = channel_read(client->channel, &in, &data, &out, err);
        if (rc == CHANNEL_DATA && keep_plain(client, &data, err) < 0) {
            rc = ERR_NO_MEMORY;
        }
    }
    if (rc == 0 && out.len > 0) {
        rc = dial_queue(client->dial, out.data, out.len, err);
    }
    buf_deinit(&out);
    return rc;
}

/* Takes what is there now: 1, 0 when there is nothing, negative. */
static int fetch(struct rpc_client *client, struct err *err)
{
    struct buf *in = client->channel != NULL ? &client->raw : &client->plain;

    if (client->channel != NULL) {
        buf_reset(in);
    }
    if (!buf_try_reserve(in, DIAL_READ_BYTES)) {
        return err_set(err, ERR_NO_MEMORY, "no memory for what the node sends");
    }
    int rc = dial_receive(client->dial, in, err);
    if (rc < 0 && dial_is_at_end(client->dial)) {
        return on_end(client, err);
    }
    if (rc > 0 && client->channel != NULL) {
        rc = open_raw(client, err);
        rc = rc < 0 ? rc : dial_flush(client->dial, err);
        return rc < 0 ? rc : 1;
    }
    return rc;
}

static bool is_late(uint64_t deadline_ns)
{
    return deadline_ns != UINT64_MAX && clock_monotonic_ns() >= deadline_ns;
}

/* Waits for bytes, and takes them. -ETIMEDOUT and ERR_INTERRUPTED break nothing. */
static int wait_and_fetch(struct rpc_client *client, uint64_t deadline_ns, struct err *err)
{
    int rc = is_late(deadline_ns) ? -ETIMEDOUT : fetch(client, err);

    if (rc == 0) {
        rc = dial_wait(client->dial, true, deadline_ns, err);
        rc = rc < 0 ? rc : dial_flush(client->dial, err);
    }
    if (rc == -ETIMEDOUT) {
        return err_set(err, -ETIMEDOUT, "%s: no answer in time", client->name);
    }
    return rc >= 0 || rc == ERR_INTERRUPTED ? rc : broke(client, err);
}

/* Sends all that is queued. While the node does not read, what it sends is read, so that neither
 * waits for the other for ever. */
static int flush(struct rpc_client *client, uint64_t deadline_ns, struct err *err)
{
    int rc = dial_flush(client->dial, err);

    if (rc < 0) {
        return broke(client, err);
    }
    while (rc >= 0 && dial_queued(client->dial) > 0) {
        bool reads = client->plain.len - client->taken < RPC_RESPONSE_MAX;
        rc = is_late(deadline_ns) ? -ETIMEDOUT : dial_wait(client->dial, reads, deadline_ns, err);
        if (rc == -ETIMEDOUT) {
            return err_set(err, -ETIMEDOUT, "%s: the node did not read in time", client->name);
        }
        rc = rc < 0 ? rc : dial_flush(client->dial, err);
        rc = rc < 0 || !reads ? rc : fetch(client, err);
        if (rc < 0 && rc != ERR_INTERRUPTED) {
            return broke(client, err);
        }
    }
    return rc < 0 ? rc : 0;
}

/* ---- opening ---- */

static int shake_hands(struct rpc_client *client, uint64_t deadline_ns, struct err *err)
{
    int rc = flush(client, deadline_ns, err);

    while (rc >= 0 && channel_state(client->channel) == CHANNEL_HANDSHAKE) {
        rc = wait_and_fetch(client, deadline_ns, err);
    }
    if (rc == -ETIMEDOUT) {
        return err_set(err, rc, "%s: no answer in time: is it the port of the node's --rpc-addr?",
                       client->name);
    }
    return rc < 0 ? rc : 0;
}

static int open_channel(struct rpc_client *client, const char *key, uint64_t deadline_ns,
                        struct err *err)
{
    char id[API_KEY_ID_CHARS + 1];
    uint8_t hash[API_KEY_HASH_BYTES];
    struct buf out = {0};
    int rc = api_key_parse(key, id, hash, err);

    if (rc < 0) {
        return rc;
    }
    const struct channel_client as = {.kind = CHANNEL_API_KEY, .key_id = id, .psk = hash};
    client->channel = channel_new_client(&as, &out);
    sodium_memzero(hash, sizeof hash);
    rc = dial_queue(client->dial, out.data, out.len, err);
    buf_deinit(&out);
    return rc < 0 ? rc : shake_hands(client, deadline_ns, err);
}

int rpc_client_open(const struct rpc_client_opts *opts, uint64_t deadline_ns,
                    struct rpc_client **out, struct err *err)
{
    const struct rpc_endpoint *endpoint = opts->endpoint;
    const struct dial_opts dial_opts = {.endpoint = &endpoint->tcp,
                                        .unix_path = endpoint->is_unix ? endpoint->path : NULL,
                                        .flag = "--rpc-addr",
                                        .stop_fd = opts->stop_fd};
    char name[RPC_ENDPOINT_TEXT_MAX];

    rpc_endpoint_print(endpoint, name);
    if (!endpoint->is_unix && opts->api_key == NULL) {
        return err_set(err, ERR_KEY,
                       "%s needs an API key: give --api-key-file FILE or set "
                       "PACKETRECORDER_API_KEY ('packetrecorder keys add' beside the node makes a "
                       "key)",
                       name);
    }
    struct rpc_client *client = x_alloc(sizeof *client);
    memcpy(client->name, name, sizeof name);
    int rc = dial_open(&dial_opts, deadline_ns, &client->dial, err);
    if (rc == 0 && !endpoint->is_unix) {
        rc = open_channel(client, opts->api_key, deadline_ns, err);
    }
    if (rc < 0) {
        rpc_client_close(client);
        return rc;
    }
    dial_go_on(client->dial);
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
    dial_close(client->dial);
    channel_free(client->channel);
    buf_deinit(&client->raw);
    buf_deinit(&client->plain);
    buf_deinit(&client->lent);
    mem_free(client);
}

/* ---- sending ---- */

static int is_usable(const struct rpc_client *client, struct err *err)
{
    return client->broken == 0
               ? 0
               : err_set(err, client->broken, "%s: the connection has ended before", client->name);
}

static int send_message(struct rpc_client *client, struct buf *message, struct err *err)
{
    struct buf sealed = {0};
    int rc;

    if (client->channel == NULL) {
        return dial_queue(client->dial, message->data, message->len, err);
    }
    channel_seal(client->channel, message->data, message->len, &sealed);
    rc = dial_queue(client->dial, sealed.data, sealed.len, err);
    buf_deinit(&sealed);
    return rc;
}

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

int rpc_client_send(struct rpc_client *client, const char *method, struct rpc_span args,
                    uint64_t deadline_ns, uint32_t *id, struct err *err)
{
    struct buf message = {0};
    int rc = is_usable(client, err);

    if (rc < 0) {
        return rc;
    }
    if (client->n_calls == RPC_CLIENT_CALLS_MAX) {
        return err_set(err, ERR_LIMIT, "%s: %u calls are under way already", client->name,
                       RPC_CLIENT_CALLS_MAX);
    }
    rpc_put_request(&message, client->last_id + 1, method, args, left_ms(deadline_ns));
    if (message.len > RPC_REQUEST_MAX) {
        rc = err_set(err, ERR_LIMIT, "%s: a call of %zu bytes is larger than a node takes (%u)",
                     method, message.len, RPC_REQUEST_MAX);
    } else {
        rc = send_message(client, &message, err);
        client->last_id++;
        client->calls[client->n_calls++] = client->last_id;
        *id = client->last_id;
        rc = rc < 0 ? broke(client, err) : flush(client, deadline_ns, err);
    }
    buf_deinit(&message);
    return rc;
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
    int rc = is_usable(client, err);

    if (rc < 0 || !forget_call(client, id)) {
        return rc;
    }
    rpc_put_cancel(&message, id);
    rc = send_message(client, &message, err);
    buf_deinit(&message);
    return rc < 0 ? broke(client, err) : flush(client, deadline_ns, err);
}

/* ---- receiving ---- */

/* What was lent goes. */
static void take_back(struct rpc_client *client)
{
    if (client->taken > 0) {
        buf_consume(&client->plain, client->taken);
        client->taken = 0;
    }
    buf_deinit(&client->lent);
}

static int damaged(struct rpc_client *client, const char *what, struct err *err)
{
    err_set(err, ERR_DAMAGED, "what answers there is no packetrecorder: %s", what);
    return broke(client, err);
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
            (void)rpc_decode_error(said, &client->closing, NULL);
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
        enum rpc_scan_state found =
            rpc_scan(&client->scan, client->plain.data, client->plain.len, RPC_RESPONSE_MAX);
        if (found == RPC_SCAN_BAD) {
            return damaged(client, "no msgpack-RPC, or a message that is too large", err);
        }
        if (found == RPC_SCAN_MORE) {
            rc = wait_and_fetch(client, deadline_ns, err);
            rc = rc > 0 ? 0 : rc;
            continue;
        }
        size_t n = client->scan.at;
        client->scan = (struct rpc_scan){0};
        rc = look_at(client, client->plain.data, n, message, err);
        client->taken = n;
        if (rc == 0) {
            take_back(client);
            rc = is_late(deadline_ns)
                     ? err_set(err, -ETIMEDOUT, "%s: no answer in time", client->name)
                     : 0;
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
        return broke(client, err);
    }
    copy = try_alloc(n);
    if (copy == NULL) {
        err_set(err, ERR_NO_MEMORY, "no memory for what the node sends");
        return broke(client, err);
    }
    memcpy(copy, client->plain.data, n);
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
    int rc = is_usable(client, err);
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
                       client->name);
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
    struct rpc_message message;
    int rc = 0;

    take_back(client);
    for (size_t i = 0; i < client->n_kept; i++) {
        if (is_answer_to(&client->kept[i], id)) {
            lend_kept(client, i, &message);
            return rpc_client_answer(client, &message, result, err);
        }
    }
    rc = is_usable(client, err);
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

int rpc_client_call(struct rpc_client *client, const char *method, struct rpc_span args,
                    uint64_t deadline_ns, struct rpc_span *result, struct err *err)
{
    uint32_t id = 0;

    take_back(client);
    int rc = rpc_client_send(client, method, args, deadline_ns, &id, err);
    return rc < 0 ? rc : rpc_client_wait(client, id, deadline_ns, result, err);
}
