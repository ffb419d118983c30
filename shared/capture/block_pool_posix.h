/* SPDX-License-Identifier: Apache-2.0
 *
 * Recycles blocks, so that a running capture allocates nothing. The last one used is the first one
 * given out again: its memory is still in the processor's cache, and blocks that only a peak needed
 * are never touched again. What is in use is bounded by the lanes' queues; what is idle by `keep`.
 */
#pragma once

#include <stdint.h>

#include "shared/packet/block.h"

struct block_pool;

/* block_bytes: capacity of each block; keep: idle blocks that are held back. */
struct block_pool *block_pool_new(uint32_t block_bytes, uint32_t keep);
/* All blocks must have come back. Takes NULL. */
void block_pool_free(struct block_pool *pool);

/* An empty block with room for `need` bytes, one reference; it comes back by itself with the last
 * one. A need beyond block_bytes gets a block of its own that is freed after use. NULL when there
 * is no memory. */
struct block *block_pool_get(struct block_pool *pool, uint32_t need);
