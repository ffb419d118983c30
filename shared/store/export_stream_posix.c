/* SPDX-License-Identifier: Apache-2.0
 *
 * The sink of the format's writer is a buffer, of which a piece is given at a time. Where the
 * length is told, head and tail are made at the beginning and the runs lie between them.
 */
#include "shared/store/export_stream.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/export_run.h"

/* Frames that one call looks at without finding anything. */
#define PAUSE_FRAMES 16u

enum part { PART_HEAD, PART_BODY, PART_TAIL, PART_END };

struct export_stream {
    struct export_run run;
    struct export_sink sink;
    struct buf piece; /* what the sink was given */
    struct buf tail;  /* where the length is known */
    enum part part;
    uint64_t length;
    uint64_t left; /* of the length */
    uint64_t skip; /* bytes at the beginning of what comes next */
};

static int take(struct export_sink *sink, const void *data, size_t n, struct err *err)
{
    struct export_stream *s = container_of(sink, struct export_stream, sink);

    (void)err;
    buf_append(&s->piece, data, n);
    return 0;
}

/* An ended session does not change any more, but for what retention takes away. */
static bool is_fixed(const struct store_session *session)
{
    return session->ended_ns != 0 && session->state != STORE_RUNNING &&
           session->state != STORE_DAMAGED;
}

static int make_tail(struct export_stream *s, struct err *err)
{
    const struct scan_damage none = {0};
    struct buf head = s->piece;

    s->piece = (struct buf){0};
    int r = s->run.ops->finish(s->run.writer, &none, err);
    s->tail = s->piece;
    s->piece = head;
    s->length = head.len + scan_run_bytes(s->run.scan) + s->tail.len;
    s->left = s->length;
    return r;
}

static int begin(struct export_stream *s, struct err *err)
{
    int r = export_run_begin(&s->run, &s->sink, NULL, err);

    r = r < 0 ? r : export_sink_flush(&s->sink, err);
    if (r == 0 && s->run.is_whole && is_fixed(&s->run.spec->sessions[0])) {
        r = make_tail(s, err);
    }
    return r;
}

int export_stream_new(struct store *store, const struct export_spec *spec,
                      struct export_stream **out, struct err *err)
{
    if (export_formats[spec->format]->own_file) {
        return err_set(err, ERR_UNSUPPORTED, "%s cannot be streamed: export it into a file",
                       export_format_names[spec->format]);
    }
    struct export_stream *s = x_alloc(sizeof *s);
    s->run.spec = spec;
    s->run.ops = export_formats[spec->format];
    s->sink.write = take;
    s->length = UINT64_MAX;
    int r = export_run_scan(&s->run, store, err);
    r = r < 0 ? r : begin(s, err);
    if (r < 0) {
        export_stream_free(s);
        return r;
    }
    scan_pause_after(s->run.scan, PAUSE_FRAMES);
    *out = s;
    return 0;
}

void export_stream_free(struct export_stream *s)
{
    if (s != NULL) {
        s->run.ops->free(s->run.writer);
        scan_free(s->run.scan);
        buf_deinit(&s->sink.buf);
        buf_deinit(&s->piece);
        buf_deinit(&s->tail);
        mem_free(s);
    }
}

uint64_t export_stream_length(const struct export_stream *s)
{
    return s->length;
}

void export_stream_seek(struct export_stream *s, uint64_t offset)
{
    REQUIRE(s->length != UINT64_MAX && s->part == PART_HEAD && offset <= s->length);
    s->left = s->length - offset;
    s->skip = offset;
    if (offset < s->piece.len) {
        return;
    }
    s->skip -= s->piece.len;
    s->part = PART_BODY;
    uint64_t body = s->length - s->piece.len - s->tail.len;
    if (s->skip >= body) {
        s->skip -= body;
        s->part = PART_TAIL;
        return;
    }
    s->skip -= scan_skip_runs(s->run.scan, s->skip);
}

static int fill_packets(struct export_stream *s, struct err *err)
{
    uint64_t limit = s->run.spec->limit == 0 ? UINT64_MAX : s->run.spec->limit;
    struct scan_packet packet;
    int r = 1;

    while (r == 1 && s->sink.buf.len + s->piece.len < EXPORT_PIECE_BYTES) {
        r = s->run.result.packets < limit ? scan_next(s->run.scan, &packet, err) : 0;
        if (r == 1) {
            int w = export_run_packet(&s->run, &packet, err);
            r = w < 0 ? w : 1;
        }
    }
    if (r == SCAN_PAUSED) {
        r = 1;
    }
    int flushed = r < 0 ? 0 : export_sink_flush(&s->sink, err);
    return flushed < 0 ? flushed : r;
}

static int fill_body(struct export_stream *s, struct err *err)
{
    if (!s->run.is_whole) {
        return fill_packets(s, err);
    }
    return export_run_step(&s->run, err);
}

static int fill_tail(struct export_stream *s, struct err *err)
{
    if (s->length != UINT64_MAX) {
        buf_append(&s->piece, s->tail.data, s->tail.len);
        return 0;
    }
    s->run.result.damage = *scan_damage(s->run.scan);
    int r = s->run.ops->finish(s->run.writer, &s->run.result.damage, err);
    return r < 0 ? r : export_sink_flush(&s->sink, err);
}

/* What was told must come: a hole would shift all that follows. */
static int check_hole(const struct export_stream *s, struct err *err)
{
    const struct scan_damage *damage = scan_damage(s->run.scan);

    if (s->length == UINT64_MAX || (damage->frames == 0 && damage->gone_packets == 0)) {
        return 0;
    }
    return damage->frames > 0
               ? err_set(err, ERR_DAMAGED, "%s", damage->text)
               : err_set(err, ERR_NOT_FOUND, "a part of the session was deleted meanwhile");
}

/* The piece without what is to be skipped. */
static void give(struct export_stream *s, const uint8_t **data, size_t *n)
{
    size_t skip = s->skip < s->piece.len ? (size_t)s->skip : s->piece.len;

    s->skip -= skip;
    *data = s->piece.len == 0 ? NULL : s->piece.data + skip;
    *n = s->piece.len - skip;
    s->left -= s->length == UINT64_MAX ? 0 : *n;
}

int export_stream_next(struct export_stream *s, const uint8_t **data, size_t *n, struct err *err)
{
    int r = 1;

    if (s->part == PART_HEAD) {
        s->part = PART_BODY;
        give(s, data, n);
        return 1;
    }
    buf_reset(&s->piece);
    if (s->part == PART_BODY) {
        r = fill_body(s, err);
        int hole = r < 0 ? 0 : check_hole(s, err);
        r = hole < 0 ? hole : r;
        s->part = r == 0 ? PART_TAIL : s->part;
    }
    if (r >= 0 && s->part == PART_TAIL) {
        r = fill_tail(s, err);
        s->part = PART_END;
    } else if (s->part == PART_END) {
        return 0;
    }
    if (r < 0) {
        return r;
    }
    give(s, data, n);
    return 1;
}

const struct export_result *export_stream_result(const struct export_stream *s)
{
    return &s->run.result;
}
