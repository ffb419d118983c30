/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/merge/merge.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/merge/merge_internal.h"

#define SOURCES_EXPECTED 8u
#define NOBODY           UINT32_MAX

struct merge *merge_new(const struct merge_opts *opts)
{
    struct merge *m = x_alloc(sizeof *m);
    size_t held = opts->held_bytes == 0 ? MERGE_HELD_BYTES : opts->held_bytes;
    uint32_t n = opts->n_sources == 0 ? SOURCES_EXPECTED : opts->n_sources;
    uint64_t window_ns = opts->hold_ns > 0 ? opts->hold_ns : MERGE_WINDOW_NS;

    *m = (struct merge){.is_classic = opts->is_classic,
                        .hold_ns = opts->hold_ns,
                        .window_ns = opts->window_ns > 0 ? opts->window_ns : window_ns,
                        .from_ns = opts->from_ns,
                        .to_ns = opts->to_ns > 0 ? opts->to_ns : UINT64_MAX,
                        .share_bytes = held / n,
                        .waits_for = NOBODY,
                        .application = x_strdup(opts->application == NULL ? "" : opts->application),
                        .comment = x_strdup(opts->comment == NULL ? "" : opts->comment)};
    m->share_bytes = m->share_bytes < MERGE_SHARE_MIN ? MERGE_SHARE_MIN : m->share_bytes;
    m->share_bytes = m->share_bytes > MERGE_SHARE_MAX ? MERGE_SHARE_MAX : m->share_bytes;
    m->reorder_bytes = m->share_bytes / 4;
    return m;
}

void merge_free(struct merge *m)
{
    if (m == NULL) {
        return;
    }
    for (uint32_t i = 0; i < m->n_sources; i++) {
        merge_source_deinit(m->sources[i]);
        mem_free(m->sources[i]);
    }
    time_heap_deinit(&m->heap);
    mem_free(m->sources);
    mem_free(m->outs);
    mem_free(m->application);
    mem_free(m->comment);
    mem_free(m);
}

int merge_add(struct merge *m, const struct merge_who *who, uint32_t *out, struct err *err)
{
    uint32_t rank = m->n_sources;

    if (rank == MERGE_SOURCES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u streams in one merge", MERGE_SOURCES_MAX);
    }
    if ((rank & (rank - 1)) == 0) {
        m->sources = x_realloc(m->sources, (rank == 0 ? 1 : 2 * (size_t)rank) * sizeof(void *));
    }
    struct merge_source *s = x_alloc(sizeof *s);
    merge_source_init(s, m, rank, who);
    m->sources[m->n_sources++] = s;
    time_heap_push(&m->heap, &(struct time_node){.rank = rank, .item = s});
    *out = rank;
    return 0;
}

void merge_add_clock(struct merge *m, uint32_t source, const struct merge_clock_sample *sample)
{
    struct merge_clock_sample known = *sample;

    known.is_step = sample->is_step || m->hold_ns > 0;
    (void)merge_clock_add(&m->sources[source]->clock, &known);
}

bool merge_wants(const struct merge *m, uint32_t source)
{
    const struct merge_source *s = m->sources[source];

    return !s->is_ended && (s->held_bytes < m->share_bytes || m->waits_for == source);
}

static int give_up(struct merge_source *s, int rc, const struct err *err)
{
    s->is_ended = true;
    s->failed = rc;
    if (err != NULL) {
        memcpy(s->why, err->text, sizeof s->why - 1);
    }
    return rc;
}

/* Live: the time may have gone past a source that has a packet again. */
static void take_back_place(struct merge *m, const struct merge_source *s)
{
    const struct merge_entry *e = merge_source_first(s);

    for (size_t i = 0; e != NULL && i < m->heap.n; i++) {
        if (m->heap.nodes[i].item == s && e->key < m->heap.nodes[i].time_ns) {
            m->heap.nodes[i].time_ns = e->key;
            time_heap_raise(&m->heap, i);
            return;
        }
    }
}

int merge_feed(struct merge *m, uint32_t source, const uint8_t *bytes, size_t n, struct err *err)
{
    struct merge_source *s = m->sources[source];
    struct err why = {0};

    if (s->is_ended) {
        return 0;
    }
    m->waits_for = m->waits_for == source ? NOBODY : m->waits_for;
    int rc = merge_source_feed(s, bytes, n, &why);
    if (m->hold_ns > 0) {
        take_back_place(m, s);
    }
    if (rc < 0) {
        give_up(s, rc, &why);
        return err_set(err, rc, "%s: %s", s->node, why.text);
    }
    return 0;
}

int merge_end(struct merge *m, uint32_t source, struct err *err)
{
    struct merge_source *s = m->sources[source];
    const uint8_t *rest = NULL;

    if (s->is_ended) {
        return 0;
    }
    s->is_ended = true;
    if (merge_source_rest(s, &rest) > 0) {
        const struct err why = {.code = ERR_DAMAGED, .text = "its stream ends inside of a block"};
        give_up(s, ERR_DAMAGED, &why);
        return err_set(err, ERR_DAMAGED, "%s: %s", s->node, why.text);
    }
    return 0;
}

