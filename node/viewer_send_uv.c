/* SPDX-License-Identifier: Apache-2.0
 *
 * What a viewer is sent. pcapng: runs of the backlog from where they lie, several messages in one
 * write. Raw: one message a packet, many of them copied into one buffer.
 */
#include "node/viewer_uv.h"

#include <string.h>

#include "node/relay_frames.h"
#include "node/work.h"
#include "shared/base/mem.h"
#include "shared/wire/ws.h"

/* What one viewer is given in one round, so that a fast one does not keep the others waiting. */
#define ROUND_BYTES (2u * 1024u * 1024u)
/* Raw frames that are fewer bytes than this are copied once more, so that a viewer that stands
 * still does not hold a large buffer for each. */
#define SMALL_BYTES (32u * 1024u)
/* So long after the beginning no packet from before it comes any more, whatever the capture's
 * order; and no longer than this are packets left out by their time, should the clock be set back.
 */
#define SETTLED_NS UINT64_C(500000000)
#define SETTLED_MS 1000

bool viewer_can_send(const struct viewer *viewer)
{
    return viewer->ops != NULL &&
           viewer->in_flight < viewer->stream->relay->node->options->viewer_queue_bytes &&
           viewer->ops->has_room(viewer->peer);
}

/* ---- taking from the backlog -------------------------------------------------------------- */

/* Packets at the front of the run on one side of live_from_ns; *early says which. */
static uint32_t same_side(const struct viewer *viewer, const struct relay_run *run, bool *early,
                          uint32_t *n_packets, uint64_t *last_ns)
{
    uint32_t taken = 0;

    *n_packets = 0;
    while (taken < run->n_bytes) {
        const uint8_t *p = run->data + taken;
        uint64_t time_ns = (uint64_t)get_le32(p + 12) << 32 | get_le32(p + 16);
        bool is_early = time_ns < viewer->live_from_ns;

        if (taken == 0) {
            *early = is_early;
        } else if (is_early != *early) {
            break;
        }
        *last_ns = time_ns;
        taken += get_le32(p + 4);
        (*n_packets)++;
    }
    return taken;
}

/* Leaves out what came before the viewer. True when the run (cut) is to be sent; the cursor
 * stands before it. */
static bool cut_to_live(struct viewer *viewer, struct relay_run *run)
{
    bool early = false;
    uint64_t last_ns = 0;
    uint32_t n_packets = 0;
    uint32_t n_bytes = same_side(viewer, run, &early, &n_packets, &last_ns);

    if (early && relay_now_ms(viewer->stream->relay) - viewer->joined_ms > SETTLED_MS) {
        viewer->live_from_ns = 0;
        return true;
    }
    if (early) {
        relay_cursor_advance(&viewer->cursor, n_bytes, n_packets);
        viewer->has_jumped = true;
        return false;
    }
    run->n_bytes = n_bytes;
    run->n_packets = n_packets;
    if (last_ns >= viewer->live_from_ns + SETTLED_NS ||
        relay_now_ms(viewer->stream->relay) - viewer->joined_ms > SETTLED_MS) {
        viewer->live_from_ns = 0;
    }
    return true;
}

/* One run at the cursor, with a reference; the loss before it is counted. */
static bool next_run(struct viewer *viewer, struct relay_run *run)
{
    struct relay_stream *stream = viewer->stream;

    for (;;) {
        uv_mutex_lock(&stream->mutex);
        uint64_t lost = relay_ring_skip(&stream->ring, &viewer->cursor);
        bool found = relay_ring_peek(&stream->ring, &viewer->cursor, run);
        uv_mutex_unlock(&stream->mutex);
        viewer_count_lost(viewer, lost);
        if (!found || viewer->live_from_ns == 0 || cut_to_live(viewer, run)) {
            return found;
        }
        block_unref(run->block);
    }
}

/* Cuts the run to whole packets that the peer has room for; one, however large, where it has
 * nothing else. False: no more of it now. */
