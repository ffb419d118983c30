/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/swarm/swim_offset.h"

/* Two rates of 1 ± 250 ppm differ by a little more than 500 ppm of the slower one. */
#define DRIFT_ROUNDED_PPM 501
/* Clocks are read in whole ns: each reading is cut off. */
#define GRAIN_NS 2
/* Over less, the error of a drift is all that one would see. */
#define DRIFT_SPAN_LEAST (1000 * SWIM_MS)
#define PPB              1000000000

uint64_t swim_drift_ns(uint64_t age_ns)
{
    uint64_t whole = age_ns / 1000000;
    uint64_t rest = age_ns % 1000000;

    return whole * DRIFT_ROUNDED_PPM + (rest * DRIFT_ROUNDED_PPM + 999999) / 1000000;
}

struct swim_interval swim_interval_grow(struct swim_interval interval, uint64_t age_ns)
{
    interval.bound_ns = swim_add_saturating(interval.bound_ns, swim_drift_ns(age_ns));
    return interval;
}

bool swim_interval_meet(struct swim_interval *interval, struct swim_interval with)
{
    /* In 128 bits, for a bound may be wider than any time. */
    __int128 lo = (__int128)interval->theta_ns - interval->bound_ns;
    __int128 hi = (__int128)interval->theta_ns + interval->bound_ns;
    __int128 with_lo = (__int128)with.theta_ns - with.bound_ns;
    __int128 with_hi = (__int128)with.theta_ns + with.bound_ns;

    lo = lo > with_lo ? lo : with_lo;
    hi = hi < with_hi ? hi : with_hi;
    if (lo > hi) {
        return false;
    }
    /* The middle lies between the two that there were, so it fits. Rounded down: hi is the far end.
     */
    interval->theta_ns = (int64_t)((lo + hi) >> 1);
    interval->bound_ns = (uint64_t)(hi - interval->theta_ns);
    return true;
}

static bool is_stamp(int64_t stamp)
{
    return stamp >= 0 && stamp < SWIM_STAMP_MAX;
}

/* As of t4. The peer's clock minus ours was at most t2 − t1 at t1, and is at least t3 − t4 at t4.
 */
static bool interval_of(const struct swim_stamps *stamps, struct swim_interval *interval)
{
    if (!is_stamp(stamps->t1) || !is_stamp(stamps->t2) || !is_stamp(stamps->t3) ||
        !is_stamp(stamps->t4) || stamps->t3 < stamps->t2 || stamps->t4 < stamps->t1) {
        return false;
    }
    uint64_t away = (uint64_t)(stamps->t4 - stamps->t1);
    uint64_t turn = (uint64_t)(stamps->t3 - stamps->t2);
    /* Their clocks run apart while the peer holds the probe: delta may be so far below 0. */
    uint64_t slack = swim_drift_ns(away) + GRAIN_NS;
    if (turn > away + slack || (away > turn && away - turn > SWIM_OFFSET_DELTA_MAX)) {
        return false;
    }
    int64_t lo = stamps->t3 - stamps->t4 - GRAIN_NS;
    int64_t hi = stamps->t2 - stamps->t1 + (int64_t)slack;
    interval->theta_ns = lo / 2 + hi / 2 + (lo % 2 + hi % 2) / 2;
    interval->bound_ns = (uint64_t)(hi - interval->theta_ns) + 1;
    return true;
}

static void measure_drift(struct swim_offset *offset)
{
    uint64_t span = offset->last_ns - offset->since_ns[0];
    uint64_t error = swim_add_saturating(offset->last.bound_ns, offset->since[0].bound_ns);

    if (span < DRIFT_SPAN_LEAST) {
        return;
    }
    __int128 error_ppb = (__int128)error * PPB / span;
    if (error_ppb >= SWIM_DRIFT_PPM * 1000) {
        return;
    }
    offset->drift_error_ppb = (uint32_t)error_ppb + 2; /* both divisions are cut off */
    __int128 gain = (__int128)offset->last.theta_ns - offset->since[0].theta_ns;
    __int128 ppb = gain * PPB / (__int128)span;
    offset->drift_ppb = ppb > INT32_MAX ? INT32_MAX : ppb < -INT32_MAX ? -INT32_MAX : (int32_t)ppb;
}

static void remember(struct swim_offset *offset)
{
    uint8_t n = offset->n_since;

    if (n > 0 && offset->last_ns - offset->since_ns[n - 1] < SWIM_DRIFT_SPAN) {
        return;
    }
    if (n == 2) {
        offset->since[0] = offset->since[1];
        offset->since_ns[0] = offset->since_ns[1];
        n = 1;
    }
    offset->since[n] = offset->last;
    offset->since_ns[n] = offset->last_ns;
    offset->n_since = n + 1;
}

bool swim_offset_take(struct swim_offset *offset, const struct swim_stamps *stamps)
{
    struct swim_interval sample;
    uint64_t now = stamps->mono_ns;

    if (!interval_of(stamps, &sample)) {
        return false;
    }
    if (offset->n_since > 0) {
        /* Answers may overtake each other: both as of the later one. */
        uint64_t last = offset->last_ns;
        struct swim_interval before = swim_interval_grow(offset->last, now > last ? now - last : 0);
        sample = swim_interval_grow(sample, last > now ? last - now : 0);
        now = now > last ? now : last;
        if (swim_interval_meet(&before, sample)) {
            sample = before;
        } else {
            offset->n_since = 0;
        }
    }
    offset->last = sample;
    offset->last_ns = now;
    if (offset->n_since == 0) {
        offset->drift_ppb = SWIM_DRIFT_UNKNOWN;
    } else {
        measure_drift(offset);
    }
    remember(offset);
    return true;
}

bool swim_offset_get(const struct swim_offset *offset, uint64_t mono_ns,
                     struct swim_estimate *estimate)
{
    if (offset->n_since == 0) {
        return false;
    }
    uint64_t age = mono_ns > offset->last_ns ? mono_ns - offset->last_ns : 0;
    struct swim_interval now = swim_interval_grow(offset->last, age);
    *estimate = (struct swim_estimate){.theta_ns = now.theta_ns,
                                       .bound_ns = now.bound_ns,
                                       .age_ns = age,
                                       .drift_ppb = offset->drift_ppb,
                                       .likely_ns = now.theta_ns,
                                       .likely_bound_ns = now.bound_ns};
    if (offset->drift_ppb != SWIM_DRIFT_UNKNOWN && age < SWIM_DRIFT_SPAN) {
        int64_t ns = (int64_t)age;
        estimate->likely_ns += ns / 1000 * offset->drift_ppb / (PPB / 1000);
        estimate->likely_bound_ns =
            offset->last.bound_ns + GRAIN_NS +
            ((uint64_t)ns / 1000 + 1) * offset->drift_error_ppb / (PPB / 1000);
    }
    return true;
}
