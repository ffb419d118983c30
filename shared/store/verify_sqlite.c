/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/packet/block.h"
#include "shared/store/adopt.h"

struct verify {
    struct store *store;
    struct verify_report *report;
    struct frame_decoder *decoder;
    verify_cb cb;
    void *arg;
    uint64_t total_bytes; /* of all segments, for progress */
};

/* Frames of one segment as the catalogue has them. */
struct frame_list {
    struct catalogue_frame *frames;
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void find(struct verify *v, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (v->cb != NULL) {
        v->cb(text, 0, v->arg);
    }
}

static void progress(const struct verify *v)
{
    if (v->cb != NULL && v->total_bytes > 0) {
        v->cb(NULL, (double)v->report->bytes / (double)v->total_bytes, v->arg);
    }
}

static int list_frames(struct verify *v, int64_t segment, struct frame_list *out, struct err *err)
{
    struct catalogue *c = &v->store->catalogue;
    struct catalogue_frame f;
    sqlite3_stmt *stmt = NULL;
    size_t cap = 0;
    int r = catalogue_frames(c, segment, false, &stmt, err);

    *out = (struct frame_list){0};
    while (r >= 0 && (r = catalogue_next_frame(c, stmt, &f, err)) > 0) {
        if (out->n == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            out->frames = x_realloc(out->frames, cap * sizeof *out->frames);
        }
        out->frames[out->n++] = f;
    }
    sqlite3_finalize(stmt);
    if (r < 0) {
        mem_free(out->frames);
    }
    return r;
}

static bool is_run_of(const uint8_t *raw, const struct frame_header *h)
{
    struct block_cursor cursor = block_cursor(raw, h->raw_len);
    struct packet_view packet;
    uint32_t n = 0;
    int r;

    while ((r = block_next(&cursor, &packet)) > 0) {
        n++;
    }
    return r == 0 && n == h->n_packets;
}

/* One catalogued frame: read, compared, counted. */
static void check_frame(struct verify *v, struct segment_reader *reader,
                        const struct store_session *s, const struct catalogue_frame *f)
{
    struct frame_header h;
    const uint8_t *raw;
    struct err why = {0};
    int r = segment_reader_frame(reader, v->decoder, f->offset, &h, &raw, &why);

    if (r == 0 && h.kind == FRAME_PACKETS && !is_run_of(raw, &h)) {
        r = err_set(&why, ERR_DAMAGED, "its packets do not parse");
    }
    if (r == 0 && (h.number != f->number || (f->n_packets > 0 && h.n_packets != f->n_packets))) {
        r = err_set(&why, ERR_DAMAGED, "it is not the frame that the catalogue names");
    }
    v->report->frames++;
    v->report->bytes += f->stored_len;
    if (r == 0) {
        v->report->packets += h.n_packets;
        return;
    }
    v->report->damaged_frames++;
    v->report->damaged_packets += f->n_packets;
    find(v, "session %s, frame %u: %u packets are damaged (%s)", s->id, f->number, f->n_packets,
         why.text);
}

/* What lies on disk between or behind the catalogued frames is entered. */
static int repair_gap(struct verify *v, struct catalogue_segment *g, const struct store_session *s,
                      uint64_t from, struct err *err)
{
    struct adopt a;
    struct catalogue_segment row = *g;

    adopt_init(&a, v->store);
    int r = adopt_segment(&a, &row, from, false, err);
    if (r == 0 && a.frames > 0) {
        v->report->repaired_frames += a.frames;
        v->report->packets += a.packets;
        find(v, "session %s: %llu frames with %llu packets were not in the catalogue and are now",
             s->id, (unsigned long long)a.frames, (unsigned long long)a.packets);
    }
    v->report->damaged_frames += a.damaged_frames;
    v->report->damaged_packets += a.damaged_packets;
    adopt_deinit(&a);
    *g = row;
    return r;
}

static int check_segment(struct verify *v, const struct store_session *s,
                         struct catalogue_segment *g, struct err *err)
{
    struct segment_reader reader;
    struct frame_list list;
    struct err why = {0};
    uint64_t end = SEGMENT_HEADER_BYTES;
    int r = segment_reader_open(v->store, g->file, g->id, &reader, &why);