static bool cut_to_room(const struct viewer *viewer, const struct viewer_write *write,
                        struct relay_run *run)
{
    size_t used = write->held + viewer->pending.len;
    size_t left = viewer->room > used ? viewer->room - used : 0;
    uint32_t taken = 0;
    uint32_t n = 0;

    if (viewer->room == 0 || run->n_bytes <= left) {
        return true;
    }
    while (taken < run->n_bytes) {
        uint32_t one = get_le32(run->data + taken + 4);
        if (taken + one > left && (n > 0 || write->n > 0)) {
            break;
        }
        taken += one;
        n++;
    }
    run->n_bytes = taken;
    run->n_packets = n;
    return n > 0;
}

/* Statistics tell the place in the stream where they stand, so a loss ends the batch before it. */
bool viewer_take_runs(struct viewer *viewer, struct viewer_write *write)
{
    struct relay_run run;

    /* Deflating takes long: others want the worker too. */
    unsigned most = viewer->deflate != NULL ? 1 : VIEWER_RUNS_MAX;

    viewer_tell(viewer, false);
    while (write->n < most && next_run(viewer, &run)) {
        if (viewer->lost_untold > 0 || viewer->has_jumped) {
            if (write->n > 0) {
                block_unref(run.block);
                break;
            }
            viewer_tell(viewer, false);
        }
        if (!cut_to_room(viewer, write, &run)) {
            block_unref(run.block);
            break;
        }
        relay_cursor_advance(&viewer->cursor, run.n_bytes, run.n_packets);
        write->blocks[write->n] = run.block;
        write->data[write->n] = run.data;
        write->n_bytes[write->n++] = run.n_bytes;
        write->n_packets += run.n_packets;
        write->held += run.n_bytes;
    }
    write->own = viewer->pending;
    viewer->pending = (struct buf){0};
    return write->n > 0 || write->own.len > 0;
}

/* ---- writing ------------------------------------------------------------------------------ */

static void on_released(void *arg)
{
    viewer_write_free(arg);
}

static unsigned add_part(struct viewer_write *write, struct iovec *iov, unsigned n,
                         const void *data, size_t n_bytes)
{
    if (write->viewer->kind <= VIEWER_PCAPNG) {
        uint8_t *header = write->headers[n / 2];
        iov[n++] = (struct iovec){header, ws_put_header(header, WS_BINARY, false, n_bytes)};
    }
    /* writing does not change the bytes */
    iov[n++] = (struct iovec){(void *)(uintptr_t)data, n_bytes};
    return n;
}

static void count_sent(struct viewer *viewer, uint32_t n_packets, size_t n_bytes)
{
    struct relay_counters *counters = &viewer->stream->relay->counters[viewer->kind];

    viewer->n_packets += n_packets;
    counters->packets += n_packets;
    counters->bytes += n_bytes;
}

void viewer_write_go(struct viewer_write *write)
{
    struct viewer *viewer = write->viewer;
    struct iovec iov[2 * (VIEWER_RUNS_MAX + 1)];
    size_t n_bytes = write->own.len;
    unsigned n = 0;

    if (viewer->ops == NULL || (write->n == 0 && write->own.len == 0)) {
        viewer_write_free(write);
        return;
    }
    for (unsigned i = 0; i < write->n; i++) {
        n_bytes += write->n_bytes[i];
    }
    write->held = n_bytes + sizeof *write;
    write->is_sent = true;
    viewer->in_flight += write->held;
    count_sent(viewer, write->n_packets, n_bytes);
    if (write->is_framed) {
        iov[n++] = (struct iovec){write->own.data, write->own.len};
    } else if (write->own.len > 0) {
        n = add_part(write, iov, n, write->own.data, write->own.len);
    }
    for (unsigned i = 0; i < write->n; i++) {
        n = add_part(write, iov, n, write->data[i], write->n_bytes[i]);
    }
    viewer->ops->write(viewer->peer, iov, n, on_released, write);
}

