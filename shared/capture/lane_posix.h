/* SPDX-License-Identifier: Apache-2.0
 *
 * A consumer's thread and its bounded queue of blocks. The capture thread offers blocks; the lane
 * hands them to the consumer in order, with ticks in between, and keeps the consumer's first error.
 * The lane never waits for the capture thread and does not decide what happens when the queue is
 * full: the session does, and tells the lane what was lost.
 *
 *   lane_start (begin runs, and is waited for) → lane_offer … → lane_end → lane_join (finish has
 *   run)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/packet/consumer.h"

#define LANE_TICK_MS 100

struct lane;

struct lane_opts {
    struct consumer *consumer;  /* borrowed */
    uint32_t queue_bytes;       /* capacity of the blocks that may wait; one block always may */
    bool may_wait;              /* told to the consumer: the source is a file */
    const struct iface *ifaces; /* borrowed until lane_join; entries below the announced number do
                                   not change */
    uint32_t n_ifaces;
};

/* Starts the thread and waits for the consumer's begin. */
int lane_start(const struct lane_opts *opts, struct lane **out, struct err *err);

/* Takes a reference to the block when there is room; false when there is none. n_ifaces: interfaces
 * known when the block was sealed. A lane whose consumer has failed takes every block and loses it.
 */
bool lane_offer(struct lane *lane, struct block *block, uint32_t n_ifaces);
bool lane_has_room(struct lane *lane);
/* Waits for room, at most so long. */
void lane_wait_for_room(struct lane *lane, uint32_t timeout_ms);
/* At most half of the queue is taken. */
bool lane_is_relaxed(struct lane *lane);

/* Bytes of the blocks that wait or are worked on, and how many may. Any thread. */
struct lane_queue {
    uint64_t bytes;
    uint64_t limit;
};
struct lane_queue lane_queue(struct lane *lane);

/* Counts packets that the session gave up. */
void lane_lose(struct lane *lane, uint64_t packets);
/* Lost in the queue, and inside of the consumer. Any thread. */
uint64_t lane_lost(struct lane *lane);
/* True once the consumer has failed: the session should end. Any thread. */
bool lane_has_failed(struct lane *lane);
const char *lane_stage(const struct lane *lane);

/* The ledgers so far, for the consumer's `counters`; copied. */
void lane_tell_counters(struct lane *lane, const struct ledger *ledgers, uint32_t n,
                        uint64_t now_ns);

struct lane_end {
    const struct ledger *ledgers; /* borrowed until lane_join */
    uint32_t n_ledgers;
    struct ledger total;
    uint64_t ended_ns; /* wall time */
    bool drop_queue;   /* do not work off what is queued: it is lost and counted */
};

/* Nothing more will be offered: the lane works off its queue and finishes. May be called again to
 * set drop_queue. */
void lane_end(struct lane *lane, const struct lane_end *end);

/* True when the lane has finished, waiting for it at most so long. */
bool lane_wait_for_end(struct lane *lane, uint32_t timeout_ms);

/* Waits for the end and frees the lane. The consumer's first error, or 0. */
int lane_join(struct lane *lane, struct err *err);
