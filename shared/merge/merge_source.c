/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/merge/merge_source.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/merge/merge_internal.h"
#include "shared/base/text_clean.h"

#define CHUNK_MIN_BYTES (256u * 1024u)
#define SIDE_MIN_BYTES  (64u * 1024u)
#define RING_MIN        1024u
#define PACKET_AT       28u /* of its bytes in an Enhanced Packet Block */

static void on_statistics(void *arg, uint32_t iface, const struct pcapng_told_statistics *told)
{
    struct merge_iface *record = merge_source_iface(arg, iface);

    record->told = *told;
    record->has_told = true;
}

/* What a merge that goes on elsewhere has to know before it reads the rest. */
static void on_described(void *arg, const uint8_t *block, size_t n)
{
    struct merge_source *s = arg;

    if (s->cannot_save || s->head.len + n > MERGE_HEAD_MAX) {
        s->cannot_save = true;
        buf_deinit(&s->head);
        return;
    }
    buf_append(&s->head, block, n);
    s->now.head_len = s->head.len;
}

/* What a node calls itself goes into names of interfaces, before a '/', and into comments. */
static void take_name(char *out, size_t cap, const char *text)
{
    size_t n = 0;

    for (; text != NULL && text[n] != '\0' && n < cap - 1; n++) {
        out[n] = text[n] == '/' ? '?' : text[n];
    }
    out[n] = '\0';
    text_clean(out);
}

void merge_source_init(struct merge_source *s, struct merge *merge, uint32_t rank,
                       const struct merge_who *who)
{
    *s = (struct merge_source){.merge = merge, .rank = rank, .told.first_ns = UINT64_MAX};
    take_name(s->node, sizeof s->node, who->node);
    take_name(s->id, sizeof s->id, who->id);
    pcapng_reader_init(&s->reader);
    s->reader.max_ifaces = MERGE_IFACES_MAX;
    s->reader.statistics = on_statistics;
    s->reader.statistics_arg = s;
    s->reader.described = on_described;
    s->reader.described_arg = s;
    s->now.past_left = merge->reorder_bytes / MERGE_PAST;
}

/* ---- chunks ---- */

static void free_chunk(struct merge_source *s, struct merge_chunk *chunk)
{
    for (struct merge_side *side = chunk->sides; side != NULL;) {
        struct merge_side *next = side->next;
        s->held_bytes -= side->cap;
        mem_free(side);
        side = next;
    }
    s->held_bytes -= chunk->cap;
    mem_free(chunk->bytes);
    mem_free(chunk);
}

static void unlink_chunk(struct merge_source *s, struct merge_chunk *chunk)
{
    if (chunk->prev != NULL) {
        chunk->prev->next = chunk->next;
    } else {
        s->oldest = chunk->next;
    }
    if (chunk->next != NULL) {
        chunk->next->prev = chunk->prev;
    }
    free_chunk(s, chunk);
}

void merge_source_deinit(struct merge_source *s)
{
    while (s->oldest != NULL) {
        unlink_chunk(s, s->oldest);
    }
    merge_clock_deinit(&s->clock);
    pcapng_reader_deinit(&s->reader);
    buf_deinit(&s->head);
    time_heap_deinit(&s->strays);
    mem_free(s->stray_entries);
    mem_free(s->stray_free);
    mem_free(s->ring);
    mem_free(s->ifaces);
}

size_t merge_source_rest(const struct merge_source *s, const uint8_t **bytes)
{
    if (s->chunk == NULL) {
        *bytes = NULL;
        return 0;
    }
    *bytes = s->chunk->bytes + s->parsed;
    return s->chunk->len - s->parsed;
}

/* A chunk that begins with what is left over of the one before, with room for n more bytes and for
 * the block that has begun, so that a block is moved once. */
static int open_chunk(struct merge_source *s, size_t n, struct err *err)
{
    const uint8_t *rest = NULL;
    size_t n_rest = merge_source_rest(s, &rest);
    size_t cap = n_rest + n > s->reader.need ? n_rest + n : s->reader.need;
    struct merge_chunk *chunk = x_alloc(sizeof *chunk);

    cap = cap < CHUNK_MIN_BYTES ? CHUNK_MIN_BYTES : cap;
    *chunk = (struct merge_chunk){.prev = s->chunk,
                                  .piece = s->n_feeds,
                                  .n_carry = n_rest,
                                  .mark = s->now,
                                  .len = n_rest,
                                  .cap = cap,
                                  .bytes = try_alloc(cap)};
    if (chunk->bytes == NULL) {
        mem_free(chunk);
        return err_set(err, ERR_NO_MEMORY, "no memory for %zu bytes of a stream", cap);
    }
    if (n_rest > 0) {
        memcpy(chunk->bytes, rest, n_rest);
    }
    struct merge_chunk *before = s->chunk;
    if (before != NULL) {
        before->next = chunk;
    } else {
        s->oldest = chunk;
    }
    s->chunk = chunk;
    s->held_bytes += cap;
    s->parsed = 0;
    if (before != NULL && before->n_pending == 0) {
        unlink_chunk(s, before);
    }
    return 0;
}

