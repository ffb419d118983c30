/* SPDX-License-Identifier: Apache-2.0 */
#include "node/uplink_track.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct uplink_stream *uplink_track_find(struct uplink_track *track, const char *id)
{
    for (uint32_t i = 0; i < track->n_streams; i++) {
        if (strcmp(track->streams[i].id, id) == 0) {
            return &track->streams[i];
        }
    }
    return NULL;
}

static struct uplink_stream *place_for_new(struct uplink_track *track)
{
    if (track->n_streams < UPLINK_STREAMS) {
        return &track->streams[track->n_streams++];
    }
    struct uplink_stream *oldest = &track->streams[0];
    for (uint32_t i = 1; i < UPLINK_STREAMS; i++) {
        if (track->streams[i].used < oldest->used) {
            oldest = &track->streams[i];
        }
    }
    return oldest;
}

struct uplink_stream *uplink_track_use(struct uplink_track *track, const char *id, uint64_t next)
{
    struct uplink_stream *stream = uplink_track_find(track, id);

    if (stream == NULL) {
        stream = place_for_new(track);
        *stream = (struct uplink_stream){.next = next};
        snprintf(stream->id, sizeof stream->id, "%s", id);
    }
    stream->used = ++track->uses;
    return stream;
}

uint64_t uplink_track_take(struct uplink_track *track, struct uplink_stream *stream,
                           uint64_t position, uint32_t n)
{
    uint64_t end = position + n;
    uint64_t from = position > stream->next ? position : stream->next;

    if (n == 0) {
        return position;
    }
    if (position > stream->next) {
        track->lost.dropped += position - stream->next;
    }
    if (end <= stream->next) {
        return end;
    }
    stream->next = end;
    return from;
}

/* Adds what a total has grown by. */
static void grow(uint64_t *sum, uint64_t *last, uint64_t now)
{
    if (now != UINT64_MAX && now > *last) {
        *sum += now - *last;
        *last = now;
    }
}

void uplink_track_told(struct uplink_track *track, struct uplink_stream *stream,
                       const struct pcapng_told_statistics *told)
{
    grow(&track->lost.kernel, &stream->told_kernel, told->numbers.osdrop);
    grow(&track->lost.interface, &stream->told_interface, told->numbers.ifdrop);
    grow(&track->lost.queue, &stream->told_queue, uplink_comment_queue(told->comment));
    stream->has_ended |= strcmp(told->comment, UPLINK_GOODBYE) == 0;
    track->lost.interface_told |= told->numbers.ifdrop != UINT64_MAX;
    if (told->numbers.usrdeliv != UINT64_MAX && told->numbers.usrdeliv > stream->told_end) {
        stream->told_end = told->numbers.usrdeliv;
    }
}

bool uplink_track_leave(struct uplink_track *track, const char *id, uint64_t *at_least)
{
    struct uplink_stream *stream = uplink_track_find(track, id);

    if (stream == NULL || !stream->is_described || stream->has_ended) {
        return false;
    }
    stream->has_ended = true;
    track->lost.cut_off++;
    *at_least = stream->told_end > stream->next ? stream->told_end - stream->next : 0;
    return true;
}

void uplink_put_comment(char out[UPLINK_COMMENT_MAX], uint64_t queue, uint64_t dropped)
{
    snprintf(out, UPLINK_COMMENT_MAX,
             "packetrecorder: the sniffer dropped=%" PRIu64 " queue=%" PRIu64, dropped, queue);
}

uint64_t uplink_comment_queue(const char *comment)
{
    const char *at = strstr(comment, "queue=");
    char *end = NULL;

    if (at == NULL || at[6] < '0' || at[6] > '9') {
        return 0;
    }
    uint64_t value = strtoull(at + 6, &end, 10);
    return value == UINT64_MAX ? 0 : value;
}
