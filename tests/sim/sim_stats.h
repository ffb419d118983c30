/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples, and what tables say of them: median, 99th percentile, least and most. Percentiles are
 * those of the nearest rank, so that each is a value that was measured.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sim_stats {
    double *values; /* owned */
    size_t n;
    size_t cap;
};

void sim_stats_deinit(struct sim_stats *stats);
void sim_stats_add(struct sim_stats *stats, double value);
/* 0 to 100; 0 is the least, 100 the most; NaN when there are none. Sorts. */
double sim_stats_percentile(struct sim_stats *stats, double percent);
double sim_stats_median(struct sim_stats *stats);
double sim_stats_sum(const struct sim_stats *stats);
