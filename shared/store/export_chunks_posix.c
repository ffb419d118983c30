/* SPDX-License-Identifier: Apache-2.0
 *
 * The format's writer makes one unit after the other: the head, then a packet or (of a whole
 * session) a run of them, then the tail. Of a unit goes into the chunk what fits; the rest waits
 * for the next one. A mark names the unit and how much of it was given, so going on means to make
 * that unit once more and to drop these bytes.
 */
#include "shared/store/export_chunks.h"

#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/export_run.h"

/* Frames without a match, and packets, between two looks at the clock. */
#define PAUSE_FRAMES     2u
#define PACKETS_PER_LOOK 64u

#define PAUSED 2 /* of a step: nothing found so far */

struct export_chunks {
    struct export_spec spec;
    struct store_session session; /* with the interfaces of the head alone */
    struct export_run run;
    struct export_sink sink;
    struct export_mark mark;
    struct export_mark from; /* where this reading began */
    struct buf rest;         /* of the unit: not given yet, from rest_at on */
    size_t rest_at;
    struct buf *out;
    size_t room;
    uint64_t drop;         /* bytes of the unit that were given before this reading */
    uint64_t unit_last;    /* number of its last packet */
    uint64_t unit_packets; /* in it */
    uint64_t unit_left_out;
    uint64_t last; /* whole exports: number of the last packet of the plan */
    bool is_first; /* no unit of the body yet */
    unsigned since_look;
};

static void give(struct export_chunks *c, const uint8_t *data, size_t n)
{
    buf_append(c->out, data, n);
    c->room -= n;
    c->mark.skip += n;
    c->mark.offset += n;
}

/* The sink of the writer. */
static int take(struct export_sink *sink, const void *data, size_t n, struct err *err)
{
    struct export_chunks *c = container_of(sink, struct export_chunks, sink);
    const uint8_t *bytes = data;
    size_t dropped = c->drop < n ? (size_t)c->drop : n;

    (void)err;
    c->drop -= dropped;
    bytes += dropped;
    n -= dropped;
    size_t fits = c->rest.len > 0 ? 0 : n < c->room ? n : c->room;
    if (fits > 0) {
        give(c, bytes, fits);
    }
    buf_append(&c->rest, bytes + fits, n - fits);
    return 0;
}

static void give_rest(struct export_chunks *c)
{
    size_t n = c->rest.len - c->rest_at;

    n = n < c->room ? n : c->room;
    if (n > 0) {
        give(c, c->rest.data + c->rest_at, n);
        c->rest_at += n;
    }
    if (c->rest_at == c->rest.len) {
        buf_reset(&c->rest);
        c->rest_at = 0;
    }
}

/* ---- the beginning ---- */

/* Finds heads that are no more what they were: another program, another kernel. */
static uint32_t sum_of(const struct buf *head)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < head->len; i++) {
        h = (h ^ head->data[i]) * 16777619u;
    }
    return h;
}

static int no_mark(struct err *err)
{
    return err_set(err, ERR_USAGE, "the cursor is not one that was given out for this reading");
}

static int gone(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND,
                   "what the cursor points at was deleted meanwhile: begin again without it");
}

static int check_link_types(const struct export_chunks *c, struct err *err)
{
    for (uint32_t i = 1; c->spec.format == EXPORT_PCAP && i < c->session.n_ifaces; i++) {
        if (c->session.ifaces[i].link_type != c->session.ifaces[0].link_type) {
            return err_set(err, ERR_UNSUPPORTED,
                           "a classic pcap file holds one link type, but session %s has several: "
                           "read it as pcapng",
                           c->session.id);
        }
    }
    return 0;
}

/* The head is made in any case, since the writer begins with it; a reading that goes on behind it
 * has no use for it. */
static int begin_head(struct export_chunks *c, struct err *err)
{
    struct export_mark *mark = &c->mark;
    int r = export_run_begin(&c->run, &c->sink, NULL, err);

    r = r < 0 ? r : export_sink_flush(&c->sink, err);
    if (r < 0) {
        return r;
    }
    uint32_t sum = sum_of(&c->rest);
    if (mark->stage == EXPORT_AT_HEAD) {
        if (mark->skip > c->rest.len || (mark->skip > 0 && mark->head_sum != sum)) {
            return no_mark(err);
        }
        c->rest_at = (size_t)mark->skip;
    } else {
        buf_reset(&c->rest);
    }
    mark->head_sum = sum;
    return 0;
}

