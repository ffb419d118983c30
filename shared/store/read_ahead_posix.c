/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/read_ahead.h"

#include <pthread.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/store/segment_file.h"

#define WORKERS_MAX 4u
#define SLOTS_MAX   (WORKERS_MAX + 2u)
/* Below this many frames the threads would cost more than they save. */
#define WORTH_FRAMES 16u

/* Everything that decoding one frame needs, so that slots never share. */
struct slot {
    struct segment_reader reader;
    uint32_t segment; /* index + 1 of the one that reader has open; 0 = none */
    struct frame_decoder *decoder;
    const uint8_t *raw;
    int result;
    struct err err;
    bool done;
};

struct read_ahead {
    const struct store *store;
    const struct scan_plan *plan;
    pthread_mutex_t lock;
    pthread_cond_t work; /* a slot became free, or the end */
    pthread_cond_t done; /* a slot is decoded */
    pthread_t threads[WORKERS_MAX];
    uint32_t n_threads;
    uint32_t n_slots;
    struct slot slots[SLOTS_MAX];
    size_t taken; /* next frame for a worker; with lock */
    size_t given; /* next frame for the caller; moved by the caller alone, with lock */
    bool holding; /* the caller still uses the frame before `given` */
    bool stop;
};

static int open_segment(struct read_ahead *a, struct slot *slot, uint32_t segment)
{
    if (slot->segment == segment + 1) {
        return 0;
    }
    segment_reader_close(&slot->reader);
    slot->segment = 0;
    const struct catalogue_segment *g = &a->plan->segments[segment];
    int r = segment_reader_open(a->store, g->file, g->id, &slot->reader, &slot->err);
    slot->segment = r == 0 ? segment + 1 : 0;
    return r;
}

static void decode(struct read_ahead *a, struct slot *slot, const struct plan_frame *f)
{
    struct frame_header h;
    int r = open_segment(a, slot, f->segment);

    r = r < 0 ? r
              : segment_reader_frame(&slot->reader, slot->decoder, f->offset, &h, &slot->raw,
                                     &slot->err);
    /* The seal vouches for the number, so frames that changed places are seen. */
    if (r == 0 && (h.kind != FRAME_PACKETS || h.number != f->number || h.raw_len != f->raw_len ||
                   h.n_packets != f->n_packets)) {
        r = err_set(&slot->err, ERR_DAMAGED,
                    "the frame at byte %llu is not the one in the catalogue",
                    (unsigned long long)f->offset);
    }
    slot->result = r;
}

/* A slot is free for frame i once the caller is done with frame i - n_slots. */
static bool may_take(const struct read_ahead *a)
{
    size_t in_use = a->given - (a->holding ? 1 : 0);

    return a->taken < a->plan->n_frames && a->taken < in_use + a->n_slots;
}

static void *work(void *arg)
{
    struct read_ahead *a = arg;

    pthread_mutex_lock(&a->lock);
    while (!a->stop && a->taken < a->plan->n_frames) {
        if (!may_take(a)) {
            pthread_cond_wait(&a->work, &a->lock);
            continue;
        }
        size_t i = a->taken++;
        struct slot *slot = &a->slots[i % a->n_slots];
        slot->done = false;
        pthread_mutex_unlock(&a->lock);
        decode(a, slot, &a->plan->frames[i]);
        pthread_mutex_lock(&a->lock);
        slot->done = true;
        pthread_cond_broadcast(&a->done);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

struct read_ahead *read_ahead_new(const struct store *store, const struct scan_plan *plan)
{
    struct read_ahead *a = x_alloc(sizeof *a);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t wanted = cores < 2 || plan->n_frames < WORTH_FRAMES ? 0 : (uint32_t)cores;

    a->store = store;
    a->plan = plan;
    wanted = wanted > WORKERS_MAX ? WORKERS_MAX : wanted;
    a->n_slots = wanted == 0 ? 1 : wanted + 2; /* alone, one frame is read over the other */
    for (uint32_t i = 0; i < a->n_slots; i++) {
        a->slots[i].reader.fd = -1;
        a->slots[i].decoder = frame_decoder_new();
    }
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->work, NULL);
    pthread_cond_init(&a->done, NULL);
    while (a->n_threads < wanted && pthread_create(&a->threads[a->n_threads], NULL, work, a) == 0) {
        a->n_threads++;
    }
    return a;
}

void read_ahead_free(struct read_ahead *a)
{
    if (a == NULL) {
        return;
    }
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_broadcast(&a->work);
    pthread_mutex_unlock(&a->lock);
    for (uint32_t i = 0; i < a->n_threads; i++) {
        pthread_join(a->threads[i], NULL);
    }
    for (uint32_t i = 0; i < a->n_slots; i++) {
        segment_reader_close(&a->slots[i].reader);
        frame_decoder_free(a->slots[i].decoder);
    }
    pthread_cond_destroy(&a->work);
    pthread_cond_destroy(&a->done);
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
}

size_t read_ahead_at(const struct read_ahead *a)
{
    return a->given;
}

/* Lets go of the last frame and waits for the next one. */
static struct slot *wait_for_next(struct read_ahead *a)
{
    pthread_mutex_lock(&a->lock);
    a->holding = false;
    pthread_cond_broadcast(&a->work);
    struct slot *slot = &a->slots[a->given % a->n_slots];
    while (a->taken <= a->given || !slot->done) {
        pthread_cond_wait(&a->done, &a->lock);
    }
    a->given++;
    a->holding = true;
    pthread_mutex_unlock(&a->lock);
    return slot;
}

int read_ahead_next(struct read_ahead *a, const struct plan_frame **frame, const uint8_t **raw,
                    struct err *err)
{
    if (a->given == a->plan->n_frames) {
        return 0;
    }
    *frame = &a->plan->frames[a->given];
    struct slot *slot;
    if (a->n_threads > 0) {
        slot = wait_for_next(a);
    } else {
        slot = &a->slots[a->given++ % a->n_slots];
        decode(a, slot, *frame);
    }
    *raw = slot->raw;
    if (slot->result < 0 && err != NULL) {
        *err = slot->err;
    }
    return slot->result < 0 ? slot->result : 1;
}
