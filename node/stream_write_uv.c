/* SPDX-License-Identifier: Apache-2.0
 *
 * The write path of a stream. What the kernel takes at once never becomes a request; what it does
 * not take waits in libuv's queue, from where it lies. With TLS the bytes are encrypted at once, in
 * pieces, and the ciphertext waits in place of them.
 */
#include "node/stream_internal_uv.h"
#include "shared/base/mem.h"

static void on_written(uv_write_t *request, int status)
{
    struct stream_write *write = container_of(request, struct stream_write, request);
    struct stream *s = write->stream;

    s->queued -= write->n_bytes;
    s->streams->queued -= write->n_bytes;
    if (status == 0) {
        s->streams->counters.bytes_out += write->n_bytes;
        s->progress_ms = uv_now(s->streams->loop);
    }
    if (write->release != NULL) {
        write->release(write->arg);
    }
    streams_give_write(s->streams, write);
    if (s->closing) {
        return;
    }
    if (status < 0) {
        stream_abort(s, "the connection broke");
        return;
    }
    if (s->queued == 0 || (s->was_full && s->queued <= s->streams->opts.high_mark / 2)) {
        s->was_full = false;
        if (!s->finishing) {
            s->ops->drained(s, s->arg);
        }
    }
}

/* Moves the runs past what is written; gives how many are left in place of `n`. */
static unsigned skip_written(uv_buf_t *bufs, unsigned n, size_t written)
{
    unsigned from = 0;

    while (from < n && written >= bufs[from].len) {
        written -= bufs[from++].len;
    }
    if (from < n) {
        bufs[from].base += written;
        bufs[from].len -= written;
    }
    memmove(bufs, bufs + from, (n - from) * sizeof *bufs);
    return n - from;
}

static size_t total(const uv_buf_t *bufs, unsigned n)
{
    size_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        sum += bufs[i].len;
    }
    return sum;
}

/* What the kernel takes now. Gives the number of runs left, moved to the front; -1 when it broke.
 */
static int write_now(struct stream *s, uv_buf_t *bufs, unsigned n)
{
    if (s->queued > 0) {
        return (int)n;
    }
    int written = uv_try_write((uv_stream_t *)&s->tcp, bufs, n);
    if (written == UV_EAGAIN) {
        return (int)n;
    }
    if (written < 0) {
        stream_abort(s, "the connection broke");
        return -1;
    }
    s->streams->counters.bytes_out += (uint64_t)written;
    return (int)skip_written(bufs, n, (size_t)written);
}

/* Queues a write whose content is set. */
static void write_later(struct stream *s, struct stream_write *write, const uv_buf_t *bufs,
                        unsigned n)
{
    write->stream = s;
    write->n_bytes = total(bufs, n);
    s->queued += write->n_bytes;
    s->streams->queued += write->n_bytes;
    s->was_full = s->was_full || s->queued > s->streams->opts.high_mark;
    int error = uv_write(&write->request, (uv_stream_t *)&s->tcp, bufs, n, on_written);
    if (error != 0) {
        s->queued -= write->n_bytes;
        s->streams->queued -= write->n_bytes;
        if (write->release != NULL) {
            write->release(write->arg);
        }
        streams_give_write(s->streams, write);
        stream_abort(s, "the connection broke");
        return;
    }
    if (s->queued > s->streams->opts.max_queued) {
        s->streams->counters.overfull++;
        stream_abort(s, "too much waits for the peer");
    }
}

/* Ciphertext: what the kernel does not take moves into the request; the scratch begins anew. */
static void write_cipher(struct stream *s)
{
    struct buf *cipher = &s->streams->cipher;

    if (cipher->len == 0 || s->closing) {
        buf_reset(cipher);
        return;
    }
    uv_buf_t run = uv_buf_init((char *)cipher->data, (unsigned)cipher->len);
    if (write_now(s, &run, 1) <= 0) {
        buf_reset(cipher);
        return;
    }
    struct stream_write *write = streams_take_write(s->streams);
    write->release = NULL;
    if (run.len < cipher->cap / 2) {
        /* A small rest must not hold a large buffer. */
        buf_init(&write->owned);
        buf_append(&write->owned, run.base, run.len);
        run.base = (char *)write->owned.data;
        buf_reset(cipher);
    } else {
        write->owned = *cipher;
        buf_init(cipher);
    }
    write_later(s, write, &run, 1);
}

