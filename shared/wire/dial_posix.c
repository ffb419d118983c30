/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/dial.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/tls.h"

struct dial {
    int fd;
    int wake_fd; /* eventfd */
    int stop_fd; /* the caller's; 0 = none */
    atomic_bool interrupted;
    bool at_end;
    struct tls_context *context;
    struct tls *tls;     /* NULL: plain TCP */
    struct buf cipher;   /* TLS: what the kernel gave */
    struct buf early;    /* plaintext that came with the end of the handshake */
    struct buf outgoing; /* bytes for the kernel; those before `sent` are gone */
    size_t sent;
};

static int broke(struct err *err, int why)
{
    return err_set(err, -why, "the connection broke: %s", strerror(why));
}

static int ended(struct dial *dial, struct err *err)
{
    dial->at_end = true;
    return err_set(err, -ECONNRESET, "the node closed the connection");
}

int dial_queue(struct dial *dial, const void *data, size_t n, struct err *err)
{
    if (dial->sent == dial->outgoing.len) {
        buf_reset(&dial->outgoing);
        dial->sent = 0;
    }
    if (dial->tls != NULL) {
        return tls_write(dial->tls, data, n, &dial->outgoing, err);
    }
    buf_append(&dial->outgoing, data, n);
    return 0;
}

size_t dial_queued(const struct dial *dial)
{
    return dial->outgoing.len - dial->sent;
}

void dial_forget(struct dial *dial)
{
    if (dial->outgoing.data != NULL && dial_queued(dial) == 0) {
        explicit_bzero(dial->outgoing.data, dial->outgoing.cap);
    }
}

