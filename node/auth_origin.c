/* SPDX-License-Identifier: Apache-2.0
 *
 * Host and Origin. A page on evil.example can make a browser send requests to a name of its own
 * that resolves to 127.0.0.1 (DNS rebinding), or straight to 127.0.0.1 from another origin. The
 * first is seen by a Host that is no name of this node, the second by Origin. Requests without
 * Origin are no browser's, or harmless by the rules of browsers.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "node/auth_internal.h"

#define NAME_MAX_BYTES 256

/* "name", "name:80", "[::1]:80" into name (without brackets) and port ("" = none). */
static bool split_authority(const char *text, size_t n, char name[NAME_MAX_BYTES], char port[8])
{
    const char *end = text + n;
    const char *name_end;

    if (n > 0 && text[0] == '[') {
        text++;
        name_end = memchr(text, ']', (size_t)(end - text));
        if (name_end == NULL) {
            return false;
        }
    } else {
        name_end = memchr(text, ':', n);
        name_end = name_end == NULL ? end : name_end;
    }
    const char *rest = *name_end == ']' && name_end < end ? name_end + 1 : name_end;
    size_t name_n = (size_t)(name_end - text);
    size_t port_n = rest < end ? (size_t)(end - rest) - 1 : 0;
    if (name_n == 0 || name_n >= NAME_MAX_BYTES || port_n >= 8 || (rest < end && *rest != ':')) {
        return false;
    }
    memcpy(name, text, name_n);
    name[name_n] = '\0';
    /* "name." is the same name. */
    if (name_n > 1 && name[name_n - 1] == '.') {
        name[name_n - 1] = '\0';
    }
    memcpy(port, rest < end ? rest + 1 : rest, port_n);
    port[port_n] = '\0';
    return port[strspn(port, "0123456789")] == '\0';
}

static bool is_allowed_name(const struct auth *auth, const char *name)
{
    const struct option_list *allowed = &auth->node->options->allow_hosts;

    for (size_t i = 0; i < allowed->n; i++) {
        if (strcasecmp(name, allowed->items[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* IPv6 addresses are written in many ways: [::1], [0:0:0:0:0:0:0:1]. */
static bool is_same_address(const char *a, const char *b)
{
    struct in6_addr one;
    struct in6_addr other;

    return inet_pton(AF_INET6, a, &one) == 1 && inet_pton(AF_INET6, b, &other) == 1 &&
           memcmp(&one, &other, sizeof one) == 0;
}

/* The address that the connection came to is ours for sure. "localhost" is nobody's to let resolve
 * to us, and what a client behind a forwarded port (ssh -L, a container's) calls us. */
static bool is_our_name(const struct auth *auth, const char *name, const char *local)
{
    return strcasecmp(name, local) == 0 || is_same_address(name, local) ||
           strcasecmp(name, auth->node->name) == 0 || strcasecmp(name, "localhost") == 0 ||
           is_allowed_name(auth, name);
}

static bool same_origin(const char *origin, const char *host_name, const char *host_port, bool tls)
{
    const char *scheme = tls ? "https://" : "http://";
    const char *standard = tls ? "443" : "80";
    char name[NAME_MAX_BYTES];
    char port[8];

    if (strncasecmp(origin, scheme, strlen(scheme)) != 0) {
        return false;
    }
    const char *authority = origin + strlen(scheme);
    return split_authority(authority, strlen(authority), name, port) &&
           strcasecmp(name, host_name) == 0 &&
           strcmp(port[0] == '\0' ? standard : port, host_port[0] == '\0' ? standard : host_port) ==
               0;
}

/* --allow-host also lets pages of that name in, from any port and scheme. */
static bool is_allowed_origin(const struct auth *auth, const char *origin)
{
    char name[NAME_MAX_BYTES];
    char port[8];
    const char *slashes = strstr(origin, "://");

    return slashes != NULL && split_authority(slashes + 3, strlen(slashes + 3), name, port) &&
           is_allowed_name(auth, name);
}

static size_t count_header(const struct http_head *head, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < head->n_headers; i++) {
        n += strcmp(head->headers[i].name, name) == 0 ? 1 : 0;
    }
    return n;
}

int auth_check_origin(const struct auth *auth, const struct http_head *head, const char *local,
                      bool tls, struct err *err)
{
    const char *host = http_header(head, "host");
    const char *origin = http_header(head, "origin");
    char name[NAME_MAX_BYTES] = "";
    char port[8] = "";

    if (count_header(head, "host") > 1 || count_header(head, "origin") > 1) {
        return err_set(err, ERR_USAGE, "more than one Host or Origin");
    }
    if (host == NULL) {
        return head->is_http10 && origin == NULL ? 0 : err_set(err, ERR_USAGE, "no Host");
    }
    if (!split_authority(host, strlen(host), name, port)) {
        return err_set(err, ERR_USAGE, "Host must be a name or address with an optional port");
    }
    if (!is_our_name(auth, name, local)) {
        return err_set(err, ERR_PERMISSION,
                       "Host '%s' is no name of this node: use its address, or start it with "
                       "--allow-host %s",
                       name, name);
    }
    if (origin != NULL && !same_origin(origin, name, port, tls) &&
        !is_allowed_origin(auth, origin)) {
        return err_set(err, ERR_PERMISSION,
                       "a page of '%.200s' may not use this node: start it with --allow-host and "
                       "the page's host name if it should",
                       origin);
    }
    return 0;
}
