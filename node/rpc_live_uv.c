/* SPDX-License-Identifier: Apache-2.0
 *
 * Each live stream is a viewer whose peer are the reads that wait: it has room while one does, and
 * what the viewer writes answers it. So the bytes are copied once, out of the backlog into the
 * answer, nothing is piled up here for who does not ask, and loss is the backlog's business.
 *
 *   live.read ─► waits ─► the viewer finds packets: data ─► answered
 *                   └──► wait_ms are over: nothing, with the watermark ─► answered
 */
#include "node/rpc_live.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "node/gossip.h"
#include "node/node.h"
#include "node/remote_name.h"
#include "node/rpc_internal_uv.h"
#include "node/sources.h"
#include "node/viewer_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

#define STREAMS_OF_CONN_MAX 64
#define STREAMS_MAX         1024
#define WAITING_MAX         4
#define WAIT_DEFAULT_MS     1000
#define CHUNK_DEFAULT       (256u * 1024u)
#define CHUNK_MIN           4096u
/* Nobody has read for so long: whoever opened it is gone, though the connection, which may be
 * another node's for many, is not. */
#define IDLE_MS 30000

struct waiting {
    struct rpc_call *call; /* a reference */
    size_t max_bytes;
    uint64_t until_ms;
};

struct rpc_live {
    LIST_ENTRY(rpc_live) link; /* in its connection */
    struct rpc_conn *conn;
    struct node *node;
    uint64_t id;
    char who[RPC_WHO_MAX];
    char of[256]; /* the node that has the interface, and its sid; 0: this one */
    uint64_t sid;
    struct viewer *viewer; /* NULL when it has ended */
    struct waiting waiting[WAITING_MAX];
    unsigned n_waiting;
    uv_timer_t timer;
    struct buf rest;       /* that came when nobody waited: the last words of the viewer */
    char why[128];         /* it has ended */
    uint64_t watermark_ns; /* as told */
    uint64_t n_packets;
    uint64_t lost;
};

/* ---- answers ---- */

/* Of whose clock stamps the packets, against swarm time. */
static bool find_clock(const struct rpc_live *live, struct gossip_clock *clock)
{
    struct gossip *gossip = live->node->gossip;
    struct swim_wall_offset far = {0};

    if (gossip == NULL || !gossip_clock_get(gossip, NULL, 0, clock) ||
        (live->sid != 0 && !gossip_clock_of(gossip, live->sid, &far))) {
        return false;
    }
    clock->offset_ns += far.offset_ns;
    clock->bound_ns += far.bound_ns;
    return true;
}

static void put_clock(struct buf *out, const struct rpc_live *live)
{
    struct gossip_clock clock;

    if (!find_clock(live, &clock)) {
        rpc_put_nil(out);
        return;
    }
    rpc_put_map(out, 2);
    rpc_put_text(out, "offset_ns");
    rpc_put_i64(out, clock.offset_ns);
    rpc_put_text(out, "bound_ns");
    rpc_put_u64(out, clock.bound_ns);
}

static void look_at_viewer(struct rpc_live *live)
{
    if (live->viewer != NULL) {
        uint64_t now = relay_stream_watermark(live->viewer->stream, live->viewer->cursor);

        live->watermark_ns = now > live->watermark_ns ? now : live->watermark_ns;
        live->n_packets = live->viewer->n_packets;
        live->lost = live->viewer->lost;
    }
}

/* All but the bytes themselves, which come last. */
static void put_head(struct buf *out, struct rpc_live *live)
{
    bool is_over = live->viewer == NULL;

    look_at_viewer(live);
    rpc_put_map(out, 7 + (is_over ? 1 : 0));
    rpc_put_text(out, "watermark_ns");
    rpc_put_u64(out, live->watermark_ns);
    rpc_put_text(out, "packets");
    rpc_put_u64(out, live->n_packets);
    rpc_put_text(out, "lost");
    rpc_put_u64(out, live->lost);
    rpc_put_text(out, "clock");
    put_clock(out, live);
    rpc_put_text(out, "node");
    rpc_put_text(out, live->of);
    rpc_put_text(out, "end");
    rpc_put_bool(out, is_over);
    if (is_over) {
        rpc_put_text(out, "why");
        rpc_put_text(out, live->why);
    }
    rpc_put_text(out, "data");
}