    v->report->segments++;
    if (r < 0) {
        v->report->missing_segments += r == ERR_NOT_FOUND;
        v->report->damaged_frames += r != ERR_NOT_FOUND;
        v->report->damaged_packets += g->packets;
        find(v, "session %s, segment %u: %llu packets are lost (%s)", s->id, g->sequence,
             (unsigned long long)g->packets, why.text);
        return 0;
    }
    r = list_frames(v, g->row, &list, err);
    for (size_t i = 0; i < list.n && r == 0; i++) {
        if (list.frames[i].stored_len > 0) { /* the last row of a segment only says where it ends */
            check_frame(v, &reader, s, &list.frames[i]);
        }
        uint64_t behind = list.frames[i].offset + list.frames[i].stored_len;
        end = behind > end ? behind : end;
        progress(v);
    }
    uint64_t size = reader.size;
    segment_reader_close(&reader);
    if (r == 0 && size > end && size > g->bytes) {
        r = repair_gap(v, g, s, g->bytes > end ? g->bytes : end, err);
        r = r < 0 ? r : catalogue_update_segment(&v->store->catalogue, g, err);
    }
    mem_free(list.frames);
    return r;
}

static int check_session(struct verify *v, struct store_session *s, struct err *err)
{
    struct catalogue *c = &v->store->catalogue;
    struct catalogue_segment *list = NULL;
    size_t n = 0;
    uint64_t damaged = v->report->damaged_frames + v->report->missing_segments;
    int r = catalogue_segments(c, s->row, &list, &n, err);

    v->report->sessions++;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = check_segment(v, s, &list[i], err);
    }
    mem_free(list);
    if (r == 0 && v->report->damaged_frames + v->report->missing_segments > damaged &&
        s->state != STORE_DAMAGED) {
        s->state = STORE_DAMAGED;
        r = catalogue_update_session(c, s, err);
    }
    return r;
}

static int check_orphans(struct verify *v, struct err *err)
{
    struct adopt a;
    uint64_t adopted = 0;

    adopt_init(&a, v->store);
    int r = adopt_orphans(&a, &adopted, err);
    v->report->repaired_segments += adopted;
    v->report->repaired_frames += a.frames;
    v->report->packets += a.packets;
    v->report->damaged_frames += a.damaged_frames;
    v->report->damaged_packets += a.damaged_packets;
    if (adopted > 0) {
        find(v, "%llu segments with %llu packets were not in the catalogue and are now",
             (unsigned long long)adopted, (unsigned long long)a.packets);
    }
    if (a.damaged_frames > 0) {
        find(v, "%llu frames or segments outside the catalogue are damaged",
             (unsigned long long)a.damaged_frames);
    }
    adopt_deinit(&a);
    return r;
}

int store_verify(struct store *store, verify_cb cb, void *arg, struct verify_report *out,
                 struct err *err)
{
    struct verify v = {.store = store, .report = out, .cb = cb, .arg = arg};
    struct store_session *list = NULL;
    size_t n = 0;
    int r = catalogue_check(&store->catalogue, err);

    *out = (struct verify_report){0};
    r = r < 0 ? r : store_sessions(store, &list, &n, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        v.total_bytes += list[i].stored_bytes;
    }
    v.decoder = frame_decoder_new();
    r = catalogue_begin(&store->catalogue, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = check_session(&v, &list[i], err);
    }
    r = r < 0 ? r : check_orphans(&v, err);
    r = r < 0 ? r : catalogue_commit(&store->catalogue, err);
    if (r < 0) {
        catalogue_rollback(&store->catalogue);
    }
    frame_decoder_free(v.decoder);
    store_sessions_free(list, n);
    return r;
}
