/* SPDX-License-Identifier: Apache-2.0
 *
 * How far the steady clock of one peer (swim_clock.h) is from ours, from the four time stamps of
 * probes: t1 sent and t4 received on our clock, t2 received and t3 sent on the peer's (RFC 5905
 * section 8). Whatever the network did, the peer's clock minus ours lies between t3 − t4 and
 * t2 − t1. What is kept is the intersection of all those intervals, each grown by its age ×
 * SWIM_DRIFT_PPM: never wider than that of the best sample, and never wrong while both clocks keep
 * to the drift. A new sample outside of it proves that one did not (a machine was paused): then
 * only the new one counts. The drift that is measured is told, not used: the rate of a disciplined
 * clock may change at any time, up to the same limit.
 *
 * Zero it when the peer begins a new life (boot): its steady clock is another one then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/swarm/swim_types.h"

#define SWIM_DRIFT_PPM        500 /* of two clocks against each other: 250 each */
#define SWIM_OFFSET_DELTA_MAX (10ull * 1000 * SWIM_MS)
#define SWIM_DRIFT_SPAN       (300ull * 1000 * SWIM_MS) /* drift is measured over one to two of these */
#define SWIM_STAMP_MAX        (INT64_C(1) << 62) /* stamps are in [0, this), to the year 2116 */
#define SWIM_DRIFT_UNKNOWN    INT32_MIN

/* Something lies within theta ± bound. */
struct swim_interval {
    int64_t theta_ns;
    uint64_t bound_ns;
};

struct swim_offset {
    struct swim_interval last; /* as of last_ns, monotonic, the last sample */
    uint64_t last_ns;
    struct swim_interval since[2]; /* older ones, [0] the oldest: drift is measured from it */
    uint64_t since_ns[2];
    int32_t drift_ppb;
    uint32_t drift_error_ppb;
    uint8_t n_since; /* 0: no sample yet */
};

/* Of one probe, all on steady clocks. */
struct swim_stamps {
    int64_t t1, t2, t3, t4;
    uint64_t mono_ns; /* of t4: swim_clock_mono */
};

struct swim_estimate {
    int64_t theta_ns; /* the peer's steady clock minus ours */
    uint64_t bound_ns;
    uint64_t age_ns; /* of the last sample */
    int32_t
        drift_ppb; /* what the peer's clock gains on ours; SWIM_DRIFT_UNKNOWN: not within 500 ppm */
    int64_t likely_ns; /* theta at an unchanged drift; theta and bound while none is known */
    uint64_t likely_bound_ns;
};

/* Nonsense (out of range, t3 before t2, t4 before t1, a delta below 0 or above 10 s) is refused:
 * false. */
bool swim_offset_take(struct swim_offset *offset, const struct swim_stamps *stamps);
/* False: no sample. */
bool swim_offset_get(const struct swim_offset *offset, uint64_t mono_ns,
                     struct swim_estimate *estimate);

/* What two clocks may drift apart while ours runs for so long: rounded up. */
uint64_t swim_drift_ns(uint64_t age_ns);
/* The interval after so long, saturating. */
struct swim_interval swim_interval_grow(struct swim_interval interval, uint64_t age_ns);
/* *interval becomes what both allow; false, and nothing happens: they have nothing in common. */
bool swim_interval_meet(struct swim_interval *interval, struct swim_interval with);

static inline uint64_t swim_add_saturating(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}
