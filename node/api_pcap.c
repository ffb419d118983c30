/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/sessions/{id}/pcap: a download. A worker makes a piece, the loop writes it, and the
 * next piece is asked for when the connection has room: a slow client costs one piece of memory and
 * no worker. The reader of the store is the download's own; there are STORE_DOWNLOADS_MAX of them.
 */
#include "node/api_pcap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/api_answer.h"
#include "node/byte_range.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/store/export_stream.h"
#include "shared/wire/api_key.h"
#include "shared/wire/http.h"

#define ETAG_MAX 96

struct download {
    struct exchange *ex; /* a reference */
    struct node *node;
    const char *id; /* borrowed from the exchange */
    struct export_spec spec;
    struct store *store;
    struct store_session *session;
    struct export_stream *stream;
    struct err err;
    /* One piece, borrowed from the stream until the next one. */
    const uint8_t *data;
    size_t n;
    bool at_end;
    uint64_t left; /* of the content; UINT64_MAX: to the end */
    bool is_part;  /* a range: the stream goes on behind it */
    uint64_t seek;
    bool seeks;
    bool is_working;
    bool is_over; /* nothing more will be written */
    bool has_room;
};

static void step(struct download *d);

/* ---- the end ---- */

static void run_close(void *arg)
{
    struct download *d = arg;

    export_stream_free(d->stream);
    store_sessions_free(d->session, 1);
    if (d->store != NULL) {
        node_store_give(d->node->store, d->store);
    }
}

static void on_closed(void *arg, bool cancelled)
{
    struct download *d = arg;

    if (cancelled) {
        run_close(d);
    }
    exchange_unref(d->ex);
    mem_free(d);
}

static void close_download(struct download *d)
{
    d->is_over = true;
    if (!d->is_working && !work_run(d->node, run_close, on_closed, d)) {
        on_closed(d, true);
    }
}

/* ---- pieces ---- */

static void run_step(void *arg)
{
    struct download *d = arg;

    if (d->seeks) {
        export_stream_seek(d->stream, d->seek);
        d->seeks = false;
    }
    int r = export_stream_next(d->stream, &d->data, &d->n, &d->err);
    d->at_end = r == 0;
}

static bool write_piece(struct download *d)
{
    size_t n = d->n < d->left ? d->n : (size_t)d->left;

    d->left -= d->left == UINT64_MAX ? 0 : n;
    d->at_end = d->is_part && d->left == 0;
    return exchange_write(d->ex, d->data, n);
}

/* The length was told from the catalogue: a file with more was tampered with or is damaged. */
static void check_piece(struct download *d)
{
    if (!d->is_part && d->n > d->left) {
        err_set(&d->err, ERR_DAMAGED,
                "its files hold more than the catalogue says: see 'packetrecorder verify'");
    }
}

static void on_step(void *arg, bool cancelled)
{
    struct download *d = arg;
    bool failed = cancelled || d->err.code < 0;

    if (!failed && !d->at_end) {
        check_piece(d);
        failed = d->err.code < 0;
    }
    if (!d->is_over && !failed && !d->at_end) {
        d->has_room = write_piece(d); /* the connection may break in it: is_over then */
    }
    d->is_working = false;
    if (d->is_over) {
        close_download(d);
    } else if (failed) {
        if (d->err.code < 0) {
            log_warn("download of session %s by %s ends: %s", d->session->id, exchange_peer(d->ex),
                     d->err.text);
        }
        exchange_abort(d->ex);
        close_download(d);
    } else if (d->at_end) {
        exchange_end(d->ex);
        close_download(d);
    } else if (d->has_room) {
        step(d);
    }
}

static void step(struct download *d)
{
    d->is_working = true;
    if (!work_run(d->node, run_step, on_step, d)) {
        on_step(d, true); /* too much waits: better broken than held up */
    }
}

static void on_drained(struct exchange *ex, void *arg)
{
    struct download *d = arg;

    (void)ex;
    if (!d->has_room && !d->is_working && !d->is_over) {
        d->has_room = true;
        step(d);
    }
}

static void on_gone(struct exchange *ex, void *arg)
{
    struct download *d = arg;

    (void)ex;
    if (!d->is_over) {
        d->is_over = true;
        if (!d->is_working) {
            close_download(d);
        }
    }
}

static const struct exchange_stream_ops stream_ops = {.drained = on_drained, .gone = on_gone};

/* ---- the head ---- */

static const char *media_type(enum export_format format)
{
    return format == EXPORT_PCAP ? "application/vnd.tcpdump.pcap" : "application/x-pcapng";
}

static void put_disposition(const struct download *d)
{
    exchange_add_header(d->ex, "Content-Disposition", "attachment; filename=\"%s.%s\"",
                        d->session->id, export_format_names[d->spec.format]);
}

static bool is_head(const struct download *d)
{
    return strcmp(exchange_head(d->ex)->method, "HEAD") == 0;
}

static void begin(struct download *d, unsigned status, uint64_t length)
{
    put_disposition(d);
    d->is_working = true;
    exchange_begin(d->ex, status, media_type(d->spec.format), length, &stream_ops, d);
    d->is_working = false;
    if (d->is_over) {
        close_download(d);
    } else if (is_head(d)) {
        exchange_end(d->ex);
        close_download(d);
    } else {
        step(d);
    }
}