void viewer_write_go_as(struct viewer_write *write, struct buf *bytes, bool is_framed)
{
    for (unsigned i = 0; i < write->n; i++) {
        block_unref(write->blocks[i]);
    }
    write->n = 0;
    buf_deinit(&write->own);
    write->own = *bytes;
    write->is_framed = is_framed;
    *bytes = (struct buf){0};
    viewer_write_go(write);
}

void viewer_write_send(struct viewer_write *write)
{
    if (write->viewer->zstd != NULL) {
        viewer_zstd_go(write);
    } else if (write->viewer->deflate != NULL) {
        viewer_deflate_go(write);
    } else {
        viewer_write_go(write);
    }
}

/* ---- raw ---------------------------------------------------------------------------------- */

struct raw_write {
    struct viewer *viewer;
    struct block *block; /* of frames */
    size_t held;
};

static void on_raw_released(void *arg)
{
    struct raw_write *write = arg;

    block_unref(write->block);
    write->viewer->in_flight -= write->held;
    struct viewer *viewer = write->viewer;
    mem_free(write);
    viewer_write_done(viewer);
}

/* Where frames are put together. An own one for a packet that does not fit. */
static struct block *raw_buffer(struct relay *relay, uint32_t need)
{
    if (relay->scratch == NULL) {
        relay->scratch = block_pool_get(relay->buffers, 0);
    }
    if (relay->scratch != NULL && need <= relay->scratch->cap) {
        struct block *block = relay->scratch;
        relay->scratch = NULL;
        return block;
    }
    return block_pool_get(relay->buffers, need);
}

/* Frames of as many packets as fit. *loss stays with the viewer's counters. */
static uint32_t fill(struct viewer *viewer, struct block *block)
{
    struct relay_frames out = {block->data, block->data + block->cap};
    struct relay_run run;
    uint32_t n_packets = 0;

    while (next_run(viewer, &run)) {
        uint32_t n = 0;
        uint32_t taken = relay_frames_put(&out, run.data, run.n_bytes, &n);

        relay_cursor_advance(&viewer->cursor, taken, n);
        block_unref(run.block);
        n_packets += n;
        if (taken < run.n_bytes) {
            break;
        }
    }
    block->len = (uint32_t)(out.at - block->data);
    return n_packets;
}

/* The scratch buffer itself when it is well filled, else a copy of the right size. */
static struct block *to_send(struct relay *relay, struct block *filled)
{
    struct block *copy = filled->len < SMALL_BYTES ? block_new(filled->len) : NULL;

    if (copy == NULL) {
        return filled;
    }
    memcpy(copy->data, filled->data, filled->len);
    copy->len = filled->len;
    filled->len = 0;
    if (relay->scratch == NULL) {
        relay->scratch = filled;
    } else {
        block_unref(filled);
    }
    return copy;
}

static uint32_t next_packet_bytes(struct viewer *viewer)
{
    struct relay_run run;

    if (!next_run(viewer, &run)) {
        return 0;
    }
    uint32_t caplen = get_le32(run.data + 20);
    block_unref(run.block);
    return RELAY_FRAME_MAX(caplen);
}

static void send_frames(struct viewer *viewer, struct block *block)
{
    struct raw_write *write = x_alloc(sizeof *write);
    const struct iovec iov = {block->data, block->len};

    *write = (struct raw_write){viewer, block, block->cap + sizeof *write};
    viewer->in_flight += write->held;
    viewer->n_writes++;
    viewer->ops->write(viewer->peer, &iov, 1, on_raw_released, write);
}

/* permessage-deflate: the packets of one run. */
static bool send_raw_deflated(struct viewer *viewer, size_t *n_bytes)
{
    struct viewer_write *write = NULL;
    struct relay_run run;

    if (!next_run(viewer, &run)) {
        return false;
    }
    relay_cursor_advance(&viewer->cursor, run.n_bytes, run.n_packets);
    write = viewer_write_new(viewer);
    write->blocks[0] = run.block;
    write->data[0] = run.data;
    write->n_bytes[0] = run.n_bytes;
    write->n_packets = run.n_packets;
    write->held = *n_bytes = run.n_bytes;
    write->n = 1;
    viewer_write_send(write);
    return true;
}

