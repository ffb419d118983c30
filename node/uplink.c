/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets of a message go to all readers as one shared block. What holds the sniffer back is the
 * slowest of the lossless readers; without any what came is taken at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/node.h"
#include "node/uplink_internal.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"

static struct uplink_stream *stream_of(struct uplink *uplink)
{
    return uplink_track_use(&uplink->track, uplink->stream, 0);
}

uint64_t uplink_next(const struct uplink *uplink)
{
    return uplink->mark.position;
}

static void tell_cut_off(struct uplinks *uplinks, const struct uplink *uplink, uint64_t at_least)
{
    char why[160];

    snprintf(why, sizeof why,
             "the sniffer's last run ended without a word: what it had in memory is lost, how "
             "much is unknown, at least %" PRIu64 " packets",
             at_least);
    log_warn("uplink '%s': %s", uplink->name, why);
    uplink_publish(uplinks, uplink, "uplink.cut_off", why);
}

void uplink_on_connected(struct uplinks *uplinks, struct uplink *uplink, struct ingest_conn *conn,
                         const char *stream, uint64_t next)
{
    uint64_t at_least = 0;

    uplinks_lock(uplinks);
    bool cut_off = strcmp(uplink->stream, stream) != 0 &&
                   uplink_track_leave(&uplink->track, uplink->stream, &at_least);
    snprintf(uplink->stream, sizeof uplink->stream, "%s", stream);
    uplink->mark.position = uplink_track_use(&uplink->track, stream, next)->next;
    uplink->offset = uplink->mark.arrival - uplink->mark.position;
    uplink->granted_base = uplink->mark.cost;
    uplink->counters.connects++;
    uplinks_unlock(uplinks);
    uplink->conn = conn;
    uplink->since_ns = clock_wall_ns();
    if (cut_off) {
        tell_cut_off(uplinks, uplink, at_least);
    }
}

/* A description came. Under the lock. Readers of another link type cannot go on. */
static void take_iface(struct uplink *uplink, const struct iface *iface)
{
    if (uplink->has_iface && uplink->iface.link_type != iface->link_type) {
        uplink_end_seats(uplink, "its link type has changed: open it again");
    }
    uplink->iface = *iface;
    snprintf(uplink->iface.name, sizeof uplink->iface.name, "%s", uplink->name);
    uplink->has_iface = true;
}

/* Under the lock. */
static void tell_losses(struct uplink *uplink)
{
    const struct uplink_losses *now = &uplink->track.lost;

    for (struct uplink_seat *seat = uplink->seats; seat != NULL; seat = seat->next) {
        const struct uplink_losses *before = &seat->before;
        uplink_reader_lost(
            seat->source,
            now->dropped - before->dropped + now->queue - before->queue + now->kernel -
                before->kernel,
            now->interface_told ? now->interface - before->interface : SOURCE_UNKNOWN);
    }
}

void uplink_on_batch(struct uplinks *uplinks, struct uplink *uplink, struct ingest_batch *batch,
                     size_t wire_bytes)
{
    struct uplink_stream *stream = stream_of(uplink);

    uplinks_lock(uplinks);
    if (batch->is_new_section && batch->iface != NULL) {
        take_iface(uplink, batch->iface);
        stream->is_described = true;
    }
    if (batch->has_statistics) {
        uplink_track_told(&uplink->track, stream, &batch->statistics);
    }
    uplink_track_take(&uplink->track, stream, batch->header.position, batch->header.n_packets);
    uplink->mark.position = stream->next;
    uplink->mark.arrival = stream->next + uplink->offset;
    uplink->mark.cost += batch->cost;
    uplink->counters.messages++;
    uplink->counters.wire_bytes += wire_bytes;
    if (batch->block != NULL) {
        uplink->counters.packets += batch->block->n_packets;
        uplink->counters.bytes += batch->block->packet_bytes;
    }
    tell_losses(uplink);
    for (struct uplink_seat *seat = uplink->seats; seat != NULL; seat = seat->next) {
        uplink_reader_push(seat->source, batch->block, &uplink->mark);
    }
    uplinks_unlock(uplinks);
    block_unref(batch->block);
    batch->block = NULL;
}

void uplink_on_disconnected(struct uplinks *uplinks, struct uplink *uplink)
{
    (void)uplinks;
    uplink->conn = NULL;
    uplink->since_ns = clock_wall_ns();
    uplink->down_ms = clock_monotonic_ns() / 1000000u;
}

void uplink_progress(struct uplinks *uplinks, struct uplink *uplink, uint64_t *safe,
                     uint64_t *credit)
{
    uint64_t window = uplinks->node->options->ingest_buffer_bytes;

    uplinks_lock(uplinks);
    uint64_t taken = uplink->mark.cost;
    uint64_t arrival = uplink->mark.arrival;
    for (struct uplink_seat *seat = uplink->seats; seat != NULL; seat = seat->next) {
        if (uplink_reader_is_lossless(seat->source)) {
            uint64_t one = uplink_reader_taken(seat->source);
            uint64_t one_safe = uplink_reader_safe(seat->source);
            taken = one < taken ? one : taken;
            arrival = one_safe < arrival ? one_safe : arrival;
        }
    }
    int64_t position = (int64_t)(arrival - uplink->offset);
    uint64_t limit = taken + window;
    uplinks_unlock(uplinks);
    *safe = position < 0 ? 0 : (uint64_t)position;
    *credit = limit > uplink->granted_base ? limit - uplink->granted_base : 0;
}

void uplink_end_seats(struct uplink *uplink, const char *why)
{
    char text[256];

    snprintf(text, sizeof text, "uplink '%s': %s", uplink->name, why);
    for (struct uplink_seat *seat = uplink->seats; seat != NULL; seat = seat->next) {
        uplink_reader_end(seat->source, text);
    }
}
