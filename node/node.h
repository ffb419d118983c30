/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a running node share. Made by node/node_uv.c, which starts them in the order of
 * the members and ends them in the other. All of it belongs to the loop thread unless a header says
 * otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/base/tags.h"
#include "shared/options/node_options.h"
#include "shared/wire/api_key.h"

struct auth;
struct captures;
struct node_devices;
struct gauges;
struct gossip;
struct events;
struct jobs;
struct http_server;
struct inject_hub;
struct node_sources;
struct pcapng_listen;
struct peers;
struct node_store;
struct readings;
struct remotes;
struct replays;
struct relay;
struct rpc_server;
struct uplinks;
struct uv_loop_s;
struct work_queue;

struct node {
    struct uv_loop_s *loop;
    const struct node_options *options;
    char name[256];          /* --node-name, or the host's */
    struct tags tags;        /* --tag */
    uint64_t started_ns;     /* wall time */
    bool stopping;           /* SIGTERM came: no new work */
    struct work_queue *work; /* node/work_uv: what blocks */
    struct events *events;
    struct node_store *store;     /* readers and the writer's lock (node/store_access) */
    struct node_devices *devices; /* of this host, remembered (node/devices_uv) */
    struct node_sources *sources; /* interfaces, and what of their traffic is ours */
    struct remotes *remotes;      /* interfaces of other members */
    struct auth *auth;            /* API keys, tickets, Host and Origin */
    struct captures *captures;    /* recordings */
    uint32_t n_recordings;        /* of them, of interfaces; they and streams are --max-captures */
    struct gauges *gauges;        /* store, disk and process in numbers */
    struct relay *relay;          /* live streams and their viewers */
    struct pcapng_listen *pcapng; /* --pcapng-listen */
    struct inject_hub *inject;    /* transmitting */
    struct uplinks *uplinks;      /* what sniffers feed */
    struct replays *replays;      /* sessions that are sent again */
    struct readings *readings;    /* sessions that are read over RPC */
    struct http_server *http;     /* listeners and connections */
    struct rpc_server *rpc;       /* the same for RPC */
    struct gossip *gossip;        /* the swarm; NULL: there is none */
    struct peers *peers;          /* calls to its other members */
    struct jobs *jobs;            /* captures on many nodes, planned */
};
