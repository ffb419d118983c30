/* SPDX-License-Identifier: Apache-2.0
 *
 * One frame at a time in recorded order; in time order a heap of frames, each a sorted run: a frame
 * is opened when the heap's earliest packet is not before the frame's first one, so memory is
 * bounded by how many frames overlap in time.
 */
#include "shared/store/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/packet/time_heap.h"
#include "shared/store/read_ahead.h"
#include "shared/store/scan_plan.h"

/* Frames open at once in time order, in decoded bytes. */
#define OPEN_BYTES_MAX (1024u * 1024u * 1024u)

struct run_order {
    uint64_t time_ns;
    uint32_t offset;
    uint32_t index;
};

/* A decoded frame and where reading is in it. */
struct open_frame {
    const struct plan_frame *frame;
    const uint8_t *raw;
    uint8_t *copy; /* owned in time order, where several frames are open */
    struct block_cursor cursor;
    uint32_t index;          /* of the packet that cursor stands before */
    struct run_order *order; /* owned; only where a frame is not sorted in itself */
    uint32_t n_order;
    struct packet_view packet;
    uint64_t number;
};

struct scan {
    struct store *store;
    struct scan_spec spec;
    struct filter_set *filters;
    const struct filter ***by_iface; /* [session][interface]; NULL without a filter */
    struct scan_plan plan;
    struct read_ahead *frames; /* made at the first read: the plan is sorted before */
    struct open_frame current; /* recorded order */
    bool has_current;
    struct time_heap heap; /* time order: of struct open_frame */
    uint64_t open_bytes;
    struct open_frame *given; /* time order: whose packet the caller holds */
    uint64_t packets_read;
    uint64_t position; /* recorded order: number of the last packet looked at */
    uint64_t run_first;
    uint32_t pause_after;
    uint32_t frames_since; /* the last match */
    struct scan_damage damage;
};

static const struct iface unknown_iface = {.name = "?", .link_type = UINT32_MAX};

static const struct filter **filters_of_session(struct scan *scan, const struct store_session *s)
{
    const struct filter **list = x_alloc((s->n_ifaces + 1u) * sizeof *list);

    for (uint32_t i = 0; i < s->n_ifaces; i++) {
        list[i] = filter_set_for(scan->filters, s->ifaces[i].link_type, NULL);
    }
    return list;
}

static int by_first_time(const void *a, const void *b)
{
    const struct plan_frame *x = a;
    const struct plan_frame *y = b;

    if (x->min_ns != y->min_ns) {
        return x->min_ns < y->min_ns ? -1 : 1;
    }
    if (x->session != y->session) {
        return x->session < y->session ? -1 : 1;
    }
    return x->first_number < y->first_number ? -1 : x->first_number > y->first_number;
}

static void count_damaged_sessions(struct scan *scan)
{
    for (size_t i = 0; i < scan->spec.n; i++) {
        const struct store_session *s = &scan->spec.sessions[i];
        if (s->state == STORE_DAMAGED && scan->damage.sessions++ == 0) {
            snprintf(scan->damage.text, sizeof scan->damage.text, "session %s is damaged", s->id);
        }
    }
}

int scan_new(struct store *store, const struct scan_spec *spec, struct scan **out, struct err *err)
{
    struct scan *scan = x_alloc(sizeof *scan);
    bool filtered = spec->filter != NULL && spec->filter[0] != '\0';
    int r = filtered ? filter_set_new(spec->filter, &scan->filters, err) : 0;

    scan->store = store;
    scan->spec = *spec;
    r = r < 0 ? r : scan_plan_make(store, spec, scan->filters, &scan->plan, err);
    if (r < 0) {
        scan_free(scan);
        return r;
    }
    if (filtered) {
        scan->by_iface = x_alloc(spec->n * sizeof *scan->by_iface);
        for (size_t i = 0; i < spec->n; i++) {
            scan->by_iface[i] = filters_of_session(scan, &spec->sessions[i]);
        }
    }
    if (spec->time_order && scan->plan.n_frames > 1) {
        qsort(scan->plan.frames, scan->plan.n_frames, sizeof *scan->plan.frames, by_first_time);
    }
    count_damaged_sessions(scan);
    *out = scan;
    return 0;
}

static void open_frame_deinit(struct open_frame *f)
{
    mem_free(f->copy);
    mem_free(f->order);
}

