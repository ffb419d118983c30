/* SPDX-License-Identifier: Apache-2.0
 *
 * When each packet of a recording is due again, and how well the moments were met. The schedule is
 * absolute: packet n is due at the start plus the recorded time between the first packet and it,
 * divided by the speed, so errors do not add up. Recorded clocks step: a packet that is a little
 * earlier than the one before (several interfaces, several queues) is due at once and moves
 * nothing; one that is far earlier means that the clock was set back, and the schedule goes on from
 * there as if no time had passed. A clock that was set forward cannot be told from silence. Pure:
 * the driver (shared/capture/replay_posix) waits, sends and tells what time it was.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Recorded time that goes back by more than this is a step of the clock. */
#define PACING_STEP_NS 500000000u
/* A sender that is later than this (stopped, swapped out, a slow interface) does not catch up in
 * one burst: the schedule moves. */
#define PACING_LATE_MAX_NS 1000000000u

struct pacing {
    double speed; /* 1 = as recorded, 0 = no waiting */
    bool has_started;
    bool is_new_loop;
    uint64_t start_ns; /* driver's clock: when recorded offset 0 is due */
    uint64_t base_ns;  /* recorded time stamp that stands at base_offset_ns */
    uint64_t base_offset_ns;
    uint64_t offset_ns; /* recorded time since the first packet: the highest so far */
    uint64_t after_ns;  /* the same at this speed */
    uint64_t gap_ns;    /* what the gap in front of the packet asked for last should be */
    uint64_t n_earlier; /* packets before the one before, within PACING_STEP_NS */
    uint64_t n_steps;   /* recorded clock set back */
    uint64_t n_moved;   /* the schedule moved because the sender was late */
    uint64_t moved_ns;  /* by so much in all */
};

void pacing_init(struct pacing *pacing, double speed);

/* When the packet recorded at time_ns is due, on the driver's clock, where it is now_ns. Far
 * futures saturate at UINT64_MAX / 2. With speed 0 it is always due: now_ns. */
uint64_t pacing_due(struct pacing *pacing, uint64_t time_ns, uint64_t now_ns);

/* The recording begins again: its first packet follows at once. */
void pacing_loop(struct pacing *pacing);

/* How often each size of an error occurred: buckets that grow with the value, 32 to a power of two,
 * so a percentile is at most 3 % too high. */
#define PACING_BUCKETS (32 * 60)

struct pacing_errors {
    uint64_t n;
    uint64_t max_ns;
    uint64_t buckets[PACING_BUCKETS];
};

void pacing_errors_add(struct pacing_errors *errors, uint64_t error_ns);

/* The error that at least `share` (0 … 1) of them do not exceed; 0 without any. */
uint64_t pacing_errors_percentile(const struct pacing_errors *errors, double share);
