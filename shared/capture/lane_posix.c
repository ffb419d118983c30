/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/lane_posix.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

#define MS_NS 1000000u

struct item {
    struct block *block; /* a reference of ours */
    uint32_t n_ifaces;
};

struct lane {
    struct consumer *consumer;
    const struct iface *ifaces;
    uint32_t known_ifaces; /* announced to the consumer; lane thread alone */
    uint32_t queue_bytes;
    bool may_wait;
    pthread_t thread;
    uint64_t next_tick_ns; /* lane thread alone */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;   /* to the lane: an item, or the end */
    pthread_cond_t change; /* from the lane: room, begun, finished */
    struct item *ring;
    uint32_t size;
    uint32_t head;
    uint32_t n;
    uint64_t bytes;
    bool begun;
    bool ending;
    bool finished;
    struct lane_end end;
    struct ledger *told; /* not yet handed on; NULL = nothing new */
    uint32_t n_told;
    uint64_t told_ns;
    struct err err;
    int code; /* the consumer's first error */

    atomic_bool failed;
    atomic_uint_fast64_t lost;
};

static struct timespec after_ns(uint64_t ns)
{
    uint64_t at = clock_monotonic_ns() + ns;

    return (struct timespec){.tv_sec = (time_t)(at / 1000000000u),
                             .tv_nsec = (long)(at % 1000000000u)};
}

static void note_result(struct lane *lane, int code, const struct err *err)
{
    if (code >= 0 || lane->code < 0) {
        return;
    }
    pthread_mutex_lock(&lane->mutex);
    lane->code = code;
    lane->err = *err;
    pthread_mutex_unlock(&lane->mutex);
    atomic_store(&lane->failed, true);
}

/* Waits for an item until the next tick is due. False with *ended when there will be none. */
static bool next_item(struct lane *lane, struct item *item, struct consumer_load *load, bool *ended)
{
    bool got = false;

    pthread_mutex_lock(&lane->mutex);
    if (lane->n == 0 && !lane->ending) {
        struct timespec until = after_ns(LANE_TICK_MS * (uint64_t)MS_NS);
        while (lane->n == 0 && !lane->ending &&
               pthread_cond_timedwait(&lane->work, &lane->mutex, &until) == 0) {
        }
    }
    if (lane->n > 0) {
        *item = lane->ring[lane->head];
        lane->head = (lane->head + 1) % lane->size;
        lane->n--;
        got = true;
    }
    load->queued = lane->n;
    *ended = !got && lane->ending;
    pthread_mutex_unlock(&lane->mutex);
    return got;
}

/* The block counts as queued until the consumer is done with it: its memory is in use. */
static void release_item(struct lane *lane, struct item *item)
{
    uint32_t cap = item->block->cap;

    block_unref(item->block);
    pthread_mutex_lock(&lane->mutex);
    lane->bytes -= cap;
    pthread_cond_signal(&lane->change);
    pthread_mutex_unlock(&lane->mutex);
}

static bool drops_queue(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    bool drop = lane->ending && lane->end.drop_queue;
    pthread_mutex_unlock(&lane->mutex);
    return drop;
}

static void consume(struct lane *lane, struct item *item, const struct consumer_load *load)
{
    const struct consumer_ops *ops = lane->consumer->ops;
    struct err err = {0};
    int code = 0;

    if (atomic_load(&lane->failed) || drops_queue(lane)) {
        lane_lose(lane, item->block->n_packets);
        return;
    }
    if (item->n_ifaces > lane->known_ifaces) {
        code = ops->ifaces(lane->consumer, lane->ifaces, item->n_ifaces, &err);
        lane->known_ifaces = item->n_ifaces;
    }
    if (code >= 0) {
        code = ops->block(lane->consumer, item->block, load, &err);
    }
    note_result(lane, code, &err);
}

static void hand_on_counters(struct lane *lane)
{
    struct err err = {0};

    pthread_mutex_lock(&lane->mutex);
    struct ledger *told = lane->told;
    uint32_t n = lane->n_told;
    uint64_t at_ns = lane->told_ns;
    lane->told = NULL;
    pthread_mutex_unlock(&lane->mutex);
    if (told != NULL) {
        note_result(lane, consumer_counters(lane->consumer, told, n, at_ns, &err), &err);
    }
    mem_free(told);
}

static void tick_when_due(struct lane *lane)
{
    uint64_t now = clock_monotonic_ns();
    struct err err = {0};

    if (now < lane->next_tick_ns || atomic_load(&lane->failed)) {
        return;
    }
    lane->next_tick_ns = now + LANE_TICK_MS * (uint64_t)MS_NS;
    note_result(lane, consumer_tick(lane->consumer, now, &err), &err);
    hand_on_counters(lane);
}

static void set_flag(struct lane *lane, bool *flag)
{
    pthread_mutex_lock(&lane->mutex);
    *flag = true;
    pthread_cond_broadcast(&lane->change);
    pthread_mutex_unlock(&lane->mutex);
}

static void finish(struct lane *lane)
{
    struct err err = {0};

    pthread_mutex_lock(&lane->mutex);
    struct lane_end end = lane->end;
    pthread_mutex_unlock(&lane->mutex);
    end.total.store = atomic_load(&lane->lost);
    int code =
        consumer_finish(lane->consumer, end.ledgers, end.n_ledgers, &end.total, end.ended_ns, &err);
    note_result(lane, code, &err);
}

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    struct consumer_load load = {.limit = lane->queue_bytes / BLOCK_BYTES_DEFAULT,
                                 .may_wait = lane->may_wait};
    struct err err = {0};
    bool ended = false;

    note_result(lane,
                lane->consumer->ops->begin(lane->consumer, lane->ifaces, lane->known_ifaces, &err),
                &err);
    bool started = !atomic_load(&lane->failed);
    set_flag(lane, &lane->begun);
    while (started && !ended) {
        struct item item;

        if (next_item(lane, &item, &load, &ended)) {
            consume(lane, &item, &load);
            release_item(lane, &item);
        }
        tick_when_due(lane);
    }
    if (started) {
        finish(lane);
    }
    set_flag(lane, &lane->finished);
    return NULL;
}

