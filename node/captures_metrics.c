/* SPDX-License-Identifier: Apache-2.0 */
#include "node/captures.h"

#include <stdio.h>

#include "node/metrics.h"
#include "node/node.h"
#include "shared/base/mem.h"

static void put_protocols(const struct protocol_tally *tally, struct buf *out)
{
    static const struct {
        const char *name;
        const char *help;
        bool is_bytes;
    } families[] = {
        {"packetrecorder_packets_total", "Packets stored by captures, counted while indexing.",
         false},
        {"packetrecorder_bytes_total", "Captured bytes of these packets.", true},
    };

    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        metrics_family(out, families[f].name, "counter", families[f].help);
        for (int p = 0; p < PROTOCOLS; p++) {
            struct buf labels = {0};
            metrics_label(&labels, "protocol", protocol_names[p]);
            metrics_count(out, families[f].name, (const char *)labels.data,
                          families[f].is_bytes ? tally->bytes[p] : tally->packets[p]);
            buf_deinit(&labels);
        }
    }
}

static void put_delays(const struct store_delays *delays, struct buf *out)
{
    static const char name[] = "packetrecorder_packet_processing_seconds";
    uint64_t sum = 0;
    char labels[48];

    metrics_family(
        out, name, "histogram",
        "From the sealing of a captured block until its packets are indexed, compressed, "
        "sealed and appended to their segment, once a frame of up to 1 MiB; up to 0.4 s "
        "of it is gathering, where little comes.");
    for (int i = 0; i < STORE_DELAY_BUCKETS; i++) {
        sum += delays->buckets[i];
        snprintf(labels, sizeof labels, "le=\"%g\"", store_delay_bounds_us[i] / 1e6);
        metrics_count(out, "packetrecorder_packet_processing_seconds_bucket", labels, sum);
    }
    metrics_count(out, "packetrecorder_packet_processing_seconds_bucket", "le=\"+Inf\"",
                  delays->count);
    metrics_value(out, "packetrecorder_packet_processing_seconds_sum", "",
                  (double)delays->sum_ns / 1e9);
    metrics_count(out, "packetrecorder_packet_processing_seconds_count", "", delays->count);
}

static void put_known(struct buf *out, const char *name, const char *help, uint64_t value)
{
    if (value != LEDGER_UNKNOWN) {
        metrics_family(out, name, "counter", help);
        metrics_count(out, name, "", value);
    }
}

/* A place of loss that no capture can tell of is left out. */
static void put_ledger(const struct ledger *ledger, struct buf *out)
{
    const struct {
        const char *stage;
        uint64_t value;
    } lost[] = {
        {"kernel", ledger->kernel},
        {"interface", ledger->interface},
        {"limit", ledger->limit},
        {"store", ledger->store},
    };

    put_known(out, "packetrecorder_captured_packets_total",
              "Packets that captures took from their interfaces.", ledger->captured);
    put_known(out, "packetrecorder_captured_bytes_total", "Captured bytes of these packets.",
              ledger->bytes);
    put_known(out, "packetrecorder_received_packets_total",
              "Packets that passed the filters of captures, by the kernel's count.",
              ledger->received);
    metrics_family(out, "packetrecorder_lost_packets_total", "counter",
                   "Packets that captures lost: kernel (its buffer was full), interface (device or "
                   "driver), limit (read after a limit was reached), store (queue or disk full).");
    for (size_t i = 0; i < ARRAY_LEN(lost); i++) {
        struct buf labels = {0};
        metrics_label(&labels, "stage", lost[i].stage);
        if (lost[i].value != LEDGER_UNKNOWN) {
            metrics_count(out, "packetrecorder_lost_packets_total", (const char *)labels.data,
                          lost[i].value);
        }
        buf_deinit(&labels);
    }
}

void captures_metrics(struct node *node, struct buf *out)
{
    struct captures_totals totals;

    captures_totals(node->captures, &totals);
    put_protocols(&totals.protocols, out);
    metrics_family(out, "packetrecorder_active_sessions", "gauge", "Captures that run.");
    metrics_count(out, "packetrecorder_active_sessions", "", totals.running);
    put_known(out, "packetrecorder_captures_started_total", "Captures started since the node was.",
              totals.started);
    put_known(out, "packetrecorder_captures_ended_total", "Captures ended since then.",
              totals.ended);
    put_known(out, "packetrecorder_captures_failed_total", "Of these, by an error.", totals.failed);
    metrics_family(out, "packetrecorder_captures_disk_full", "gauge",
                   "Captures that cannot write at the moment because the disk is full.");
    metrics_count(out, "packetrecorder_captures_disk_full", "", totals.disk_full);
    metrics_family(out, "packetrecorder_captures_queue_bytes", "gauge",
                   "Memory of captured blocks that wait for the writers of the store.");
    metrics_count(out, "packetrecorder_captures_queue_bytes", "", totals.queue_bytes);
    metrics_family(out, "packetrecorder_captures_queue_limit_bytes", "gauge",
                   "How much may wait, over all captures that run; more is lost, and counted as "
                   "stage store.");
    metrics_count(out, "packetrecorder_captures_queue_limit_bytes", "", totals.queue_limit);
    put_delays(&totals.delays, out);
    put_ledger(&totals.ledger, out);
}
