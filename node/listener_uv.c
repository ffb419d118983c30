/* SPDX-License-Identifier: Apache-2.0 */
#include "node/listener_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "node/early_bind_posix.h"
#include "node/stream_uv.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define BACKLOG  4096 /* the kernel cuts it to net.core.somaxconn */
#define PAUSE_MS 100  /* when even the spare descriptor is gone */

static socklen_t address_length(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

bool address_is_loopback(const struct sockaddr_storage *address)
{
    char text[STREAM_PEER_MAX];

    stream_address_text(address, text);
    return strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0;
}

uint16_t listener_port(const struct listener *l)
{
    if (l->address.ss_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *)(const void *)&l->address)->sin_port);
    }
    return ntohs(((const struct sockaddr_in6 *)(const void *)&l->address)->sin6_port);
}

bool listener_is_loopback(const struct listener *l)
{
    return address_is_loopback(&l->address);
}

static bool is_want(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct listener *l = container_of(timer, struct listener, pause);

    uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

/* No descriptor is left: give up the spare one, take who waits and drop it, so that it learns at
 * once and the loop does not spin. Another thread may be faster: then nothing is accepted for a
 * moment. False: nobody waits, or that. */
static bool drop_one(struct listener *l)
{
    static struct log_limit limit;
    uint64_t left_out;

    if (log_allowed(&limit, uv_now(l->poll.loop), 10000, &left_out)) {
        log_warn("no free descriptor for a connection to %s: raise LimitNOFILE= or ulimit -n, or "
                 "lower --max-connections",
                 l->text);
    }
    if (l->spare_fd >= 0) {
        close(l->spare_fd);
    }
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        l->no_descriptors++;
    } else if (is_want(errno)) {
        uv_poll_stop(&l->poll);
        uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
    }
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *l = container_of(poll, struct listener, poll);

    (void)status;
    (void)events;
    for (int i = 0; i < LISTENER_BATCH && l->fd >= 0; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t n = sizeof peer;
        int fd = accept4(l->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->accepted(l, fd, &peer);
        } else if (is_want(errno)) {
            if (!drop_one(l)) {
                return;
            }
        } else if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO) {
            return;
        }
    }
}

/* A socket that is bound; a negative errno. One of a port that needed a right was bound early. */
static int bind_socket(const struct sockaddr_storage *at)
{
    int yes = 1;
    int fd = early_bind_take(at);

    if (fd >= 0) {
        return fd;
    }
    fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    /* [::] is IPv6 alone, so that 0.0.0.0 can be listened to beside it. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        (at->ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes) < 0) ||
        bind(fd, (const struct sockaddr *)at, address_length(at)) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static int open_socket(struct listener *l, const struct sockaddr_storage *at)
{
    socklen_t n = sizeof l->address;
    int fd = bind_socket(at);

    l->fd = fd;
    if (fd < 0) {
        return fd;
    }
    if (listen(fd, BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&l->address, &n) < 0) {
        return -errno;
    }
    return 0;
}

static void name_listener(struct listener *l)
{
    char host[STREAM_PEER_MAX];

    stream_address_text(&l->address, host);
    host[48] = '\0';
    snprintf(l->text, sizeof l->text, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
             (unsigned)listener_port(l));
}

static int refuse(struct listener *l, int rc, const char *option, struct err *err)
{
    if (l->fd >= 0) {
        close(l->fd);
        l->fd = -1;
    }
    if (rc == -EADDRINUSE) {
        return err_set(err, ERR_IN_USE,
                       "cannot listen on %s: another program has the port; see who with "
                       "'ss -ltnp', or choose another with %s",
                       l->text, option);
    }
    if (rc == -EADDRNOTAVAIL) {
        return err_set(err, ERR_USAGE, "cannot listen on %s: this host has no such address",
                       l->text);
    }
    return err_errno(err, -rc, "cannot listen on %s", l->text);
}

/* From a socket that listens. */
static int start_accepting(struct listener *l, uv_loop_t *loop)
{
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int rc = uv_poll_init(loop, &l->poll, l->fd);
    if (rc < 0) {
        close(l->spare_fd);
        return rc;
    }
    uv_timer_init(loop, &l->pause);
    l->n_handles = 2;
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
    return 0;
}

int listener_open(struct listener *l, uv_loop_t *loop, const struct sockaddr_storage *at,
                  const char *option, struct err *err)
{
    l->fd = l->spare_fd = -1;
    l->address = *at;
    name_listener(l);
    int rc = open_socket(l, at);
    if (rc < 0) {
        return refuse(l, rc, option, err);
    }
    name_listener(l);
    rc = start_accepting(l, loop);
    return rc < 0 ? refuse(l, rc, option, err) : 0;
}

int listener_open_socket(struct listener *l, uv_loop_t *loop, int fd, const char *text,
                         struct err *err)
{
    l->fd = fd;
    l->address.ss_family = AF_UNIX;
    snprintf(l->text, sizeof l->text, "%s", text);
    int rc = start_accepting(l, loop);
    return rc < 0 ? refuse(l, rc, "another place", err) : 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;

    if (--l->n_handles > 0) {
        return;
    }
    if (l->spare_fd >= 0) {
        close(l->spare_fd);
    }
    l->closed(l);
}

void listener_close(struct listener *l, void (*closed)(struct listener *listener))
{
    l->closed = closed;
    uv_poll_stop(&l->poll);
    close(l->fd);
    l->fd = -1;
    l->poll.data = l->pause.data = l;
    uv_close((uv_handle_t *)&l->poll, on_closed);
    uv_close((uv_handle_t *)&l->pause, on_closed);
}

/* Splits "HOST:PORT"; host gets "" for all addresses. */
static bool split_address(const char *text, char *host, size_t host_size, const char **port)
{
    const char *colon = strrchr(text, ':');

    if (colon == NULL || colon[1] == '\0') {
        return false;
    }
    size_t n = (size_t)(colon - text);
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    } else if (memchr(text, ':', n) != NULL) {
        return false;
    }
    if (n >= host_size) {
        return false;
    }
    memcpy(host, text, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

int listener_resolve(const char *text, struct sockaddr_storage *out, size_t max, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[256];
    const char *port;
    int n = 0;

    if (!split_address(text, host, sizeof host, &port)) {
        return err_set(err, ERR_USAGE,
                       "'%s' is no address to listen on: write ADDRESS:PORT, such as "
                       "127.0.0.1:8080 or [::1]:8080",
                       text);
    }
    int rc = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &found);
    if (rc != 0) {
        return err_set(err, ERR_USAGE, "cannot listen on '%s': %s", text, gai_strerror(rc));
    }
    for (struct addrinfo *at = found; at != NULL && (size_t)n < max; at = at->ai_next) {
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
            memset(&out[n], 0, sizeof out[n]);
            memcpy(&out[n++], at->ai_addr, at->ai_addrlen);
        }
    }
    freeaddrinfo(found);
    return n;
}
