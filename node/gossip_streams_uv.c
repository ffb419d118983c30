/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams of the swarm: TCP with the secure channel (kind 2) inside, and in that messages of the
 * core, each behind its length (u32, little-endian). Who connects must prove the cluster key before
 * the core hears of it; until then it costs what channel.h says. What the core closes is written
 * out first; then this side says that it is done and reads on until the other does too, so that no
 * reset overtakes the last words.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/dial_uv.h"
#include "node/gossip_internal_uv.h"
#include "node/gossip_stream_uv.h"
#include "node/unproven.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/channel.h"

#define HEAD_BYTES    4
#define QUEUE_MAX     (16u << 20) /* unsent bytes of one; more ends it */
#define LAST_WORDS_MS 5000
#define ACCEPTED_BIT  0x80000000u

struct gossip_stream {
    LIST_ENTRY(gossip_stream) link;
    struct gossip *gossip;
    uv_tcp_t tcp;
    uv_timer_t timer;
    struct dial dial;
    bool is_dialing;
    uv_shutdown_t shutting;
    unsigned n_handles;
    uint32_t id; /* the core's; 0: a look at a seed, of which the core knows nothing */
    struct swim_addr peer;
    struct channel *channel;
    struct buf message; /* of the one that is coming: its head and what is there */
    bool is_accepted;
    bool is_stranger; /* its key is not proven */
    bool is_sorted;   /* accepted, and no connection for calls */
    bool is_told;     /* the core knows of it */
    bool is_done;     /* the core has closed it: what still comes is not read */
    bool is_closing;
};

struct write {
    uv_write_t request;
    struct gossip_stream *stream;
    struct buf bytes;
};

/* ---- ending ---- */

static void forget_handle(struct gossip_stream *s)
{
    if (--s->n_handles > 0) {
        return;
    }
    channel_free(s->channel);
    buf_deinit(&s->message);
    mem_free(s);
}

static void on_closed(uv_handle_t *handle)
{
    forget_handle(handle->data);
}

static void on_dial_closed(struct dial *dial)
{
    struct gossip_stream *s = container_of(dial, struct gossip_stream, dial);

    s->is_dialing = false;
    forget_handle(s);
}

static void forget_stranger(struct gossip_stream *s)
{
    if (s->is_stranger && s->is_accepted) {
        s->gossip->n_strangers--;
    }
    s->is_stranger = false;
}

/* At once. The core hears of it unless it closed it itself. */
static void end(struct gossip_stream *s)
{
    struct gossip *g = s->gossip;

    if (s->is_closing) {
        return;
    }
    s->is_closing = true;
    forget_stranger(s);
    LIST_REMOVE(s, link);
    if (s->is_told && !s->is_done && !g->is_closing) {
        swim_on_stream(g->swim, gossip_now(), s->id, SWIM_STREAM_CLOSED, &s->peer, NULL, 0);
    }
    if (s->is_dialing) {
        dial_stop(&s->dial);
    }
    uv_close((uv_handle_t *)&s->tcp, on_closed);
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct gossip_stream *s = timer->data;
    struct gossip *g = s->gossip;

    gossip_lock(g);
    g->counters.streams_slow += s->is_stranger && s->is_accepted;
    end(s);
    gossip_drain_core(g);
    gossip_unlock(g);
}

static void on_shut(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status; /* the other side's end, or the timer, ends it */
}

static void close_in_order(struct gossip_stream *s)
{
    if (s->is_done) {
        return;
    }
    s->is_done = true;
    if (uv_shutdown(&s->shutting, (uv_stream_t *)&s->tcp, on_shut) < 0) {
        end(s);
        return;
    }
    uv_timer_start(&s->timer, on_timer, LAST_WORDS_MS, 0);
}

/* ---- writing ---- */

static void on_written(uv_write_t *request, int status)
{
    struct write *w = container_of(request, struct write, request);
    struct gossip_stream *s = w->stream;
    struct gossip *g = s->gossip;

    buf_deinit(&w->bytes);
    mem_free(w);
    if (status < 0 && status != UV_ECANCELED) {
        gossip_lock(g);
        end(s);
        gossip_drain_core(g);
        gossip_unlock(g);
    }
}

/* bytes are moved. */
static void put(struct gossip_stream *s, struct buf *bytes)
{
    if (bytes->len == 0 || s->is_closing) {
        buf_deinit(bytes);
        return;
    }
    if (uv_stream_get_write_queue_size((uv_stream_t *)&s->tcp) > QUEUE_MAX) {
        s->gossip->counters.streams_slow++;
        buf_deinit(bytes);
        end(s);
        return;
    }
    struct write *w = x_alloc(sizeof *w);
    w->stream = s;
    w->bytes = *bytes;
    *bytes = (struct buf){0};
    uv_buf_t piece = uv_buf_init((char *)w->bytes.data, (unsigned)w->bytes.len);
    if (uv_write(&w->request, (uv_stream_t *)&s->tcp, &piece, 1, on_written) < 0) {
        buf_deinit(&w->bytes);
        mem_free(w);
        end(s);
    }
}