/* Bytes that follow one by one. */
static void put_bin_head(struct buf *out, size_t n)
{
    const uint8_t head[] = {0xc6, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                            (uint8_t)n};

    buf_append(out, head, sizeof head);
}

static void set_timer(struct rpc_live *live);

/* The first of those that wait; what is behind the head is in `result`, which is moved. From now on
 * the next one's time counts, or how long nobody reads: not what was left to this one. */
static void answer_first(struct rpc_live *live, struct buf *result)
{
    struct rpc_call *call = live->waiting[0].call;

    memmove(live->waiting, live->waiting + 1, --live->n_waiting * sizeof *live->waiting);
    set_timer(live);
    rpc_call_on_gone(call, NULL, NULL);
    rpc_call_reply_packed(call, result); /* may end the connection, and the stream with it */
    rpc_call_unref(call);
}

static void answer_with(struct rpc_live *live, const struct buf *bytes)
{
    struct buf result = {0};

    put_head(&result, live);
    put_bin_head(&result, bytes->len);
    if (bytes->len > 0) {
        buf_append(&result, bytes->data, bytes->len);
    }
    answer_first(live, &result);
}

/* ---- the viewer's peer ---- */

static bool has_room(void *peer)
{
    const struct rpc_live *live = peer;

    return live->n_waiting > 0 && stream_has_room(live->conn->stream);
}

static void write_blocks(void *peer, const struct iovec *iov, unsigned n,
                         void (*release)(void *arg), void *arg)
{
    struct rpc_live *live = peer;
    struct buf result = {0};
    size_t n_bytes = 0;

    for (unsigned i = 0; i < n; i++) {
        n_bytes += iov[i].iov_len;
    }
    if (live->n_waiting > 0) {
        buf_reserve(&result, n_bytes + 256);
        put_head(&result, live);
        put_bin_head(&result, n_bytes);
    }
    struct buf *to = live->n_waiting > 0 ? &result : &live->rest;
    for (unsigned i = 0; i < n; i++) {
        buf_append(to, iov[i].iov_base, iov[i].iov_len);
    }
    release(arg);
    if (live->n_waiting > 0) {
        answer_first(live, &result);
        if (live->n_waiting > 0 && live->viewer != NULL) {
            live->viewer->room = live->waiting[0].max_bytes;
        }
    }
}

static void tell_end(struct rpc_live *live)
{
    static const struct buf nothing = {0};

    while (live->n_waiting > 0) {
        struct buf rest = live->rest;

        live->rest = (struct buf){0};
        answer_with(live, rest.len > 0 ? &rest : &nothing);
        buf_deinit(&rest);
    }
}

static void let_go(struct rpc_live *live, const char *why)
{
    struct viewer *viewer = live->viewer;

    if (viewer != NULL) {
        look_at_viewer(live);
        snprintf(live->why, sizeof live->why, "%s", why);
        live->viewer = NULL;
        viewer_gone(viewer);
    }
}

static void close_peer(void *peer, uint16_t code, const char *reason)
{
    struct rpc_live *live = peer;

    (void)code;
    let_go(live, reason);
    tell_end(live);
}

static const struct viewer_peer_ops live_peer = {
    .has_room = has_room, .write = write_blocks, .close = close_peer};

/* Data where there is some, for as many as wait. */
static void pump(struct rpc_live *live)
{
    if (live->viewer != NULL && live->n_waiting > 0) {
        live->viewer->room = live->waiting[0].max_bytes;
        viewer_pump(live->viewer);
    }
}

