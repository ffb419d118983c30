/* SPDX-License-Identifier: Apache-2.0 */
#include "node/stream_uv.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "node/stream_internal_uv.h"
#include "shared/base/mem.h"

#define FINISH_DISCARD_MAX (1024u * 1024u) /* read and thrown away while lingering */
#define TEXT_PORT_MAX      8

static uint64_t now_ms(const struct stream *s)
{
    return uv_now(s->streams->loop);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream *s = container_of(handle, struct stream, tcp);

    (void)suggested;
    *buf = uv_buf_init((char *)s->streams->read_buffer, STREAM_READ_BYTES);
}

static void deliver(struct stream *s, const uint8_t *data, size_t n)
{
    if (n == 0 || s->closing) {
        return;
    }
    if (s->finishing) {
        s->discarded += n;
        if (s->discarded > FINISH_DISCARD_MAX) {
            stream_abort(s, "sends on after the end");
        }
        return;
    }
    s->ops->data(s, s->arg, data, n);
}

static void on_peer_end(struct stream *s)
{
    if (s->closing || s->peer_ended) {
        return;
    }
    s->peer_ended = true;
    uv_read_stop((uv_stream_t *)&s->tcp);
    s->reading = false;
    if (!stream_is_ready(s) && !s->finishing) {
        s->streams->counters.handshakes_failed++;
        stream_abort(s, "the peer left during the TLS handshake");
    } else if (!s->finishing) {
        s->ops->ended(s, s->arg);
    } else if (s->shutdown_done) {
        stream_abort(s, "closed");
    }
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = container_of(handle, struct stream, tcp);

    if (n == 0) {
        return;
    }
    if (n == UV_EOF) {
        on_peer_end(s);
        return;
    }
    if (n < 0) {
        stream_abort(s, "the connection broke");
        return;
    }
    s->streams->counters.bytes_in += (uint64_t)n;
    if (s->tls == NULL) {
        deliver(s, (const uint8_t *)buf->base, (size_t)n);
    } else {
        stream_feed_tls(s, (const uint8_t *)buf->base, (size_t)n);
    }
}

void stream_deliver(struct stream *s, const uint8_t *data, size_t n)
{
    deliver(s, data, n);
}

void stream_peer_end(struct stream *s)
{
    on_peer_end(s);
}

void stream_pause(struct stream *s)
{
    if (s->reading) {
        uv_read_stop((uv_stream_t *)&s->tcp);
        s->reading = false;
    }
}

void stream_resume(struct stream *s)
{
    if (s->reading || s->closing || s->peer_ended) {
        return;
    }
    if (uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) == 0) {
        s->reading = true;
    } else {
        stream_abort(s, "cannot read");
    }
}

void stream_wake(struct stream *s)
{
    if (s->is_woken || s->closing) {
        return;
    }
    s->is_woken = true;
    s->next_woken = s->streams->woken;
    s->streams->woken = s;
    streams_start_turn(s->streams);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct stream *s = container_of(handle, struct stream, tcp);
    struct streams *streams = s->streams;

    streams_forget(streams, s);
    s->ops->closed(s, s->arg, s->why);
    tls_free(s->tls);
    mem_free(s);
}

void stream_abort(struct stream *s, const char *why)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    s->why = why;
    uv_close((uv_handle_t *)&s->tcp, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct stream *s = container_of(request, struct stream, shutdown);

    s->shutdown_done = true;
    if (s->closing) {
        return;
    }
    if (status < 0 || s->peer_ended) {
        stream_abort(s, "closed");
        return;
    }
    s->linger_until_ms = now_ms(s) + s->streams->opts.linger_ms;
    stream_resume(s);
}

void stream_finish(struct stream *s)
{
    if (s->finishing || s->closing) {
        return;
    }
    if (s->tls != NULL && stream_is_ready(s)) {
        stream_close_tls(s);
    }
    s->finishing = true;
    if (s->closing) {
        return;
    }
    if (uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, on_shutdown) != 0) {
        stream_abort(s, "closed");
    }
}

/* ---- deadlines ---- */

/* Does the peer still take something? The kernel holds megabytes of a slow one and asks for more
 * only when a third of that is gone, so what the peer has acknowledged counts too. */
static bool has_progress(struct stream *s)
{
    size_t queued = uv_stream_get_write_queue_size((uv_stream_t *)&s->tcp);
    int unacked = 0;
    uv_os_fd_t fd;

    if (queued == 0 && !s->finishing) {
        s->queued_seen = 0;
        return true;
    }
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0) {
        ioctl(fd, SIOCOUTQ, &unacked);
    }
    bool moved = queued != s->queued_seen || unacked != s->unacked_seen;
    s->queued_seen = queued;
    s->unacked_seen = unacked;
    return moved;
}

