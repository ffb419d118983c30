/* SPDX-License-Identifier: Apache-2.0
 *
 * What a connection on TCP has on top: it comes in by the door, the secure channel says whose key
 * it has, and it ends with that key.
 */
#include <stdio.h>
#include <string.h>

#include "node/auth.h"
#include "node/gossip.h"
#include "node/rpc_internal_uv.h"
#include "shared/base/clock_posix.h"

/* ---- who ---- */

static enum channel_refusal look_up(void *arg, enum channel_kind kind, const char *key_id,
                                    struct channel_key *out)
{
    struct auth *auth = ((struct rpc_server *)arg)->node->auth;
    uint64_t now_ns = clock_wall_ns();
    struct api_key key;

    if (kind != CHANNEL_API_KEY) {
        return CHANNEL_BAD_KIND; /* members call at the swarm's port */
    }
    if (!auth_has_keys(auth, now_ns)) {
        return CHANNEL_NO_KEYS;
    }
    if (!auth_find_key(auth, key_id, &key)) {
        return CHANNEL_NO_SUCH_KEY;
    }
    memcpy(out->psk, key.hash, sizeof out->psk);
    out->refusal = key.expires_ns <= now_ns ? CHANNEL_KEY_EXPIRED : CHANNEL_NOT_REFUSED;
    explicit_bzero(&key, sizeof key);
    return CHANNEL_NOT_REFUSED;
}

static enum channel_refusal look_up_node(void *arg, enum channel_kind kind, const char *key_id,
                                         struct channel_key *out)
{
    struct gossip *gossip = ((struct rpc_server *)arg)->node->gossip;
    struct gossip_calls_key key;

    if (kind != CHANNEL_CLUSTER_CALLS || gossip == NULL) {
        return CHANNEL_BAD_KIND;
    }
    if (!gossip_calls_key(gossip, key_id, &key)) {
        return CHANNEL_NO_SUCH_KEY;
    }
    memcpy(out->psk, key.psk, sizeof out->psk);
    out->refusal = CHANNEL_NOT_REFUSED;
    explicit_bzero(&key, sizeof key);
    return CHANNEL_NOT_REFUSED;
}

void rpc_conn_enter(void *arg, int fd, const struct sockaddr_storage *peer, const struct buf *head)
{
    struct rpc_server *server = arg;
    struct gossip *gossip = server->node->gossip;

    if (server->draining || (head != NULL && gossip == NULL)) {
        rpc_door_turn_away(fd);
        rpc_door_left(server->door, peer);
        return;
    }
    struct rpc_conn *conn = rpc_conn_new(server, fd, peer);
    if (conn == NULL) {
        rpc_door_left(server->door, peer);
        return;
    }
    conn->is_stranger = true;
    snprintf(conn->who, sizeof conn->who, "nobody");
    conn->is_node = head != NULL;
    conn->channel = channel_new_server(
        &(struct channel_server){.lookup = conn->is_node ? look_up_node : look_up,
                                 .arg = server,
                                 .node = conn->is_node ? gossip_calls_node(gossip) : NULL});
    if (head != NULL) {
        rpc_conn_on_sealed(conn, head->data, head->len);
    }
}

static void leave_door(struct rpc_conn *conn)
{
    if (conn->is_stranger) {
        conn->is_stranger = false;
        rpc_door_left(conn->server->door, stream_peer_address(conn->stream));
    }
}

/* It has the cluster key and a key pair; who that is the swarm knows. */
static void on_node_opened(struct rpc_conn *conn)
{
    struct gossip *gossip = conn->server->node->gossip;
    struct gossip_member member;

    leave_door(conn);
    if (gossip == NULL || !gossip_member_of_key(gossip, channel_peer(conn->channel), &member)) {
        conn->server->counters.rejected[RPC_REJECTED_PEER]++;
        rpc_conn_goodbye(conn, "permission", "no member of the swarm has this node key");
        return;
    }
    snprintf(conn->who, sizeof conn->who, "node %s", member.meta.name);
    conn->active_ms = uv_now(conn->server->node->loop);
}

