/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of streams: who joins which, how many there may be, when one that nobody looks at ends,
 * and the end of all.
 */
#include "node/relay_internal_uv.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/sources.h"
#include "node/viewer_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define SWEEP_MS 1000
/* Raw frames of one write. */
#define RAW_BUFFER_BYTES (256u * 1024u)
#define RAW_BUFFERS_KEPT 8
/* So long one viewer's history has a worker; then others have their turn. */
#define HISTORY_JOB_NS UINT64_C(100000000)

uint64_t relay_now_ms(const struct relay *relay)
{
    return uv_now(relay->node->loop);
}

static bool is_wanted(const struct relay_stream *stream, const struct relay_request *request)
{
    return !stream->ending && strcmp(stream->interface, request->interface) == 0 &&
           strcmp(stream->filter, request->filter == NULL ? "" : request->filter) == 0 &&
           stream->snaplen == request->snaplen;
}

static struct relay_stream *find(struct relay *relay, const struct relay_request *request)
{
    for (struct relay_stream *stream = relay->streams; stream != NULL; stream = stream->next) {
        if (is_wanted(stream, request)) {
            return stream;
        }
    }
    return NULL;
}

static bool is_idle(const struct relay_stream *stream)
{
    return !stream->ending && stream->n_viewers == 0 && stream->waiters == NULL;
}

int relay_make_room(struct node *node, struct err *err)
{
    struct relay_stream *idle = NULL;
    uint64_t n = node->n_recordings;

    for (struct relay_stream *stream = node->relay->streams; stream != NULL;
         stream = stream->next) {
        n += stream->ending ? 0 : 1;
        if (is_idle(stream) && (idle == NULL || stream->idle_since_ms < idle->idle_since_ms)) {
            idle = stream;
        }
    }
    if (n < node->options->max_captures) {
        return 0;
    }
    if (idle == NULL) {
        return err_set(err, ERR_LIMIT,
                       "%" PRIu64 " live %s already, %" PRIu32
                       " of them into the store, and --max-captures allows no more: stop one with "
                       "DELETE /api/v1/captures/{id}, watch with the filter of one that is "
                       "watched already, or start the node with a larger --max-captures",
                       n, n == 1 ? "capture runs" : "captures run", node->n_recordings);
    }
    relay_stream_end(idle);
    return 0;
}

static void on_sweep(uv_timer_t *timer);

void relay_join(struct relay *relay, const struct relay_request *request,
                void (*done)(void *arg, struct relay_stream *stream, const struct err *err),
                void *arg)
{
    const struct stream_waiter waiter = {.done = done, .arg = arg};
    struct relay_stream *stream = find(relay, request);

    if (stream == NULL) {
        struct err err = {0};

        if (relay->ending) {
            err_set(&err, ERR_IN_USE, "the node is ending");
        } else if (relay_make_room(relay->node, &err) < 0) {
            err.code = ERR_IN_USE;
        }
        if (err.code < 0) {
            relay->refused++;
            done(arg, NULL, &err);
            return;
        }
        stream = relay_stream_new(relay, request);
        if (relay->streams == NULL) {
            uv_timer_start(&relay->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
        }
        stream->next = relay->streams;
        relay->streams = stream;
        relay->n_streams++;
    }
    relay_stream_wait(stream, &waiter);
}

void relay_forget_stream(struct relay_stream *stream)
{
    struct relay *relay = stream->relay;
    struct relay_stream **at = &relay->streams;

    while (*at != stream) {
        at = &(*at)->next;
    }
    *at = stream->next;
    relay->n_streams--;
    relay_check_end(relay);
}

static void on_sweep(uv_timer_t *timer)
{
    struct relay *relay = timer->data;
    uint64_t now_ms = relay_now_ms(relay);

    for (struct relay_stream *stream = relay->streams; stream != NULL; stream = stream->next) {
        if (is_idle(stream) && stream->has_run &&
            now_ms - stream->idle_since_ms >= RELAY_LINGER_MS) {
            relay_stream_end(stream);
            break; /* the list may have changed; the next one in a second */
        }
        for (struct viewer *v = stream->viewers; v != NULL; v = v->next) {
            viewer_tick(v, now_ms);
        }
    }
    if (relay->streams == NULL) {
        uv_timer_stop(timer);
    }
}

/* While any socket of the host asks for time stamps, the kernel stamps each packet once, when it
 * comes in; else each capture stamps it when it gets there, and two see two times. */
static int ask_for_stamps(void)
{
    const int on = 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    }
    return fd;
}

static void on_swapped(struct node *node)
{
    for (struct relay_stream *stream = node->relay == NULL ? NULL : node->relay->streams;
         stream != NULL; stream = stream->next) {
        relay_stream_check_excluded(stream);
    }
}

