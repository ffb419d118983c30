/* SPDX-License-Identifier: Apache-2.0
 *
 * A merge as bytes, so that it goes on elsewhere. For each source: its sections and interfaces, and
 * a point in the stream behind which all lies that is not written yet, with what decides over the
 * order from there on. What stands behind that point and was written already is known by its place
 * in the order, and left out. Msgpack:
 *
 *   [1, is_begun, [key, number, rank] or nil, last_ns, link_type, [[source, iface, era]...],
 *    [source...]]
 *   source: [piece, head, carry, [number, max, wm, past_left, past_at, options, past...],
 *            [packets, bytes, late, late_max, early, left_out, first, last], [statistics...]]
 *   statistics: [iface, time, start, end, ifrecv, ifdrop, filteraccept, osdrop, usrdeliv, comment]
 *
 * A state is hostile like any file.
 */
#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/pack.h"
#include "shared/base/unpack.h"
#include "shared/merge/merge_internal.h"

#define STATE_VERSION 1u
#define STATE_ITEMS   7u
#define MARK_NUMBERS  (6u + MERGE_PAST)
#define TOLD_NUMBERS  8u
#define STATISTICS    10u
#define SOURCE_ITEMS  6u
#define NUMBER_BYTES  9u
#define IFACE_BYTES   (NUMBER_BYTES * (STATISTICS + 1) + PCAPNG_COMMENT_MAX)
#define SOURCE_BYTES  (32u + NUMBER_BYTES * (MARK_NUMBERS + TOLD_NUMBERS + 4u))

/* The point of a source behind which all is that is not written: where the oldest chunk begins that
 * has any, or what came last. */
struct point {
    const struct merge_mark *mark;
    uint64_t piece;
    const uint8_t *carry;
    size_t n_carry;
};

static struct point point_of(const struct merge_source *s)
{
    struct point point = {.mark = &s->now, .piece = s->n_feeds};

    for (const struct merge_chunk *chunk = s->oldest; chunk != NULL; chunk = chunk->next) {
        if (chunk->n_pending > 0) {
            return (struct point){&chunk->mark, chunk->piece, chunk->bytes, chunk->n_carry};
        }
    }
    point.n_carry = merge_source_rest(s, &point.carry);
    return point;
}

static void save_statistics(const struct merge_source *s, struct pack *p)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_ifaces; i++) {
        n += s->ifaces[i].has_told ? 1 : 0;
    }
    pack_array(p, n);
    for (uint32_t i = 0; i < s->n_ifaces; i++) {
        const struct pcapng_told_statistics *told = &s->ifaces[i].told;
        if (s->ifaces[i].has_told) {
            pack_array(p, STATISTICS);
            pack_u64(p, i);
            pack_u64(p, told->numbers.time_ns);
            pack_u64(p, told->numbers.start_ns);
            pack_u64(p, told->numbers.end_ns);
            pack_u64(p, told->numbers.ifrecv);
            pack_u64(p, told->numbers.ifdrop);
            pack_u64(p, told->numbers.filteraccept);
            pack_u64(p, told->numbers.osdrop);
            pack_u64(p, told->numbers.usrdeliv);
            pack_bin(p, told->comment, strlen(told->comment));
        }
    }
}

static void save_source(const struct merge_source *s, const struct point *point, struct pack *p)
{
    const struct merge_mark *mark = point->mark;
    const struct merge_told *told = &s->told;

    pack_array(p, SOURCE_ITEMS);
    pack_u64(p, point->piece);
    pack_bin(p, s->head.data, mark->head_len);
    pack_bin(p, point->carry, point->n_carry);
    pack_array(p, MARK_NUMBERS);
    pack_u64(p, mark->number);
    pack_u64(p, mark->max_ns);
    pack_u64(p, mark->wm_ns);
    pack_u64(p, mark->past_left);
    pack_u64(p, mark->past_at);
    pack_u64(p, mark->options);
    for (uint32_t i = 0; i < MERGE_PAST; i++) {
        pack_u64(p, mark->past[i]);
    }
    pack_array(p, TOLD_NUMBERS);
    pack_u64(p, told->packets);
    pack_u64(p, told->bytes);
    pack_u64(p, told->late);
    pack_u64(p, told->late_max_ns);
    pack_u64(p, told->early);
    pack_u64(p, told->left_out);
    pack_u64(p, told->first_ns);
    pack_u64(p, told->last_ns);
    save_statistics(s, p);
}

