/* SPDX-License-Identifier: Apache-2.0
 *
 * The relay's families for /metrics. Streams come and go; what they lost is kept in their own
 * counters while they run, and by kind of viewer for ever.
 */
#include "node/relay_internal_uv.h"

#include <inttypes.h>
#include <stdio.h>

#include "node/metrics.h"
#include "node/viewer_uv.h"
#include "shared/base/mem.h"

static const char *const kinds[N_VIEWER_KINDS] = {
    [VIEWER_RAW] = "raw", [VIEWER_PCAPNG] = "pcapng", [VIEWER_TCP] = "tcp", [VIEWER_RPC] = "rpc"};

static void by_kind(const struct relay *relay, struct buf *out, const char *name,
                    uint64_t (*value)(const struct relay *relay, int kind))
{
    for (int kind = 0; kind < N_VIEWER_KINDS; kind++) {
        struct buf labels = {0};

        metrics_label(&labels, "kind", kinds[kind]);
        buf_put_u8(&labels, 0);
        metrics_count(out, name, (const char *)labels.data, value(relay, kind));
        buf_deinit(&labels);
    }
}

static uint64_t viewers_of(const struct relay *relay, int kind)
{
    return relay->n_viewers[kind];
}

static uint64_t joined_of(const struct relay *relay, int kind)
{
    return relay->counters[kind].joined;
}

static uint64_t packets_of(const struct relay *relay, int kind)
{
    return relay->counters[kind].packets;
}

static uint64_t bytes_of(const struct relay *relay, int kind)
{
    return relay->counters[kind].bytes;
}

static uint64_t lost_of(const struct relay *relay, int kind)
{
    return relay->counters[kind].lost;
}

static void viewer_families(const struct relay *relay, struct buf *out)
{
    static const struct {
        const char *name;
        const char *kind;
        const char *help;
        uint64_t (*value)(const struct relay *relay, int kind);
    } families[] = {
        {"packetrecorder_viewers", "gauge", "Viewers that are connected.", viewers_of},
        {"packetrecorder_viewers_joined_total", "counter", "Viewers that have come.", joined_of},
        {"packetrecorder_viewer_packets_total", "counter", "Packets sent to viewers.", packets_of},
        {"packetrecorder_viewer_bytes_total", "counter",
         "Bytes of messages sent to viewers, without TLS.", bytes_of},
        {"packetrecorder_viewer_lost_packets_total", "counter",
         "Packets that viewers did not get because they were too slow.", lost_of},
    };

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        metrics_family(out, families[i].name, families[i].kind, families[i].help);
        by_kind(relay, out, families[i].name, families[i].value);
    }
}

enum stream_value {
    STREAM_PACKETS,
    STREAM_RING_BYTES,
    STREAM_RUNS,
    STREAM_LOST_KERNEL,
    STREAM_LOST_INTERFACE,
    STREAM_LOST_RELAY
};

/* UINT64_MAX = the platform does not say: left out. */
static uint64_t stream_value(struct relay_stream *stream, enum stream_value what)
{
    struct ledger ledger = relay_stream_ledger(stream);
    uint64_t value = 0;

    uv_mutex_lock(&stream->mutex);
    switch (what) {
    case STREAM_PACKETS:
        value = stream->ring.packets;
        break;
    case STREAM_RING_BYTES:
        value = stream->ring.bytes;
        break;
    case STREAM_RUNS:
        value = stream->state == STREAM_RUNNING;
        break;
    case STREAM_LOST_KERNEL:
        value = ledger.kernel;
        break;
    case STREAM_LOST_INTERFACE:
        value = ledger.interface;
        break;
    case STREAM_LOST_RELAY:
        value = ledger.store;
        break;
    }
    uv_mutex_unlock(&stream->mutex);
    return value;
}

/* The labels are what streams are told apart by: of those that viewers may join there is one of
 * each. Ids would make a new series of every stream that ever was. */
static void by_stream(const struct relay *relay, struct buf *out, const char *name,
                      enum stream_value what)
{
    for (struct relay_stream *stream = relay->streams; stream != NULL; stream = stream->next) {
        uint64_t value = stream_value(stream, what);
        struct buf labels = {0};
        char snaplen[16];

        if (!stream->has_run || stream->ending || value == UINT64_MAX) {
            continue;
        }
        snprintf(snaplen, sizeof snaplen, "%" PRIu32, stream->snaplen);
        metrics_label(&labels, "interface", stream->interface);
        metrics_label(&labels, "filter", stream->filter);
        metrics_label(&labels, "snaplen", snaplen);
        buf_put_u8(&labels, 0);
        metrics_count(out, name, (const char *)labels.data, value);
        buf_deinit(&labels);
    }
}

static void stream_families(const struct relay *relay, struct buf *out)
{
    static const struct {
        const char *name;
        const char *kind;
        const char *help;
        enum stream_value what;
    } families[] = {
        {"packetrecorder_stream_packets_total", "counter", "Packets of a live stream.",
         STREAM_PACKETS},
        {"packetrecorder_stream_ring_bytes", "gauge", "Memory of a live stream's backlog.",
         STREAM_RING_BYTES},
        {"packetrecorder_stream_up", "gauge", "1 while the stream's interface is captured.",
         STREAM_RUNS},
        {"packetrecorder_stream_lost_kernel_total", "counter",
         "Packets of a live stream lost because the kernel's ring was full.", STREAM_LOST_KERNEL},
        {"packetrecorder_stream_lost_interface_total", "counter",
         "Packets of a live stream lost by interface or driver.", STREAM_LOST_INTERFACE},
        {"packetrecorder_stream_lost_relay_total", "counter",
         "Packets of a live stream lost between its capture and its viewers.", STREAM_LOST_RELAY},
    };

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        metrics_family(out, families[i].name, families[i].kind, families[i].help);
        by_stream(relay, out, families[i].name, families[i].what);
    }
}

/* The series of a stream goes with it; what it lost does not. */
static uint64_t lost_here(const struct relay *relay)
{
    uint64_t sum = relay->lost_captured;

    for (struct relay_stream *stream = relay->streams; stream != NULL; stream = stream->next) {
        sum += relay_stream_ledger(stream).store;
    }
    return sum;
}

void relay_metrics(struct node *node, struct buf *out)
{
    const struct relay *relay = node->relay;

    viewer_families(relay, out);
    stream_families(relay, out);
    metrics_family(out, "packetrecorder_streams", "gauge", "Live captures for viewers.");
    metrics_count(out, "packetrecorder_streams", "", relay->n_streams);
    metrics_family(out, "packetrecorder_relay_lost_packets_total", "counter",
                   "Packets of all live streams, those that are over too, lost between capture and "
                   "viewers.");
    metrics_count(out, "packetrecorder_relay_lost_packets_total", "", lost_here(relay));
    metrics_family(out, "packetrecorder_streams_refused_total", "counter",
                   "Viewers refused because --max-captures different captures run.");
    metrics_count(out, "packetrecorder_streams_refused_total", "", relay->refused);
}