void scan_free(struct scan *scan)
{
    if (scan == NULL) {
        return;
    }
    for (size_t i = 0; scan->by_iface != NULL && i < scan->spec.n; i++) {
        mem_free(scan->by_iface[i]);
    }
    for (size_t i = 0; i < scan->heap.n; i++) {
        open_frame_deinit(scan->heap.nodes[i].item);
        mem_free(scan->heap.nodes[i].item);
    }
    read_ahead_free(scan->frames);
    open_frame_deinit(&scan->current);
    mem_free(scan->by_iface);
    time_heap_deinit(&scan->heap);
    filter_set_free(scan->filters);
    scan_plan_deinit(&scan->plan);
    mem_free(scan);
}

static void count_damage(struct scan *scan, const struct plan_frame *f, const struct err *why)
{
    if (why->code == ERR_NOT_FOUND &&
        !scan_plan_names(scan->store, &scan->plan.segments[f->segment])) {
        scan->damage.gone_packets += f->n_packets;
        return;
    }
    if (scan->damage.frames++ == 0) {
        snprintf(scan->damage.text, sizeof scan->damage.text, "session %s: %.180s",
                 scan->spec.sessions[f->session].id, why->text);
    }
    scan->damage.packets += f->n_packets;
}

static size_t next_index(const struct scan *scan)
{
    return scan->frames == NULL ? 0 : read_ahead_at(scan->frames);
}

/* The next intact frame of the plan; damaged and deleted ones are counted and left out when `skip`,
 * else they give *raw = NULL. 1, 0 at the end, or an error that ends the scan. */
static int read_frame(struct scan *scan, bool skip, const struct plan_frame **f,
                      const uint8_t **raw, struct err *err)
{
    if (scan->frames == NULL) {
        scan->frames = read_ahead_new(scan->store, &scan->plan);
    }
    for (;;) {
        struct err why = {0};
        int r = read_ahead_next(scan->frames, f, raw, &why);
        if (r == 0) {
            return 0;
        }
        scan->packets_read += (*f)->n_packets;
        if (r > 0) {
            return 1;
        }
        if (r != ERR_DAMAGED && r != ERR_NOT_FOUND && r != ERR_NOT_A_STORE && r != ERR_IO) {
            return err_set(err, r, "session %s: %s", scan->spec.sessions[(*f)->session].id,
                           why.text);
        }
        count_damage(scan, *f, &why);
        if (!skip) {
            *raw = NULL;
            return 1;
        }
    }
}

static const struct iface *iface_of(const struct scan *scan, const struct open_frame *f)
{
    const struct store_session *s = &scan->spec.sessions[f->frame->session];

    return f->packet.iface < s->n_ifaces ? &s->ifaces[f->packet.iface] : &unknown_iface;
}

static bool matches(const struct scan *scan, const struct open_frame *f)
{
    const struct packet_view *p = &f->packet;

    if (p->time_ns < scan->spec.from_ns || p->time_ns > scan->spec.to_ns ||
        f->number <= scan->spec.after) {
        return false;
    }
    if (scan->by_iface == NULL) {
        return true;
    }
    const struct store_session *s = &scan->spec.sessions[f->frame->session];
    const struct filter *filter =
        p->iface < s->n_ifaces ? scan->by_iface[f->frame->session][p->iface] : NULL;
    return filter != NULL && filter_matches(filter, p);
}

/* The next packet of the frame, sorted or as it lies. 1 or 0; ERR_DAMAGED when its bytes are no run
 * of packets. */
static int step(struct open_frame *f)
{
    if (f->order != NULL) {
        if (f->index == f->n_order) {
            return 0;
        }
        const struct run_order *o = &f->order[f->index++];
        struct block_cursor one = block_cursor(f->raw + o->offset, f->frame->raw_len - o->offset);
        f->number = f->frame->first_number + o->index;
        return block_next(&one, &f->packet);
    }
    f->number = f->frame->first_number + f->index++;
    return block_next(&f->cursor, &f->packet);
}

static int step_to_match(struct scan *scan, struct open_frame *f)
{
    int r;

    while ((r = step(f)) > 0) {
        if (matches(scan, f)) {
            return 1;
        }
    }
    if (r < 0) {
        struct err why = {.code = ERR_DAMAGED, .text = "a frame is not a run of packets"};
        count_damage(scan, f->frame, &why);
    }
    return 0;
}

static void give(const struct scan *scan, const struct open_frame *f, struct scan_packet *out)
{
    out->view = f->packet;
    out->session = &scan->spec.sessions[f->frame->session];
    out->iface = iface_of(scan, f);
    out->number = f->number;
}