static void encrypt(struct stream *s, const uint8_t *data, size_t n)
{
    struct err err;

    while (n > 0 && !s->closing) {
        size_t piece = n < STREAM_TLS_PIECE ? n : STREAM_TLS_PIECE;
        if (tls_write(s->tls, data, piece, &s->streams->cipher, &err) < 0) {
            buf_reset(&s->streams->cipher);
            stream_abort(s, "TLS failed");
            return;
        }
        write_cipher(s);
        data += piece;
        n -= piece;
    }
}

void stream_write(struct stream *s, const struct iovec *iov, unsigned n, void (*release)(void *arg),
                  void *arg)
{
    uv_buf_t bufs[STREAM_IOV_MAX];
    int left = -1;

    REQUIRE(n <= STREAM_IOV_MAX);
    for (unsigned i = 0; i < n; i++) {
        bufs[i] = uv_buf_init(iov[i].iov_base, (unsigned)iov[i].iov_len);
    }
    if (!stream_is_ending(s) && s->tls != NULL) {
        for (unsigned i = 0; i < n; i++) {
            encrypt(s, iov[i].iov_base, iov[i].iov_len);
        }
    } else if (!stream_is_ending(s)) {
        left = write_now(s, bufs, n);
    }
    if (left <= 0) {
        if (release != NULL) {
            release(arg);
        }
        return;
    }
    struct stream_write *write = streams_take_write(s->streams);
    write->release = release;
    write->arg = arg;
    buf_init(&write->owned);
    write_later(s, write, bufs, (unsigned)left);
}

void stream_write_copy(struct stream *s, const void *data, size_t n)
{
    uv_buf_t run = uv_buf_init((char *)data, (unsigned)n);

    if (n == 0 || stream_is_ending(s)) {
        return;
    }
    if (s->tls != NULL) {
        encrypt(s, data, n);
        return;
    }
    if (write_now(s, &run, 1) <= 0) {
        return;
    }
    struct stream_write *write = streams_take_write(s->streams);
    write->release = NULL;
    buf_init(&write->owned);
    buf_append(&write->owned, run.base, run.len);
    run.base = (char *)write->owned.data;
    write_later(s, write, &run, 1);
}

size_t stream_queued(const struct stream *s)
{
    return s->queued;
}

bool stream_has_room(const struct stream *s)
{
    return s->queued <= s->streams->opts.high_mark;
}

/* ---- TLS ---- */

static void on_handshake_failed(struct stream *s)
{
    s->streams->counters.handshakes_failed++;
    stream_abort(s, "the TLS handshake failed");
}

/* The first bytes of a connection: a method's, where TLS has a small number. */
static bool is_plain_http(const uint8_t *data, size_t n)
{
    size_t letters = 0;

    while (letters < n && data[letters] >= 'A' && data[letters] <= 'Z') {
        letters++;
    }
    return letters >= 3 && (letters == n || data[letters] == ' ');
}

static void answer_plain(struct stream *s)
{
    const char *answer = s->streams->opts.plain_answer;

    s->streams->counters.handshakes_failed++;
    buf_append(&s->streams->cipher, answer, strlen(answer));
    write_cipher(s);
    stream_finish(s);
}

void stream_feed_tls(struct stream *s, const uint8_t *data, size_t n)
{
    struct buf *plain = &s->streams->plain;
    struct err err;

    if (s->finishing && !s->is_ready) { /* it was answered plainly */
        stream_deliver(s, data, n);
        return;
    }
    if (!s->was_fed && s->streams->opts.plain_answer != NULL && is_plain_http(data, n)) {
        answer_plain(s);
        return;
    }
    s->was_fed = true;
    buf_reset(plain);
    int got = tls_feed(s->tls, data, n, plain, &s->streams->cipher, &err);
    write_cipher(s);
    if (s->closing) {
        return;
    }
    if (got < 0) {
        if (!s->is_ready) {
            on_handshake_failed(s);
        } else {
            stream_abort(s, "TLS failed");
        }
        return;
    }
    if (!s->is_ready && tls_is_ready(s->tls)) {
        s->is_ready = true;
        s->streams->counters.handshakes++;
        if (s->ops->ready != NULL && !s->finishing) {
            s->ops->ready(s, s->arg);
        }
    }
    stream_deliver(s, plain->data, plain->len);
    if (got == 1) {
        stream_peer_end(s);
    }
}

void stream_close_tls(struct stream *s)
{
    tls_close(s->tls, &s->streams->cipher);
    write_cipher(s);
}