bool viewer_send_raw(struct viewer *viewer, size_t *n_bytes)
{
    struct relay *relay = viewer->stream->relay;

    if (viewer->deflate != NULL) {
        return send_raw_deflated(viewer, n_bytes);
    }
    uint32_t need = next_packet_bytes(viewer);
    struct block *block = need == 0 ? NULL : raw_buffer(relay, need);
    if (block == NULL) {
        return false;
    }
    uint32_t n_packets = fill(viewer, block);
    block = to_send(relay, block);
    *n_bytes = block->len;
    count_sent(viewer, n_packets, block->len);
    viewer->lost_untold = 0; /* raw frames have no place to tell it: metrics and an event do */
    send_frames(viewer, block);
    return true;
}

static void send_raw_run(struct viewer *viewer, const struct block *from)
{
    struct relay *relay = viewer->stream->relay;
    uint32_t taken = 0;

    while (taken < from->len && viewer->ops != NULL) {
        uint32_t n_packets = 0;
        struct block *block = raw_buffer(relay, RELAY_FRAME_MAX(get_le32(from->data + taken + 20)));
        if (block == NULL) {
            break;
        }
        struct relay_frames out = {block->data, block->data + block->cap};
        taken += relay_frames_put(&out, from->data + taken, from->len - taken, &n_packets);
        block->len = (uint32_t)(out.at - block->data);
        block = to_send(relay, block);
        count_sent(viewer, n_packets, block->len);
        send_frames(viewer, block);
    }
}

void viewer_send_run(struct viewer *viewer, struct block *block)
{
    struct viewer_write *write = NULL;

    if (viewer->kind == VIEWER_RAW) {
        send_raw_run(viewer, block);
        block_unref(block);
        return;
    }
    write = viewer_write_new(viewer);
    write->own = viewer->pending;
    viewer->pending = (struct buf){0};
    write->blocks[0] = block;
    write->data[0] = block->data;
    write->n_bytes[0] = block->len;
    write->n_packets = block->n_packets;
    write->held = block->len;
    write->n = 1;
    viewer_write_send(write);
}

/* ---- a round ------------------------------------------------------------------------------ */

static bool send_blocks(struct viewer *viewer, size_t *n_bytes)
{
    struct viewer_write *write = viewer_write_new(viewer);

    if (!viewer_take_runs(viewer, write)) {
        viewer_write_free(write);
        return false;
    }
    *n_bytes = write->held + write->own.len;
    viewer_write_send(write);
    return true;
}

/* Releases may come while it writes, and the end of the viewer with them: guarded by a write of its
 * own. */
void viewer_pump(struct viewer *viewer)
{
    size_t left = ROUND_BYTES;

    if (viewer->ops == NULL || viewer->is_closing) {
        return;
    }
    viewer->n_writes++;
    while (!viewer->is_closing && viewer_can_send(viewer)) {
        size_t n_bytes = 0;

        /* First: history is compressed too, and one after the other. */
        if (viewer_is_compressing(viewer)) {
            break;
        }
        if ((viewer->zstd != NULL || viewer->deflate != NULL) &&
            !work_has_room(viewer->stream->relay->node)) {
            relay_stream_pause(viewer->stream);
            break;
        }
        if (viewer->history != NULL) {
            viewer_history_step(viewer);
            break;
        }
        if (!(viewer->kind == VIEWER_RAW ? viewer_send_raw(viewer, &n_bytes)
                                         : send_blocks(viewer, &n_bytes))) {
            break;
        }
        if (n_bytes >= left) {
            relay_stream_poke(viewer->stream);
            break;
        }
        left -= n_bytes;
    }
    viewer_write_done(viewer);
}
