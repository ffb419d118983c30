/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /ingest: from the request to an uplink's connection, its messages, and what is told back.
 * Nothing is believed: sizes are bounded by the codec, what waits here by the credit, and who sends
 * beyond it is ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "node/uplink_internal.h"
#include "node/ws_conn.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

/* What is taken is told at most so often, credit whenever an eighth of it came back. */
#define TELL_MS      50
#define TELL_WINDOWS 8
/* A sniffer that does not read is told nothing more. */
#define TELL_QUEUE_MAX 65536u

struct ingest_conn {
    struct uplinks *uplinks;
    struct uplink *uplink; /* a reference */
    struct ws_conn *ws;    /* NULL: ended */
    struct ingest_decoder *decoder;
    bool described; /* the interface is known: it is up */
    bool compressed;
    uint64_t cost;
    uint64_t told_credit;
    uint64_t told_safe;
    uint64_t told_ms;
};

/* What the request asks for, while the store is looked at. */
struct ingest_ask {
    struct exchange *ex; /* a reference */
    struct uplinks *uplinks;
    struct uplink *uplink; /* a reference */
    char sniffer[ID_TEXT_MAX];
    char stream[ID_TEXT_MAX];
    uint64_t taken;
    bool compressed;
};

static void forget_ask(struct ingest_ask *ask)
{
    uplinks_lock(ask->uplinks);
    ask->uplink->n_asks--;
    if (ask->uplink->conn == NULL && ask->uplink->down_ms == 0) {
        ask->uplink->down_ms = clock_monotonic_ns() / 1000000u;
    }
    uplink_unref(ask->uplink);
    uplinks_unlock(ask->uplinks);
    exchange_unref(ask->ex);
    mem_free(ask);
}

static void drop_conn(struct ingest_conn *conn)
{
    struct uplinks *uplinks = conn->uplinks;

    ingest_decoder_free(conn->decoder);
    uplinks_lock(uplinks);
    uplink_unref(conn->uplink);
    uplinks_unlock(uplinks);
    mem_free(conn);
}

static void on_closed(struct ws_conn *ws, void *arg)
{
    struct ingest_conn *conn = arg;

    (void)ws;
    if (conn->uplink->conn == conn) {
        uplink_on_disconnected(conn->uplinks, conn->uplink);
        if (conn->described) {
            log_info("uplink '%s' is down", conn->uplink->name);
            uplink_publish(conn->uplinks, conn->uplink, "uplink.down", NULL);
        }
    }
    drop_conn(conn);
}

void ingest_conn_drop(struct ingest_conn *conn)
{
    conn->uplink->conn = NULL;
    if (conn->ws != NULL) {
        struct ws_conn *ws = conn->ws;
        conn->ws = NULL;
        ws_conn_abort(ws);
    }
}

void ingest_conn_tell(struct ingest_conn *conn)
{
    uint64_t window = conn->uplinks->node->options->ingest_buffer_bytes;
    uint64_t now_ms = clock_monotonic_ns() / 1000000u;
    struct buf out = {0};
    uint64_t safe;
    uint64_t credit;

    /* A node that is ending stops its recordings: what comes now is nobody's, and sent again. */
    if (conn->uplinks->node->stopping || conn->ws == NULL || !conn->described ||
        conn->uplink->record == RECORD_STARTING || ws_conn_queued(conn->ws) > TELL_QUEUE_MAX) {
        return;
    }
    uplink_progress(conn->uplinks, conn->uplink, &safe, &credit);
    bool more_credit = credit >= conn->told_credit + window / TELL_WINDOWS;
    bool more_taken = safe > conn->told_safe && now_ms - conn->told_ms >= TELL_MS;
    if (!more_credit && !more_taken) {
        return;
    }
    conn->told_credit = credit > conn->told_credit ? credit : conn->told_credit;
    conn->told_safe = safe > conn->told_safe ? safe : conn->told_safe;
    conn->told_ms = now_ms;
    conn->uplink->counters.taken++;
    ingest_encode_taken(conn->told_safe, conn->told_credit, &out);
    ws_conn_send(conn->ws, WS_BINARY, out.data, out.len);
    buf_deinit(&out);
}

