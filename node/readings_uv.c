/* SPDX-License-Identifier: Apache-2.0
 *
 * One slot a reading. A slot works (a worker has its reading, for an asker or to have the next
 * chunk ready) or rests, with a chunk at hand. Nothing but the loop looks into a slot that rests,
 * nothing but the worker into the reading of one that works.
 */
#include "node/readings.h"

#include <string.h>

#include <uv.h>

#include "node/metrics.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/mem.h"

#define SWEEP_MS 1000u

struct slot {
    struct readings *readings;
    struct reading *reading; /* NULL: not open */
    bool is_used;
    bool is_working;
    bool closes; /* the work is to close it */
    bool has_asker;
    struct reading_asker asker;
    /* Of the asker: what to open, if that is needed. */
    struct reading_spec spec;
    char *id;
    char *filter;
    char *opens_at; /* owned */
    size_t max_bytes;
    /* The chunk that is at hand, or being made. */
    char cursor[READ_CURSOR_TEXT]; /* which asks for it */
    struct reading_chunk chunk;
    struct err err;
    uint64_t rests_since_ms;
};

struct readings {
    struct node *node;
    uv_timer_t sweep;
    struct slot slots[STORE_DOWNLOADS_MAX];
    unsigned n_used;
    void (*closed)(struct node *node); /* set while closing */
    bool sweep_is_closed;
    uint64_t chunks;
    uint64_t bytes;
    uint64_t opened;
    uint64_t ahead;   /* chunks that were ready when they were asked for */
    uint64_t idle;    /* closed because nobody came */
    uint64_t evicted; /* or to make room */
    uint64_t refused; /* no room */
    uint64_t failed;
};

static void work(struct slot *slot);

/* ---- a slot's life ---- */

static void forget_spec(struct slot *slot)
{
    mem_free(slot->id);
    mem_free(slot->filter);
    mem_free(slot->opens_at);
    slot->id = slot->filter = slot->opens_at = NULL;
}

static void finish_if_closed(struct readings *readings)
{
    struct node *node = readings->node;
    void (*closed)(struct node *) = readings->closed;

    if (closed != NULL && readings->n_used == 0 && readings->sweep_is_closed) {
        mem_free(readings);
        node->readings = NULL;
        closed(node);
    }
}

static void free_slot(struct slot *slot)
{
    struct readings *readings = slot->readings;

    buf_deinit(&slot->chunk.packed);
    forget_spec(slot);
    *slot = (struct slot){.readings = readings};
    readings->n_used--;
    finish_if_closed(readings);
}

static void close_slot(struct slot *slot)
{
    slot->closes = true;
    work(slot);
}

/* The asker, who is told last of all: what he does next may come back here. */
static struct reading_asker take_asker(struct slot *slot)
{
    struct reading_asker asker = slot->asker;

    REQUIRE(slot->has_asker);
    slot->has_asker = false;
    return asker;
}

/* Gives the chunk to who asked, and makes the next one meanwhile. */
static void give(struct slot *slot)
{
    struct readings *readings = slot->readings;
    struct reading_asker asker = take_asker(slot);
    struct buf packed = slot->chunk.packed;

    slot->chunk.packed = (struct buf){0};
    memcpy(slot->cursor, slot->chunk.next, sizeof slot->cursor);
    readings->chunks++;
    readings->bytes += slot->chunk.bytes;
    if (slot->chunk.is_last) {
        close_slot(slot);
    } else {
        work(slot);
    }
    asker.done(asker.arg, &packed, NULL);
    buf_deinit(&packed);
}

/* ---- work ---- */

static void run(void *arg)
{
    struct slot *slot = arg;
    struct node_store *store = slot->readings->node->store;

    if (slot->closes || slot->id != NULL) {
        reading_close(slot->reading);
        slot->reading = NULL;
    }
    if (slot->closes) {
        return;
    }
    int r = slot->id == NULL ? 0 : reading_open(store, &slot->spec, &slot->reading, &slot->err);
    if (r == 0) {
        (void)reading_next(slot->reading, slot->max_bytes, &slot->chunk, &slot->err);
    }
}

