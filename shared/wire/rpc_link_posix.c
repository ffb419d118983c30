/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/rpc_link.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/wire/api_key.h"
#include "shared/wire/channel.h"
#include "shared/wire/dial.h"
#include "shared/wire/rpc_client.h"

int rpc_link_broke(struct rpc_link *link, int rc, struct err *err)
{
    link->broken = rc;
    (void)err_wrap(err, "%s", link->name);
    return rc;
}

int rpc_link_is_well(const struct rpc_link *link, struct err *err)
{
    return link->broken == 0
               ? 0
               : err_set(err, link->broken, "%s: the connection has ended before", link->name);
}

static int on_end(struct rpc_link *link, struct err *err)
{
    if (link->farewell[0] != '\0') {
        return err_set(err, -ECONNRESET, "the node ended the connection: %s", link->farewell);
    }
    int rc = link->channel != NULL ? channel_ended(link->channel, err) : -ECONNRESET;
    if (rc != -ECONNRESET) {
        return rc; /* inside the handshake, or a frame */
    }
    return rpc_link_left(link) > 0
               ? err_set(err, ERR_DAMAGED, "the connection was cut inside a message")
               : err_set(err, -ECONNRESET, "the node ended the connection");
}

static int keep_plain(struct rpc_link *link, const struct channel_data *data, struct err *err)
{
    if (!buf_try_reserve(&link->plain, data->n)) {
        return err_set(err, ERR_NO_MEMORY, "no memory for what the node sends");
    }
    buf_append(&link->plain, data->bytes, data->n);
    return 0;
}

/* Reads raw bytes through the channel; what it wants to send is queued. */
static int open_raw(struct rpc_link *link, struct err *err)
{
    struct bytes_reader in = bytes_reader(link->raw.data, link->raw.len);
    struct channel_data data = {NULL, 0};
    struct buf out = {0};
    int rc = CHANNEL_OPENED;

    while (rc > CHANNEL_MORE) {
        rc = channel_read(link->channel, &in, &data, &out, err);
        if (rc == CHANNEL_DATA && keep_plain(link, &data, err) < 0) {
            rc = ERR_NO_MEMORY;
        }
    }
    if (rc == 0 && out.len > 0) {
        rc = dial_queue(link->dial, out.data, out.len, err);
    }
    buf_deinit(&out);
    return rc;
}

/* Takes what is there now: 1, 0 when there is nothing, negative. */
static int fetch(struct rpc_link *link, struct err *err)
{
    struct buf *in = link->channel != NULL ? &link->raw : &link->plain;

    if (link->used > 0) {
        buf_consume(&link->plain, link->used);
        link->used = 0;
    }
    if (link->channel != NULL) {
        buf_reset(in);
    }
    if (!buf_try_reserve(in, DIAL_READ_BYTES)) {
        return err_set(err, ERR_NO_MEMORY, "no memory for what the node sends");
    }
    int rc = dial_receive(link->dial, in, err);
    if (rc < 0 && dial_is_at_end(link->dial)) {
        return on_end(link, err);
    }
    if (rc > 0 && link->channel != NULL) {
        rc = open_raw(link, err);
        rc = rc < 0 ? rc : dial_flush(link->dial, err);
        return rc < 0 ? rc : 1;
    }
    return rc;
}

static bool is_late(uint64_t deadline_ns)
{
    return deadline_ns != UINT64_MAX && clock_monotonic_ns() >= deadline_ns;
}

int rpc_link_wait(struct rpc_link *link, uint64_t deadline_ns, struct err *err)
{
    int rc = is_late(deadline_ns) ? -ETIMEDOUT : fetch(link, err);

    if (rc == 0) {
        rc = dial_wait(link->dial, true, deadline_ns, err);
        rc = rc < 0 ? rc : dial_flush(link->dial, err);
    }
    if (rc == -ETIMEDOUT) {
        return err_set(err, rc, "%s: no answer in time", link->name);
    }
    return rc >= 0 || rc == ERR_INTERRUPTED ? rc : rpc_link_broke(link, rc, err);
}

