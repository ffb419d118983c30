/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/swarm_addr.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_address(const char *host)
{
    struct in6_addr v6;
    struct in_addr v4;

    return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, host, &v6) == 1;
}

static int parse_port(const char *text, uint16_t *port)
{
    unsigned long value = 0;
    size_t n = strlen(text);

    if (n == 0 || n > 5 || strspn(text, "0123456789") != n) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    if (value == 0 || value > UINT16_MAX) {
        return -1;
    }
    *port = (uint16_t)value;
    return 0;
}

/* *host of n bytes within text; *port NULL where there is none. False: brackets do not fit. */
static bool split(const char *text, const char **host, size_t *n, const char **port)
{
    const char *colon = strchr(text, ':');

    *host = text;
    *port = NULL;
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return false;
        }
        *host = text + 1;
        *n = (size_t)(end - text) - 1;
        *port = end[1] == ':' ? end + 2 : NULL;
        return memchr(*host, ':', *n) != NULL;
    }
    if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *n = (size_t)(colon - text);
        *port = colon + 1;
        return true;
    }
    *n = strlen(text); /* no colon, or an IPv6 address without brackets */
    return true;
}

static bool is_host(const char *host)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t n = strlen(host);

    if (is_address(host)) {
        return true;
    }
    /* Four numbers that are no address would be looked up as a name. */
    return n > 0 && strspn(host, letters) == n && strspn(host, "0123456789.") != n;
}

int swarm_addr_parse(const char *text, struct swarm_addr *out, struct err *err)
{
    struct swarm_addr addr = {0};
    const char *host;
    const char *port;
    size_t n = 0;

    if (!split(text, &host, &n, &port) || n >= sizeof addr.host) {
        return err_set(err, ERR_USAGE,
                       "'%.80s' is no address of a node: write HOST, HOST:PORT or [IPV6]:PORT",
                       text);
    }
    memcpy(addr.host, host, n);
    if (!is_host(addr.host)) {
        return err_set(err, ERR_USAGE, "'%.80s' in '%.80s' is neither an address nor a name",
                       addr.host, text);
    }
    if (port != NULL && parse_port(port, &addr.port) < 0) {
        return err_set(err, ERR_USAGE, "'%.20s' in '%.80s' is no port: 1 to 65535", port, text);
    }
    addr.is_numeric = is_address(addr.host);
    *out = addr;
    return 0;
}
