/* SPDX-License-Identifier: Apache-2.0
 *
 * How far the wall clock of one peer is from ours, from the four time stamps of probes: t1 sent and
 * t4 received on our clock, t2 received and t3 sent on the peer's (RFC 5905 section 8):
 * theta = ((t2 − t1) + (t3 − t4)) / 2, delta = (t4 − t1) − (t3 − t2), and the true offset lies within
 * delta / 2 of theta, whatever the network did. A ring of the last samples; the best is the one whose
 * bound is the least now, age × SWIM_DRIFT_PPM included, unless a smaller drift was measured. The bound
 * is never wrong while both clocks keep to SWIM_DRIFT_PPM.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SWIM_OFFSET_SAMPLES 8
#define SWIM_DRIFT_PPM      500 /* of the two clocks against each other */

struct swim_offset {
    /* At most 128 bytes in all: the helper's choice. */
    uint32_t epoch;
    uint8_t n, at;
    struct {
        int64_t theta_ns;
        uint32_t half_delta_us;
        uint32_t mono_ms; /* of t4, truncated */
    } samples[SWIM_OFFSET_SAMPLES];
};

struct swim_estimate {
    int64_t theta_ns; /* the peer's clock minus ours */
    uint64_t bound_ns;
    uint64_t age_ns;
    int32_t drift_ppb; /* INT32_MIN: not known */
};

/* epoch: that of our clock (swim_clock); samples of an older one are forgotten. Nonsense (negative
 * delta, t3 before t2, delta of more than 10 s) is refused: false. mono_ns: when t4 was. */
bool swim_offset_take(struct swim_offset *offset, int64_t t1, int64_t t2, int64_t t3, int64_t t4,
                      uint64_t mono_ns, uint32_t epoch);
/* False: no sample of this epoch. */
bool swim_offset_get(const struct swim_offset *offset, uint64_t mono_ns, uint32_t epoch,
                     struct swim_estimate *estimate);