/* One round of sending and, where there is room, reading. */
static int push(struct rpc_link *link, uint64_t deadline_ns, struct err *err)
{
    bool reads = rpc_link_left(link) < link->plain_max;
    int rc = is_late(deadline_ns) ? -ETIMEDOUT : dial_wait(link->dial, reads, deadline_ns, err);

    rc = rc < 0 ? rc : dial_flush(link->dial, err);
    return rc < 0 || !reads ? rc : fetch(link, err);
}

static int flush(struct rpc_link *link, uint64_t deadline_ns, struct err *err)
{
    int rc = dial_flush(link->dial, err);

    while (rc >= 0 && dial_queued(link->dial) > 0) {
        rc = push(link, deadline_ns, err);
    }
    if (rc == -ETIMEDOUT) {
        return err_set(err, rc, "%s: the node did not read in time", link->name);
    }
    return rc >= 0 ? 0 : rc == ERR_INTERRUPTED ? rc : rpc_link_broke(link, rc, err);
}

int rpc_link_send(struct rpc_link *link, const void *bytes, size_t n, uint64_t deadline_ns,
                  struct err *err)
{
    struct buf sealed = {0};
    int rc;

    if (link->channel == NULL) {
        rc = dial_queue(link->dial, bytes, n, err);
    } else {
        channel_seal(link->channel, bytes, n, &sealed);
        rc = dial_queue(link->dial, sealed.data, sealed.len, err);
        buf_deinit(&sealed);
    }
    return rc < 0 ? rpc_link_broke(link, rc, err) : flush(link, deadline_ns, err);
}

/* ---- opening ---- */

static int shake_hands(struct rpc_link *link, uint64_t deadline_ns, struct err *err)
{
    int rc = flush(link, deadline_ns, err);

    while (rc >= 0 && channel_state(link->channel) == CHANNEL_HANDSHAKE) {
        rc = rpc_link_wait(link, deadline_ns, err);
    }
    if (rc == -ETIMEDOUT) {
        return err_set(err, rc, "%s: no answer in time: is it the port of the node's --rpc-addr?",
                       link->name);
    }
    return rc < 0 ? rc : 0;
}

static int open_channel(struct rpc_link *link, const char *key, uint64_t deadline_ns,
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
    link->channel = channel_new_client(&as, &out);
    sodium_memzero(hash, sizeof hash);
    rc = dial_queue(link->dial, out.data, out.len, err);
    buf_deinit(&out);
    return rc < 0 ? rc : shake_hands(link, deadline_ns, err);
}

int rpc_link_open(struct rpc_link *link, const struct rpc_client_opts *opts, uint64_t deadline_ns,
                  struct err *err)
{
    const struct rpc_endpoint *endpoint = opts->endpoint;
    const struct dial_opts dial_opts = {.endpoint = &endpoint->tcp,
                                        .unix_path = endpoint->is_unix ? endpoint->path : NULL,
                                        .flag = "--rpc-addr",
                                        .stop_fd = opts->stop_fd};

    rpc_endpoint_print(endpoint, link->name);
    link->plain_max = RPC_RESPONSE_MAX;
    if (!endpoint->is_unix && opts->api_key == NULL) {
        return err_set(err, ERR_KEY,
                       "%s needs an API key: give --api-key-file FILE or set "
                       "PACKETRECORDER_API_KEY ('packetrecorder keys add' beside the node makes a "
                       "key)",
                       link->name);
    }
    int rc = dial_open(&dial_opts, deadline_ns, &link->dial, err);
    if (rc == 0 && !endpoint->is_unix) {
        rc = open_channel(link, opts->api_key, deadline_ns, err);
    }
    if (rc == 0) {
        dial_go_on(link->dial);
    }
    return rc;
}

void rpc_link_close(struct rpc_link *link)
{
    dial_close(link->dial);
    channel_free(link->channel);
    buf_deinit(&link->raw);
    if (link->plain.data != NULL) {
        sodium_memzero(link->plain.data, link->plain.cap); /* an answer may hold a new key */
    }
    buf_deinit(&link->plain);
}
