/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node can be told: one table of options, read from flags, the environment, a configuration
 * file and defaults, in this order of precedence. Help, the man page, docs/CONFIG.md, `config
 * check` and the tests walk the same table (node_options.c). Strings are borrowed from whoever
 * parsed them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/options/command.h"

struct node_options {
    /* [node] */
    const char *node_name; /* NULL: the host's name */
    const char *database;  /* packets.db */
    const char *config;    /* --config FILE, PACKETRECORDER_CONFIG */
    int log_level;         /* enum log_level; PACKETRECORDER_LOG */
    const char *user;      /* --user: become this user once everything is open */
    /* [store] */
    const char *encryption_key; /* sodium memory */
    const char *encryption_key_file;
    uint64_t quota_bytes;    /* 0 = none */
    uint64_t min_free_bytes; /* /health fails below it */
    /* [http] */
    struct option_list http_addrs; /* --http-addr, repeated; "127.0.0.1:8080" */
    const char *tls_cert;
    const char *tls_key;
    struct option_list allow_hosts; /* --allow-host: names in Host and Origin besides our own */
    bool insecure;                  /* beyond loopback without TLS */
    uint64_t max_connections;
    /* [rpc] */
    struct option_list rpc_addrs; /* --rpc-addr, repeated; none given: 127.0.0.1:50051 */
    const char *rpc_socket;       /* NULL: the usual place, where that can be used */
    /* [capture] */
    bool allow_inject;
    bool include_self;                /* do not leave the node's own traffic out */
    uint64_t max_captures;            /* distinct live captures, 16 */
    uint64_t buffer_bytes;            /* the kernel's ring of one capture */
    uint64_t backlog_bytes;           /* shared ring of one live stream, 64 MiB */
    uint64_t viewer_queue_bytes;      /* what one slow viewer may have on its way, 1 MiB */
    struct option_list pcapng_listen; /* ADDR:PORT=IFACE[,FILTER] */
    /* [ingest] */
    bool ingest_record;           /* record what uplinks send */
    uint64_t ingest_buffer_bytes; /* of one uplink */
    /* [swarm] */
    const char *state_dir;           /* NULL: DB.d/node */
    const char *cluster_key_file;    /* NULL: no swarm */
    const char *swarm_admin;         /* "prv_…"; NULL: every member may give orders */
    struct option_list gossip_addrs; /* --gossip-addr, repeated; ":7946" */
    struct option_list advertise_addrs;
    struct option_list join;
    const char *site;
    struct option_list tags; /* KEY=VALUE */
    int gossip_profile;      /* index into gossip_profile_words */
};

/* "lan", "fast", "wan"; NULL behind the last. */
extern const char *const gossip_profile_words[];

/* The table: `serve` of the command line and packetrecorderd itself. Offsets are into node_options.
 */
#define N_NODE_OPTIONS 35
extern const struct command_option node_option_table[N_NODE_OPTIONS];

extern const char *const node_serve_description[];
extern const struct command_example node_serve_examples[];

/* `serve`, all but its run function: packetrecorder hands on to packetrecorderd what it was told,
 * so both must understand the same. */
/* clang-format off */
#define COMMAND_SERVE                                                                              \
    .name = "serve",                                                                               \
    .summary = "run a node: serve this host's interfaces to others",                               \
    .options = node_option_table,                                                                  \
    .n_options = N_NODE_OPTIONS,                                                                   \
    .args_size = sizeof(struct node_options),                                                      \
    .description = node_serve_description,                                                         \
    .examples = node_serve_examples
/* clang-format on */