/* ---- reading ---- */

static void say_message(struct gossip_stream *s, const uint8_t *bytes, size_t n)
{
    struct gossip *g = s->gossip;

    swim_on_stream(g->swim, gossip_now(), s->id, SWIM_STREAM_MESSAGE, &s->peer, bytes, n);
    gossip_do_actions(g);
}

/* False: it is no message of ours. */
static bool take_plain(struct gossip_stream *s, const uint8_t *bytes, size_t n)
{
    while (n > 0 && !s->is_closing && !s->is_done) {
        size_t want = HEAD_BYTES;
        if (s->message.len >= HEAD_BYTES) {
            struct bytes_reader head = bytes_reader(s->message.data, HEAD_BYTES);
            uint32_t length = bytes_le32(&head);
            if (length == 0 || length > SWIM_STREAM_MESSAGE_MAX) {
                return false;
            }
            want += length;
        }
        size_t part = want - s->message.len < n ? want - s->message.len : n;
        buf_append(&s->message, bytes, part);
        bytes += part;
        n -= part;
        if (s->message.len == want && want > HEAD_BYTES) {
            struct buf message = s->message;
            s->message = (struct buf){0};
            say_message(s, message.data + HEAD_BYTES, message.len - HEAD_BYTES);
            buf_reset(&message);
            if (s->message.data == NULL) {
                s->message = message; /* its memory serves the next one */
            }
        }
    }
    return true;
}

/* It holds the cluster key still, until that is rotated, but nobody here talks to it. */
static bool is_of_banned(const struct gossip_stream *s)
{
    struct swim_id id = swim_id_of(channel_peer(s->channel));

    return swim_is_banned(s->gossip->swim, &id);
}

static void on_opened(struct gossip_stream *s)
{
    struct gossip *g = s->gossip;

    forget_stranger(s);
    bool banned = is_of_banned(s);
    g->counters.streams_refused += banned ? 1 : 0;
    if (banned || s->id == 0) {
        if (!banned &&
            memcmp(channel_peer(s->channel), g->state.public_key, SWIM_PUBLIC_BYTES) != 0) {
            gossip_seed_answered(g, &s->peer, NULL); /* and not ourselves */
        }
        end(s);
        return;
    }
    /* From here on the core's own deadline holds, and ours behind it for the last words. */
    uv_timer_start(&s->timer, on_timer, SWIM_CONN_LIFE_MS + LAST_WORDS_MS, 0);
    s->is_told = true;
    swim_on_stream(g->swim, gossip_now(), s->id,
                   s->is_accepted ? SWIM_STREAM_ACCEPTED : SWIM_STREAM_OPENED, &s->peer, NULL, 0);
    gossip_do_actions(g);
}

static void on_refused(struct gossip_stream *s, const struct err *err)
{
    struct gossip *g = s->gossip;

    if (!s->is_accepted) {
        gossip_seed_answered(g, &s->peer, err);
    } else {
        g->counters.streams_refused++;
        if (channel_refused(s->channel) == CHANNEL_NO_SUCH_KEY) {
            g->counters.streams_foreign++;
            g->foreign.from = s->peer;
            g->foreign.last_ns = clock_boot_ns();
            (void)channel_cluster_key_id_parse(channel_key_id(s->channel), &g->foreign.key_id);
        }
    }
}

static void take_bytes(struct gossip_stream *s, const uint8_t *bytes, size_t n)
{
    struct bytes_reader in = bytes_reader(bytes, n);
    int event = CHANNEL_OPENED;

    while (event != CHANNEL_MORE && !s->is_closing && !s->is_done) {
        struct channel_data plain = {0};
        struct buf out = {0};
        struct err err = {0};
        event = channel_read(s->channel, &in, &plain, &out, &err);
        put(s, &out);
        if (s->is_closing) {
            return;
        }
        if (event == CHANNEL_OPENED) {
            on_opened(s);
        } else if (event < 0) {
            on_refused(s, &err);
            close_in_order(s); /* the byte that says why goes out */
            if (s->is_told) {
                s->is_done = false; /* the core has to hear of this end */
                end(s);
            }
            return;
        } else if (event == CHANNEL_DATA && !take_plain(s, plain.bytes, plain.n)) {
            s->gossip->counters.streams_refused++;
            end(s);
        }
    }
}

