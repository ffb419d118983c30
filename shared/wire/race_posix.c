/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/wire/dial.h"

#define RACE_MAX   8            /* attempts at a time; more addresses wait for their turn */
#define HEAD_START 250000000ULL /* ns for each before the next begins (RFC 8305 §5) */

struct race {
    const struct dial_opts *opts;
    const struct addrinfo *next;
    uint64_t next_ns;
    struct pollfd fds[RACE_MAX + 1]; /* the one behind the last is the caller's stop_fd */
    nfds_t n;
    int why; /* errno of the last that failed */
};

static bool set_port(struct sockaddr_storage *local, int family, uint16_t port, socklen_t *n)
{
    memset(local, 0, sizeof *local);
    if (family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(local, &in, sizeof in);
        *n = sizeof in;
        return true;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(local, &in6, sizeof in6);
    *n = sizeof in6;
    return family == AF_INET6;
}

static int open_socket(int family)
{
    const int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    return fd;
}

/* Begins to connect, from `port` unless it is 0. The socket, or -errno. */
static int begin(const struct addrinfo *to, uint16_t port)
{
    const int on = 1;
    struct sockaddr_storage local;
    socklen_t n = 0;
    int fd = open_socket(to->ai_family);

    if (fd < 0) {
        return -errno;
    }
    if (port != 0) {
        /* A port that waits out an old connection elsewhere may be used again. */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (!set_port(&local, to->ai_family, port, &n) ||
            bind(fd, (const struct sockaddr *)&local, n) < 0) {
            int why = errno;
            close(fd);
            return -why;
        }
    }
    if (connect(fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS) {
        int why = errno;
        close(fd);
        return -why;
    }
    return fd;
}

/* The same from any port of the range: the first that is free, begun at a place that changes. */
static int begin_in_range(const struct addrinfo *to, const struct dial_opts *opts)
{
    unsigned from = opts->local_port_from;
    unsigned count = opts->local_port_to >= from ? opts->local_port_to - from + 1u : 1u;
    unsigned start = (unsigned)(clock_monotonic_ns() / 1000u) % count;

    if (from == 0) {
        return begin(to, 0);
    }
    int fd = -EADDRINUSE;
    for (unsigned i = 0; i < count && (fd == -EADDRINUSE || fd == -EADDRNOTAVAIL); i++) {
        fd = begin(to, (uint16_t)(from + (start + i) % count));
    }
    return fd;
}

static void start_next(struct race *race)
{
    int fd = begin_in_range(race->next, race->opts);

    race->next = race->next->ai_next;
    race->next_ns = clock_monotonic_ns() + HEAD_START;
    if (fd < 0) {
        race->why = -fd;
        race->next_ns = 0;
        return;
    }
    race->fds[race->n++] = (struct pollfd){.fd = fd, .events = POLLOUT};
}

/* Looks at those that poll named. The winner, or -1. */
static int winner(struct race *race)
{
    for (nfds_t i = 0; i < race->n;) {
        int why = 0;
        socklen_t n = sizeof why;
        if (race->fds[i].revents == 0) {
            i++;
            continue;
        }
        if (getsockopt(race->fds[i].fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0 && why == 0) {
            int fd = race->fds[i].fd;
            race->fds[i] = race->fds[--race->n];
            return fd;
        }
        race->why = why;
        race->next_ns = 0; /* the next need not wait */
        close(race->fds[i].fd);
        race->fds[i] = race->fds[--race->n];
    }
    return -1;
}

static int told(const struct race *race, int why, struct err *err)
{
    struct buf name = {0};
    int rc;

    url_format_endpoint(race->opts->endpoint, true, &name);
    const char *peer = (const char *)name.data;
    if (why == ETIMEDOUT) {
        rc = err_set(err, -ETIMEDOUT, "cannot connect to %s: no answer in time", peer);
    } else {
        rc = err_errno(err, why, "cannot connect to %s", peer);
    }
    if (why == ECONNREFUSED) {
        const char *flag = race->opts->flag != NULL ? race->opts->flag : "--http-addr";
        err_set(err, rc, "cannot connect to %s: %s; does packetrecorderd listen there (%s)?", peer,
                strerror(why), flag);
    }
    buf_deinit(&name);
    return rc;
}

/* As poll; stopped by the caller: 0, and *stopped is set. */
static int wait_for_any(struct race *race, uint64_t until_ns, bool *stopped)
{
    int stop_fd = race->opts->stop_fd;
    struct pollfd *stop = &race->fds[race->n];

    *stop = (struct pollfd){.fd = stop_fd > 0 ? stop_fd : -1, .events = POLLIN};
    int n = poll(race->fds, race->n + 1, poll_timeout(until_ns));
    *stopped = n > 0 && stop->revents != 0;
    return *stopped ? 0 : n;
}

int race_connect(const struct addrinfo *addresses, const struct dial_opts *opts,
                 uint64_t deadline_ns, int *fd, struct err *err)
{
    struct race race = {.opts = opts, .next = addresses, .why = EADDRNOTAVAIL};
    int won = -1;
    bool late = false;
    bool stopped = false;

    while (won < 0 && !late && !stopped && (race.next != NULL || race.n > 0)) {
        uint64_t now = clock_monotonic_ns();
        if (race.next != NULL && race.n < RACE_MAX && (race.n == 0 || now >= race.next_ns)) {
            start_next(&race);
            continue;
        }
        bool more = race.next != NULL && race.n < RACE_MAX;
        uint64_t until = more && race.next_ns < deadline_ns ? race.next_ns : deadline_ns;
        if (wait_for_any(&race, until, &stopped) > 0) {
            won = winner(&race);
        } else {
            late = clock_monotonic_ns() >= deadline_ns;
        }
    }
    for (nfds_t i = 0; i < race.n; i++) {
        close(race.fds[i].fd);
    }
    if (stopped) {
        return err_set(err, ERR_INTERRUPTED, "interrupted");
    }
    if (won < 0) {
        return told(&race, late ? ETIMEDOUT : race.why, err);
    }
    *fd = won;
    return 0;
}
