/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_stats.h"

#include <math.h>
#include <stdlib.h>

#include "shared/base/mem.h"

void sim_stats_deinit(struct sim_stats *stats)
{
    mem_free(stats->values);
    *stats = (struct sim_stats){0};
}

void sim_stats_add(struct sim_stats *stats, double value)
{
    if (stats->n == stats->cap) {
        stats->cap = stats->cap == 0 ? 64 : stats->cap * 2;
        stats->values = x_realloc(stats->values, stats->cap * sizeof *stats->values);
    }
    stats->values[stats->n++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double sim_stats_percentile(struct sim_stats *stats, double percent)
{
    double rank = ceil(percent / 100 * (double)stats->n);
    size_t at = rank < 1 ? 0 : (size_t)rank - 1;

    if (stats->n == 0) {
        return (double)NAN;
    }
    qsort(stats->values, stats->n, sizeof *stats->values, compare);
    return stats->values[at < stats->n ? at : stats->n - 1];
}

double sim_stats_median(struct sim_stats *stats)
{
    return sim_stats_percentile(stats, 50);
}

double sim_stats_sum(const struct sim_stats *stats)
{
    double sum = 0;

    for (size_t i = 0; i < stats->n; i++) {
        sum += stats->values[i];
    }
    return sum;
}