static void init_sync(struct lane *lane)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&lane->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lane->work, &attr);
    pthread_cond_init(&lane->change, &attr);
    pthread_condattr_destroy(&attr);
}

static void lane_free(struct lane *lane)
{
    pthread_mutex_destroy(&lane->mutex);
    pthread_cond_destroy(&lane->work);
    pthread_cond_destroy(&lane->change);
    mem_free(lane->told);
    mem_free(lane->ring);
    mem_free(lane);
}

int lane_start(const struct lane_opts *opts, struct lane **out, struct err *err)
{
    struct lane *lane = x_alloc(sizeof *lane);

    lane->consumer = opts->consumer;
    lane->ifaces = opts->ifaces;
    lane->known_ifaces = opts->n_ifaces;
    lane->queue_bytes = opts->queue_bytes;
    lane->may_wait = opts->may_wait;
    lane->size = opts->queue_bytes / BLOCK_BYTES_MIN + 1;
    lane->ring = x_alloc(lane->size * sizeof *lane->ring);
    init_sync(lane);
    int errnum = pthread_create(&lane->thread, NULL, lane_main, lane);
    if (errnum != 0) {
        lane_free(lane);
        return err_errno(err, errnum, "cannot start a thread");
    }
    pthread_mutex_lock(&lane->mutex);
    while (!lane->begun) {
        pthread_cond_wait(&lane->change, &lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
    if (atomic_load(&lane->failed)) {
        return lane_join(lane, err);
    }
    *out = lane;
    return 0;
}

static bool has_room_for(const struct lane *lane, uint32_t cap)
{
    return lane->n < lane->size && (lane->bytes == 0 || lane->bytes + cap <= lane->queue_bytes);
}

bool lane_offer(struct lane *lane, struct block *block, uint32_t n_ifaces)
{
    if (atomic_load(&lane->failed)) {
        lane_lose(lane, block->n_packets);
        return true;
    }
    pthread_mutex_lock(&lane->mutex);
    bool room = has_room_for(lane, block->cap);
    if (room) {
        lane->ring[(lane->head + lane->n) % lane->size] =
            (struct item){.block = block_ref(block), .n_ifaces = n_ifaces};
        lane->n++;
        lane->bytes += block->cap;
        pthread_cond_signal(&lane->work);
    }
    pthread_mutex_unlock(&lane->mutex);
    return room;
}

bool lane_has_room(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    bool room = has_room_for(lane, BLOCK_BYTES_DEFAULT);
    pthread_mutex_unlock(&lane->mutex);
    return room || atomic_load(&lane->failed);
}

void lane_wait_for_room(struct lane *lane, uint32_t timeout_ms)
{
    struct timespec until = after_ns((uint64_t)timeout_ms * MS_NS);

    pthread_mutex_lock(&lane->mutex);
    if (!has_room_for(lane, BLOCK_BYTES_DEFAULT)) {
        pthread_cond_timedwait(&lane->change, &lane->mutex, &until);
    }
    pthread_mutex_unlock(&lane->mutex);
}

bool lane_is_relaxed(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    bool relaxed = lane->bytes <= lane->queue_bytes / 2;
    pthread_mutex_unlock(&lane->mutex);
    return relaxed;
}

void lane_lose(struct lane *lane, uint64_t packets)
{
    atomic_fetch_add(&lane->lost, packets);
}

struct lane_queue lane_queue(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    struct lane_queue queue = {.bytes = lane->bytes, .limit = lane->queue_bytes};
    pthread_mutex_unlock(&lane->mutex);
    return queue;
}

uint64_t lane_lost(struct lane *lane)
{
    return atomic_load(&lane->lost) + consumer_lost(lane->consumer);
}

bool lane_has_failed(struct lane *lane)
{
    return atomic_load(&lane->failed);
}

const char *lane_stage(const struct lane *lane)
{
    return lane->consumer->ops->name;
}

void lane_tell_counters(struct lane *lane, const struct ledger *ledgers, uint32_t n,
                        uint64_t now_ns)
{
    struct ledger *copy = x_alloc(n * sizeof *copy);

    memcpy(copy, ledgers, n * sizeof *copy);
    pthread_mutex_lock(&lane->mutex);
    mem_free(lane->told);
    lane->told = copy;
    lane->n_told = n;
    lane->told_ns = now_ns;
    pthread_mutex_unlock(&lane->mutex);
}

void lane_end(struct lane *lane, const struct lane_end *end)
{
    pthread_mutex_lock(&lane->mutex);
    lane->end = *end;
    lane->ending = true;
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lane->mutex);
}

bool lane_wait_for_end(struct lane *lane, uint32_t timeout_ms)
{
    struct timespec until = after_ns((uint64_t)timeout_ms * MS_NS);

    pthread_mutex_lock(&lane->mutex);
    while (!lane->finished && pthread_cond_timedwait(&lane->change, &lane->mutex, &until) == 0) {
    }
    bool finished = lane->finished;
    pthread_mutex_unlock(&lane->mutex);
    return finished;
}

int lane_join(struct lane *lane, struct err *err)
{
    pthread_join(lane->thread, NULL);
    int code = lane->code;
    if (code < 0 && err != NULL) {
        *err = lane->err;
    }
    lane_free(lane);
    return code;
}