int relay_open(struct node *node, struct err *err)
{
    struct relay *relay = x_alloc(sizeof *relay);

    (void)err;
    relay->node = node;
    relay->history_job_ns = HISTORY_JOB_NS;
    relay->buffers = block_pool_new(RAW_BUFFER_BYTES, RAW_BUFFERS_KEPT);
    relay->stamp_fd = ask_for_stamps();
    REQUIRE(uv_timer_init(node->loop, &relay->sweep) == 0);
    REQUIRE(uv_timer_init(node->loop, &relay->deadline) == 0);
    relay->sweep.data = relay->deadline.data = relay;
    relay->n_handles = 2;
    uv_unref((uv_handle_t *)&relay->sweep);
    node->relay = relay;
    node_sources_watch_swaps(node, on_swapped);
    return 0;
}

static void drained(struct relay *relay)
{
    void (*done)(struct node * node) = relay->drained;

    relay->drained = NULL;
    uv_timer_stop(&relay->deadline);
    if (done != NULL) {
        done(relay->node);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct relay *relay = timer->data;

    log_warn("%u live captures did not end in time", relay->n_streams);
    drained(relay);
}

static bool all_captures_ended(const struct relay *relay)
{
    for (const struct relay_stream *stream = relay->streams; stream != NULL;
         stream = stream->next) {
        if (stream->state != STREAM_DEAD) {
            return false;
        }
    }
    return true;
}

static void end_all(struct relay *relay)
{
    struct relay_stream *next = NULL;

    relay->ending = true;
    for (struct relay_stream *stream = relay->streams; stream != NULL; stream = next) {
        next = stream->next;
        struct viewer *next_viewer = NULL;
        for (struct viewer *v = stream->viewers; v != NULL; v = next_viewer) {
            next_viewer = v->next;
            viewer_end(v, 1001, "the node is ending");
        }
        relay_stream_end(stream);
    }
}

void relay_drain(struct node *node, uint64_t deadline_ns, void (*done)(struct node *node))
{
    struct relay *relay = node->relay;
    uint64_t now_ns = clock_monotonic_ns();

    relay->drained = done;
    end_all(relay);
    if (all_captures_ended(relay)) {
        drained(relay);
        return;
    }
    uv_timer_start(&relay->deadline, on_deadline,
                   deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 : 0, 0);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct relay *relay = handle->data;

    if (--relay->n_handles > 0) {
        return;
    }
    struct node *node = relay->node;
    void (*closed)(struct node * node) = relay->closed;
    block_unref(relay->scratch);
    block_pool_free(relay->buffers);
    if (relay->stamp_fd >= 0) {
        close(relay->stamp_fd);
    }
    node->relay = NULL;
    mem_free(relay);
    closed(node);
}

void relay_check_end(struct relay *relay)
{
    if (relay->drained != NULL && all_captures_ended(relay)) {
        drained(relay);
    }
    if (relay->closed != NULL && relay->n_streams == 0 && relay->n_histories == 0 &&
        !uv_is_closing((uv_handle_t *)&relay->sweep)) {
        uv_close((uv_handle_t *)&relay->sweep, on_handle_closed);
        uv_close((uv_handle_t *)&relay->deadline, on_handle_closed);
    }
}

void relay_close(struct node *node, void (*closed)(struct node *node))
{
    struct relay *relay = node->relay;

    relay->closed = closed;
    end_all(relay);
    relay_check_end(relay);
}

void relay_streams(struct node *node, void (*each)(const struct relay_stream_info *info, void *arg),
                   void *arg)
{
    for (struct relay_stream *stream = node->relay->streams; stream != NULL;
         stream = stream->next) {
        if (!stream->has_run || stream->state == STREAM_DEAD) {
            continue;
        }
        uv_mutex_lock(&stream->mutex);
        struct relay_stream_info info = {.packets = stream->ring.packets,
                                         .ring_bytes = stream->ring.bytes};
        uv_mutex_unlock(&stream->mutex);
        info.id = stream->id;
        info.interface = stream->interface;
        info.filter = stream->filter;
        info.excluded = stream->excluded == NULL ? "" : stream->excluded;
        info.snaplen = stream->snaplen;
        info.running = stream->state == STREAM_RUNNING;
        info.why = stream->ending || stream->state == STREAM_RUNNING ? "" : stream->down.text;
        info.n_viewers = stream->n_viewers;
        each(&info, arg);
    }
}

uint32_t relay_viewers(const struct node *node)
{
    uint32_t n = 0;

    for (int kind = 0; kind < N_VIEWER_KINDS; kind++) {
        n += node->relay->n_viewers[kind];
    }
    return n;
}
