/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/frame_pool.h"

#include <pthread.h>

#include "shared/base/mem.h"

#define WORKERS_MAX 8u

struct worker_tools {
    struct frame_encoder *encoder;
    struct index_builder *index;
};

struct frame_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;     /* a job was started, or the end */
    pthread_cond_t finished; /* a job is done */
    pthread_t threads[WORKERS_MAX];
    uint32_t n_threads;
    const uint32_t *link_types;
    struct worker_tools own; /* for frame_pool_redo */
    bool stop;
    /* Slots oldest..next are started; taken counts those that a worker has picked up. */
    uint64_t oldest;
    uint64_t taken;
    uint64_t next;
    uint32_t n_jobs;
    struct frame_job *jobs;
};

static struct worker_tools tools_new(void)
{
    return (struct worker_tools){frame_encoder_new(), index_builder_new()};
}

static void tools_free(struct worker_tools *tools)
{
    frame_encoder_free(tools->encoder);
    index_builder_free(tools->index);
}

static bool have(uint8_t **p, size_t *cap, size_t n)
{
    if (*cap < n) {
        uint8_t *more = try_realloc(*p, n);
        if (more == NULL) {
            return false;
        }
        *p = more;
        *cap = n;
    }
    return true;
}

static void index_job(const struct frame_pool *pool, struct worker_tools *tools,
                      struct frame_job *job)
{
    struct block_cursor cursor = block_cursor(job->raw, job->raw_len);
    struct packet_view packet;
    size_t cap = (size_t)(job->packet_bytes / INDEX_SHARE);

    cap = cap < INDEX_FLOOR ? INDEX_FLOOR : cap;
    job->bloom_n = 0;
    job->tally = (struct protocol_tally){.packets[PROTOCOL_OTHER] = job->n_packets,
                                         .bytes[PROTOCOL_OTHER] = job->packet_bytes};
    if (!have(&job->bloom, &job->bloom_cap, cap)) {
        return; /* no index: the frame will be scanned */
    }
    index_builder_reset(tools->index);
    while (block_next(&cursor, &packet) > 0) {
        index_builder_add(tools->index, &packet,
                          packet.iface < IFACES_MAX ? pool->link_types[packet.iface] : UINT32_MAX);
    }
    job->tally = *index_builder_tally(tools->index);
    job->bloom_n = index_builder_finish(tools->index, job->bloom, cap);
}

static void encode_job(const struct frame_pool *pool, struct worker_tools *tools,
                       struct frame_job *job)
{
    struct frame_header h = {.kind = job->kind, .number = job->number, .n_packets = job->n_packets};

    if (job->kind == FRAME_PACKETS) {
        index_job(pool, tools, job);
    }
    job->out_len = 0;
    if (have(&job->out, &job->out_cap, frame_bound(job->raw_len))) {
        job->out_len = frame_encode(tools->encoder, &h, job->raw, job->raw_len, job->compress,
                                    job->seal, job->out, &job->body);
    }
}

static void *work(void *arg)
{
    struct frame_pool *pool = arg;
    struct worker_tools tools = tools_new();

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->stop && pool->taken == pool->next) {
            pthread_cond_wait(&pool->work, &pool->lock);
        }
        if (pool->taken == pool->next) {
            break;
        }
        struct frame_job *job = &pool->jobs[pool->taken++ % pool->n_jobs];
        pthread_mutex_unlock(&pool->lock);
        encode_job(pool, &tools, job);
        pthread_mutex_lock(&pool->lock);
        job->done = true;
        pthread_cond_broadcast(&pool->finished);
    }
    pthread_mutex_unlock(&pool->lock);
    tools_free(&tools);
    return NULL;
}

struct frame_pool *frame_pool_new(uint32_t workers, const uint32_t *link_types)
{
    struct frame_pool *pool = x_alloc(sizeof *pool);

    pool->n_threads = workers > WORKERS_MAX ? WORKERS_MAX : workers;
    pool->n_jobs = pool->n_threads + 2;
    pool->jobs = x_alloc(pool->n_jobs * sizeof *pool->jobs);
    pool->link_types = link_types;
    pool->own = tools_new();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (uint32_t i = 0; i < pool->n_threads; i++) {
        REQUIRE(pthread_create(&pool->threads[i], NULL, work, pool) == 0);
    }
    return pool;
}

void frame_pool_free(struct frame_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->n_threads; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    for (uint32_t i = 0; i < pool->n_jobs; i++) {
        block_unref(pool->jobs[i].block);
        mem_free(pool->jobs[i].gathered);
        mem_free(pool->jobs[i].out);
        mem_free(pool->jobs[i].bloom);
    }
    tools_free(&pool->own);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->finished);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->jobs);
    mem_free(pool);
}

struct frame_job *frame_pool_next(struct frame_pool *pool)
{
    /* Only the writer moves next and oldest, so it may read them without the lock. */
    return pool->next - pool->oldest < pool->n_jobs ? &pool->jobs[pool->next % pool->n_jobs] : NULL;
}

void frame_pool_start(struct frame_pool *pool, struct frame_job *job)
{
    pthread_mutex_lock(&pool->lock);
    REQUIRE(job == &pool->jobs[pool->next % pool->n_jobs]);
    job->done = false;
    pool->next++;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

struct frame_job *frame_pool_oldest(struct frame_pool *pool, bool wait)
{
    struct frame_job *job = &pool->jobs[pool->oldest % pool->n_jobs];

    if (pool->oldest == pool->next) {
        return NULL;
    }
    pthread_mutex_lock(&pool->lock);
    while (wait && !job->done) {
        pthread_cond_wait(&pool->finished, &pool->lock);
    }
    bool done = job->done;
    pthread_mutex_unlock(&pool->lock);
    return done ? job : NULL;
}

void frame_pool_release(struct frame_pool *pool, struct frame_job *job)
{
    block_unref(job->block);
    job->block = NULL;
    job->raw = NULL;
    if (job->out_cap > 2 * frame_bound(FRAME_RAW_BYTES)) { /* one huge packet is not the rule */
        mem_free(job->out);
        job->out = NULL;
        job->out_cap = 0;
    }
    pthread_mutex_lock(&pool->lock);
    pool->oldest++;
    pthread_mutex_unlock(&pool->lock);
}

void frame_pool_settle(struct frame_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    for (uint64_t i = pool->oldest; i < pool->next; i++) {
        while (!pool->jobs[i % pool->n_jobs].done) {
            pthread_cond_wait(&pool->finished, &pool->lock);
        }
    }
    pthread_mutex_unlock(&pool->lock);
}

void frame_pool_redo(struct frame_pool *pool, struct frame_job *job)
{
    encode_job(pool, &pool->own, job);
}
