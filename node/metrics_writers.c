/* SPDX-License-Identifier: Apache-2.0
 *
 * THE table of who writes what onto /metrics. A part that is not open writes nothing.
 */
#include "node/auth.h"
#include "node/captures.h"
#include "node/events.h"
#include "node/gauges.h"
#include "node/gossip.h"
#include "node/peers.h"
#include "node/jobs.h"
#include "node/http_server.h"
#include "node/inject_hub.h"
#include "node/metrics.h"
#include "node/node.h"
#include "node/readings.h"
#include "node/relay.h"
#include "node/replays.h"
#include "node/rpc_server.h"
#include "node/uplinks.h"
#include "shared/base/mem.h"

static void write_build(struct node *node, struct buf *out)
{
    (void)node;
    metrics_family(out, "packetrecorder_build_info", "gauge", "Always 1; the version is a label.");
    metrics_count(out, "packetrecorder_build_info", "version=\"" PR_VERSION "\"", 1);
}

static void write_relay(struct node *node, struct buf *out)
{
    if (node->relay != NULL) {
        relay_metrics(node, out);
    }
}

static void write_inject(struct node *node, struct buf *out)
{
    if (node->inject != NULL) {
        inject_hub_metrics(node, out);
    }
}

static void write_uplinks(struct node *node, struct buf *out)
{
    if (node->uplinks != NULL) {
        uplinks_metrics(node, out);
    }
}

static void write_auth(struct node *node, struct buf *out)
{
    if (node->auth != NULL) {
        auth_metrics(node, out);
    }
}

static void write_http(struct node *node, struct buf *out)
{
    if (node->http != NULL) {
        http_server_metrics(node, out);
    }
}

static void write_replays(struct node *node, struct buf *out)
{
    if (node->replays != NULL) {
        replays_metrics(node, out);
    }
}

static void write_readings(struct node *node, struct buf *out)
{
    if (node->readings != NULL) {
        readings_metrics(node, out);
    }
}

static void write_rpc(struct node *node, struct buf *out)
{
    if (node->rpc != NULL) {
        rpc_server_metrics(node, out);
    }
}

const metrics_write_cb metrics_writers[] = {
    captures_metrics, write_relay,   write_inject,  write_uplinks,  gauges_metrics,
    write_auth,       write_http,    write_replays, write_readings, write_rpc,
    gossip_metrics,   peers_metrics, jobs_metrics,  events_metrics, write_build,
};
const size_t n_metrics_writers = ARRAY_LEN(metrics_writers);
