/* SPDX-License-Identifier: Apache-2.0
 *
 * How the clock stands that stamps a recording's packets: a sample at the start, every 60 s, when
 * somebody set it, and at the end. Before one is taken the clocks are measured, which takes some
 * ms. Looked at on the writer's thread; shown on others.
 */
#pragma once

#include <pthread.h>

#include "node/node.h"
#include "shared/store/store_writer.h"

#define RECORDING_CLOCK_EVERY_NS     (60ull * 1000000000)
#define RECORDING_CLOCK_REFERENCE_NS (10ull * 1000000000)

struct recording_clock {
    struct node *node;
    uint64_t reference; /* sid of a member to be measured as well; 0: none */
    pthread_mutex_t lock;
    struct clock_samples samples; /* all so far */
    uint64_t due_ns;              /* monotonic: the next sample; 0: none was taken yet */
    uint64_t measured_ns;         /* when measuring for it began; 0: not yet */
    uint64_t followed_ns;         /* the reference was measured */
    uint64_t looked_ns;           /* wall clock at the last look */
    int64_t gap_ns;               /* wall minus monotonic clock then */
};

void recording_clock_init(struct recording_clock *clock, struct node *node, uint64_t reference);
void recording_clock_deinit(struct recording_clock *clock);
/* For store_session_spec.clock. */
uint32_t recording_clock_look(void *arg, bool is_last, struct clock_sample out[STORE_CLOCK_MOST]);
/* Adds what there is to *out. */
void recording_clock_show(struct recording_clock *clock, struct clock_samples *out);
