/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/listen_addr.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "shared/base/mem.h"

static bool is_ipv4_loopback(const char *host)
{
    struct in_addr addr;

    return inet_pton(AF_INET, host, &addr) == 1 && ntohl(addr.s_addr) >> 24 == 127;
}

static bool is_ipv6(const char *host)
{
    struct in6_addr addr;

    return inet_pton(AF_INET6, host, &addr) == 1;
}

static bool is_loopback(const char *host)
{
    struct in6_addr addr;

    if (inet_pton(AF_INET6, host, &addr) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&addr) ||
               (IN6_IS_ADDR_V4MAPPED(&addr) && addr.s6_addr[12] == 127);
    }
    return is_ipv4_loopback(host) || strcasecmp(host, "localhost") == 0;
}

static bool parse_port(const char *text, uint16_t *out)
{
    unsigned long port = 0;
    size_t n = strspn(text, "0123456789");

    if (n == 0 || n > 5 || text[n] != '\0') {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        port = port * 10 + (unsigned long)(text[i] - '0');
    }
    *out = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* "fe80::1%eth0": which link is meant. */
static bool is_ipv6_of_link(const char *host)
{
    char address[INET6_ADDRSTRLEN] = "";
    struct in6_addr addr;
    size_t n = strcspn(host, "%");

    if (host[n] == '\0' || host[n + 1] == '\0' || n >= sizeof address) {
        return false;
    }
    memcpy(address, host, n);
    return inet_pton(AF_INET6, address, &addr) == 1 && IN6_IS_ADDR_LINKLOCAL(&addr);
}

/* Letters, digits, dots and dashes; four numbers with dots must be an address. */
static bool is_host(const char *host, bool brackets)
{
    struct in_addr addr;
    size_t n = strlen(host);

    if (brackets) {
        return is_ipv6(host) || is_ipv6_of_link(host);
    }
    if (n == strspn(host, "0123456789.")) {
        return n == 0 || inet_pton(AF_INET, host, &addr) == 1;
    }
    return n == strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
}

int listen_addr_parse(const char *text, struct listen_addr *out, struct err *err)
{
    const char *colon = strrchr(text, ':');
    struct listen_addr addr = {0};

    if (colon == NULL) {
        return err_set(err, ERR_USAGE, "'%s' has no port: write ADDR:PORT, as in 127.0.0.1:8080",
                       text);
    }
    bool brackets = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    const char *start = text + (brackets ? 1 : 0);
    size_t n = (size_t)(colon - start) - (brackets ? 1 : 0);
    if (n >= sizeof addr.host) {
        return err_set(err, ERR_USAGE, "'%s' is too long for an address", text);
    }
    memcpy(addr.host, start, n);
    addr.host[n] = '\0';
    if (!brackets && strchr(addr.host, ':') != NULL) {
        return err_set(err, ERR_USAGE, "'%s': write an IPv6 address in brackets, as in [::1]:8080",
                       text);
    }
    if (!is_host(addr.host, brackets)) {
        return err_set(err, ERR_USAGE, "'%s' is no address: write ADDR:PORT, as in 127.0.0.1:8080",
                       text);
    }
    if (!parse_port(colon + 1, &addr.port)) {
        return err_set(err, ERR_USAGE, "'%s': a port is a number up to 65535", text);
    }
    addr.is_loopback = is_loopback(addr.host);
    *out = addr;
    return 0;
}

static bool is_all(const char *host)
{
    return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

bool listen_addr_clash(const struct listen_addr *a, const struct listen_addr *b)
{
    if (a->port != b->port || a->port == 0) {
        return false;
    }
    if (strcasecmp(a->host, b->host) == 0 || a->host[0] == '\0' || b->host[0] == '\0') {
        return true;
    }
    /* Wildcards of one family take the other family's addresses only where both have one. */
    return (is_all(a->host) || is_all(b->host)) && is_ipv6(a->host) == is_ipv6(b->host);
}

static char *copy(const char *text, size_t n)
{
    char *out = x_alloc(n + 1);

    memcpy(out, text, n);
    return out;
}

int pcapng_listen_parse(const char *text, struct pcapng_listen *out, struct err *err)
{
    struct pcapng_listen listen = {0};
    size_t n = strcspn(text, "=");
    const char *interface = text + n + 1;

    if (text[n] == '\0') {
        return err_set(err, ERR_USAGE,
                       "'%s' names no interface: write ADDR:PORT=IFACE[,FILTER], as in "
                       "127.0.0.1:19000=eth0",
                       text);
    }
    char *addr = copy(text, n);
    int rc = listen_addr_parse(addr, &listen.addr, err);
    mem_free(addr);
    if (rc < 0) {
        return rc;
    }
    size_t length = strcspn(interface, ",");
    if (length == 0) {
        return err_set(err, ERR_USAGE, "'%s' names no interface behind the '='", text);
    }
    listen.interface = copy(interface, length);
    if (interface[length] == ',' && interface[length + 1] != '\0') {
        listen.filter = x_strdup(interface + length + 1);
    }
    *out = listen;
    return 0;
}

void pcapng_listen_deinit(struct pcapng_listen *listen)
{
    mem_free(listen->interface);
    mem_free(listen->filter);
    *listen = (struct pcapng_listen){0};
}