/* A whole session goes on at the frame that the mark names. */
static int skip_frames(struct export_chunks *c, struct err *err)
{
    const struct export_mark *mark = &c->mark;
    uint64_t first = scan_skip_to(c->run.scan, mark->stage == EXPORT_AT_BODY ? mark->next : 0);

    c->last = scan_last_number(c->run.scan);
    if (mark->stage == EXPORT_AT_HEAD) {
        c->mark.next = first;
        return 0;
    }
    if (first != 0 && first < mark->next) {
        return no_mark(err); /* in the middle of a frame */
    }
    return mark->skip > 0 && first != mark->next ? gone(err) : 0;
}

static int begin(struct export_chunks *c, struct store *store, struct err *err)
{
    bool filtered = c->spec.filter != NULL && c->spec.filter[0] != '\0';
    bool is_whole = c->spec.format == EXPORT_PCAPNG && !filtered && c->spec.from_ns == 0 &&
                    c->spec.to_ns == UINT64_MAX;
    int r = check_link_types(c, err);

    if (!is_whole && c->mark.stage == EXPORT_AT_BODY) {
        c->spec.after = c->mark.next - 1;
    }
    r = r < 0 ? r : export_run_scan(&c->run, store, err);
    r = r < 0 ? r : begin_head(c, err);
    if (r < 0) {
        return r;
    }
    REQUIRE(c->run.is_whole == is_whole);
    scan_pause_after(c->run.scan, PAUSE_FRAMES);
    c->drop = c->mark.stage == EXPORT_AT_BODY ? c->mark.skip : 0;
    return is_whole ? skip_frames(c, err) : 0;
}

/* What of a mark can be checked without reading anything. */
static int take_mark(struct export_chunks *c, const struct export_mark *from, struct err *err)
{
    if (from == NULL) {
        c->mark.n_ifaces = c->session.n_ifaces;
        return 0;
    }
    if (from->n_ifaces > c->session.n_ifaces || from->stage > EXPORT_AT_BODY ||
        (from->stage == EXPORT_AT_BODY && from->next == 0)) {
        return no_mark(err);
    }
    c->mark = *from;
    c->session.n_ifaces = from->n_ifaces;
    return 0;
}

int export_chunks_new(struct store *store, const struct export_spec *spec,
                      const struct export_mark *from, struct export_chunks **out, struct err *err)
{
    REQUIRE(spec->n == 1 && spec->limit == 0 &&
            (spec->format == EXPORT_PCAPNG || spec->format == EXPORT_PCAP));
    struct export_chunks *c = x_alloc(sizeof *c);
    c->spec = *spec;
    c->session = spec->sessions[0];
    c->spec.sessions = &c->session;
    c->run.spec = &c->spec;
    c->run.ops = export_formats[spec->format];
    c->sink.write = take;
    c->is_first = true;
    int r = take_mark(c, from, err);
    c->from = c->mark;
    r = r < 0 ? r : begin(c, store, err);
    if (r < 0) {
        export_chunks_free(c);
        return r;
    }
    *out = c;
    return 0;
}

void export_chunks_free(struct export_chunks *c)
{
    if (c != NULL) {
        c->run.ops->free(c->run.writer);
        scan_free(c->run.scan);
        buf_deinit(&c->sink.buf);
        buf_deinit(&c->rest);
        mem_free(c);
    }
}

/* ---- units ---- */

/* All of the unit was given: the mark stands before the next one. */
static void end_unit(struct export_chunks *c)
{
    if (c->mark.stage == EXPORT_AT_HEAD) {
        c->mark.stage = EXPORT_AT_BODY;
        c->mark.next = c->mark.next == 0 ? 1 : c->mark.next;
    } else if (c->unit_last > 0) {
        c->mark.next = c->unit_last + 1;
        c->mark.packets += c->unit_packets;
        c->mark.left_out += c->unit_left_out;
        c->unit_last = 0;
    }
    c->mark.skip = c->drop;
}

