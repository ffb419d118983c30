/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a viewer and what it is told. What it is sent: viewer_send_uv.c.
 */
#include "node/viewer_uv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/relay_pcapng.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

/* Statistics: so often while packets flow, and while none do. */
#define TELL_MS      1000
#define TELL_IDLE_MS 10000

static bool is_pcapng(const struct viewer *viewer)
{
    return viewer->kind != VIEWER_RAW;
}

/* "ID:N" of this stream; false for any other. */
static bool parse_resume(const struct relay_stream *stream, const char *text, uint64_t *number)
{
    size_t n = strlen(stream->id);
    char *end = NULL;

    if (text == NULL || strncmp(text, stream->id, n) != 0 || text[n] != ':' || text[n + 1] < '0' ||
        text[n + 1] > '9') {
        return false;
    }
    *number = strtoull(text + n + 1, &end, 10);
    return *end == '\0';
}

static bool resume(struct viewer *viewer, const char *text)
{
    struct relay_stream *stream = viewer->stream;
    uint64_t number = 0;

    if (!parse_resume(stream, text, &number)) {
        return false;
    }
    uv_mutex_lock(&stream->mutex);
    bool found = relay_ring_seek(&stream->ring, number, &viewer->cursor);
    uv_mutex_unlock(&stream->mutex);
    return found;
}

/* The time of the newest packet in the backlog, 0 = none. */
static uint64_t newest_ns(struct relay_stream *stream)
{
    uint64_t newest = 0;

    uv_mutex_lock(&stream->mutex);
    const struct relay_ring *ring = &stream->ring;
    if (ring->n > 0) {
        const struct relay_segment *last =
            &ring->segments[(ring->oldest + ring->n - 1) & (ring->size - 1)];
        struct block_cursor packets = block_cursor(last->block->data, last->len);
        struct packet_view packet;
        while (block_next(&packets, &packet) == 1) {
            newest = packet.time_ns > newest ? packet.time_ns : newest;
        }
    }
    uv_mutex_unlock(&stream->mutex);
    return newest;
}

/* A viewer sees what is stamped from now on; what is still on its way from the kernel is older. The
 * packets of an uplink or another node have the clock of another host: there the newest one
 * decides. */
static uint64_t begins_at(struct relay_stream *stream)
{
    if (strpbrk(stream->interface, ":/") == NULL) {
        return clock_wall_ns();
    }
    uint64_t newest = newest_ns(stream);
    return newest == 0 ? 0 : newest + 1;
}

struct viewer *viewer_new(struct relay_stream *stream, const struct viewer_opts *opts)
{
    struct viewer *viewer = x_alloc(sizeof *viewer);
    struct relay *relay = stream->relay;

    viewer->stream = stream;
    viewer->kind = opts->kind;
    viewer->note_number = stream->note_number;
    viewer->told_ms = viewer->joined_ms = relay_now_ms(relay);
    if (!resume(viewer, opts->resume)) {
        uv_mutex_lock(&stream->mutex);
        viewer->cursor = relay_ring_end(&stream->ring);
        uv_mutex_unlock(&stream->mutex);
        uint64_t now_ns = clock_wall_ns();
        viewer->live_from_ns = begins_at(stream);
        if (opts->history_from_ns > 0) {
            viewer_history_begin(viewer, opts->history_from_ns);
        } else if (opts->history_ns > 0) {
            viewer_history_begin(viewer, now_ns > opts->history_ns ? now_ns - opts->history_ns : 0);
        }
    }
    if (opts->zstd) {
        viewer->zstd = viewer_zstd_new();
    }
    relay->n_viewers[viewer->kind]++;
    relay->counters[viewer->kind].joined++;
    relay_stream_add_viewer(stream, viewer);
    return viewer;
}

uint64_t viewer_position(const struct viewer *viewer)
{
    return viewer->cursor.number;
}

const char *viewer_stream_id(const struct viewer *viewer)
{
    return viewer->stream->id;
}

static void put_head(struct viewer *viewer)
{
    const struct relay_stream *stream = viewer->stream;
    const struct relay_head head = {.iface = &stream->iface,
                                    .excluded = stream->excluded == NULL ? "" : stream->excluded,
                                    .node = stream->relay->node->name,
                                    .application = "packetrecorder " PR_VERSION,
                                    .warning = ""};

    relay_pcapng_head(&viewer->pending, &head);
}

void viewer_start(struct viewer *viewer, const struct viewer_peer_ops *ops, void *peer,
                  bool deflates)
{
    viewer->ops = ops;
    viewer->peer = peer;
    viewer->deflate = deflates ? viewer_deflate_new() : NULL;
    if (is_pcapng(viewer)) {
        put_head(viewer);
    }
    relay_stream_event(viewer->stream, "viewer.joined", NULL);
    viewer_pump(viewer);
}

static void free_when_done(struct viewer *viewer)
{
    struct relay_stream *stream = viewer->stream;

    if (viewer->ops != NULL || !viewer->is_closing || viewer->n_writes > 0) {
        return;
    }
    stream->relay->n_viewers[viewer->kind]--;
    viewer_zstd_free(viewer->zstd);
    viewer_deflate_free(viewer->deflate);
    buf_deinit(&viewer->pending);
    relay_stream_remove_viewer(stream, viewer);
    mem_free(viewer);
}

static void publish_loss(struct viewer *viewer)
{
    char text[96];

    if (viewer->lost_event > 0) {
        snprintf(text, sizeof text, "a slow viewer lost %" PRIu64 " packets", viewer->lost_event);
        viewer->lost_event = 0;
        relay_stream_event(viewer->stream, "viewer.lost", text);
    }
}