void stream_tick(struct stream *s, uint64_t at_ms)
{
    if (s->closing) {
        return;
    }
    if (has_progress(s)) {
        s->progress_ms = at_ms;
    } else if (at_ms - s->progress_ms >= s->streams->opts.stall_ms) {
        s->streams->counters.stalled++;
        stream_abort(s, "the peer takes nothing");
        return;
    }
    if (s->linger_until_ms != 0 && at_ms >= s->linger_until_ms) {
        stream_abort(s, "closed");
    } else if (!stream_is_ready(s) && !s->finishing && at_ms >= s->handshake_until_ms) {
        s->streams->counters.handshakes_failed++;
        stream_abort(s, "the TLS handshake took too long");
    } else if (!s->finishing) {
        s->ops->tick(s, s->arg, at_ms);
    }
}

/* ---- addresses ---- */

void stream_address_text(const struct sockaddr_storage *address, char out[STREAM_PEER_MAX])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    out[0] = '\0';
    if (address->ss_family == AF_INET) {
        uv_ip4_name((const struct sockaddr_in *)(const void *)address, out, STREAM_PEER_MAX);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        const uint8_t *bytes = in6->sin6_addr.s6_addr;
        if (memcmp(bytes, mapped, sizeof mapped) == 0) {
            uv_inet_ntop(AF_INET, bytes + sizeof mapped, out, STREAM_PEER_MAX);
        } else {
            uv_inet_ntop(AF_INET6, bytes, out, STREAM_PEER_MAX);
        }
    }
}

static void peer_text(const struct sockaddr_storage *address, char out[STREAM_PEER_MAX])
{
    char host[STREAM_PEER_MAX];
    unsigned port = 0;

    if (address->ss_family == AF_UNIX) {
        snprintf(out, STREAM_PEER_MAX, "unix");
        return;
    }
    stream_address_text(address, host);
    if (address->ss_family == AF_INET) {
        port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
    } else if (address->ss_family == AF_INET6) {
        port = ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    }
    host[STREAM_PEER_MAX - TEXT_PORT_MAX - 2] = '\0';
    snprintf(out, STREAM_PEER_MAX, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}

void stream_local_address(const struct stream *s, char out[STREAM_PEER_MAX])
{
    struct sockaddr_storage address = {0};
    int n = sizeof address;

    uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &n);
    stream_address_text(&address, out);
}

/* ---- one stream ---- */

struct stream *stream_accept(struct streams *streams, int fd, struct tls_context *tls,
                             const struct sockaddr_storage *peer, const struct stream_ops *ops,
                             void *arg)
{
    struct stream *s = x_alloc(sizeof *s);

    s->streams = streams;
    s->ops = ops;
    s->arg = arg;
    s->peer = *peer;
    peer_text(peer, s->peer_text);
    if (uv_tcp_init(streams->loop, &s->tcp) != 0) {
        close(fd);
        mem_free(s);
        return NULL;
    }
    if (uv_tcp_open(&s->tcp, fd) != 0) {
        close(fd);
        streams_dispose(s);
        return NULL;
    }
    uv_tcp_nodelay(&s->tcp, 1);
    s->progress_ms = now_ms(s);
    if (tls != NULL) {
        s->tls = tls_new(tls, NULL);
        s->handshake_until_ms = now_ms(s) + streams->opts.handshake_ms;
    }
    streams_remember(streams, s);
    stream_resume(s);
    return s;
}

void stream_set_ops(struct stream *s, const struct stream_ops *ops, void *arg)
{
    s->ops = ops;
    s->arg = arg;
}

struct stream *stream_next(const struct stream *s)
{
    return LIST_NEXT(s, link);
}

bool stream_is_ready(const struct stream *s)
{
    return s->tls == NULL || s->is_ready;
}

bool stream_is_tls(const struct stream *s)
{
    return s->tls != NULL;
}

bool stream_peer_is_gone(const struct stream *s)
{
    struct pollfd poll_fd = {.fd = -1};

    return uv_fileno((const uv_handle_t *)&s->tcp, &poll_fd.fd) != 0 ||
           (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0);
}

bool stream_is_ending(const struct stream *s)
{
    return s->closing || s->finishing;
}

const char *stream_peer(const struct stream *s)
{
    return s->peer_text;
}

const struct sockaddr_storage *stream_peer_address(const struct stream *s)
{
    return &s->peer;
}