static void fail(struct slot *slot)
{
    struct err err = slot->err;
    bool is_awaited = slot->has_asker;
    struct reading_asker asker = is_awaited ? take_asker(slot) : slot->asker;

    slot->readings->failed++;
    slot->err = (struct err){0};
    close_slot(slot);
    if (is_awaited) {
        asker.done(asker.arg, NULL, &err);
    }
}

/* Nobody waits for the chunk: it is kept. */
static void rest(struct slot *slot)
{
    bool was_awaited = slot->has_asker;
    struct reading_asker asker = was_awaited ? take_asker(slot) : slot->asker;

    slot->rests_since_ms = uv_now(slot->readings->node->loop);
    if (slot->readings->closed != NULL) {
        close_slot(slot);
    }
    if (was_awaited) {
        asker.done(asker.arg, NULL, NULL);
    }
}

static void on_done(void *arg, bool cancelled)
{
    struct slot *slot = arg;

    slot->is_working = false;
    forget_spec(slot);
    if (slot->closes) {
        if (cancelled) {
            run(slot);
        }
        free_slot(slot);
        return;
    }
    if (cancelled) {
        err_set(&slot->err, ERR_LIMIT, "the node has too much to do, or ends: try again later");
    }
    if (slot->err.code < 0) {
        fail(slot);
    } else if (slot->has_asker && !slot->asker.is_gone(slot->asker.arg)) {
        give(slot);
    } else {
        rest(slot);
    }
}

static void work(struct slot *slot)
{
    slot->is_working = true;
    if (!work_run(slot->readings->node, run, on_done, slot)) {
        on_done(slot, true);
    }
}

/* ---- asking ---- */

/* The reading whose next chunk this is. */
static struct slot *find(struct readings *readings, const char *cursor, size_t max_bytes)
{
    for (size_t i = 0; cursor != NULL && i < STORE_DOWNLOADS_MAX; i++) {
        struct slot *slot = &readings->slots[i];
        bool fits =
            slot->is_working ? slot->max_bytes <= max_bytes : slot->chunk.bytes <= max_bytes;
        if (slot->is_used && !slot->has_asker && !slot->closes && fits &&
            strcmp(slot->cursor, cursor) == 0) {
            return slot;
        }
    }
    return NULL;
}

static void on_sweep(uv_timer_t *timer);

/* A free slot, else the one that rests longest. */
static struct slot *make_room(struct readings *readings)
{
    struct slot *oldest = NULL;