static void save_order(const struct merge *m, struct pack *p)
{
    pack_bool(p, m->is_begun);
    if (m->place.is_any) {
        pack_array(p, 3);
        pack_u64(p, m->place.key);
        pack_u64(p, m->place.number);
        pack_u64(p, m->place.rank);
    } else {
        pack_nil(p);
    }
    pack_u64(p, m->last_ns);
    pack_u64(p, m->is_classic ? m->link_type : 0);
    pack_array(p, m->n_outs);
    for (uint32_t i = 0; i < m->n_outs; i++) {
        pack_array(p, 3);
        pack_u64(p, m->outs[i].source);
        pack_u64(p, m->outs[i].iface);
        pack_u64(p, m->outs[i].era);
    }
}

bool merge_save(const struct merge *m, struct buf *out, uint64_t *pieces)
{
    size_t need = 256 + 32 * (size_t)m->n_outs;

    for (uint32_t i = 0; i < m->n_sources; i++) {
        const struct merge_source *s = m->sources[i];
        struct point point = point_of(s);
        if (s->cannot_save || s->failed != 0 || m->hold_ns > 0) {
            return false;
        }
        pieces[i] = point.piece;
        need += SOURCE_BYTES + s->head.len + point.n_carry + IFACE_BYTES * (size_t)s->n_ifaces;
    }
    uint8_t *at = buf_extend(out, need);
    struct pack p = pack_into(at, need);
    pack_array(&p, STATE_ITEMS);
    pack_u64(&p, STATE_VERSION);
    save_order(m, &p);
    pack_array(&p, m->n_sources);
    for (uint32_t i = 0; i < m->n_sources; i++) {
        struct point point = point_of(m->sources[i]);
        save_source(m->sources[i], &point, &p);
    }
    REQUIRE(!p.failed);
    out->len -= need - pack_length(&p);
    return true;
}

/* ---- back ---- */

static void load_mark(struct merge_mark *mark, uint64_t past_step, struct unpack *u)
{
    u->in.failed = u->in.failed || unpack_array(u, MARK_NUMBERS) != MARK_NUMBERS;
    mark->number = unpack_u64(u);
    mark->max_ns = unpack_u64(u);
    mark->wm_ns = unpack_u64(u);
    mark->past_left = unpack_u64_most(u, past_step);
    mark->past_at = (uint32_t)unpack_u64_most(u, MERGE_PAST - 1);
    mark->options = unpack_u64(u);
    for (uint32_t i = 0; i < MERGE_PAST; i++) {
        mark->past[i] = unpack_u64(u);
    }
}

static void load_told(struct merge_told *told, struct unpack *u)
{
    u->in.failed = u->in.failed || unpack_array(u, TOLD_NUMBERS) != TOLD_NUMBERS;
    told->packets = unpack_u64(u);
    told->bytes = unpack_u64(u);
    told->late = unpack_u64(u);
    told->late_max_ns = unpack_u64(u);
    told->early = unpack_u64(u);
    told->left_out = unpack_u64(u);
    told->first_ns = unpack_u64(u);
    told->last_ns = unpack_u64(u);
}

static void load_statistics(struct merge_source *s, struct unpack *u)
{
    uint32_t n = unpack_array(u, MERGE_IFACES_MAX);

    for (uint32_t i = 0; i < n && !unpack_failed(u); i++) {
        struct pcapng_told_statistics told = {0};
        size_t n_comment = 0;
        u->in.failed = u->in.failed || unpack_array(u, STATISTICS) != STATISTICS;
        uint32_t iface = (uint32_t)unpack_u64_most(u, MERGE_IFACES_MAX - 1);
        told.numbers.time_ns = unpack_u64(u);
        told.numbers.start_ns = unpack_u64(u);
        told.numbers.end_ns = unpack_u64(u);
        told.numbers.ifrecv = unpack_u64(u);
        told.numbers.ifdrop = unpack_u64(u);
        told.numbers.filteraccept = unpack_u64(u);
        told.numbers.osdrop = unpack_u64(u);
        told.numbers.usrdeliv = unpack_u64(u);
        const uint8_t *comment = unpack_bin(u, PCAPNG_COMMENT_MAX - 1, &n_comment);
        if (!unpack_failed(u)) {
            memcpy(told.comment, comment, n_comment);
            struct merge_iface *record = merge_source_iface(s, iface);
            record->told = told;
            record->has_told = true;
        }
    }
}