/* Calls of a member are for the node's loop, which gets the socket and what was read of it. True:
 * it is gone from here, or cannot be told yet. */
static bool is_for_calls(struct gossip_stream *s, const uint8_t *bytes, size_t n)
{
    int kind;
    uv_os_fd_t fd;

    if (!s->is_accepted || s->is_sorted) {
        return false;
    }
    buf_append(&s->message, bytes, n);
    kind = channel_peek_kind(s->message.data, s->message.len);
    if (kind == CHANNEL_CLUSTER_CALLS && uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy >= 0) {
            gossip_hand_over(s->gossip, copy, &s->peer, &s->message);
        }
        end(s);
    }
    return kind == 0 || s->is_closing;
}

/* Once it is known what it is: all that came so far. */
static void take_first_bytes(struct gossip_stream *s, const uint8_t *bytes, size_t n)
{
    struct buf head;

    if (is_for_calls(s, bytes, n)) {
        return;
    }
    if (!s->is_accepted || s->is_sorted) {
        take_bytes(s, bytes, n);
        return;
    }
    s->is_sorted = true;
    head = s->message;
    s->message = (struct buf){0};
    take_bytes(s, head.data, head.len);
    buf_deinit(&head);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct gossip_stream *s = handle->data;

    (void)wanted;
    *out = uv_buf_init((char *)s->gossip->stream_bytes, sizeof s->gossip->stream_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *read)
{
    struct gossip_stream *s = stream->data;
    struct gossip *g = s->gossip;
    struct err err = {0};

    gossip_lock(g);
    if (n < 0) {
        if (s->is_stranger && !s->is_accepted && channel_ended(s->channel, &err) < 0) {
            gossip_seed_answered(g, &s->peer, &err);
        }
        end(s);
    } else if (n > 0 && !s->is_done) {
        take_first_bytes(s, (const uint8_t *)read->base, (size_t)n);
    }
    gossip_drain_core(g);
    gossip_unlock(g);
}

/* ---- beginning ---- */

static struct gossip_stream *make(struct gossip *g, uint32_t id, const struct swim_addr *peer)
{
    struct gossip_stream *s = x_alloc(sizeof *s);

    s->gossip = g;
    s->id = id;
    s->peer = *peer;
    s->is_stranger = true;
    REQUIRE(uv_tcp_init(&g->loop, &s->tcp) == 0 && uv_timer_init(&g->loop, &s->timer) == 0);
    s->tcp.data = s->timer.data = s;
    s->n_handles = 2;
    LIST_INSERT_HEAD(&g->streams, s, link);
    uv_timer_start(&s->timer, on_timer, CHANNEL_STRANGER_MS, 0);
    return s;
}

static void start_client(struct gossip_stream *s)
{
    struct gossip *g = s->gossip;
    const struct swim_key *key = swim_keyring_active(&g->state.ring.keys);
    const struct channel_node node = {g->state.public_key, g->state.secret_key};
    char key_id[CHANNEL_KEY_ID_CHARS + 1];
    struct buf out = {0};

    REQUIRE(key != NULL);
    g->channel_node = node;
    channel_cluster_key_id(key->id, key_id);
    s->channel = channel_new_client(&(struct channel_client){.kind = CHANNEL_CLUSTER_GOSSIP,
                                                             .key_id = key_id,
                                                             .psk = key->key,
                                                             .node = &g->channel_node},
                                    &out);
    put(s, &out);
    if (!s->is_closing && uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) < 0) {
        end(s);
    }
}

static void on_dialed(struct dial *dial, int fd)
{
    struct gossip_stream *s = container_of(dial, struct gossip_stream, dial);
    struct gossip *g = s->gossip;
    struct err err = {0};
    int rc = fd < 0 ? fd : uv_tcp_open(&s->tcp, fd);

    if (rc < 0 && fd >= 0) {
        close(fd);
    }
    gossip_lock(g);
    if (rc == 0) {
        (void)uv_tcp_nodelay(&s->tcp, 1);
        start_client(s);
    } else {
        err_set(&err, ERR_IO, "%s", uv_strerror(rc));
        gossip_seed_answered(g, &s->peer, &err);
        end(s);
    }
    gossip_drain_core(g);
    gossip_unlock(g);
}

void gossip_stream_open(struct gossip *g, uint32_t id, const struct swim_addr *to)
{
    struct gossip_stream *s = make(g, id, to);
    struct sockaddr_storage at;

    s->is_told = id != 0;
    (void)gossip_addr_to(to, &at);
    s->dial = (struct dial){.done = on_dialed, .closed = on_dial_closed};
    if (dial_start(&s->dial, &g->loop, &at, id) < 0) {
        end(s);
        return;
    }
    s->is_dialing = true;
    s->n_handles++;
}