/* The first unit is the one that the mark before lay in. */
static int check_first(struct export_chunks *c, uint64_t number, uint64_t skip, struct err *err)
{
    bool was_first = c->is_first;

    c->is_first = false;
    if (!was_first || skip == 0) {
        return 0;
    }
    return number != c->mark.next ? gone(err) : c->drop > 0 ? no_mark(err) : 0;
}

/* 1 with a run as unit, 0 at the end. */
static int step_run(struct export_chunks *c, struct err *err)
{
    uint64_t packets = c->run.result.packets;
    uint64_t left_out = c->run.result.left_out;
    uint64_t skip = c->drop;
    int r = export_run_step(&c->run, err);

    if (r <= 0) {
        bool ends_early = r == 0 && c->last >= c->mark.next;
        c->mark.missing += ends_early ? c->last - c->mark.next + 1 : 0;
        return r;
    }
    uint64_t first = scan_run_first(c->run.scan);
    c->unit_last = scan_position(c->run.scan);
    c->unit_packets = c->run.result.packets - packets;
    c->unit_left_out = c->run.result.left_out - left_out;
    r = export_sink_flush(&c->sink, err);
    r = r < 0 ? r : check_first(c, first, skip, err);
    c->mark.missing += first - c->mark.next;
    c->mark.next = first;
    return r < 0 ? r : 1;
}

/* 1 with a packet as unit, 0 at the end, or PAUSED. */
static int step_packet(struct export_chunks *c, struct err *err)
{
    uint64_t left_out = c->run.result.left_out;
    uint64_t skip = c->drop;
    struct scan_packet packet;
    int r = scan_next(c->run.scan, &packet, err);
    const struct scan_damage *damage = scan_damage(c->run.scan);

    c->mark.missing = c->from.missing + damage->packets + damage->gone_packets;
    if (r < 0) {
        return r;
    }
    if (r != 1 && skip > 0) {
        return gone(err); /* the packet that was cut would have been the first */
    }
    if (r != 1) {
        c->mark.next = scan_position(c->run.scan) + 1;
        return r == SCAN_PAUSED ? PAUSED : 0;
    }
    r = export_run_packet(&c->run, &packet, err);
    r = r < 0 ? r : export_sink_flush(&c->sink, err);
    r = r < 0 ? r : check_first(c, packet.number, skip, err);
    c->mark.next = c->unit_last = packet.number;
    c->unit_left_out = c->run.result.left_out - left_out;
    c->unit_packets = 1 - c->unit_left_out;
    return r < 0 ? r : 1;
}

/* In one piece: it tells counts of this moment. */
static int put_tail(struct export_chunks *c, struct err *err)
{
    const struct scan_damage damage = {.packets = c->mark.missing};

    if (c->room < EXPORT_CHUNK_MIN / 2) {
        c->mark.next = c->mark.next > c->last ? c->mark.next : c->last + 1;
        return 1;
    }
    int r = c->run.ops->finish(c->run.writer, &damage, err);
    r = r < 0 ? r : export_sink_flush(&c->sink, err);
    c->mark.stage = EXPORT_AT_END;
    return r;
}

static bool is_over(struct export_chunks *c, int r, uint64_t until_ns)
{
    if (r != PAUSED && ++c->since_look < PACKETS_PER_LOOK) {
        return false;
    }
    c->since_look = 0;
    return clock_monotonic_ns() >= until_ns;
}

int export_chunks_next(struct export_chunks *c, size_t max_bytes, uint64_t until_ns,
                       struct buf *out, struct err *err)
{
    int r = 1;

    REQUIRE(max_bytes >= EXPORT_CHUNK_MIN && max_bytes <= EXPORT_CHUNK_MAX);
    c->out = out;
    c->room = max_bytes;
    give_rest(c);
    while (r > 0 && c->rest.len == 0) {
        end_unit(c);
        if (c->room == 0 || is_over(c, r, until_ns)) {
            return 1;
        }
        r = c->run.is_whole ? step_run(c, err) : step_packet(c, err);
    }
    if (r != 0) {
        return r < 0 ? r : 1;
    }
    return put_tail(c, err);
}

const struct export_mark *export_chunks_mark(const struct export_chunks *c)
{
    return &c->mark;
}
