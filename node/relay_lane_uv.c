/* SPDX-License-Identifier: Apache-2.0
 *
 * The consumer of a stream's capture, on the thread of its lane: copies sealed blocks into the
 * backlog's segments and wakes the loop. One copy, although a full block could be kept as it is: so
 * the capture's own block goes back to its pool at once, still in the processor's cache, a block
 * that holds three packets takes the room of three packets, and a capture that ends waits for no
 * viewer.
 */
#include "node/relay_internal_uv.h"

#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

/* How often the capture is asked for its counters. */
#define LOOK_NS UINT64_C(1000000000)
/* Segments that are kept for the next push, of those that viewers gave back late. */
#define POOL_KEEP 4

static struct relay_stream *stream_of(struct consumer *c)
{
    return container_of(c, struct relay_stream, consumer);
}

/* Each capture of the stream counts from 0. */
static int lane_begin(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err)
{
    (void)ifaces;
    (void)n;
    (void)err;
    atomic_store(&stream_of(c)->lost, 0);
    return 0;
}

static int lane_ifaces(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err)
{
    (void)c;
    (void)ifaces;
    (void)n;
    (void)err;
    return 0;
}

/* How many whole packets of the run fit into `room`; our own bytes. */
static uint32_t fit(const uint8_t *run, uint32_t len, uint32_t n, uint32_t room, uint32_t *n_fit)
{
    uint32_t taken = 0;

    *n_fit = n;
    if (len <= room) {
        return len;
    }
    for (*n_fit = 0; taken < len; (*n_fit)++) {
        uint32_t one = get_le32(run + taken + 4);
        if (one > room - taken) {
            break;
        }
        taken += one;
    }
    return taken;
}

static bool add_segment(struct relay_stream *stream, uint32_t first_packet)
{
    struct block *fresh = block_pool_get(
        stream->pool, first_packet > RELAY_SEGMENT_BYTES ? first_packet : RELAY_SEGMENT_BYTES);

    if (fresh == NULL) {
        return false;
    }
    uv_mutex_lock(&stream->mutex);
    struct block *gone = relay_ring_push(&stream->ring, fresh);
    uv_mutex_unlock(&stream->mutex);
    while (gone != NULL) {
        struct block *next = gone->next;
        block_unref(gone);
        gone = next;
    }
    return true;
}

/* Only this thread changes the ring, so it reads it without the lock. */
static void append(struct relay_stream *stream, const uint8_t *run, uint32_t len, uint32_t n)
{
    while (len > 0) {
        struct block *last = relay_ring_last(&stream->ring);
        uint32_t n_fit = 0;
        uint32_t bytes = last == NULL ? 0 : fit(run, len, n, last->cap - last->len, &n_fit);

        if (bytes == 0) {
            if (!add_segment(stream, get_le32(run + 4))) {
                atomic_fetch_add(&stream->lost, n);
                return;
            }
            continue;
        }
        memcpy(last->data + last->len, run, bytes);
        last->len += bytes;
        uv_mutex_lock(&stream->mutex);
        relay_ring_publish(&stream->ring, bytes, n_fit);
        uv_mutex_unlock(&stream->mutex);
        run += bytes;
        len -= bytes;
        n -= n_fit;
    }
}

/* Behind append: who sees it may believe that all of the block is there. */
static void note_newest(struct relay_stream *stream, uint64_t max_ns)
{
    uint64_t now_ns = clock_monotonic_ns();

    uv_mutex_lock(&stream->mutex);
    if (max_ns > stream->newest_ns) {
        stream->newest_ns = max_ns;
        stream->newest_at_ns = now_ns;
    }
    uv_mutex_unlock(&stream->mutex);
}

static int lane_block(struct consumer *c, struct block *block, const struct consumer_load *load,
                      struct err *err)
{
    struct relay_stream *stream = stream_of(c);

    (void)load;
    (void)err;
    append(stream, block->data, block->len, block->n_packets);
    note_newest(stream, block->max_ns);
    uv_async_send(&stream->wake);
    return 0;
}

static void keep_ledger(struct relay_stream *stream, const struct ledger *total)
{
    uv_mutex_lock(&stream->mutex);
    stream->ledger = *total;
    uv_mutex_unlock(&stream->mutex);
}

/* The session's own loss ledger, once a second. The capture thread answers also while it waits for
 * this lane, so asking it from here cannot lock up. */
static int lane_tick(struct consumer *c, uint64_t now_ns, struct err *err)
{
    struct relay_stream *stream = stream_of(c);
    struct session *session = atomic_load(&stream->session);
    struct session_counters counters;

    (void)err;
    if (session != NULL && now_ns - stream->looked_at_ns >= LOOK_NS) {
        stream->looked_at_ns = now_ns;
        session_snapshot(session, &counters);
        keep_ledger(stream, &counters.total);
    }
    return 0;
}

static int lane_finish(struct consumer *c, const struct ledger *ledgers, uint32_t n,
                       const struct ledger *total, uint64_t ended_ns, struct err *err)
{
    struct relay_stream *stream = stream_of(c);
    struct ledger all = *total;

    (void)ledgers;
    (void)n;
    (void)ended_ns;
    (void)err;
    all.store += atomic_load(&stream->lost);
    keep_ledger(stream, &all);
    atomic_store(&stream->finished, true);
    uv_async_send(&stream->wake);
    return 0;
}

static uint64_t lane_lost_inside(struct consumer *c)
{
    return atomic_load(&stream_of(c)->lost);
}

static const struct consumer_ops lane_ops = {
    .name = "relay",
    .begin = lane_begin,
    .ifaces = lane_ifaces,
    .block = lane_block,
    .tick = lane_tick,
    .finish = lane_finish,
    .lost = lane_lost_inside,
};

void relay_lane_init(struct relay_stream *stream)
{
    const struct node_options *options = stream->relay->node->options;

    stream->consumer.ops = &lane_ops;
    stream->pool = block_pool_new(RELAY_SEGMENT_BYTES, POOL_KEEP);
    relay_ring_init(&stream->ring, options->backlog_bytes, RELAY_SEGMENT_BYTES);
    REQUIRE(uv_mutex_init(&stream->mutex) == 0);
}

void relay_lane_deinit(struct relay_stream *stream)
{
    relay_ring_deinit(&stream->ring);
    block_pool_free(stream->pool);
    uv_mutex_destroy(&stream->mutex);
}
