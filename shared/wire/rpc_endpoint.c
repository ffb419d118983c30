/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/rpc_endpoint.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

#define UNIX_PREFIX "unix:"

static int parse_unix(const char *path, struct rpc_endpoint *out, struct err *err)
{
    struct rpc_endpoint made = {.is_unix = true};
    size_t n = strlen(path);

    if (n == 0) {
        return err_set(err, ERR_USAGE, "the endpoint 'unix:' has no path: write unix:%s",
                       RPC_DEFAULT_SOCKET);
    }
    if (n >= sizeof made.path) {
        return err_set(err, ERR_USAGE,
                       "the path of the endpoint 'unix:%.200s' is longer than the %zu bytes that a "
                       "UNIX socket can have",
                       path, sizeof made.path - 1);
    }
    memcpy(made.path, path, n + 1);
    *out = made;
    return 0;
}

int rpc_endpoint_parse(const char *text, struct rpc_endpoint *out, struct err *err)
{
    struct rpc_endpoint made = {.is_unix = false};
    const char *bracket = strrchr(text, ']');
    const char *behind = bracket != NULL ? bracket : text;

    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        return parse_unix(text + strlen(UNIX_PREFIX), out, err);
    }
    if (text[0] == '/' || text[0] == '.') {
        return parse_unix(text, out, err);
    }
    if (strchr(text, '/') != NULL) {
        return err_set(err, ERR_USAGE,
                       "the endpoint '%.200s' is none for calls: write HOST:PORT of the node's "
                       "--rpc-addr, or unix:PATH of its --rpc-socket",
                       text);
    }
    char *whole = x_sprintf(strchr(behind, ':') == NULL ? "%s:%d" : "%s", text, RPC_DEFAULT_PORT);
    int rc = url_parse_endpoint(whole, &made.tcp, err);
    mem_free(whole);
    if (rc < 0) {
        return rc == ERR_USAGE
                   ? err_set(
                         err, ERR_USAGE,
                         "the endpoint '%.200s' is neither HOST:PORT, [IPV6]:PORT nor unix:PATH",
                         text)
                   : rc;
    }
    *out = made;
    return 0;
}

void rpc_endpoint_print(const struct rpc_endpoint *endpoint, char text[RPC_ENDPOINT_TEXT_MAX])
{
    struct buf name = {0};

    if (endpoint->is_unix) {
        snprintf(text, RPC_ENDPOINT_TEXT_MAX, UNIX_PREFIX "%s", endpoint->path);
        return;
    }
    url_format_endpoint(&endpoint->tcp, true, &name);
    snprintf(text, RPC_ENDPOINT_TEXT_MAX, "%.*s", (int)name.len, (const char *)name.data);
    buf_deinit(&name);
}
