/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection of a manage command, for its two halves: manage_node_posix.c opens it,
 * manage_calls_posix.c calls through it. Nobody else looks into it.
 */
#pragma once

#include "cli/manage.h"
#include "shared/wire/rpc_client.h"

#define MANAGE_ENDPOINTS_MAX 32u
#define MANAGE_AGAIN_MS      250 /* between two tries to connect again */

struct manage {
    struct command_context *ctx;
    uint64_t timeout_ns;
    struct rpc_endpoint endpoints[MANAGE_ENDPOINTS_MAX];
    size_t n_endpoints;
    bool is_from_environment; /* the endpoints */
    char *key;                /* sodium memory; NULL = none */
    char *node;               /* whom all calls are for; NULL = the node asked */
    struct rpc_client *client;
    size_t answer_bytes;
};

/* Until then a call that begins now is waited for. Monotonic. */
uint64_t manage_deadline_ns(const struct manage *manage);
