/* SPDX-License-Identifier: Apache-2.0
 *
 * N nodes with clocks of their own that probe each other over a network that delays and loses as
 * it likes, on a true time that no node sees: what swim_offset and swim_clock say is compared with
 * it after every event. Clocks differ by up to ±1 h, run up to ±250 ppm off and change their rate,
 * wall clocks step, nodes die and begin new lives. Seeded; the same seed, the same run.
 */
#pragma once

#include "shared/swarm/swim_clock.h"

#define MODEL_NODES  8
#define MODEL_FLIGHT 32 /* probes at the same time */

struct clock_model_opts {
    int64_t delay_least_ns, delay_most_ns; /* each way, evenly */
    uint32_t spike_percent;                /* of the ways take up to 100 × as long */
    uint32_t loss_percent;
    int32_t drift_ppb;         /* each clock, at the most, either way */
    uint64_t probe_ns;         /* between two probes of anybody, at the most twice that */
    bool keeps_rates;          /* no clock changes its rate */
    uint32_t faults_per_10000; /* of the events: a step, another rate, or a death */
};

struct clock_model_node {
    uint64_t mono_ns; /* as of true_ns */
    int64_t wall_ns;
    int64_t rest; /* parts of a ns × 10^9 that the clock is behind by */
    int32_t drift_ppb;
    uint64_t boot;
    struct swim_clock clock;
    struct swim_offset offsets[MODEL_NODES];
    uint64_t boots[MODEL_NODES]; /* what it knows of the others; told late */
    int64_t walls[MODEL_NODES];  /* swim_clock.wall_ns that they told */
};

struct clock_model_probe {
    uint64_t due_ns; /* true time of the next thing that happens to it; 0: free */
    uint64_t from_boot, to_boot;
    struct swim_stamps stamps;
    struct swim_clock_view view;
    int64_t wall_ns;
    uint64_t sent_ns;     /* monotonic of the sender */
    uint8_t from, to, at; /* at: 0 on the way, 1 with the peer, 2 on the way back */
};

struct clock_model {
    const struct clock_model_opts *opts;
    uint64_t random;
    uint64_t true_ns;
    uint64_t next_probe_ns;
    uint64_t n_checks, n_broken, n_same_root, n_deaths, n_steps;
    struct clock_model_node nodes[MODEL_NODES];
    struct clock_model_probe flight[MODEL_FLIGHT];
    /* Called with each sample that was taken. */
    void (*on_sample)(struct clock_model *model, uint32_t node, uint32_t peer);
    void *context;
};

void clock_model_init(struct clock_model *model, const struct clock_model_opts *opts,
                      uint64_t seed);
/* One event, and all bounds checked after it. */
void clock_model_step(struct clock_model *model);
/* The truth: the steady clock of `of` minus that of `by`, now. */
int64_t clock_model_offset(const struct clock_model *model, uint32_t by, uint32_t of);
int64_t clock_model_swarm(const struct clock_model *model, uint32_t node);
