/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a node's clock was ahead of the common time, from samples of it: what is subtracted from
 * the time stamps of its packets. Between two samples the offset lies on a straight line, unless
 * the second one is a step: then the first one holds until it. The samples come from a node and are
 * hostile: any numbers give some time, and never more than 64 bits of it. Pure.
 *
 * An era is a run of samples whose offsets are within the bound that its first one has; what is
 * said of a clock in a file is said once an era.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MERGE_CLOCK_MAX     1024       /* samples of one node; the oldest go */
#define MERGE_BOUND_UNKNOWN UINT64_MAX /* nothing is known: the offset is 0 */

struct merge_clock_sample {
    uint64_t time_ns;  /* by the node's clock */
    int64_t offset_ns; /* the node's clock minus the common time, within bound_ns */
    uint64_t bound_ns;
    bool is_step;
};

/* A sample, and what holds from it to the next. */
struct merge_clock_leg {
    struct merge_clock_sample sample;
    double slope; /* offset per nanosecond */
    uint32_t era;
};

struct merge_clock {
    struct merge_clock_leg *legs; /* owned, in order of their times */
    uint32_t n;
    uint32_t at; /* the leg that was used last */
    uint32_t era;
    struct merge_clock_sample era_first; /* of the newest era */
};

void merge_clock_deinit(struct merge_clock *clock);

/* Another sample; one that is not newer than the last is left out (false). */
bool merge_clock_add(struct merge_clock *clock, const struct merge_clock_sample *sample);

/* The common time of a time stamp of the node, and the era that it lies in. */
uint64_t merge_clock_correct(struct merge_clock *clock, uint64_t time_ns, uint32_t *era);

/* What the era began with; a bound of MERGE_BOUND_UNKNOWN when there is no such era any more. */
struct merge_clock_sample merge_clock_era(const struct merge_clock *clock, uint32_t era);