/* What still lies before its cursor was never sent: it is no loss, it left. */
void viewer_gone(struct viewer *viewer)
{
    if (viewer->ops != NULL) {
        publish_loss(viewer);
        relay_stream_event(viewer->stream, "viewer.left", NULL);
    }
    viewer->ops = NULL;
    viewer->is_closing = true;
    if (viewer->history != NULL) {
        viewer_history_drop(viewer);
    }
    free_when_done(viewer);
}

void viewer_count_lost(struct viewer *viewer, uint64_t n)
{
    if (n > 0) {
        viewer->lost += n;
        viewer->lost_untold += n;
        viewer->lost_event += n;
        viewer->stream->relay->counters[viewer->kind].lost += n;
    }
}

static bool is_due(const struct viewer *viewer)
{
    uint64_t since_ms = relay_now_ms(viewer->stream->relay) - viewer->told_ms;

    return viewer->lost_untold > 0 || viewer->has_jumped ||
           viewer->note_number != viewer->stream->note_number || since_ms >= TELL_IDLE_MS ||
           (since_ms >= TELL_MS && viewer->n_packets != viewer->told_packets);
}

void viewer_tell(struct viewer *viewer, bool at_end)
{
    struct relay_stream *stream = viewer->stream;

    if (!is_pcapng(viewer) || viewer->history != NULL || (!at_end && !is_due(viewer))) {
        return;
    }
    struct ledger ledger = relay_stream_ledger(stream);
    const struct relay_statistics statistics = {
        .now_ns = clock_wall_ns(),
        .start_ns = stream->started_ns,
        .ledger = &ledger,
        .delivered = viewer->n_packets,
        .position = viewer->cursor.number,
        .lost = viewer->lost_untold,
        .note = viewer->note[0] != '\0'                      ? viewer->note
                : viewer->note_number != stream->note_number ? stream->note
                                                             : NULL,
        .at_end = at_end,
    };
    relay_pcapng_statistics(&viewer->pending, &statistics);
    viewer->note[0] = '\0';
    viewer->lost_untold = 0;
    viewer->has_jumped = false;
    viewer->note_number = stream->note_number;
    viewer->told_ms = relay_now_ms(stream->relay);
    viewer->told_packets = viewer->n_packets;
}

void viewer_tick(struct viewer *viewer, uint64_t now_ms)
{
    (void)now_ms;
    publish_loss(viewer);
    if (viewer->ops != NULL && !viewer->is_closing &&
        (is_pcapng(viewer) ? is_due(viewer) : false)) {
        viewer_pump(viewer);
    }
}

/* Whether the peer has room or not: it is little, and the last. */
static void say_last(struct viewer *viewer, uint16_t code, const char *reason)
{
    if (is_pcapng(viewer)) {
        viewer_tell(viewer, true);
        struct viewer_write *write = viewer_write_new(viewer);
        write->own = viewer->pending;
        viewer->pending = (struct buf){0};
        viewer_write_send(write);
    }
    viewer->ops->close(viewer->peer, code, reason);
}

void viewer_end_late(struct viewer *viewer)
{
    if (viewer->ops != NULL && viewer->end_code != 0) {
        say_last(viewer, viewer->end_code, viewer->end_reason);
        viewer->end_code = 0;
    }
}

void viewer_end(struct viewer *viewer, uint16_t code, const char *reason)
{
    if (viewer->ops == NULL || viewer->is_closing) {
        return;
    }
    viewer->is_closing = true;
    if (viewer_is_compressing(viewer)) {
        viewer->end_code = code;
        viewer->end_reason = reason;
        if (viewer->ops->hold != NULL) {
            viewer->ops->hold(viewer->peer);
        }
        return;
    }
    viewer->n_writes++; /* the peer may go, and the viewer with it */
    say_last(viewer, code, reason);
    viewer_write_done(viewer);
}

/* ---- writes ------------------------------------------------------------------------------- */

struct viewer_write *viewer_write_new(struct viewer *viewer)
{
    struct viewer_write *write = x_alloc(sizeof *write);

    write->viewer = viewer;
    viewer->n_writes++;
    return write;
}

void viewer_write_free(struct viewer_write *write)
{
    struct viewer *viewer = write->viewer;

    for (unsigned i = 0; i < write->n; i++) {
        block_unref(write->blocks[i]);
    }
    buf_deinit(&write->own);
    viewer->in_flight -= write->is_sent ? write->held : 0;
    mem_free(write);
    viewer_write_done(viewer);
}

bool viewer_is_compressing(const struct viewer *viewer)
{
    return (viewer->zstd != NULL && viewer_zstd_is_busy(viewer->zstd)) ||
           (viewer->deflate != NULL && viewer_deflate_is_busy(viewer->deflate));
}

void viewer_write_back(struct viewer_write *write, struct buf *bytes, bool is_framed,
                       bool cancelled)
{
    struct viewer *viewer = write->viewer;

    viewer->n_writes++; /* the write may be the last that keeps it */
    if (cancelled || viewer->ops == NULL) {
        viewer_write_free(write);
    } else {
        viewer_write_go_as(write, bytes, is_framed);
        viewer_pump(viewer);
        viewer_end_late(viewer);
    }
    viewer_write_done(viewer);
}

void viewer_write_done(struct viewer *viewer)
{
    viewer->n_writes--;
    free_when_done(viewer);
}