void merge_watermark(struct merge *m, uint32_t source, uint64_t time_ns)
{
    struct merge_source *s = m->sources[source];
    uint32_t era;
    uint64_t corrected = merge_clock_correct(&s->clock, time_ns, &era);

    if (m->now_ns > 0 && corrected > m->now_ns && corrected - m->now_ns > MERGE_AHEAD_NS) {
        corrected = m->now_ns + MERGE_AHEAD_NS; /* else what its node has would wait for ever */
    }
    s->now.wm_ns = corrected > s->now.wm_ns ? corrected : s->now.wm_ns;
}

void merge_add_statistics(struct merge *m, uint32_t source, uint32_t iface,
                          const struct pcapng_told_statistics *told)
{
    struct merge_source *s = m->sources[source];

    if (iface < s->reader.n_ifaces) {
        struct merge_iface *record = merge_source_iface(s, iface);
        record->told = *told;
        record->has_told = true;
    }
}

void merge_set_lost(struct merge *m, uint32_t source, uint64_t lost)
{
    m->sources[source]->lost = lost;
}

void merge_now(struct merge *m, uint64_t now_ns)
{
    m->now_ns = now_ns > m->now_ns ? now_ns : m->now_ns;
}

/* ---- the merge ---- */

/* Up to where a source's next packet is known; in live use nobody is waited for longer than
 * hold_ns. */
static uint64_t watermark_of(const struct merge *m, const struct merge_source *s)
{
    if (s->is_ended) {
        return UINT64_MAX;
    }
    uint64_t floor_ns = m->hold_ns > 0 && m->now_ns > m->hold_ns ? m->now_ns - m->hold_ns : 0;
    return s->now.wm_ns > floor_ns ? s->now.wm_ns : floor_ns;
}

/* The first source's place in the heap, as it is now. *first: its next packet, if that may go. */
static bool is_still_first(struct merge *m, const struct merge_entry **first)
{
    struct time_node *node = &m->heap.nodes[0];
    const struct merge_source *s = node->item;
    const struct merge_entry *e = merge_source_first(s);
    uint64_t wm_ns = watermark_of(m, s);
    uint64_t time_ns = e != NULL && e->key <= wm_ns ? e->key : wm_ns;

    *first = e != NULL && e->key <= wm_ns ? e : NULL;
    if (time_ns == node->time_ns) {
        return true;
    }
    node->time_ns = time_ns;
    time_heap_settle(&m->heap);
    return m->heap.nodes[0].item == s;
}

enum merge_state merge_step(struct merge *m, struct buf *out, size_t max_bytes, uint32_t *source)
{
    merge_put_head(m, out);
    while (m->heap.n > 0) {
        const struct merge_entry *e = NULL;
        if (!is_still_first(m, &e)) {
            continue;
        }
        struct merge_source *s = m->heap.nodes[0].item;
        if (e == NULL && s->is_ended) {
            time_heap_pop(&m->heap);
            continue;
        }
        if (e == NULL) {
            m->waits_for = *source = s->rank;
            return MERGE_WAITS;
        }
        if (out->len >= max_bytes) {
            return MERGE_MORE;
        }
        merge_put_packet(m, s, e, out);
        m->place = (struct merge_place){e->key, e->number, s->rank, true};
        m->last_ns = e->time_ns;
        merge_source_drop(s, e);
    }
    return MERGE_DONE;
}

/* ---- what came of it ---- */

uint32_t merge_n_sources(const struct merge *m)
{
    return m->n_sources;
}

/* Counters of a source may be anything. */
static void add_dropped(uint64_t *sum, uint64_t told)
{
    if (told != UINT64_MAX) {
        *sum = told > UINT64_MAX - *sum ? UINT64_MAX : *sum + told;
    }
}

struct merge_told merge_told(const struct merge *m, uint32_t source)
{
    const struct merge_source *s = m->sources[source];
    struct merge_told told = s->told;

    for (uint32_t i = 0; i < s->n_ifaces; i++) {
        if (s->ifaces[i].has_told) {
            add_dropped(&told.dropped, s->ifaces[i].told.numbers.osdrop);
            add_dropped(&told.dropped, s->ifaces[i].told.numbers.ifdrop);
        }
    }
    told.options = s->reader.n_options;
    told.held_bytes = s->held_bytes;
    told.is_ended = s->is_ended;
    told.failed = s->failed;
    told.why = s->why;
    return told;
}

uint64_t merge_last_ns(const struct merge *m)
{
    return m->last_ns;
}

uint32_t merge_n_ifaces(const struct merge *m)
{
    return m->n_outs;
}

uint64_t merge_unnumbered(const struct merge *m)
{
    return m->n_unnumbered;
}
