/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/dial.h"

#define NS_PER_MS 1000000ULL

int poll_timeout(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();

    if (deadline_ns == UINT64_MAX) {
        return -1;
    }
    if (deadline_ns <= now) {
        return 0;
    }
    uint64_t ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms > 3600000 ? 3600000 : (int)ms;
}

/* Shared by the thread that asks and the one that looks up; the last one frees it. */
struct lookup {
    pthread_mutex_t mutex;
    int done_fd; /* eventfd */
    bool left;   /* one of the two has gone */
    char host[URL_HOST_MAX];
    char port[8];
    struct addrinfo *addresses;
    int rc;
};

static int look_up(const char *host, const char *port, int flags, struct addrinfo **out)
{
    const struct addrinfo hints = {
        .ai_flags = flags | AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

    return getaddrinfo(host, port, &hints, out);
}

static void leave(struct lookup *lookup)
{
    pthread_mutex_lock(&lookup->mutex);
    bool last = lookup->left;
    lookup->left = true;
    pthread_mutex_unlock(&lookup->mutex);
    if (last) {
        if (lookup->addresses != NULL) {
            freeaddrinfo(lookup->addresses);
        }
        close(lookup->done_fd);
        pthread_mutex_destroy(&lookup->mutex);
        mem_free(lookup);
    }
}

static void *run_lookup(void *arg)
{
    struct lookup *lookup = arg;
    const uint64_t one = 1;

    struct addrinfo *addresses = NULL;
    int rc = look_up(lookup->host, lookup->port, 0, &addresses);

    pthread_mutex_lock(&lookup->mutex);
    lookup->rc = rc;
    lookup->addresses = addresses;
    pthread_mutex_unlock(&lookup->mutex);
    (void)!write(lookup->done_fd, &one, sizeof one);
    leave(lookup);
    return NULL;
}

static bool start_lookup(struct lookup *lookup)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&thread, &attr, run_lookup, lookup);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

static int told(const char *host, int rc, struct err *err)
{
    return err_set(err, rc == EAI_NONAME || rc == EAI_NODATA ? ERR_NOT_FOUND : ERR_IO,
                   "cannot find the host '%s': %s; check its spelling, or write its address", host,
                   gai_strerror(rc));
}

static int wait_for(struct lookup *lookup, int stop_fd, uint64_t deadline_ns, struct addrinfo **out,
                    struct err *err)
{
    struct pollfd fds[] = {{.fd = lookup->done_fd, .events = POLLIN},
                           {.fd = stop_fd > 0 ? stop_fd : -1, .events = POLLIN}};
    int n = 0;

    while ((n = poll(fds, 2, poll_timeout(deadline_ns))) <= 0) {
        if (n == 0 && clock_monotonic_ns() >= deadline_ns) {
            return err_set(err, -ETIMEDOUT, "cannot find the host '%s': no answer in time",
                           lookup->host);
        }
    }
    if (fds[0].revents == 0) {
        return err_set(err, ERR_INTERRUPTED, "interrupted");
    }
    pthread_mutex_lock(&lookup->mutex);
    int rc = lookup->rc;
    struct addrinfo *addresses = rc == 0 ? lookup->addresses : NULL;
    lookup->addresses = rc == 0 ? NULL : lookup->addresses;
    pthread_mutex_unlock(&lookup->mutex);
    if (rc != 0) {
        return told(lookup->host, rc, err);
    }
    *out = addresses;
    return 0;
}

int resolve_host(const struct dial_opts *opts, uint64_t deadline_ns, struct addrinfo **out,
                 struct err *err)
{
    const char *host = opts->endpoint->host;
    char service[8];

    snprintf(service, sizeof service, "%u", opts->endpoint->port);
    if (look_up(host, service, AI_NUMERICHOST, out) == 0) {
        return 0;
    }
    struct lookup *lookup = x_alloc(sizeof *lookup);
    pthread_mutex_init(&lookup->mutex, NULL);
    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    memcpy(lookup->port, service, sizeof service);
    lookup->done_fd = eventfd(0, EFD_CLOEXEC);
    if (lookup->done_fd < 0 || !start_lookup(lookup)) {
        int why = errno;
        lookup->left = true;
        leave(lookup);
        return err_errno(err, why, "cannot look up the host '%s'", host);
    }
    int rc = wait_for(lookup, opts->stop_fd, deadline_ns, out, err);
    leave(lookup);
    return rc;
}
