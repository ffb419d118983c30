/* SPDX-License-Identifier: Apache-2.0
 *
 * Which packets of an uplink have come: for each of the last streams (runs of a sniffer) the next
 * position, so that one that connects again goes on where it was, neither twice nor with a hole
 * that nobody counts. Pure; driven by node/uplinks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/id.h"
#include "shared/packet/pcapng_statistics.h"

/* Streams that are remembered; the one that was silent longest is forgotten for another. */
#define UPLINK_STREAMS 16

struct uplink_stream {
    char id[ID_TEXT_MAX];
    uint64_t next; /* position of the next packet that is wanted */
    uint64_t used; /* by the track's clock of uses */
    /* What the sniffer told of this stream: totals since it began. */
    uint64_t told_kernel;
    uint64_t told_interface;
    uint64_t told_queue;
    bool is_described; /* it has begun */
    bool has_ended;    /* its sniffer said goodbye, or it was told that it did not */
    uint64_t told_end; /* packets it has captured so far: next of these are here */
};

/* What was lost before it came here, over all streams. */
struct uplink_losses {
    uint64_t dropped;   /* the sniffer's buffers were full: holes in the positions */
    uint64_t queue;     /* its capture was faster than its buffers */
    uint64_t kernel;    /* its kernel's ring was full */
    uint64_t interface; /* its interface or driver */
    bool interface_told;
    /* Runs of the sniffer that were cut off (kill -9, a crash, the end of its time without a
     * connection): each took a number of packets along that nobody knows. */
    uint64_t cut_off;
};

struct uplink_track {
    struct uplink_stream streams[UPLINK_STREAMS];
    uint32_t n_streams;
    uint64_t uses;
    struct uplink_losses lost;
};

/* The stream of that id, or NULL. */
struct uplink_stream *uplink_track_find(struct uplink_track *track, const char *id);

/* The stream, known or new. A new one starts at `next`, and all before it counts as taken. The
 * pointer is good until the next new stream. */
struct uplink_stream *uplink_track_use(struct uplink_track *track, const char *id, uint64_t next);

/* A message with n packets from `position` on came. Gives the position from which on they are new
 * (at most position + n: nothing is), counts a hole in front of them and moves on. */
uint64_t uplink_track_take(struct uplink_track *track, struct uplink_stream *stream,
                           uint64_t position, uint32_t n);

/* Statistics of the stream came. Numbers that run backwards are ignored. */
void uplink_track_told(struct uplink_track *track, struct uplink_stream *stream,
                       const struct pcapng_told_statistics *told);

/* Another stream begins: counts it when the one of that id began and did not end in peace, once.
 * True when it was so; *at_least gets how many of its packets are known to be missing. */
bool uplink_track_leave(struct uplink_track *track, const char *id, uint64_t *at_least);

/* The comment of the last statistics of a stream. */
#define UPLINK_GOODBYE "packetrecorder: the sniffer has ended in peace"
/* The comment in a sniffer's statistics, for people and for uplink_track_told. */
#define UPLINK_COMMENT_MAX 128
void uplink_put_comment(char out[UPLINK_COMMENT_MAX], uint64_t queue, uint64_t dropped);
/* The number behind "queue=" in it; 0 when there is none. */
uint64_t uplink_comment_queue(const char *comment);