static int next_recorded(struct scan *scan, struct scan_packet *out, struct err *err)
{
    for (;;) {
        if (scan->has_current && step_to_match(scan, &scan->current) > 0) {
            give(scan, &scan->current, out);
            scan->position = out->number;
            scan->frames_since = 0;
            return 1;
        }
        if (scan->has_current) {
            const struct plan_frame *done = scan->current.frame;
            scan->position = done->first_number + done->n_packets - 1;
        }
        scan->has_current = false;
        if (scan->pause_after > 0 && scan->frames_since == scan->pause_after) {
            scan->frames_since = 0;
            return SCAN_PAUSED;
        }
        scan->frames_since++;
        const struct plan_frame *f = NULL;
        const uint8_t *raw = NULL;
        int r = read_frame(scan, true, &f, &raw, err);
        if (r <= 0) {
            return r;
        }
        scan->current =
            (struct open_frame){.frame = f, .raw = raw, .cursor = block_cursor(raw, f->raw_len)};
        scan->has_current = true;
    }
}

static int by_time(const void *a, const void *b)
{
    const struct run_order *x = a;
    const struct run_order *y = b;

    if (x->time_ns != y->time_ns) {
        return x->time_ns < y->time_ns ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

/* A frame that is not sorted in itself gets an order of its packets; most are, and get none. */
static void sort_frame(struct open_frame *f)
{
    struct block_cursor cursor = f->cursor;
    struct packet_view p;
    uint64_t last = 0;
    uint32_t n = 0;
    bool sorted = true;
    int r;

    for (; (r = block_next(&cursor, &p)) > 0; n++) {
        sorted = sorted && p.time_ns >= last;
        last = p.time_ns;
    }
    if (sorted || r < 0) {
        return; /* what is no run is found out when it is read */
    }
    f->order = x_alloc(n * sizeof *f->order);
    f->n_order = n;
    cursor = f->cursor;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)(cursor.p - f->raw);
        block_next(&cursor, &p);
        f->order[i] = (struct run_order){p.time_ns, at, i};
    }
    qsort(f->order, n, sizeof *f->order, by_time);
}

static struct time_node node_of(struct open_frame *f)
{
    return (struct time_node){
        .time_ns = f->packet.time_ns, .rank = f->frame->session, .number = f->number, .item = f};
}

static void close_frame(struct scan *scan, struct open_frame *f)
{
    scan->open_bytes -= f->frame->raw_len;
    open_frame_deinit(f);
    mem_free(f);
}

static int open_next(struct scan *scan, struct err *err)
{
    const struct plan_frame *plan = NULL;
    const uint8_t *raw = NULL;
    int r = read_frame(scan, false, &plan, &raw, err);

    if (r <= 0 || raw == NULL) {
        return r < 0 ? r : 0;
    }
    if (scan->open_bytes + plan->raw_len > OPEN_BYTES_MAX) {
        return err_set(err, ERR_LIMIT,
                       "more than 1 GiB of packets overlap in time: ask for a shorter --from/--to, "
                       "or for one session at a time, which keeps the recorded order");
    }
    struct open_frame *f = x_alloc(sizeof *f);
    f->frame = plan;
    f->copy = x_alloc(plan->raw_len);
    memcpy(f->copy, raw, plan->raw_len);
    f->raw = f->copy;
    f->cursor = block_cursor(f->raw, plan->raw_len);
    scan->open_bytes += plan->raw_len;
    sort_frame(f);
    if (step_to_match(scan, f) > 0) {
        const struct time_node node = node_of(f);
        time_heap_push(&scan->heap, &node);
    } else {
        close_frame(scan, f);
    }
    return 0;
}

/* Lets go of the packet that the caller had, so its frame moves on. */
static void advance_given(struct scan *scan)
{
    if (scan->given == NULL) {
        return;
    }
    scan->given = NULL;
    struct open_frame *top = scan->heap.nodes[0].item;
    if (step_to_match(scan, top) == 0) {
        time_heap_pop(&scan->heap);
        close_frame(scan, top);
        return;
    }
    scan->heap.nodes[0] = node_of(top);
    time_heap_settle(&scan->heap);
}

static int next_in_time(struct scan *scan, struct scan_packet *out, struct err *err)
{
    advance_given(scan);
    while (next_index(scan) < scan->plan.n_frames &&
           (scan->heap.n == 0 ||
            scan->plan.frames[next_index(scan)].min_ns <= scan->heap.nodes[0].time_ns)) {
        int r = open_next(scan, err);
        if (r < 0) {
            return r;
        }
    }
    if (scan->heap.n == 0) {
        return 0;
    }
    scan->given = scan->heap.nodes[0].item;
    give(scan, scan->given, out);
    return 1;
}

