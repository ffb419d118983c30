/* SPDX-License-Identifier: Apache-2.0
 *
 * Replays packets: each is given to replay_packet in recorded order by whoever reads them (a
 * store's scan, a capture file), waits for its moment, and is sent or shown. At speed 0 packets are
 * gathered into batches. Waiting sleeps until shortly before the moment and then spins, since a
 * sleeping thread comes back tens of microseconds late. Uses one thread, the caller's. It does not
 * filter and does not open anything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/capture/inject_posix.h"
#include "shared/capture/pacing.h"
#include "shared/packet/block.h"

/* How long before a moment the thread wakes to spin. */
#define REPLAY_SPIN_NS 100000u

struct replay_opts {
    double speed;   /* as in pacing */
    uint64_t count; /* end after so many packets sent or shown; 0 = no limit */
    /* In place of sending, at the moment of each packet; its arg is `arg`. NULL = send. */
    void (*show)(const struct packet_view *packet, void *packet_arg, void *arg);
    /* Asked at least every 20 ms and after each signal: true ends the replay. May be NULL. */
    bool (*stop)(void *arg);
    /* Told, at most four times a second, how long the wait for the next packet still is. May be
     * NULL. */
    void (*waiting)(uint64_t left_ns, void *arg);
    void *arg;
};

struct replay_report {
    uint64_t done;  /* packets sent or shown */
    uint64_t bytes; /* of these */
    uint64_t not_sent[SENDABLE_REASONS];
    uint64_t started_ns; /* monotonic: first packet; 0 = none */
    uint64_t ended_ns;   /* last packet */
    struct pacing pacing;
    struct pacing_errors gaps; /* how far each gap was off; empty at speed 0 */
    struct pacing_errors late; /* how far behind the schedule each packet was */
};

struct replay;

struct replay *replay_new(const struct replay_opts *opts);
void replay_free(struct replay *replay);

/* Takes one packet, borrowed for the call. `to` is where it goes (NULL with show), link_type what
 * it is. 1: go on. 0: the count is reached or stop said so. Negative: the interface failed. */
int replay_packet(struct replay *replay, struct inject *to, const struct packet_view *packet,
                  uint32_t link_type, void *packet_arg, struct err *err);

/* The recording begins again. */
void replay_loop(struct replay *replay);

/* Sends what is still gathered. */
int replay_finish(struct replay *replay, struct err *err);

const struct replay_report *replay_report(const struct replay *replay);
/* Packets sent or shown, and those that are gathered. */
uint64_t replay_taken(const struct replay *replay);
