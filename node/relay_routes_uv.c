/* SPDX-License-Identifier: Apache-2.0 */
#include "node/relay_routes.h"

#include <inttypes.h>
#include <string.h>

#include "node/inject_hub.h"
#include "node/relay_params.h"
#include "node/sources.h"
#include "node/viewer_uv.h"
#include "node/work.h"
#include "node/ws_conn.h"
#include "shared/base/mem.h"
#include "shared/packet/filter.h"

/* From the request to the end of the WebSocket. */
struct watcher {
    struct exchange *ex; /* until the upgrade */
    struct node *node;
    struct viewer *viewer;
    char *interface;
};

static void watcher_free(struct watcher *watcher)
{
    exchange_unref(watcher->ex);
    mem_free(watcher->interface);
    mem_free(watcher);
}

static bool ws_has_room(void *peer)
{
    return ws_conn_has_room(peer);
}

static void ws_write(void *peer, const struct iovec *iov, unsigned n, void (*release)(void *arg),
                     void *arg)
{
    ws_conn_write_framed(peer, iov, n, release, arg);
}

static void ws_close(void *peer, uint16_t code, const char *reason)
{
    ws_conn_close(peer, code, reason);
}

static void ws_hold(void *peer)
{
    ws_conn_hold(peer);
}

static const struct viewer_peer_ops ws_peer = {
    .has_room = ws_has_room, .write = ws_write, .close = ws_close, .hold = ws_hold};

/* Each binary message is a frame to transmit; text is ignored. */
static void on_message(struct ws_conn *conn, void *arg, enum ws_opcode opcode, const uint8_t *data,
                       size_t n)
{
    struct watcher *watcher = arg;
    struct err err = {0};

    if (opcode == WS_BINARY &&
        inject_hub_frame(watcher->node, watcher->interface,
                         (ws_conn_rights(conn) & RIGHT_INJECT) != 0, data, n, &err) < 0) {
        ws_conn_close(conn, WS_CLOSE_POLICY, err.text);
    }
}

static void on_drained(struct ws_conn *conn, void *arg)
{
    struct watcher *watcher = arg;

    (void)conn;
    viewer_pump(watcher->viewer);
}

static void on_closed(struct ws_conn *conn, void *arg)
{
    struct watcher *watcher = arg;

    (void)conn;
    viewer_gone(watcher->viewer);
    watcher_free(watcher);
}

static int parse(struct exchange *ex, struct relay_params *out, struct err *err)
{
    const struct relay_query query = {
        .filter = exchange_query(ex, "filter"),
        .format = exchange_query(ex, "format"),
        .compress = exchange_query(ex, "compress"),
        .snaplen = exchange_query(ex, "snaplen"),
        .history = exchange_query(ex, "history"),
        .resume = exchange_query(ex, "resume"),
        .deflate = exchange_query(ex, "deflate"),
    };

    return relay_params_parse(&query, out, err);
}

static void upgrade(struct watcher *watcher, struct relay_stream *stream)
{
    struct exchange *ex = watcher->ex;
    struct relay_params params = {0};

    if (parse(ex, &params, NULL) < 0) {
        return; /* it was parsed before */
    }
    const struct viewer_opts opts = {
        .kind = params.pcapng ? VIEWER_PCAPNG : VIEWER_RAW,
        .zstd = params.zstd,
        .history_ns = params.history_ns,
        .history_from_ns = params.history_from_ns,
        .resume = params.resume,
    };
    const struct ws_conn_opts ws = {
        .max_message = WS_MESSAGE_MAX,
        .deflate = params.deflate,
        .message = on_message,
        .drained = on_drained,
        .closed = on_closed,
        .arg = watcher,
    };
    watcher->viewer = viewer_new(stream, &opts);
    exchange_add_header(ex, "Packetrecorder-Stream", "%s", viewer_stream_id(watcher->viewer));
    exchange_add_header(ex, "Packetrecorder-Position", "%" PRIu64,
                        viewer_position(watcher->viewer));
    struct ws_conn *conn = exchange_upgrade(ex, &ws);
    if (conn == NULL) {
        viewer_gone(watcher->viewer);
        watcher_free(watcher);
        return;
    }
    viewer_start(watcher->viewer, &ws_peer, conn, ws_conn_is_deflated(conn));
}

