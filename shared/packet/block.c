/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/block.h"

#include "shared/base/err.h"
#include "shared/base/mem.h"

struct block *block_new(uint32_t cap)
{
    struct block *block = try_alloc(sizeof *block);

    if (block == NULL) {
        return NULL;
    }
    *block = (struct block){.data = try_alloc(cap), .cap = cap, .min_ns = UINT64_MAX};
    if (block->data == NULL) {
        mem_free(block);
        return NULL;
    }
    atomic_init(&block->refs, 1);
    return block;
}

void block_free(struct block *block)
{
    if (block != NULL) {
        mem_free(block->data);
        mem_free(block);
    }
}

struct block *block_ref(struct block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void block_unref(struct block *block)
{
    if (block == NULL || atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (block->release != NULL) {
        block->release(block, block->release_arg);
    } else {
        block_free(block);
    }
}

void block_reset(struct block *block)
{
    block->len = 0;
    block->n_packets = 0;
    block->min_ns = UINT64_MAX;
    block->max_ns = 0;
    block->packet_bytes = 0;
    atomic_store_explicit(&block->refs, 1, memory_order_relaxed);
}

int block_next(struct block_cursor *cursor, struct packet_view *out)
{
    size_t left = (size_t)(cursor->end - cursor->p);
    const uint8_t *p = cursor->p;

    if (left == 0) {
        return 0;
    }
    if (left < EPB_OVERHEAD || get_le32(p) != EPB_TYPE) {
        return ERR_DAMAGED;
    }
    uint32_t total = get_le32(p + 4);
    uint32_t caplen = get_le32(p + 20);
    if (total > left || total < EPB_OVERHEAD || (total & 3u) != 0 ||
        caplen > total - EPB_OVERHEAD || get_le32(p + total - 4) != total) {
        return ERR_DAMAGED;
    }
    uint32_t padded = (caplen + 3u) & ~3u;
    *out = (struct packet_view){
        .time_ns = (uint64_t)get_le32(p + 12) << 32 | get_le32(p + 16),
        .iface = get_le32(p + 8),
        .caplen = caplen,
        .len = get_le32(p + 24),
        .options_len = total - EPB_OVERHEAD - padded,
        .data = p + 28,
        .options = total - EPB_OVERHEAD - padded > 0 ? p + 28 + padded : NULL,
    };
    cursor->p = p + total;
    return 1;
}
