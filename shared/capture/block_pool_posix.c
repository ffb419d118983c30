/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/block_pool_posix.h"

#include <pthread.h>

#include "shared/base/mem.h"

struct block_pool {
    pthread_mutex_t mutex;
    struct block *idle;
    uint32_t n_idle;
    uint32_t keep;
    uint32_t block_bytes;
    uint32_t n_out; /* given out and not yet back */
};

struct block_pool *block_pool_new(uint32_t block_bytes, uint32_t keep)
{
    struct block_pool *pool = x_alloc(sizeof *pool);

    pthread_mutex_init(&pool->mutex, NULL);
    pool->block_bytes = block_bytes;
    pool->keep = keep;
    return pool;
}

void block_pool_free(struct block_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    REQUIRE(pool->n_out == 0);
    while (pool->idle != NULL) {
        struct block *block = pool->idle;
        pool->idle = block->next;
        block_free(block);
    }
    pthread_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

static void come_back(struct block *block, void *arg)
{
    struct block_pool *pool = arg;
    bool kept;

    pthread_mutex_lock(&pool->mutex);
    pool->n_out--;
    kept = block->cap == pool->block_bytes && pool->n_idle < pool->keep;
    if (kept) {
        block->next = pool->idle;
        pool->idle = block;
        pool->n_idle++;
    }
    pthread_mutex_unlock(&pool->mutex);
    if (!kept) {
        block_free(block);
    }
}

struct block *block_pool_get(struct block_pool *pool, uint32_t need)
{
    struct block *block = NULL;

    pthread_mutex_lock(&pool->mutex);
    if (need <= pool->block_bytes && pool->idle != NULL) {
        block = pool->idle;
        pool->idle = block->next;
        pool->n_idle--;
    }
    pool->n_out++;
    pthread_mutex_unlock(&pool->mutex);
    if (block != NULL) {
        block_reset(block);
        block->next = NULL;
        return block;
    }
    block = block_new(need > pool->block_bytes ? need : pool->block_bytes);
    if (block == NULL) {
        pthread_mutex_lock(&pool->mutex);
        pool->n_out--;
        pthread_mutex_unlock(&pool->mutex);
        return NULL;
    }
    block->release = come_back;
    block->release_arg = pool;
    return block;
}