static void refuse(struct ingest_conn *conn, uint16_t code, const char *why)
{
    struct ws_conn *ws = conn->ws;

    log_warn("uplink '%s' from %s is ended: %s", conn->uplink->name, conn->uplink->peer, why);
    conn->ws = NULL;
    ws_conn_close(ws, code, why);
}

static void on_described(struct ingest_conn *conn)
{
    conn->described = true;
    log_info("uplink '%s' is up, from %s", conn->uplink->name, conn->uplink->peer);
    uplink_publish(conn->uplinks, conn->uplink, "uplink.up", NULL);
    if (conn->uplinks->node->options->ingest_record) {
        uplink_record_start(conn->uplinks, conn->uplink);
    }
}

static void on_message(struct ws_conn *ws, void *arg, enum ws_opcode opcode, const uint8_t *data,
                       size_t n)
{
    struct ingest_conn *conn = arg;
    struct ingest_batch batch;
    struct err err = {0};

    (void)ws;
    if (conn->ws == NULL || opcode != WS_BINARY) {
        return;
    }
    int rc = ingest_decode_packets(conn->decoder, data, n, uplink_next(conn->uplink), &batch, &err);
    if (rc < 0) {
        refuse(conn, rc == ERR_LIMIT ? WS_CLOSE_TOO_BIG : WS_CLOSE_UNACCEPTABLE, err.text);
        return;
    }
    conn->cost += batch.cost;
    if (conn->cost > conn->told_credit) {
        block_unref(batch.block);
        refuse(conn, WS_CLOSE_POLICY, "more was sent than the credit allows");
        return;
    }
    uplink_on_batch(conn->uplinks, conn->uplink, &batch, n);
    if (!conn->described && batch.iface != NULL) {
        on_described(conn);
    }
    ingest_conn_tell(conn);
}

static bool is_taken_by_another(const struct ingest_ask *ask)
{
    return ask->uplink->conn != NULL && strcmp(ask->uplink->sniffer, ask->sniffer) != 0;
}

static void answer_conflict(struct ingest_ask *ask)
{
    ask->uplink->counters.refused++;
    log_warn("uplink '%s': refused a second sniffer of this name, from %s", ask->uplink->name,
             exchange_peer(ask->ex));
    exchange_problem(ask->ex, 409,
                     "'%s' is connected from %s already; give this sniffer another --name",
                     ask->uplink->name, ask->uplink->peer);
}

/* The answer to the request, now that it is known where the stream goes on. Takes the ask. */
static void upgrade(void *arg, uint64_t position)
{
    struct ingest_ask *ask = arg;
    struct uplink *uplink = ask->uplink;

    if (exchange_is_gone(ask->ex) || ask->uplinks->loop == NULL) {
        forget_ask(ask);
        return;
    }
    if (is_taken_by_another(ask)) {
        answer_conflict(ask);
        forget_ask(ask);
        return;
    }
    struct uplink_stream *known = uplink_track_find(&uplink->track, ask->stream);
    position = known != NULL ? known->next : position;
    struct ingest_conn *conn = x_alloc(sizeof *conn);
    const struct ws_conn_opts opts = {
        .max_message = INGEST_MESSAGE_MAX,
        .message = on_message,
        .closed = on_closed,
        .arg = conn,
    };
    exchange_add_header(ask->ex, INGEST_POSITION_HEADER, "%" PRIu64, position);
    conn->ws = exchange_upgrade(ask->ex, &opts);
    if (conn->ws == NULL) {
        mem_free(conn);
        forget_ask(ask);
        return;
    }
    if (uplink->conn != NULL) {
        ingest_conn_drop(uplink->conn);
    }
    conn->uplinks = ask->uplinks;
    conn->uplink = uplink;
    conn->decoder = ingest_decoder_new(ask->compressed);
    conn->told_safe = position;
    uplinks_lock(ask->uplinks);
    uplink->refs++;
    uplinks_unlock(ask->uplinks);
    snprintf(uplink->sniffer, sizeof uplink->sniffer, "%s", ask->sniffer);
    snprintf(uplink->peer, sizeof uplink->peer, "%s", ws_conn_peer(conn->ws));
    uplink_on_connected(ask->uplinks, uplink, conn, ask->stream, position);
    forget_ask(ask);
}