/* The key is proven; whether it is still one, and of which role, is looked up now. */
static void on_opened(struct rpc_conn *conn)
{
    struct auth *auth = conn->server->node->auth;
    const char *key_id = channel_key_id(conn->channel);
    struct api_key key = {0};

    leave_door(conn);
    conn->generation = auth_generation(auth, clock_wall_ns());
    snprintf(conn->key_id, sizeof conn->key_id, "%s", key_id);
    snprintf(conn->who, sizeof conn->who, "key pr_%s", key_id);
    conn->active_ms = uv_now(conn->server->node->loop);
    if (auth_find_key(auth, key_id, &key)) {
        conn->rights = api_role_rights(key.role);
        conn->expires_ns = key.expires_ns;
    }
    explicit_bzero(&key, sizeof key);
}

/* ---- bytes ---- */

static void on_refused(struct rpc_conn *conn, const struct err *err)
{
    struct rpc_server *server = conn->server;
    enum channel_refusal refusal = channel_refused(conn->channel);
    uint64_t now_ms = uv_now(server->node->loop);
    uint64_t left_out;

    if (refusal != CHANNEL_NOT_REFUSED) {
        server->counters.refused[refusal]++;
    } else {
        server->counters
            .rejected[conn->is_stranger ? RPC_REJECTED_HANDSHAKE : RPC_REJECTED_CHANNEL]++;
    }
    if (log_allowed(&server->refusal_limit, now_ms, 1000, &left_out)) {
        const char *key_id = channel_key_id(conn->channel);
        log_info("rpc: %s%s%s is refused: %s", stream_peer(conn->stream),
                 key_id[0] == '\0' ? "" : ", key pr_", key_id,
                 refusal == CHANNEL_NOT_REFUSED ? err->text : channel_refusal_name(refusal));
    }
    conn->is_ending = true;
    stream_finish(conn->stream);
}

void rpc_conn_on_sealed(struct rpc_conn *conn, const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    struct buf *out = &conn->server->sealed;
    int event = CHANNEL_OPENED;

    while (event != CHANNEL_MORE && !conn->is_ending) {
        struct channel_data plain = {0};
        struct err err = {0};
        event = channel_read(conn->channel, &in, &plain, out, &err);
        if (out->len > 0) {
            stream_write_copy(conn->stream, out->data, out->len);
            buf_reset(out);
        }
        if (event < 0) {
            on_refused(conn, &err);
        } else if (event == CHANNEL_OPENED && conn->is_node) {
            on_node_opened(conn);
        } else if (event == CHANNEL_OPENED) {
            on_opened(conn);
        } else if (event == CHANNEL_DATA) {
            rpc_conn_feed(conn, plain.bytes, plain.n);
        }
    }
}

/* ---- the end ---- */

/* A member that was banned, or whose cluster key was retired, has no say any more. */
static void tick_node(struct rpc_conn *conn)
{
    struct gossip *gossip = conn->server->node->gossip;
    struct gossip_calls_key key;
    struct gossip_member member;

    if (conn->is_ending) {
        return;
    }
    if (gossip == NULL || !gossip_calls_key(gossip, channel_key_id(conn->channel), &key) ||
        !gossip_member_of_key(gossip, channel_peer(conn->channel), &member)) {
        conn->server->counters.rejected[RPC_REJECTED_KEY_ENDED]++;
        rpc_conn_goodbye(conn, err_name(ERR_KEY),
                         "the member was banned, or its cluster key was retired");
    }
    explicit_bzero(&key, sizeof key);
}

void rpc_conn_tick_tcp(struct rpc_conn *conn, uint64_t now_ms)
{
    struct rpc_server *server = conn->server;
    struct auth *auth = server->node->auth;
    uint64_t now_ns = clock_wall_ns();

    if (conn->is_stranger) {
        if (now_ms - conn->began_ms >= CHANNEL_STRANGER_MS) {
            server->counters.rejected[RPC_REJECTED_SLOW]++;
            stream_abort(conn->stream, "the handshake took too long");
        }
        return;
    }
    if (conn->is_node) {
        tick_node(conn);
        return;
    }
    uint64_t generation = auth_generation(auth, now_ns);
    if (conn->is_ending || (generation == conn->generation && now_ns < conn->expires_ns)) {
        return;
    }
    conn->generation = generation;
    if (!auth_key_is_good(auth, conn->key_id, now_ns)) {
        server->counters.rejected[RPC_REJECTED_KEY_ENDED]++;
        rpc_conn_goodbye(conn, err_name(ERR_KEY), "the API key was revoked or has expired");
    }
}

void rpc_conn_deinit_tcp(struct rpc_conn *conn)
{
    leave_door(conn);
    channel_free(conn->channel);
    conn->channel = NULL;
}
