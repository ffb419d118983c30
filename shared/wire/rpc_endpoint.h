/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a node answers calls, as it is typed: unix:PATH (or a PATH that begins with / or .),
 * HOST:PORT, [IPV6]:PORT, HOST. Pure.
 */
#pragma once

#include <stdbool.h>

#include "shared/base/err.h"
#include "shared/wire/url.h"

#define RPC_DEFAULT_PORT      50051
#define RPC_DEFAULT_SOCKET    "/run/packetrecorder/rpc.sock"
#define RPC_SOCKET_PATH_MAX   108 /* sun_path, with the terminator */
#define RPC_ENDPOINT_TEXT_MAX (URL_HOST_MAX + 16)

struct rpc_endpoint {
    bool is_unix;
    char path[RPC_SOCKET_PATH_MAX];
    struct url_endpoint tcp;
};

/* ERR_USAGE with the way out. */
int rpc_endpoint_parse(const char *text, struct rpc_endpoint *out, struct err *err);
/* "unix:/run/packetrecorder/rpc.sock", "host:50051", "[::1]:50051". */
void rpc_endpoint_print(const struct rpc_endpoint *endpoint, char text[RPC_ENDPOINT_TEXT_MAX]);