/* An id in the query. False when an answer was given. */
static bool read_id(struct exchange *ex, const char *name, char out[ID_TEXT_MAX])
{
    const char *text = exchange_query(ex, name);
    struct id id;

    if (text == NULL || !id_parse(text, &id)) {
        exchange_problem(ex, 400, "%s= must be a UUID", name);
        return false;
    }
    id_format(&id, out);
    return true;
}

static bool read_position(struct exchange *ex, const char *name, uint64_t *out)
{
    const char *text = exchange_query(ex, name);
    char *end = NULL;

    if (text == NULL) {
        *out = 0;
        return true;
    }
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        *out > INGEST_POSITION_MAX) {
        exchange_problem(ex, 400, "%s= must be a number of packets", name);
        return false;
    }
    return true;
}

/* The name of the uplink in `out`. False when an answer was given. */
static bool read_names(struct exchange *ex, char out[UPLINK_NAME_MAX])
{
    const char *version = exchange_query(ex, "v");
    const char *name = exchange_query(ex, "name");
    const char *interface = exchange_query(ex, "interface");

    if (version == NULL || strcmp(version, "1") != 0) {
        exchange_problem(ex, 400, "this node speaks version 1 of the protocol of uplinks: v=1");
        return false;
    }
    if (name == NULL || !ingest_name_is_good(name)) {
        exchange_problem(ex, 400, "name= must be 1 to 63 of A-Z a-z 0-9 . _ -, not a dot first");
        return false;
    }
    if (interface == NULL || !ingest_interface_is_good(interface)) {
        exchange_problem(ex, 400,
                         "interface= must be 1 to 63 printable characters without / and %%");
        return false;
    }
    snprintf(out, UPLINK_NAME_MAX, "%s:%s", name, interface);
    return true;
}

static void handle_ingest(struct exchange *ex, struct node *node)
{
    struct uplinks *uplinks = node->uplinks;
    const char *compress = exchange_query(ex, "compress");
    struct ingest_ask ask = {.uplinks = uplinks,
                             .compressed = compress != NULL && strcmp(compress, "zstd") == 0};
    char name[UPLINK_NAME_MAX];

    if (!read_names(ex, name) || !read_id(ex, "sniffer", ask.sniffer) ||
        !read_id(ex, "stream", ask.stream) || !read_position(ex, "taken", &ask.taken)) {
        return;
    }
    uplinks_lock(uplinks);
    ask.uplink = uplinks_make(uplinks, name);
    uplinks_unlock(uplinks);
    if (ask.uplink == NULL) {
        exchange_problem(ex, 503, "there are %d uplinks already", UPLINKS_MAX);
        return;
    }
    ask.uplink->n_asks++;
    uplinks_wake(uplinks);
    struct ingest_ask *kept = x_alloc(sizeof *kept);
    *kept = ask;
    kept->ex = exchange_ref(ex);
    if (is_taken_by_another(kept)) {
        answer_conflict(kept);
        forget_ask(kept);
    } else if (uplink_track_find(&ask.uplink->track, ask.stream) == NULL &&
               node->options->ingest_record) {
        uplink_record_find(uplinks, kept->stream, kept->taken, upgrade, kept);
    } else {
        upgrade(kept, kept->taken);
    }
}

static const struct route_param ingest_params[] = {
    {"v", "integer", "version of the protocol: 1"},
    {"name", "string", "name of the sniffer"},
    {"interface", "string", "its interface; here it is NAME:IFACE"},
    {"sniffer", "string", "UUID of the sniffer, so that it may replace its own dead connection"},
    {"stream", "string", "UUID of what this run of the sniffer captures on this interface"},
    {"taken", "integer", "position up to which a node has said that packets are taken"},
    {"compress", "string", "zstd or none"},
    {0},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = INGEST_PATH,
     .right = RIGHT_INGEST,
     .is_websocket = true,
     .params = ingest_params,
     .summary = "Feeds an uplink: what a sniffer captures elsewhere (docs/protocol-ingest.md)",
     .answer = "application/octet-stream",
     .handle = handle_ingest},
};

const struct route_group ingest_routes = {routes, ARRAY_LEN(routes)};