int scan_next(struct scan *scan, struct scan_packet *out, struct err *err)
{
    return scan->spec.time_order ? next_in_time(scan, out, err) : next_recorded(scan, out, err);
}

void scan_pause_after(struct scan *scan, uint32_t frames)
{
    scan->pause_after = frames;
}

uint64_t scan_position(const struct scan *scan)
{
    return scan->position > scan->spec.after ? scan->position : scan->spec.after;
}

bool scan_is_whole(const struct scan *scan)
{
    return scan->spec.after == 0 && scan->filters == NULL && scan->spec.fields == NULL &&
           !scan->spec.time_order && scan->spec.from_ns == 0 && scan->spec.to_ns == UINT64_MAX;
}

int scan_next_run(struct scan *scan, const uint8_t **raw, size_t *n,
                  const struct store_session **session, struct err *err)
{
    const struct plan_frame *f = NULL;

    REQUIRE(scan_is_whole(scan));
    int r = read_frame(scan, true, &f, raw, err);
    if (r > 0) {
        *n = f->raw_len;
        *session = &scan->spec.sessions[f->session];
        scan->run_first = f->first_number;
        scan->position = f->first_number + f->n_packets - 1;
    }
    return r;
}

uint64_t scan_run_bytes(const struct scan *scan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < scan->plan.n_frames; i++) {
        bytes += scan->plan.frames[i].raw_len;
    }
    return bytes;
}

/* The plan without its first n frames. */
static void leave_out(struct scan *scan, size_t n)
{
    struct scan_plan *plan = &scan->plan;

    for (size_t i = 0; i < n; i++) {
        scan->packets_read += plan->frames[i].n_packets;
    }
    if (n > 0) {
        plan->n_frames -= n;
        memmove(plan->frames, plan->frames + n, plan->n_frames * sizeof *plan->frames);
    }
}

uint64_t scan_skip_runs(struct scan *scan, uint64_t bytes)
{
    const struct scan_plan *plan = &scan->plan;
    uint64_t skipped = 0;
    size_t n = 0;

    REQUIRE(scan_is_whole(scan) && scan->frames == NULL);
    while (n < plan->n_frames && skipped + plan->frames[n].raw_len <= bytes) {
        skipped += plan->frames[n++].raw_len;
    }
    leave_out(scan, n);
    return skipped;
}

uint64_t scan_skip_to(struct scan *scan, uint64_t number)
{
    const struct scan_plan *plan = &scan->plan;
    size_t n = 0;

    REQUIRE(scan_is_whole(scan) && scan->frames == NULL && scan->spec.n == 1);
    while (n < plan->n_frames &&
           plan->frames[n].first_number + plan->frames[n].n_packets <= number) {
        n++;
    }
    leave_out(scan, n);
    return plan->n_frames == 0 ? 0 : plan->frames[0].first_number;
}

uint64_t scan_run_first(const struct scan *scan)
{
    return scan->run_first;
}

uint64_t scan_last_number(const struct scan *scan)
{
    const struct scan_plan *plan = &scan->plan;
    const struct plan_frame *last = plan->n_frames == 0 ? NULL : &plan->frames[plan->n_frames - 1];

    return last == NULL ? 0 : last->first_number + last->n_packets - 1;
}

int scan_count(struct scan *scan, uint64_t *count, struct err *err)
{
    struct scan_packet packet;
    uint64_t n = 0;
    int r;

    if (scan->filters == NULL && scan->spec.after == 0 && scan->spec.from_ns == 0 &&
        scan->spec.to_ns == UINT64_MAX) {
        *count = scan->plan.packets;
        return 0;
    }
    scan->spec.time_order = false; /* the sum is the same, and cheaper */
    while ((r = next_recorded(scan, &packet, err)) > 0) {
        n++;
    }
    *count = n;
    return r;
}

const struct scan_damage *scan_damage(const struct scan *scan)
{
    return &scan->damage;
}

void scan_progress(const struct scan *scan, uint64_t *done, uint64_t *total)
{
    *done = scan->packets_read;
    *total = scan->plan.packets;
}

void scan_frames(const struct scan *scan, uint64_t *all, uint64_t *candidates)
{
    *all = scan->plan.all_frames;
    *candidates = scan->plan.n_frames;
}