static int load_source(struct merge_source *s, struct unpack *u, struct err *err)
{
    size_t n_head = 0;
    size_t n_carry = 0;

    u->in.failed = u->in.failed || unpack_array(u, SOURCE_ITEMS) != SOURCE_ITEMS;
    uint64_t piece = unpack_u64(u);
    const uint8_t *head = unpack_bin(u, MERGE_HEAD_MAX, &n_head);
    const uint8_t *carry = unpack_bin(u, PCAPNG_BLOCK_MAX_BYTES, &n_carry);
    struct merge_mark mark = {0};
    load_mark(&mark, s->merge->reorder_bytes / MERGE_PAST, u);
    load_told(&s->told, u);
    load_statistics(s, u);
    if (unpack_failed(u)) {
        return err_set(err, ERR_DAMAGED, "the state of a merge is damaged");
    }
    int rc = merge_source_take_head(s, head, n_head, err);
    if (rc < 0) {
        return rc;
    }
    mark.head_len = n_head;
    s->now = mark;
    s->reader.n_options = mark.options;
    rc = merge_source_feed(s, carry, n_carry, err);
    s->n_feeds = piece;
    if (s->chunk != NULL) {
        s->chunk->piece = piece;
        s->chunk->n_carry = n_carry;
    }
    return rc;
}

static void load_place(struct merge *m, struct unpack *u)
{
    m->is_begun = unpack_bool(u);
    if (!unpack_is_nil(u)) {
        u->in.failed = u->in.failed || unpack_array(u, 3) != 3;
        m->place.key = unpack_u64(u);
        m->place.number = unpack_u64(u);
        m->place.rank = (uint32_t)unpack_u64_most(u, MERGE_SOURCES_MAX);
        m->place.is_any = true;
        m->resumed = m->place;
    }
    m->last_ns = unpack_u64(u);
    m->link_type = (uint32_t)unpack_u64(u);
}

static int load_outs(struct merge *m, struct unpack *u, struct err *err)
{
    uint32_t n = unpack_array(u, MERGE_OUT_IFACES_MAX);

    for (uint32_t i = 0; i < n && !unpack_failed(u); i++) {
        bool is_new = false;
        u->in.failed = u->in.failed || unpack_array(u, 3) != 3;
        uint32_t source = (uint32_t)unpack_u64_most(u, m->n_sources - 1);
        uint32_t iface = (uint32_t)unpack_u64_most(u, MERGE_IFACES_MAX - 1);
        uint32_t era = (uint32_t)unpack_u64_most(u, UINT32_MAX);
        if (!unpack_failed(u)) {
            (void)merge_out_number(m, m->sources[source], iface, era, &is_new);
        }
    }
    return unpack_failed(u) ? err_set(err, ERR_DAMAGED, "the state of a merge is damaged") : 0;
}

int merge_load(struct merge *m, const void *bytes, size_t n, struct err *err)
{
    struct unpack u = unpack_from(bytes, n);

    if (unpack_array(&u, STATE_ITEMS) != STATE_ITEMS || unpack_u64(&u) != STATE_VERSION ||
        m->n_sources == 0) {
        return err_set(err, ERR_DAMAGED, "this is no state of a merge");
    }
    load_place(m, &u);
    int rc = load_outs(m, &u, err);
    if (rc == 0 && unpack_array(&u, MERGE_SOURCES_MAX) != m->n_sources) {
        rc = err_set(err, ERR_DAMAGED, "the state of a merge is of other sources");
    }
    for (uint32_t i = 0; i < m->n_sources && rc == 0; i++) {
        rc = load_source(m->sources[i], &u, err);
    }
    return rc;
}