/* ---- its life ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

/* The connection is gone, or the stream closed: nobody can ask any more. */
static void end(struct rpc_live *live)
{
    let_go(live, "closed");
    LIST_REMOVE(live, link);
    live->conn->n_lives--;
    live->conn->server->n_lives--;
    for (unsigned i = 0; i < live->n_waiting; i++) {
        rpc_call_on_gone(live->waiting[i].call, NULL, NULL);
        rpc_call_unref(live->waiting[i].call);
    }
    buf_deinit(&live->rest);
    uv_close((uv_handle_t *)&live->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *timer)
{
    static const struct buf nothing = {0};
    struct rpc_live *live = timer->data;

    if (live->n_waiting == 0) {
        end(live);
        return;
    }
    answer_with(live, &nothing);
    pump(live); /* should the first have had no room for what the next has */
    set_timer(live);
}

static void set_timer(struct rpc_live *live)
{
    uint64_t now_ms = uv_now(live->node->loop);
    uint64_t until_ms = live->n_waiting > 0 ? live->waiting[0].until_ms : now_ms + IDLE_MS;

    if (!uv_is_closing((uv_handle_t *)&live->timer)) {
        uv_timer_start(&live->timer, on_timer, until_ms > now_ms ? until_ms - now_ms : 0, 0);
    }
}

void rpc_lives_go_on(struct rpc_conn *conn)
{
    struct rpc_live *live;

    LIST_FOREACH (live, &conn->lives, link) {
        pump(live);
    }
}

void rpc_lives_end(struct rpc_conn *conn)
{
    while (!LIST_EMPTY(&conn->lives)) {
        end(LIST_FIRST(&conn->lives));
    }
}

/* ---- live.open ---- */

static int check_room(const struct rpc_conn *conn, struct err *err)
{
    if (conn->n_lives >= STREAMS_OF_CONN_MAX) {
        return err_set(err, ERR_LIMIT,
                       "%d live streams on this connection: close one, or connect "
                       "again",
                       STREAMS_OF_CONN_MAX);
    }
    return conn->server->n_lives < STREAMS_MAX
               ? 0
               : err_set(err, ERR_LIMIT, "%d live streams are open: try again later", STREAMS_MAX);
}

/* Whose interface it is. */
static void find_owner(struct rpc_live *live, const char *interface)
{
    struct gossip_member member;
    char *node = NULL;
    char *name = NULL;

    snprintf(live->of, sizeof live->of, "%s", live->node->name);
    if (live->node->gossip != NULL && remote_name_split(interface, &node, &name, NULL) == 0) {
        if (gossip_find(live->node->gossip, node, &member, NULL) == 0) {
            live->sid = member.sid;
            snprintf(live->of, sizeof live->of, "%s", member.label);
        }
        mem_free(node);
        mem_free(name);
    }
}

static struct rpc_live *live_new(struct rpc_call *call, struct relay_stream *stream)
{
    static const struct viewer_opts opts = {.kind = VIEWER_RPC};
    struct rpc_live *live = x_alloc(sizeof *live);

    live->conn = rpc_call_conn(call);
    live->node = rpc_call_node(call);
    (void)uv_random(NULL, NULL, &live->id, sizeof live->id, 0, NULL);
    live->id = (live->id >> 16) + 1; /* any client can hold 48 bits */
    snprintf(live->who, sizeof live->who, "%s", rpc_call_who(call));
    find_owner(live, stream->interface);
    REQUIRE(uv_timer_init(live->node->loop, &live->timer) == 0);
    live->timer.data = live;
    LIST_INSERT_HEAD(&live->conn->lives, live, link);
    live->conn->n_lives++;
    live->conn->server->n_lives++;
    live->viewer = viewer_new(stream, &opts);
    viewer_start(live->viewer, &live_peer, live, false);
    set_timer(live);
    return live;
}

static void on_joined(void *arg, struct relay_stream *stream, const struct err *err)
{
    struct rpc_call *call = arg;
    struct err full = {0};

    if (rpc_call_is_gone(call)) {
        /* nobody wants it any more */
    } else if (stream == NULL) {
        rpc_call_fail(call, err_name(err->code == ERR_IN_USE ? ERR_LIMIT : err->code), "%s",
                      err->text);
    } else if (check_room(rpc_call_conn(call), &full) < 0) {
        rpc_call_fail_err(call, &full);
    } else {
        const struct rpc_live *live = live_new(call, stream);
        rpc_call_reply(
            call, json_pack("{s:I, s:s, s:s, s:I, s:I, s:s, s:s}", "stream", (json_int_t)live->id,
                            "interface", stream->interface, "filter", stream->filter, "snaplen",
                            (json_int_t)stream->snaplen, "link_type",
                            (json_int_t)stream->iface.link_type, "excluded",
                            stream->excluded == NULL ? "" : stream->excluded, "node", live->of));
    }
    rpc_call_unref(call);
}

static void live_open(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    uint64_t snaplen = rpc_arg_size(args, "snaplen", 0);
    const struct relay_request request = {
        .interface = rpc_arg_text(args, "interface"),
        .filter = rpc_arg_text(args, "filter"),
        .snaplen = snaplen == 262144 ? 0 : (uint32_t)snaplen,
    };
    struct err err = {0};

    if (check_room(rpc_call_conn(call), &err) < 0 ||
        node_source_find(node, request.interface, &err) < 0) {
        rpc_call_fail_err(call, &err);
        return;
    }
    relay_join(node->relay, &request, on_joined, rpc_call_ref(call));
}

/* ---- live.read, live.close ---- */

/* Where several share a connection nobody reads what another has opened. NULL: answered. */
static struct rpc_live *find(struct rpc_call *call)
{
    uint64_t id = rpc_arg_count(rpc_call_args(call), "stream", 0);
    struct rpc_live *live;

    LIST_FOREACH (live, &rpc_call_conn(call)->lives, link) {
        if (live->id == id && strcmp(live->who, rpc_call_who(call)) == 0) {
            return live;
        }
    }
    rpc_call_fail(call, err_name(ERR_NOT_FOUND),
                  "there is no live stream %" PRIu64
                  " on this connection: it was closed, or nobody "
                  "has read from it for %d s; open it anew",
                  id, IDLE_MS / 1000);
    return NULL;
}

static void forget_gone(void *arg)
{
    struct rpc_live *live = arg;
    unsigned n = 0;

    for (unsigned i = 0; i < live->n_waiting; i++) {
        if (rpc_call_is_gone(live->waiting[i].call)) {
            rpc_call_unref(live->waiting[i].call);
        } else {
            live->waiting[n++] = live->waiting[i];
        }
    }
    live->n_waiting = n;
    set_timer(live);
}

static void live_read(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    uint64_t max_bytes = rpc_arg_size(args, "max_bytes", CHUNK_DEFAULT);
    struct rpc_live *live = find(call);

    if (live == NULL) {
        return;
    }
    if (max_bytes < CHUNK_MIN) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"max_bytes\" is from %u to %u", CHUNK_MIN,
                      RPC_LIVE_MAX);
        return;
    }
    if (live->n_waiting == WAITING_MAX) {
        rpc_call_fail(call, err_name(ERR_LIMIT), "%d reads of this stream wait already",
                      WAITING_MAX);
        return;
    }
    live->waiting[live->n_waiting++] = (struct waiting){
        .call = rpc_call_ref(call),
        .max_bytes = (size_t)max_bytes,
        .until_ms = uv_now(node->loop) + rpc_arg_count(args, "wait_ms", WAIT_DEFAULT_MS),
    };
    rpc_call_on_gone(call, forget_gone, live);
    if (live->viewer == NULL) {
        tell_end(live);
    }
    pump(live);
    set_timer(live);
}

static void live_close(struct rpc_call *call, struct node *node)
{
    struct rpc_live *live = find(call);

    (void)node;
    if (live == NULL) {
        return;
    }
    let_go(live, "closed");
    tell_end(live);
    rpc_call_reply(call, json_pack("{s:I, s:I, s:I}", "stream", (json_int_t)live->id, "packets",
                                   (json_int_t)live->n_packets, "lost", (json_int_t)live->lost));
    end(live);
}

static const struct rpc_handler handlers[] = {
    {"live.open", live_open},
    {"live.read", live_read},
    {"live.close", live_close},
};

const struct rpc_handler_group rpc_live_handlers = {handlers, ARRAY_LEN(handlers)};