/* Room for a packet that is written anew, as long as the chunk is there. */
static uint8_t *side_room(struct merge_source *s, size_t n)
{
    struct merge_side *side = s->chunk->sides;

    if (side == NULL || side->cap - side->len < n) {
        size_t cap = n > SIDE_MIN_BYTES ? n : SIDE_MIN_BYTES;
        side = try_alloc(sizeof *side + cap);
        if (side == NULL) {
            return NULL;
        }
        *side = (struct merge_side){.next = s->chunk->sides, .cap = cap};
        s->chunk->sides = side;
        s->held_bytes += cap;
    }
    uint8_t *at = side->bytes + side->len;
    side->len += n;
    return at;
}

/* ---- the packets that wait ---- */

struct merge_iface *merge_source_iface(struct merge_source *s, uint32_t iface)
{
    if (iface >= s->cap_ifaces) {
        uint32_t cap = s->cap_ifaces == 0 ? 4 : s->cap_ifaces;
        while (cap <= iface) {
            cap *= 2;
        }
        s->ifaces = x_realloc(s->ifaces, cap * sizeof *s->ifaces);
        memset(s->ifaces + s->cap_ifaces, 0, (cap - s->cap_ifaces) * sizeof *s->ifaces);
        s->cap_ifaces = cap;
    }
    s->n_ifaces = iface >= s->n_ifaces ? iface + 1 : s->n_ifaces;
    return &s->ifaces[iface];
}

static void grow_ring(struct merge_source *s)
{
    uint64_t cap = s->ring_cap == 0 ? RING_MIN : s->ring_cap * 2;
    struct merge_entry *ring = x_alloc(cap * sizeof *ring);

    for (uint64_t i = s->ring_first; i < s->ring_end; i++) {
        ring[i & (cap - 1)] = s->ring[i & (s->ring_cap - 1)];
    }
    mem_free(s->ring);
    s->ring = ring;
    s->held_bytes += (cap - s->ring_cap) * sizeof *ring;
    s->ring_cap = cap;
}

static void grow_strays(struct merge_source *s)
{
    uint32_t cap = s->stray_cap == 0 ? 64 : s->stray_cap * 2;

    s->stray_entries = x_realloc(s->stray_entries, cap * sizeof *s->stray_entries);
    s->stray_free = x_realloc(s->stray_free, cap * sizeof *s->stray_free);
    for (uint32_t i = cap; i > s->stray_cap; i--) {
        s->stray_free[s->n_stray_free++] = i - 1;
    }
    s->held_bytes += (cap - s->stray_cap) * (sizeof *s->stray_entries + sizeof(struct time_node));
    s->stray_cap = cap;
}

static void push(struct merge_source *s, const struct merge_entry *entry)
{
    bool in_order = s->ring_first == s->ring_end ||
                    entry->key >= s->ring[(s->ring_end - 1) & (s->ring_cap - 1)].key;

    entry->chunk->n_pending++;
    if (in_order) {
        if (s->ring_end - s->ring_first == s->ring_cap) {
            grow_ring(s);
        }
        s->ring[s->ring_end++ & (s->ring_cap - 1)] = *entry;
        return;
    }
    if (s->n_stray_free == 0) {
        grow_strays(s);
    }
    uint32_t slot = s->stray_free[--s->n_stray_free];
    s->stray_entries[slot] = *entry;
    time_heap_push(&s->strays, &(struct time_node){
                                   .time_ns = entry->key, .number = entry->number, .index = slot});
}

void merge_source_drop(struct merge_source *s, const struct merge_entry *first)
{
    struct merge_chunk *chunk = first->chunk;

    if (s->strays.n > 0 && first == &s->stray_entries[s->strays.nodes[0].index]) {
        s->stray_free[s->n_stray_free++] = s->strays.nodes[0].index;
        time_heap_pop(&s->strays);
    } else {
        s->ring_first++;
    }
    if (--chunk->n_pending == 0 && chunk != s->chunk) {
        unlink_chunk(s, chunk);
    }
}

/* ---- order ---- */

/* The watermark moves on behind a packet. */
static void advance(struct merge_source *s, uint64_t time_ns, uint64_t bytes)
{
    struct merge_mark *now = &s->now;
    uint64_t window_ns = s->merge->window_ns;

    if (time_ns > now->max_ns) {
        now->max_ns = time_ns;
        if (time_ns > window_ns && time_ns - window_ns > now->wm_ns) {
            now->wm_ns = time_ns - window_ns;
        }
    }
    for (uint32_t i = 0; i < MERGE_PAST && bytes >= now->past_left; i++) {
        uint64_t *oldest = &now->past[now->past_at];
        bytes -= now->past_left;
        now->past_left = s->merge->reorder_bytes / MERGE_PAST;
        now->past_at = (now->past_at + 1) % MERGE_PAST;
        now->wm_ns = *oldest > now->wm_ns ? *oldest : now->wm_ns;
        *oldest = now->max_ns;
    }
    now->past_left -= bytes < now->past_left ? bytes : 0;
}

