/* SPDX-License-Identifier: Apache-2.0
 *
 * What a live view gives its consumer: the interfaces of all connections under numbers of their
 * own, each once; runs of packets, from where they lie unless numbers must be changed; statistics,
 * with the viewer's own losses added. Called under the view's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/live_view_posix.h"
#include "cli/viewer_stream.h"
#include "shared/base/buf.h"
#include "shared/packet/consumer.h"

#define LIVE_VIEW_IFACES_MAX 256u

/* A counter of the node's, since the viewer came: it may be older than that, and it begins at 0
 * again when the node does. */
struct live_view_growth {
    uint64_t last; /* as told; UINT64_MAX = never */
    uint64_t sum;
};

struct live_view_iface {
    uint64_t packets;
    uint64_t lost;
    struct pcapng_statistics node; /* the last that the node told */
    struct live_view_growth kernel;
    struct live_view_growth interface;
};

struct live_view_output {
    struct consumer *consumer; /* borrowed */
    bool is_file;
    live_view_statistics_cb statistics;
    bool begun;
    uint64_t started_ns; /* wall time */
    struct iface *ifaces;
    struct live_view_iface *counts;
    uint32_t n_ifaces;
    uint64_t packets;
    uint64_t bytes;
    uint64_t max_packets; /* UINT64_MAX = no limit */
    struct buf patched;
};

void live_view_output_init(struct live_view_output *out, struct consumer *consumer, bool is_file);
void live_view_output_deinit(struct live_view_output *out);

/* The number of this interface, which is told to the consumer when it is new. */
int live_view_output_iface(struct live_view_output *out, const struct iface *iface, uint32_t *id,
                           struct err *err);

/* A run whose interfaces are numbered by `map`; NULL where the numbers are right. */
int live_view_output_packets(struct live_view_output *out, const struct stream_piece *piece,
                             const uint32_t *map, struct err *err);

/* The node's statistics (NULL: none, as of now_ns), after `lost` more packets were lost on this
 * interface. */
int live_view_output_statistics(struct live_view_output *out, uint32_t id,
                                const struct pcapng_statistics *statistics, uint64_t lost,
                                const char *comment, struct err *err);

/* The end: closing statistics of each interface. */
/* A file that nothing came for is a valid, empty one all the same; before finish. */
int live_view_output_begin(struct live_view_output *out, struct err *err);
int live_view_output_finish(struct live_view_output *out, uint64_t now_ns, struct err *err);

/* Sums; UINT64_MAX = unknown. */
void live_view_output_sums(const struct live_view_output *out, uint64_t *lost, uint64_t *kernel,
                           uint64_t *interface);
