/* SPDX-License-Identifier: Apache-2.0
 *
 * A consumer of a live view whose interfaces are those of many nodes (`swarm:all`): brings them
 * into one order with shared/merge and gives the bytes of one pcapng to a sink. Interfaces are
 * named NODE/IFACE, or IFACE where they are of the node asked. The view calls it under its lock;
 * clocks may be told by any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/merge/merge_clock.h"
#include "shared/packet/consumer.h"
#include "shared/packet/pcapng.h"

#define SWARM_NAME_MAX   256
#define SWARM_CLOCKS_MAX 4096u

/* Where the bytes go. */
struct swarm_sink {
    int (*put)(struct swarm_sink *sink, const uint8_t *bytes, size_t n, struct err *err);
    /* Nothing comes: notices a reader that went away. */
    int (*check)(struct swarm_sink *sink, struct err *err);
    void (*free)(struct swarm_sink *sink);
};

struct swarm_merge_opts {
    const char *application;
    const char *node; /* the one asked */
    uint64_t hold_ns;
    struct swarm_sink *sink; /* moved */
};

struct consumer *swarm_merge_new(const struct swarm_merge_opts *opts);
void swarm_merge_free(struct consumer *consumer); /* takes NULL */

/* As file_writer_statistics. */
int swarm_merge_statistics(struct consumer *consumer, uint32_t iface,
                           const struct pcapng_statistics *statistics, const char *comment,
                           struct err *err);

/* A node's clock against the common time, from now on; time_ns is not looked at. Any thread. */
void swarm_merge_clock(struct consumer *consumer, const char *node, const char *id,
                       const struct merge_clock_sample *sample);
/* The common time minus the monotonic one. Any thread. */
void swarm_merge_time(struct consumer *consumer, int64_t ahead_ns);