int dial_flush(struct dial *dial, struct err *err)
{
    while (dial_queued(dial) > 0) {
        ssize_t n = send(dial->fd, dial->outgoing.data + dial->sent, dial_queued(dial),
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return broke(err, errno);
        }
        dial->sent += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* One recv. The bytes, 0 for none now, or negative. */
static ssize_t fetch(struct dial *dial, uint8_t *data, size_t n, struct err *err)
{
    ssize_t got;

    do {
        got = recv(dial->fd, data, n, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got == 0) {
        return ended(dial, err);
    }
    if (got < 0) {
        return errno == EAGAIN ? 0 : broke(err, errno);
    }
    return got;
}

/* Fetches ciphertext and decrypts it behind what is in `in`. */
static int receive_tls(struct dial *dial, struct buf *in, struct err *err)
{
    size_t before = in->len;

    buf_reserve(&dial->cipher, DIAL_READ_BYTES);
    ssize_t n = fetch(dial, dial->cipher.data, DIAL_READ_BYTES, err);
    if (n <= 0) {
        return (int)n;
    }
    int rc = tls_feed(dial->tls, dial->cipher.data, (size_t)n, in, &dial->outgoing, err);
    if (rc < 0) {
        dial_flush(dial, NULL); /* the alert */
        return rc;
    }
    if (rc == 1 && in->len == before) {
        return ended(dial, err);
    }
    return in->len > before ? 1 : 0;
}

int dial_receive(struct dial *dial, struct buf *in, struct err *err)
{
    if (dial->early.len > 0) {
        buf_append(in, dial->early.data, dial->early.len);
        buf_deinit(&dial->early);
        return 1;
    }
    if (dial->tls != NULL) {
        return receive_tls(dial, in, err);
    }
    REQUIRE(in->cap > in->len);
    ssize_t n = fetch(dial, in->data + in->len, in->cap - in->len, err);
    if (n > 0) {
        in->len += (size_t)n;
        return 1;
    }
    return (int)n;
}

bool dial_is_at_end(const struct dial *dial)
{
    return dial->at_end;
}

void dial_interrupt(struct dial *dial)
{
    const uint64_t one = 1;
    int kept = errno;

    (void)!write(dial->wake_fd, &one, sizeof one);
    atomic_store(&dial->interrupted, true);
    errno = kept;
}

/* The eventfd is the truth; the flag saves asking it where nobody waits. */
static bool take_interrupt(struct dial *dial)
{
    uint64_t count;

    atomic_store(&dial->interrupted, false);
    return read(dial->wake_fd, &count, sizeof count) == (ssize_t)sizeof count;
}

bool dial_was_interrupted(struct dial *dial)
{
    return atomic_load(&dial->interrupted) && take_interrupt(dial);
}

void dial_go_on(struct dial *dial)
{
    dial->stop_fd = 0;
}

int dial_wait(struct dial *dial, bool read, uint64_t deadline_ns, struct err *err)
{
    for (;;) {
        struct pollfd fds[3] = {
            {.fd = dial->fd,
             .events = (short)((read ? POLLIN : 0) | (dial_queued(dial) > 0 ? POLLOUT : 0))},
            {.fd = dial->wake_fd, .events = POLLIN},
            {.fd = dial->stop_fd > 0 ? dial->stop_fd : -1, .events = POLLIN},
        };
        int n = poll(fds, 3, poll_timeout(deadline_ns));
        if (n > 0 && (fds[2].revents != 0 || (fds[1].revents != 0 && take_interrupt(dial)))) {
            return err_set(err, ERR_INTERRUPTED, "interrupted");
        }
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return broke(err, errno);
        }
        if (n == 0 && clock_monotonic_ns() >= deadline_ns) {
            return err_set(err, -ETIMEDOUT, "no answer in time");
        }
    }
}

int dial_flush_all(struct dial *dial, uint64_t deadline_ns, struct err *err)
{
    int rc = dial_flush(dial, err);

    while (rc == 0 && dial_queued(dial) > 0) {
        rc = dial_wait(dial, false, deadline_ns, err);
        rc = rc == 0 ? dial_flush(dial, err) : rc;
    }
    return rc;
}

int dial_no_answer(const struct url_endpoint *endpoint, struct err *err)
{
    struct buf name = {0};

    url_format_endpoint(endpoint, true, &name);
    int rc = err_set(err, -ECONNRESET, "%.*s closed the connection without an answer%s",
                     (int)name.len, (const char *)name.data,
                     endpoint->tls ? "" : "; if it speaks TLS, write https:// or wss://");
    buf_deinit(&name);
    return rc;
}

static int shake_hands(struct dial *dial, uint64_t deadline_ns, struct err *err)
{
    int rc = tls_feed(dial->tls, NULL, 0, &dial->early, &dial->outgoing, err);

    rc = rc < 0 ? rc : dial_flush(dial, err);
    while (rc >= 0 && !tls_is_ready(dial->tls)) {
        struct buf plain = dial->early;
        rc = dial_wait(dial, true, deadline_ns, err);
        if (rc == 0) {
            dial->early = (struct buf){0};
            rc = receive_tls(dial, &plain, err);
            dial->early = plain;
        }
        rc = rc < 0 ? rc : dial_flush(dial, err);
    }
    return rc < 0 ? rc : 0;
}

static int start_tls(struct dial *dial, const struct dial_opts *opts, uint64_t deadline_ns,
                     struct err *err)
{
    int rc = tls_client_context_new(opts->ca_file, &dial->context, err);

    if (rc == 0) {
        dial->tls = tls_new(dial->context, opts->endpoint->host);
        rc = shake_hands(dial, deadline_ns, err);
    }
    return rc;
}

static int tell_unix(const char *path, int why, struct err *err)
{
    switch (why) {
    case EAGAIN: /* what SO_SNDTIMEO makes of a full backlog */
        return err_set(err, -ETIMEDOUT, "cannot connect to unix:%s: no answer in time", path);
    case ENOENT:
        return err_set(err, ERR_NOT_FOUND,
                       "there is no socket '%s': does packetrecorderd run here (--rpc-socket)?",
                       path);
    case ECONNREFUSED:
        return err_set(err, ERR_IO, "nobody listens on the socket '%s': has packetrecorderd ended?",
                       path);
    case EACCES:
        return err_set(err, ERR_PERMISSION,
                       "the socket '%s' is not for this user: become a member of its group, or "
                       "use HOST:PORT with an API key",
                       path);
    default:
        return err_errno(err, why, "cannot connect to unix:%s", path);
    }
}

/* A UNIX socket connects at once or when the listener's backlog has room. */
static int connect_unix(const char *path, uint64_t deadline_ns, int *out, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int ms = poll_timeout(deadline_ns);
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (ms == 0) {
        wait.tv_usec = 1; /* zero would be for ever, which is what -1 asks for */
    } else if (ms < 0) {
        wait = (struct timeval){0};
    }
    REQUIRE(strlen(path) < sizeof to.sun_path);
    memcpy(to.sun_path, path, strlen(path));
    if (fd < 0) {
        return err_errno(err, errno, "cannot make a socket");
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    int rc;
    do {
        rc = connect(fd, (const struct sockaddr *)&to, sizeof to);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        rc = tell_unix(path, errno, err);
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int dial_open(const struct dial_opts *opts, uint64_t deadline_ns, struct dial **out,
              struct err *err)
{
    struct addrinfo *addresses = NULL;
    struct dial *dial = x_alloc(sizeof *dial);
    bool is_unix = opts->unix_path != NULL;

    dial->fd = -1;
    dial->stop_fd = opts->stop_fd;
    dial->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = dial->wake_fd < 0 ? err_errno(err, errno, "cannot make an eventfd") : 0;
    if (rc == 0) {
        rc = is_unix ? connect_unix(opts->unix_path, deadline_ns, &dial->fd, err)
                     : resolve_host(opts, deadline_ns, &addresses, err);
    }
    if (rc == 0 && !is_unix) {
        rc = race_connect(addresses, opts, deadline_ns, &dial->fd, err);
        freeaddrinfo(addresses);
    }
    if (rc == 0 && !is_unix && opts->endpoint->tls) {
        rc = start_tls(dial, opts, deadline_ns, err);
    }
    if (rc < 0) {
        dial_close(dial);
        return rc;
    }
    *out = dial;
    return 0;
}

void dial_close(struct dial *dial)
{
    if (dial == NULL) {
        return;
    }
    if (dial->fd >= 0) {
        close(dial->fd);
    }
    if (dial->wake_fd >= 0) {
        close(dial->wake_fd);
    }
    tls_free(dial->tls);
    tls_context_free(dial->context);
    buf_deinit(&dial->cipher);
    buf_deinit(&dial->early);
    buf_deinit(&dial->outgoing);
    mem_free(dial);
}