static void on_joined(void *arg, struct relay_stream *stream, const struct err *err)
{
    struct watcher *watcher = arg;

    if (stream != NULL && !exchange_is_gone(watcher->ex)) {
        upgrade(watcher, stream);
        return;
    }
    if (err != NULL && err->code == ERR_IN_USE) {
        exchange_problem(watcher->ex, 503, "%s", err->text);
    } else if (err != NULL) {
        exchange_fail(watcher->ex, err);
    }
    watcher_free(watcher);
}

/* Who asks without an upgrade, with curl say, is told first what an upgrade would be told. No
 * capture is opened for it: the filter is compiled for any link type. */
struct rehearsal {
    struct exchange *ex;
    char *filter;
    struct err err;
};

static void rehearse(void *arg)
{
    struct rehearsal *rehearsal = arg;

    filter_check(rehearsal->filter, &rehearsal->err);
}

static void end_rehearsal(void *arg, bool cancelled)
{
    static const struct ws_conn_opts nothing = {0};
    struct rehearsal *rehearsal = arg;

    if (exchange_is_gone(rehearsal->ex)) {
        /* nobody hears it */
    } else if (cancelled) {
        exchange_add_header(rehearsal->ex, "Retry-After", "1");
        exchange_problem(rehearsal->ex, 503,
                         "the node is ending, or has too much to do: try again later");
    } else if (rehearsal->err.code < 0) {
        exchange_fail(rehearsal->ex, &rehearsal->err);
    } else {
        (void)exchange_upgrade(rehearsal->ex, &nothing); /* it has the right words for this */
    }
    exchange_unref(rehearsal->ex);
    mem_free(rehearsal->filter);
    mem_free(rehearsal);
}

static void answer_without_upgrade(struct exchange *ex, struct node *node, const char *filter)
{
    struct rehearsal *rehearsal = x_alloc(sizeof *rehearsal);

    *rehearsal = (struct rehearsal){.ex = exchange_ref(ex),
                                    .filter = x_strdup(filter == NULL ? "" : filter)};
    if (!work_run(node, rehearse, end_rehearsal, rehearsal)) {
        end_rehearsal(rehearsal, true);
    }
}

static void watch(struct exchange *ex, struct node *node, const char *interface)
{
    struct relay_params params = {0};
    struct err err = {0};

    if (node->stopping) {
        exchange_problem(ex, 503, "the node is ending");
        return;
    }
    if (parse(ex, &params, &err) < 0 || node_source_find(node, interface, &err) < 0) {
        exchange_fail(ex, &err);
        return;
    }
    if (!exchange_is_upgrade(ex)) {
        answer_without_upgrade(ex, node, params.filter);
        return;
    }
    struct watcher *watcher = x_alloc(sizeof *watcher);
    watcher->ex = exchange_ref(ex);
    watcher->node = node;
    watcher->interface = x_strdup(interface);
    const struct relay_request request = {
        .interface = interface, .filter = params.filter, .snaplen = params.snaplen};
    relay_join(node->relay, &request, on_joined, watcher);
}

static void handle(struct exchange *ex, struct node *node)
{
    watch(ex, node, exchange_path(ex, "iface"));
}

static void handle_of_node(struct exchange *ex, struct node *node)
{
    char *interface = x_sprintf("%s/%s", exchange_path(ex, "node"), exchange_path(ex, "iface"));

    watch(ex, node, interface);
    mem_free(interface);
}

static const struct route_param params[] = {
    {"filter", "string", "BPF expression, as tcpdump takes it"},
    {"format", "string", "raw (each packet one message) or pcapng"},
    {"compress", "string", "zstd: all messages together are one zstd stream; with format=pcapng"},
    {"snaplen", "integer", "bytes of each packet that are kept"},
    {"history", "string",
     "starts with what the store has of so long before now, 30s, or from @SECONDS since 1970 on"},
    {"resume", "string", "STREAM:POSITION, to go on where a broken connection was"},
    {"deflate", "string", "1: permessage-deflate, where the client offers it"},
    {"ticket", "string", "one-use ticket of POST /api/v1/ticket, in place of a key"},
    {0},
};

static const struct route routes[] = {
    {
        .method = "GET",
        .path = "/connections/{iface}",
        .right = RIGHT_VIEW,
        .is_websocket = true,
        .params = params,
        .summary = "Packets of an interface, live; binary messages from the client are transmitted",
        .handle = handle,
    },
    {
        .method = "GET",
        .path = "/connections/{node}/{iface}",
        .right = RIGHT_VIEW,
        .is_websocket = true,
        .params = params,
        .summary = "The same of an interface of another member of the swarm",
        .handle = handle_of_node,
    },
};

const struct route_group relay_routes = {routes, ARRAY_LEN(routes)};