/* The bytes follow from the session, its length (retention may shorten it) and this program. */
static void etag_of(const struct download *d, uint64_t length, char out[ETAG_MAX])
{
    snprintf(out, ETAG_MAX, "\"%s-%" PRIx64 "-%s\"", d->session->id, length, PR_VERSION);
}

static void begin_known(struct download *d, uint64_t length)
{
    const char *none_match = exchange_header(d->ex, "if-none-match");
    const char *if_range = exchange_header(d->ex, "if-range");
    const char *range = exchange_header(d->ex, "range");
    uint64_t first = 0;
    uint64_t last = 0;
    char etag[ETAG_MAX];

    etag_of(d, length, etag);
    exchange_add_header(d->ex, "ETag", "%s", etag);
    exchange_add_header(d->ex, "Accept-Ranges", "bytes");
    exchange_add_header(d->ex, "Cache-Control", "private, no-cache");
    if (none_match != NULL && etag_is_listed(none_match, etag, true)) {
        exchange_reply(d->ex, 304, NULL, NULL, 0);
        close_download(d);
        return;
    }
    if ((if_range != NULL && !etag_is_listed(if_range, etag, false)) || is_head(d)) {
        range = NULL; /* of other bytes; and only GET has ranges (RFC 9110 section 14.2) */
    }
    switch (byte_range_parse(range, length, &first, &last)) {
    case BYTE_RANGE_NONE:
        exchange_add_header(d->ex, "Content-Range", "bytes */%" PRIu64, length);
        exchange_problem(d->ex, 416, "the session's file has %" PRIu64 " bytes", length);
        close_download(d);
        break;
    case BYTE_RANGE_PART:
        exchange_add_header(d->ex, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                            last, length);
        d->seek = first;
        d->seeks = first > 0;
        d->left = last - first + 1;
        d->is_part = true;
        begin(d, 206, d->left);
        break;
    default:
        d->left = length;
        begin(d, 200, length);
    }
}

static void run_open(void *arg)
{
    struct download *d = arg;
    int r = node_store_take(d->node->store, &d->store, &d->err);

    r = r < 0 ? r : store_session_find(d->store, d->id, &d->session, &d->err);
    if (r == 0) {
        d->spec.sessions = d->session;
        (void)export_stream_new(d->store, &d->spec, &d->stream, &d->err); /* d->err has it */
    }
}

static void on_opened(void *arg, bool cancelled)
{
    struct download *d = arg;
    uint64_t length;

    d->is_working = false;
    if (exchange_is_gone(d->ex)) {
        close_download(d);
    } else if (cancelled) {
        exchange_problem(d->ex, 503, "the node is ending");
        close_download(d);
    } else if (d->err.code < 0) {
        api_fail(d->ex, &d->err);
        close_download(d);
    } else if ((length = export_stream_length(d->stream)) != UINT64_MAX) {
        begin_known(d, length);
    } else {
        exchange_add_header(d->ex, "Accept-Ranges", "none");
        begin(d, 200, HTTP_LENGTH_UNKNOWN);
    }
}

static bool choose_format(struct exchange *ex, enum export_format *out)
{
    const char *text = exchange_query(ex, "format");

    *out = EXPORT_PCAPNG;
    if (text == NULL || strcmp(text, "pcapng") == 0) {
        return true;
    }
    *out = EXPORT_PCAP;
    if (strcmp(text, "pcap") == 0) {
        return true;
    }
    exchange_problem(ex, 400, "?format= is pcapng or pcap, not '%.64s'", text);
    return false;
}

static void get_pcap(struct exchange *ex, struct node *node)
{
    struct export_spec spec = {.n = 1, .application = "packetrecorder " PR_VERSION};

    if (!choose_format(ex, &spec.format) || !api_query_time(ex, "from", 0, &spec.from_ns) ||
        !api_query_time(ex, "to", UINT64_MAX, &spec.to_ns) || !api_query_filter(ex, &spec.filter)) {
        return;
    }
    struct download *d = x_alloc(sizeof *d);
    *d = (struct download){.ex = exchange_ref(ex),
                           .node = node,
                           .id = exchange_path(ex, "id"),
                           .spec = spec,
                           .left = UINT64_MAX,
                           .is_working = true};
    if (!work_run(node, run_open, on_opened, d)) {
        err_set(&d->err, ERR_LIMIT, "the node has too much to do: try again later");
        on_opened(d, false);
    }
}

static const struct route_param params[] = {
    {"filter", "string", "A filter expression of libpcap; only packets that match."},
    {"from", "string", "First time stamp: RFC 3339, @SECONDS or -10m."},
    {"to", "string", "Last time stamp."},
    {"format", "string", "pcapng (when absent) or pcap, the classic one with nanoseconds."},
    {0},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/sessions/{id}/pcap",
     .right = RIGHT_CAPTURE,
     .params = params,
     .summary = "The session as a capture file, as `packetrecorder export` writes it. A whole "
                "session that has ended, as pcapng, has a length, an ETag and byte ranges; "
                "everything else is sent in chunks.",
     .answer = "application/x-pcapng",
     .handle = get_pcap},
};

const struct route_group api_pcap_routes = {routes, ARRAY_LEN(routes)};