    for (size_t i = 0; i < STORE_DOWNLOADS_MAX; i++) {
        struct slot *slot = &readings->slots[i];
        if (!slot->is_used) {
            if (readings->n_used++ == 0) {
                uv_timer_start(&readings->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
            }
            return slot;
        }
        if (!slot->is_working &&
            (oldest == NULL || slot->rests_since_ms < oldest->rests_since_ms)) {
            oldest = slot;
        }
    }
    if (oldest != NULL) {
        readings->evicted++;
        buf_deinit(&oldest->chunk.packed);
    }
    return oldest;
}

static void refuse(struct readings *readings, const struct reading_asker *asker)
{
    struct err err = {0};

    readings->refused++;
    err_set(&err, ERR_LIMIT, "%d sessions are being read: try again later", STORE_DOWNLOADS_MAX);
    asker->done(asker->arg, NULL, &err);
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : x_strdup(text);
}

static void open_slot(struct slot *slot, const struct reading_spec *spec)
{
    slot->is_used = true;
    slot->spec = *spec;
    slot->spec.id = slot->id = x_strdup(spec->id);
    slot->spec.filter = slot->filter = copy(spec->filter);
    slot->spec.cursor = slot->opens_at = copy(spec->cursor);
    slot->cursor[0] = '\0';
    if (spec->cursor != NULL && strlen(spec->cursor) < sizeof slot->cursor) {
        memcpy(slot->cursor, spec->cursor, strlen(spec->cursor) + 1);
    }
    slot->readings->opened++;
}

/* A reading is found by its cursor, which says what it is of; that this is what is asked for has to
 * be looked at all the same. */
static bool is_same(const struct reading_spec *spec)
{
    struct read_cursor cursor;

    return read_cursor_read(spec->cursor, &cursor, NULL) == 0 &&
           cursor.what == read_cursor_sum(spec->format, spec->filter) &&
           (strlen(spec->id) != STORE_ID_TEXT - 1 || strcmp(spec->id, cursor.id) == 0);
}

void readings_next(struct node *node, const struct reading_spec *spec, size_t max_bytes,
                   const struct reading_asker *asker)
{
    struct readings *readings = node->readings;
    struct slot *slot = find(readings, spec->cursor, max_bytes);
    bool is_known = slot != NULL && is_same(spec);

    if (!is_known) {
        slot = make_room(readings);
    }
    if (slot == NULL) {
        refuse(readings, asker);
        return;
    }
    slot->asker = *asker;
    slot->has_asker = true;
    if (!is_known) {
        slot->max_bytes = max_bytes;
        open_slot(slot, spec);
        work(slot);
    } else if (!slot->is_working) {
        readings->ahead++;
        slot->max_bytes = max_bytes;
        give(slot);
    }
}

/* ---- the part ---- */

static void on_sweep(uv_timer_t *timer)
{
    struct readings *readings = container_of(timer, struct readings, sweep);
    uint64_t now_ms = uv_now(readings->node->loop);

    for (size_t i = 0; i < STORE_DOWNLOADS_MAX; i++) {
        struct slot *slot = &readings->slots[i];
        if (slot->is_used && !slot->is_working &&
            now_ms - slot->rests_since_ms >= READINGS_IDLE_MS) {
            readings->idle++;
            close_slot(slot);
        }
    }
    if (readings->n_used == 0) {
        uv_timer_stop(timer);
    }
}

int readings_open(struct node *node, struct err *err)
{
    struct readings *readings = x_alloc(sizeof *readings);

    (void)err;
    readings->node = node;
    for (size_t i = 0; i < STORE_DOWNLOADS_MAX; i++) {
        readings->slots[i].readings = readings;
    }
    uv_timer_init(node->loop, &readings->sweep);
    uv_unref((uv_handle_t *)&readings->sweep);
    node->readings = readings;
    return 0;
}

static void on_sweep_closed(uv_handle_t *handle)
{
    struct readings *readings = container_of((uv_timer_t *)handle, struct readings, sweep);

    readings->sweep_is_closed = true;
    finish_if_closed(readings);
}

void readings_close(struct node *node, void (*closed)(struct node *node))
{
    struct readings *readings = node->readings;

    readings->closed = closed;
    for (size_t i = 0; i < STORE_DOWNLOADS_MAX; i++) {
        struct slot *slot = &readings->slots[i];
        if (slot->is_used && !slot->is_working) {
            close_slot(slot);
        }
    }
    uv_close((uv_handle_t *)&readings->sweep, on_sweep_closed);
}

void readings_metrics(struct node *node, struct buf *out)
{
    static const char ended[] = "packetrecorder_readings_ended_total";
    const struct readings *readings = node->readings;

    metrics_family(out, "packetrecorder_readings", "gauge",
                   "Sessions that are open for session.read.");
    metrics_count(out, "packetrecorder_readings", "", readings->n_used);
    metrics_family(out, "packetrecorder_readings_opened_total", "counter",
                   "Readings that were opened, to begin or to go on.");
    metrics_count(out, "packetrecorder_readings_opened_total", "", readings->opened);
    metrics_family(out, ended, "counter", "Readings that ended before their end, by reason.");
    metrics_count(out, ended, "reason=\"idle\"", readings->idle);
    metrics_count(out, ended, "reason=\"room\"", readings->evicted);
    metrics_count(out, ended, "reason=\"failed\"", readings->failed);
    metrics_family(out, "packetrecorder_readings_refused_total", "counter",
                   "Calls of session.read that found no room.");
    metrics_count(out, "packetrecorder_readings_refused_total", "", readings->refused);
    metrics_family(out, "packetrecorder_read_chunks_total", "counter", "Chunks that were given.");
    metrics_count(out, "packetrecorder_read_chunks_total", "ready=\"yes\"", readings->ahead);
    metrics_count(out, "packetrecorder_read_chunks_total", "ready=\"no\"",
                  readings->chunks - readings->ahead);
    metrics_family(out, "packetrecorder_read_bytes_total", "counter",
                   "Bytes of capture files that were given.");
    metrics_count(out, "packetrecorder_read_bytes_total", "", readings->bytes);
}
