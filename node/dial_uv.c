/* SPDX-License-Identifier: Apache-2.0 */
#include "node/dial_uv.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define N_PORTS (DIAL_PORT_TO - DIAL_PORT_FROM + 1u)
#define SAY_MS  60000

static void on_closed(uv_handle_t *handle)
{
    struct dial *dial = container_of((uv_poll_t *)handle, struct dial, poll);

    dial->closed(dial);
}

void dial_stop(struct dial *dial)
{
    if (!uv_is_closing((uv_handle_t *)&dial->poll)) {
        uv_close((uv_handle_t *)&dial->poll, on_closed);
    }
    if (dial->fd >= 0) {
        close(dial->fd);
        dial->fd = -1;
    }
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct dial *dial = container_of(poll, struct dial, poll);
    int fd = dial->fd;
    int why = 0;
    socklen_t size = sizeof why;

    (void)status; /* libuv says EBADF for whatever broke */
    (void)events;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0) {
        why = errno;
    }
    why = dial->why != 0 ? dial->why : why;
    uv_close((uv_handle_t *)poll, on_closed);
    dial->fd = -1;
    if (why != 0) {
        close(fd);
    }
    dial->done(dial, why == 0 ? fd : -why);
}

/* port 0: any. True: it is connecting, or has failed for another reason than the port. */
static bool connect_from(struct dial *dial, const struct sockaddr_storage *to, uint16_t port)
{
    struct sockaddr_storage from = {.ss_family = to->ss_family};
    socklen_t size =
        to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    const int on = 1;

    if (to->ss_family == AF_INET) {
        ((struct sockaddr_in *)&from)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)&from)->sin6_port = htons(port);
    }
    (void)setsockopt(dial->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    dial->why = 0;
    if (bind(dial->fd, (const struct sockaddr *)&from, size) < 0 ||
        (connect(dial->fd, (const struct sockaddr *)to, size) < 0 && errno != EINPROGRESS)) {
        dial->why = errno;
    }
    return dial->why != EADDRINUSE && dial->why != EADDRNOTAVAIL;
}

/* Who resets each connection can bring it about. */
static void say_used_up(void)
{
    static _Thread_local struct log_limit limit; /* there are two loops */
    uint64_t left_out;

    if (log_allowed(&limit, clock_monotonic_ns() / 1000000, SAY_MS, &left_out)) {
        log_warn("connections to another member have used all ports from %d to %d: captures may "
                 "see one (%" PRIu64 " more since this was said last)",
                 DIAL_PORT_FROM, DIAL_PORT_TO, left_out);
    }
}

static int connect_some(struct dial *dial, const struct sockaddr_storage *to, uint64_t first)
{
    for (unsigned i = 0; i <= N_PORTS; i++) {
        unsigned port = DIAL_PORT_FROM + (unsigned)((first + i) % N_PORTS);
        if (i == N_PORTS) {
            say_used_up();
            port = 0;
        }
        dial->fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (dial->fd < 0) {
            return -errno;
        }
        if (connect_from(dial, to, (uint16_t)port) || i == N_PORTS) {
            return 0;
        }
        close(dial->fd);
    }
    return 0;
}

int dial_start(struct dial *dial, uv_loop_t *loop, const struct sockaddr_storage *to,
               uint64_t first)
{
    int rc = connect_some(dial, to, first % N_PORTS);

    if (rc < 0) {
        return rc;
    }
    rc = uv_poll_init(loop, &dial->poll, dial->fd);
    if (rc < 0) {
        close(dial->fd);
        dial->fd = -1;
        return rc;
    }
    /* A socket whose connect failed is writable as well: so all is told later. */
    REQUIRE(uv_poll_start(&dial->poll, UV_WRITABLE, on_writable) == 0);
    return 0;
}