/* Written before the output was saved that this merge goes on with. */
static bool is_behind_us(const struct merge_source *s, const struct merge_entry *e)
{
    const struct merge_place *place = &s->merge->resumed;

    if (!place->is_any || e->key != place->key) {
        return place->is_any && e->key < place->key;
    }
    return s->rank != place->rank ? s->rank < place->rank : e->number <= place->number;
}

static void place_packet(struct merge_source *s, uint64_t time_ns, uint32_t iface,
                         const uint8_t *epb)
{
    struct merge *m = s->merge;
    uint32_t bytes = get_le32(epb + 4);
    struct merge_entry e = {
        .number = ++s->now.number, .epb = epb, .chunk = s->chunk, .iface = iface};
    uint64_t floor_ns = s->now.wm_ns;

    e.time_ns = merge_clock_correct(&s->clock, time_ns, &e.era);
    e.key = e.time_ns;
    if (m->hold_ns > 0) {
        floor_ns = m->place.key > floor_ns ? m->place.key : floor_ns;
        if (m->now_ns > 0 && e.time_ns > m->now_ns && e.time_ns - m->now_ns > MERGE_AHEAD_NS) {
            e.key = m->now_ns;
        }
    }
    e.key = e.key < floor_ns ? floor_ns : e.key;
    bool is_wanted = e.time_ns >= m->from_ns && e.time_ns <= m->to_ns;
    if (is_wanted && !is_behind_us(s, &e)) {
        push(s, &e);
    }
    advance(s, e.key >= e.time_ns ? e.time_ns : e.key, bytes);
}

/* ---- reading ---- */

/* The block that the view lies in can be taken as it stands: it is ours but for the interface's
 * number and the time. */
static bool stands_as_ours(const struct merge_source *s, const struct packet_view *view,
                           const uint8_t *end)
{
    const uint8_t *epb = view->data - PACKET_AT;
    uint32_t n = block_packet_bytes(view->caplen, view->options_len);

    if (s->reader.swapped || view->data < s->chunk->bytes + PACKET_AT || (size_t)(end - epb) != n ||
        get_le32(epb) != EPB_TYPE || get_le32(epb + 4) != n || get_le32(epb + 20) != view->caplen) {
        return false;
    }
    return view->options_len == 0 ||
           view->options == view->data + ((view->caplen + 3u) & ~(size_t)3u);
}

static int take_packet(struct merge_source *s, const struct packet_view *view, const uint8_t *end,
                       struct err *err)
{
    const uint8_t *epb = view->data - PACKET_AT;

    if (!stands_as_ours(s, view, end)) {
        uint32_t n = block_packet_bytes(view->caplen, view->options_len);
        uint8_t *room = side_room(s, n);
        if (room == NULL) {
            return err_set(err, ERR_NO_MEMORY, "no memory for a packet");
        }
        struct block one = {.data = room, .cap = n};
        REQUIRE(block_append(&one, view));
        epb = room;
    }
    place_packet(s, view->time_ns, view->iface, epb);
    return 0;
}

int merge_source_take_head(struct merge_source *s, const uint8_t *bytes, size_t n, struct err *err)
{
    struct bytes_reader in = bytes_reader(bytes, n);
    int rc = pcapng_reader_skip(&s->reader, &in, err);

    s->reader.need = 0;
    if (rc < 0) {
        return rc;
    }
    if (rc > 0 || bytes_left(&in) > 0) {
        return err_set(err, ERR_DAMAGED, "the head of a stream is cut");
    }
    return 0;
}

static int parse(struct merge_source *s, struct err *err)
{
    struct merge_chunk *chunk = s->chunk;
    struct bytes_reader in = bytes_reader(chunk->bytes + s->parsed, chunk->len - s->parsed);
    struct packet_view view;
    int rc = 1;

    while (rc == 1) {
        rc = pcapng_reader_next(&s->reader, &in, &view, err);
        if (rc == 1) {
            s->idle_bytes = 0;
            rc = take_packet(s, &view, in.p, err);
            rc = rc < 0 ? rc : 1;
        }
    }
    s->now.options = s->reader.n_options;
    s->parsed = (size_t)(in.p - chunk->bytes);
    return rc;
}

int merge_source_feed(struct merge_source *s, const uint8_t *bytes, size_t n, struct err *err)
{
    int rc = 0;

    if (n > 0 && (s->chunk == NULL || s->chunk->cap - s->chunk->len < n)) {
        rc = open_chunk(s, n, err);
    }
    s->n_feeds++;
    if (n == 0 || rc < 0) {
        return rc;
    }
    struct merge_chunk *chunk = s->chunk;
    REQUIRE(chunk != NULL);
    memcpy(chunk->bytes + chunk->len, bytes, n);
    chunk->len += n;
    s->idle_bytes += n;
    if (chunk->len - s->parsed >= s->reader.need) {
        s->reader.need = 0;
        rc = parse(s, err);
    }
    if (rc == 0 && s->idle_bytes > MERGE_IDLE_BYTES_MAX) {
        rc = err_set(err, ERR_LIMIT, "%llu bytes without a packet",
                     (unsigned long long)MERGE_IDLE_BYTES_MAX);
    }
    return rc;
}
