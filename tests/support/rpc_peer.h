/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's side of calls for tests of the blocking client: scripts on a wire_server, over a UNIX
 * socket or inside the channel on TCP, with one API key. Include cmocka.h and test_place.h before
 * it.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/wire/api_key.h"
#include "shared/wire/channel.h"
#include "shared/wire/rpc.h"
#include "shared/wire/rpc_client.h"
#include "tests/support/wire_server.h"

#define MS 1000000ULL

struct rpc_peer {
    struct wire_peer *wire;
    struct channel *channel; /* NULL: UNIX socket */
    struct buf plain;        /* what came and was not used */
    size_t taken;
};

struct rpc_script {
    void (*run)(struct rpc_peer *peer, void *arg);
    void *arg;
    bool is_unix;
    enum channel_refusal refusal; /* what the lookup says, and what is said after the proof */
    enum channel_refusal refusal_later;
    char key[API_KEY_TEXT_MAX]; /* the client's */
    struct api_key as_kept;     /* the node's */
    char *path;                 /* owned */
    struct wire_server server;
};

static inline uint64_t in_ms(uint64_t ms)
{
    return clock_monotonic_ns() + ms * MS;
}

static inline enum channel_refusal rpc_script_lookup(void *arg, enum channel_kind kind,
                                                     const char *key_id, struct channel_key *out)
{
    struct rpc_script *script = arg;

    REQUIRE(kind == CHANNEL_API_KEY);
    if (strcmp(key_id, script->as_kept.id) != 0) {
        return CHANNEL_NO_SUCH_KEY;
    }
    memcpy(out->psk, script->as_kept.hash, sizeof out->psk);
    out->refusal = script->refusal_later;
    return script->refusal;
}

/* Waits for bytes and reads them. False: the client is gone. */
static inline bool rpc_peer_more(struct rpc_peer *peer)
{
    struct buf out = {0};
    struct channel_data data = {NULL, 0};
    int rc = CHANNEL_OPENED;

    if (!wire_more(peer->wire)) {
        return false;
    }
    if (peer->channel == NULL) {
        buf_append(&peer->plain, peer->wire->in.data, peer->wire->in.len);
    } else {
        struct bytes_reader in = bytes_reader(peer->wire->in.data, peer->wire->in.len);
        while (rc > CHANNEL_MORE) {
            rc = channel_read(peer->channel, &in, &data, &out, NULL);
            if (rc == CHANNEL_DATA) {
                buf_append(&peer->plain, data.bytes, data.n);
            }
        }
        wire_put_raw(peer->wire, out.data, out.len);
        buf_deinit(&out);
    }
    buf_reset(&peer->wire->in);
    return rc >= 0;
}

/* The next message of the client, borrowed until the next. */
static inline bool rpc_peer_next(struct rpc_peer *peer, struct rpc_message *message)
{
    struct rpc_scan scan = {0};

    if (peer->taken > 0) {
        buf_consume(&peer->plain, peer->taken);
        peer->taken = 0;
    }
    while (rpc_scan(&scan, peer->plain.data, peer->plain.len, RPC_REQUEST_MAX) != RPC_SCAN_WHOLE) {
        if (!rpc_peer_more(peer)) {
            return false;
        }
    }
    peer->taken = scan.at;
    REQUIRE(rpc_decode(peer->plain.data, scan.at, message, NULL, NULL) == 0);
    return true;
}

static inline void rpc_peer_put(struct rpc_peer *peer, const void *bytes, size_t n)
{
    struct buf out = {0};

    if (peer->channel == NULL) {
        wire_put_raw(peer->wire, bytes, n);
        return;
    }
    channel_seal(peer->channel, bytes, n, &out);
    wire_put_raw(peer->wire, out.data, out.len);
    buf_deinit(&out);
}

static inline void rpc_peer_put_buf(struct rpc_peer *peer, struct buf *message)
{
    rpc_peer_put(peer, message->data, message->len);
    buf_deinit(message);
}

/* Answers with a number. */
static inline void rpc_peer_answer(struct rpc_peer *peer, uint32_t id, uint64_t number)
{
    struct buf value = {0};
    struct buf message = {0};

    rpc_put_u64(&value, number);
    rpc_put_response(&message, id, (struct rpc_span){value.data, value.len});
    buf_deinit(&value);
    rpc_peer_put_buf(peer, &message);
}

static inline void rpc_peer_notify(struct rpc_peer *peer, const char *method, uint64_t number)
{
    struct buf value = {0};
    struct buf message = {0};

    rpc_put_u64(&value, number);
    rpc_put_notification(&message, method, (struct rpc_span){value.data, value.len});
    buf_deinit(&value);
    rpc_peer_put_buf(peer, &message);
}

static inline void rpc_script_serve(struct wire_peer *wire, void *arg)
{
    struct rpc_script *script = arg;
    struct rpc_peer peer = {.wire = wire};
    const struct channel_server server = {.lookup = rpc_script_lookup, .arg = script};

    if (!script->is_unix) {
        peer.channel = channel_new_server(&server);
        while (channel_state(peer.channel) == CHANNEL_HANDSHAKE && rpc_peer_more(&peer)) {
        }
    }
    if (script->is_unix || channel_state(peer.channel) == CHANNEL_OPEN) {
        script->run(&peer, script->arg);
    }
    channel_free(peer.channel);
    buf_deinit(&peer.plain);
}

/* Starts the script; fields that the test sets before stay. */
static inline void rpc_script_start(struct rpc_script *script)
{
    script->as_kept.role = ROLE_ADMIN;
    api_key_make(&script->as_kept, script->key);
    if (script->is_unix) {
        script->path = in_place("rpc.sock");
        unlink(script->path);
        wire_server_start_unix(&script->server, script->path, rpc_script_serve, script);
    } else {
        wire_server_start(&script->server, rpc_script_serve, script, NULL);
    }
}

static inline void rpc_script_stop(struct rpc_script *script)
{
    wire_server_stop(&script->server);
    mem_free(script->path);
}

static inline struct rpc_endpoint rpc_script_endpoint(const struct rpc_script *script)
{
    struct rpc_endpoint endpoint = {.is_unix = script->is_unix};

    if (script->is_unix) {
        (void)snprintf(endpoint.path, sizeof endpoint.path, "%s", script->path);
    } else {
        endpoint.tcp = (struct url_endpoint){.host = "127.0.0.1", .port = script->server.port};
    }
    return endpoint;
}

static inline int rpc_script_dial(struct rpc_script *script, uint64_t deadline_ns,
                                  struct rpc_client **client, struct err *err)
{
    struct rpc_endpoint endpoint = rpc_script_endpoint(script);
    const struct rpc_client_opts opts = {.endpoint = &endpoint, .api_key = script->key};

    return rpc_client_open(&opts, deadline_ns, client, err);
}

static inline struct rpc_client *rpc_script_dial_well(struct rpc_script *script)
{
    struct rpc_client *client = NULL;
    struct err err = {0};

    if (rpc_script_dial(script, in_ms(10000), &client, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return client;
}