static struct gossip_stream *find(struct gossip *g, uint32_t id)
{
    struct gossip_stream *s;

    LIST_FOREACH (s, &g->streams, link) {
        if (s->id == id && !s->is_done) {
            return s;
        }
    }
    return NULL;
}

void gossip_stream_write(struct gossip *g, uint32_t id, const void *bytes, size_t n)
{
    struct gossip_stream *s = find(g, id);
    struct buf plain = {0};
    struct buf out = {0};

    if (s == NULL || channel_state(s->channel) != CHANNEL_OPEN) {
        return;
    }
    put_le32(buf_extend(&plain, HEAD_BYTES), (uint32_t)n);
    buf_append(&plain, bytes, n);
    channel_seal(s->channel, plain.data, plain.len, &out);
    buf_deinit(&plain);
    put(s, &out);
}

void gossip_stream_close(struct gossip *g, uint32_t id)
{
    struct gossip_stream *s = find(g, id);

    if (s == NULL) {
        return;
    }
    if (s->channel == NULL) {
        s->is_done = true; /* it is connecting still */
        end(s);
        return;
    }
    close_in_order(s);
}

/* ---- who connects ---- */

static enum channel_refusal look_up(void *arg, enum channel_kind kind, const char *key_id,
                                    struct channel_key *out)
{
    struct gossip *g = arg;
    const struct swim_key *key = NULL;
    uint32_t id;

    if (kind != CHANNEL_CLUSTER_GOSSIP) {
        return CHANNEL_BAD_KIND;
    }
    if (channel_cluster_key_id_parse(key_id, &id)) {
        key = swim_keyring_find(&g->state.ring.keys, id);
    }
    if (key == NULL) {
        return CHANNEL_NO_SUCH_KEY;
    }
    memcpy(out->psk, key->key, sizeof out->psk);
    out->refusal = CHANNEL_NOT_REFUSED;
    return CHANNEL_NOT_REFUSED;
}

/* Too many strangers, or too many of its host. */
static bool is_too_many(struct gossip *g, const struct sockaddr_storage *peer)
{
    const struct gossip_stream *s;
    unsigned n = 0;

    if (g->n_strangers >= CHANNEL_STRANGERS_MAX) {
        return true;
    }
    LIST_FOREACH (s, &g->streams, link) {
        struct sockaddr_storage other;
        (void)gossip_addr_to(&s->peer, &other);
        n += s->is_accepted && s->is_stranger && unproven_is_same_host(&other, peer);
    }
    return n >= CHANNEL_STRANGERS_OF_ADDRESS_MAX;
}

static uint32_t fresh_id(struct gossip *g)
{
    do {
        g->last_stream = (g->last_stream + 1) | ACCEPTED_BIT;
    } while (find(g, g->last_stream) != NULL);
    return g->last_stream;
}

static void on_accepted(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct gossip *g = listener->arg;
    struct swim_addr from;

    gossip_lock(g);
    if (g->is_closing || g->has_left || !gossip_addr_from((const struct sockaddr *)peer, &from) ||
        is_too_many(g, peer)) {
        g->counters.streams_busy++;
        close(fd);
        gossip_unlock(g);
        return;
    }
    struct gossip_stream *s = make(g, fresh_id(g), &from);
    s->is_accepted = true;
    g->n_strangers++;
    g->channel_node = (struct channel_node){g->state.public_key, g->state.secret_key};
    s->channel = channel_new_server(
        &(struct channel_server){.lookup = look_up, .arg = g, .node = &g->channel_node});
    if (uv_tcp_open(&s->tcp, fd) < 0) {
        close(fd);
        end(s);
    } else if (uv_tcp_nodelay(&s->tcp, 1) < 0 ||
               uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) < 0) {
        end(s);
    }
    gossip_unlock(g);
}

int gossip_streams_listen(struct gossip *g, struct err *err)
{
    for (size_t i = 0; i < g->n_sockets; i++) {
        struct sockaddr_storage at;
        struct listener *l = &g->listeners[i];
        (void)gossip_addr_to(&g->sockets[i].address, &at);
        l->accepted = on_accepted;
        l->arg = g;
        int rc = listener_open(l, &g->loop, &at, "--gossip-addr", err);
        if (rc < 0) {
            return rc;
        }
        g->n_listeners++;
    }
    return 0;
}

static void on_listener_closed(struct listener *listener)
{
    (void)listener;
}

void gossip_streams_stop(struct gossip *g)
{
    while (g->n_listeners > 0) {
        listener_close(&g->listeners[--g->n_listeners], on_listener_closed);
    }
    while (!LIST_EMPTY(&g->streams)) {
        end(LIST_FIRST(&g->streams));
    }
}
