/* SPDX-License-Identifier: Apache-2.0 */
#include "node/metrics.h"
#include "node/node.h"
#include "node/rpc_internal_uv.h"
#include "shared/base/mem.h"

static const char *const reasons[N_RPC_REJECTED] = {
    [RPC_REJECTED_CONNECTIONS] = "connections",
    [RPC_REJECTED_PEER] = "peer",
    [RPC_REJECTED_MALFORMED] = "malformed",
    [RPC_REJECTED_RIGHT] = "right",
    [RPC_REJECTED_BUSY] = "busy",
    [RPC_REJECTED_KEY_ENDED] = "key_ended",
    [RPC_REJECTED_SLOW] = "slow",
    [RPC_REJECTED_HANDSHAKE] = "handshake",
    [RPC_REJECTED_CHANNEL] = "channel",
};

static void put_labelled(struct buf *out, const char *family, const char *label, const char *value,
                         uint64_t n)
{
    struct buf labels = {0};

    metrics_label(&labels, label, value);
    buf_put_u8(&labels, 0);
    metrics_count(out, family, (const char *)labels.data, n);
    buf_deinit(&labels);
}

static void put_rejected(const struct rpc_server *server, struct buf *out)
{
    static const char family[] = "packetrecorder_rpc_rejected_total";
    const struct rpc_counters *c = &server->counters;
    uint64_t no_descriptors = server->has_local ? server->local.no_descriptors : 0;

    metrics_family(out, family, "counter", "RPC connections and calls that were refused or ended.");
    for (int i = 0; i < N_RPC_REJECTED; i++) {
        put_labelled(out, family, "reason", reasons[i], c->rejected[i]);
    }
    for (int i = CHANNEL_NOT_REFUSED + 1; i < CHANNEL_REFUSALS; i++) {
        if (i != CHANNEL_BUSY) {
            put_labelled(out, family, "reason", channel_refusal_name((enum channel_refusal)i),
                         c->refused[i]);
        }
    }
    for (size_t i = 0; i < server->n_listeners; i++) {
        no_descriptors += server->listeners[i].no_descriptors;
    }
    put_labelled(out, family, "reason", "strangers", rpc_door_turned_away(server->door));
    put_labelled(out, family, "reason", "stalled", server->streams.counters.stalled);
    put_labelled(out, family, "reason", "overfull", server->streams.counters.overfull);
    put_labelled(out, family, "reason", "descriptors", no_descriptors);
}

static void put_gauge(struct buf *out, const char *name, const char *help, uint64_t n)
{
    metrics_family(out, name, "gauge", help);
    metrics_count(out, name, "", n);
}

void rpc_server_metrics(struct node *node, struct buf *out)
{
    const struct rpc_server *server = node->rpc;
    const struct rpc_counters *c = &server->counters;

    if (server->n_closing > 0) {
        return; /* its parts are going */
    }
    metrics_family(out, "packetrecorder_rpc_calls_total", "counter", "RPC calls, by their end.");
    put_labelled(out, "packetrecorder_rpc_calls_total", "outcome", "answered", c->answered);
    put_labelled(out, "packetrecorder_rpc_calls_total", "outcome", "failed",
                 c->failed - c->cancelled - c->late);
    put_labelled(out, "packetrecorder_rpc_calls_total", "outcome", "cancelled", c->cancelled);
    put_labelled(out, "packetrecorder_rpc_calls_total", "outcome", "late", c->late);
    metrics_family(out, "packetrecorder_rpc_accepted_total", "counter", "RPC connections taken.");
    put_labelled(out, "packetrecorder_rpc_accepted_total", "over", "unix", c->accepted_unix);
    put_labelled(out, "packetrecorder_rpc_accepted_total", "over", "tcp", c->accepted_tcp);
    put_labelled(out, "packetrecorder_rpc_accepted_total", "over", "swarm", c->accepted_nodes);
    metrics_family(out, "packetrecorder_rpc_bytes_total", "counter",
                   "Bytes of RPC on the wire, by direction.");
    put_labelled(out, "packetrecorder_rpc_bytes_total", "direction", "in",
                 server->streams.counters.bytes_in);
    put_labelled(out, "packetrecorder_rpc_bytes_total", "direction", "out",
                 server->streams.counters.bytes_out);
    put_gauge(out, "packetrecorder_rpc_connections", "RPC connections that are open.",
              server->streams.n);
    put_gauge(out, "packetrecorder_rpc_calls_in_flight", "RPC calls that are not answered yet.",
              server->n_calls);
    metrics_family(out, "packetrecorder_rpc_held_total", "counter",
                   "RPC calls that waited until there was room for a large answer.");
    metrics_count(out, "packetrecorder_rpc_held_total", "", c->held);
    put_gauge(out, "packetrecorder_rpc_unsent_bytes", "Bytes of answers that wait to be sent.",
              server->streams.queued);
    put_gauge(out, "packetrecorder_rpc_strangers", "RPC connections in their handshake.",
              rpc_door_strangers(server->door));
    put_gauge(out, "packetrecorder_rpc_waiting",
              "RPC connections that wait until others are through their handshake.",
              rpc_door_waiting(server->door));
    metrics_family(out, "packetrecorder_rpc_audit_total", "counter",
                   "Entries of the audit; those that are lost stand in the log alone.");
    put_labelled(out, "packetrecorder_rpc_audit_total", "outcome", "written",
                 rpc_audit_written(server->audit));
    put_labelled(out, "packetrecorder_rpc_audit_total", "outcome", "lost",
                 rpc_audit_lost(server->audit));
    put_rejected(server, out);
}
