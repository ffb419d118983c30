/* SPDX-License-Identifier: Apache-2.0 */
#include "node/early_bind_posix.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/options/listen_addr.h"

#define FIRST_FREE_PORT 1024

static struct {
    struct sockaddr_storage address;
    int fd;
} bound[EARLY_BIND_MAX];
static size_t n_bound;

/* The host may have moved the border (net.ipv4.ip_unprivileged_port_start). */
static uint16_t first_free_port(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    unsigned port = FIRST_FREE_PORT;

    if (file != NULL) {
        if (fscanf(file, "%u", &port) != 1 || port > UINT16_MAX) {
            port = FIRST_FREE_PORT;
        }
        fclose(file);
    }
    return (uint16_t)port;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family) {
        return false;
    }
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *x = (const void *)a;
        const struct sockaddr_in *y = (const void *)b;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *x = (const void *)a;
    const struct sockaddr_in6 *y = (const void *)b;
    return x->sin6_port == y->sin6_port &&
           memcmp(&x->sin6_addr, &y->sin6_addr, sizeof x->sin6_addr) == 0;
}

static int bind_one(const struct addrinfo *at, const char *text, struct err *err)
{
    int yes = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 && errno == EAFNOSUPPORT) {
        return 0; /* a host without IPv6; ":80" means what there is */
    }
    if (fd < 0) {
        return err_errno(err, errno, "cannot make a socket for '%s'", text);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (at->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    }
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0) {
        int errnum = errno;
        close(fd);
        if (errnum == EADDRINUSE) {
            return err_set(err, ERR_IN_USE,
                           "'%s': another program has the port; 'ss -ltnp' shows which", text);
        }
        if (errnum == EACCES) {
            return err_set(err, ERR_PERMISSION,
                           "'%s': ports below %u are for root: start as root with --user, or "
                           "take a higher one",
                           text, (unsigned)first_free_port());
        }
        return err_errno(err, errnum, "cannot listen on '%s'", text);
    }
    REQUIRE(at->ai_addrlen <= sizeof bound[0].address);
    memcpy(&bound[n_bound].address, at->ai_addr, at->ai_addrlen);
    bound[n_bound++].fd = fd;
    return 0;
}

static int bind_text(const char *text, const struct listen_addr *addr, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char port[8];

    snprintf(port, sizeof port, "%u", (unsigned)addr->port);
    int failed = getaddrinfo(addr->host[0] == '\0' ? NULL : addr->host, port, &hints, &found);
    if (failed != 0) {
        return err_set(err, ERR_NOT_FOUND, "'%s': %s", text, gai_strerror(failed));
    }
    int rc = 0;
    for (const struct addrinfo *at = found; at != NULL && rc == 0; at = at->ai_next) {
        if (n_bound == EARLY_BIND_MAX) {
            rc = err_set(err, ERR_LIMIT, "more than %d ports below %u", EARLY_BIND_MAX,
                         (unsigned)first_free_port());
        } else {
            rc = bind_one(at, text, err);
        }
    }
    freeaddrinfo(found);
    return rc;
}

int early_bind(const struct option_list *addrs, const char *option, struct err *err)
{
    uint16_t border = first_free_port();

    for (size_t i = 0; i < addrs->n; i++) {
        struct listen_addr addr;
        char *text = x_sprintf("%.*s", (int)strcspn(addrs->items[i], "="), addrs->items[i]);
        bool is_none = strcmp(text, "none") == 0; /* alone (node_check.h) */
        int rc = is_none ? 0 : listen_addr_parse(text, &addr, err);
        if (rc == 0 && !is_none && addr.port > 0 && addr.port < border) {
            rc = bind_text(text, &addr, err);
        }
        mem_free(text);
        if (rc < 0) {
            return err_wrap(err, "--%s", option);
        }
    }
    return 0;
}

int early_bind_take(const struct sockaddr_storage *at)
{
    for (size_t i = 0; i < n_bound; i++) {
        if (same_address(&bound[i].address, at)) {
            int fd = bound[i].fd;
            bound[i] = bound[--n_bound];
            return fd;
        }
    }
    return -1;
}

void early_bind_release(void)
{
    while (n_bound > 0) {
        close(bound[--n_bound].fd);
    }
}
