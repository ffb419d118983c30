/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one stream. What blocks (opening and ending a capture) runs on workers; meanwhile the
 * stream is OPENING or CLOSING and nobody else touches source and session.
 *
 *   OPENING --ok--> RUNNING --interface went away--> CLOSING --> DOWN --retry--> OPENING
 *      |failed             |relay_stream_end           |ending     |ending
 *      +------------------>+------------------------->-+-----------+--> DEAD --viewers gone--> free
 */
#include "node/relay_internal_uv.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/events.h"
#include "node/remote_name.h"
#include "node/sources.h"
#include "node/viewer_uv.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/capture/source_pcap.h"

/* How long the kernel keeps a block that is not full. Linux 6.18 ends blocks by a high resolution
 * timer; older ones by a timer of jiffies, where it can be 4 ms or more (0004). */
#define BLOCK_TIMEOUT_MS 1
/* The capture's own blocks. Their content is copied on as soon as they are sealed. */
#define CAPTURE_BLOCK_BYTES BLOCK_BYTES_MIN
/* Between tries to open an interface that went away. */
#define RETRY_MAX_MS 2000
/* Notes that are longer are not kept for those who read slowly. */
#define NOTE_MAX 16384
/* Packets of one stream are given out for at most a third of the time: a round that took c comes
 * again 2c later, and meanwhile packets gather into larger writes. */
#define PACE_FACTOR 2
#define PACE_MAX_MS 20
/* A round that took so long goes on where it was, after its pause: others want the loop too. */
#define ROUND_NS UINT64_C(10000000)
/* When workers have too much to do. */
#define PAUSE_MS 5

static void begin_open(struct relay_stream *stream);

struct job {
    struct relay_stream *stream;
    int code;
    struct err err;
};

static struct job *job_new(struct relay_stream *stream)
{
    struct job *job = x_alloc(sizeof *job);

    job->stream = stream;
    return job;
}

void relay_stream_event(struct relay_stream *stream, const char *type, const char *text)
{
    events_publish(stream->relay->node, type,
                   json_pack("{s:s, s:s, s:s, s:s?}", "interface", stream->interface, "stream",
                             stream->id, "filter", stream->filter, "detail", text));
}

static bool is_told(const struct relay_stream *stream)
{
    for (const struct viewer *v = stream->viewers; v != NULL; v = v->next) {
        if (v->note_number != stream->note_number) {
            return false;
        }
    }
    return true;
}

/* Told to every pcapng viewer with its next statistics, behind what one of them was not told yet.
 */
static void note(struct relay_stream *stream, const char *text)
{
    bool joins = stream->note != NULL && !is_told(stream) && strlen(stream->note) < NOTE_MAX;
    char *both = joins ? x_sprintf("%s\n%s", stream->note, text) : x_strdup(text);

    mem_free(stream->note);
    stream->note = both;
    stream->note_number++;
    relay_stream_poke(stream);
}

/* An Interface Description is said once, so it goes into statistics. */
void relay_stream_check_excluded(struct relay_stream *stream)
{
    char *now = stream->state == STREAM_RUNNING ? node_source_excluded(stream->source) : NULL;
    char *text = NULL;

    if (now == NULL || strcmp(now, stream->excluded) == 0) {
        mem_free(now);
        return;
    }
    mem_free(stream->excluded);
    stream->excluded = now;
    text = x_sprintf("from now on left out, because it is the node's own traffic: %s",
                     now[0] == '\0' ? "nothing" : now);
    note(stream, text);
    mem_free(text);
}

struct ledger relay_stream_ledger(struct relay_stream *stream)
{
    uv_mutex_lock(&stream->mutex);
    const struct ledger *a = &stream->before;
    const struct ledger *b = &stream->ledger;
    struct ledger sum = {
        .captured = a->captured + b->captured,
        .bytes = a->bytes + b->bytes,
        .received = ledger_add(a->received, b->received),
        .kernel = ledger_add(a->kernel, b->kernel),
        .interface = ledger_add(a->interface, b->interface),
        .limit = a->limit + b->limit,
        .store = ledger_add(a->store, b->store),
    };
    uv_mutex_unlock(&stream->mutex);
    return sum;
}

/* ---- the end of all ---------------------------------------------------------------------- */

static void free_when_alone(struct relay_stream *stream)
{
    struct relay *relay = stream->relay;

    if (stream->state != STREAM_DEAD || stream->n_handles > 0 || stream->n_viewers > 0) {
        return;
    }
    relay->lost_captured += relay_stream_ledger(stream).store;
    relay_lane_deinit(stream);
    relay_forget_stream(stream);
    mem_free(stream->interface);
    mem_free(stream->filter);
    mem_free(stream->excluded);
    mem_free(stream->note);
    mem_free(stream);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct relay_stream *stream = handle->data;

    stream->n_handles--;
    free_when_alone(stream);
}

static void die(struct relay_stream *stream)
{
    stream->state = STREAM_DEAD;
    stream->ending = true;
    uv_close((uv_handle_t *)&stream->wake, on_handle_closed);
    uv_close((uv_handle_t *)&stream->retry, on_handle_closed);
    uv_close((uv_handle_t *)&stream->pace, on_handle_closed);
    relay_check_end(stream->relay);
}

/* ---- ending a capture --------------------------------------------------------------------- */

static void run_close(void *arg)
{
    struct job *job = arg;
    struct relay_stream *stream = job->stream;
    struct session *session = atomic_load(&stream->session);

    session_request_stop(session);
    while (!session_wait(session, 1000)) {
        session_request_abort(session);
    }
    const struct session_result *result = session_result(session);
    job->code = result->code;
    job->err = result->err;
    atomic_store(&stream->session, NULL);
    session_free(session);
    stream->source->ops->close(stream->source);
    stream->source = NULL;
}

static void schedule_retry(struct relay_stream *stream);

static void on_captured(void *arg, bool cancelled)
{
    struct job *job = arg;
    struct relay_stream *stream = job->stream;
    struct ledger sum = relay_stream_ledger(stream);

    REQUIRE(!cancelled); /* not run by the node's queue, which may leave out work */
    uv_mutex_lock(&stream->mutex);
    stream->before = sum;
    stream->ledger = (struct ledger){0};
    uv_mutex_unlock(&stream->mutex);
    if (!stream->ending) {
        stream->down = job->err;
        log_warn("live capture on '%s' stopped: %s; trying again", stream->interface,
                 job->err.text);
        relay_stream_event(stream, "interface.down", job->err.text);
        note(stream, job->err.text);
        schedule_retry(stream);
    } else {
        die(stream);
    }
    mem_free(job);
}

/* Straight to libuv's threads: this must run even while the node is ending. */
struct direct {
    uv_work_t request;
    struct job *job;
    void (*run)(void *arg);
    void (*done)(void *arg, bool cancelled);
};

static void on_direct_run(uv_work_t *request)
{
    struct direct *direct = request->data;

    direct->run(direct->job);
}

static void on_direct_done(uv_work_t *request, int status)
{
    struct direct *direct = request->data;

    direct->done(direct->job, status != 0);
    mem_free(direct);
}

static void run_directly(struct job *job, void (*run)(void *arg),
                         void (*done)(void *arg, bool cancelled))
{
    struct direct *direct = x_alloc(sizeof *direct);

    *direct = (struct direct){.job = job, .run = run, .done = done};
    direct->request.data = direct;
    REQUIRE(uv_queue_work(job->stream->relay->node->loop, &direct->request, on_direct_run,
                          on_direct_done) == 0);
}

static void begin_close(struct relay_stream *stream)
{
    stream->state = STREAM_CLOSING;
    run_directly(job_new(stream), run_close, on_captured);
}

void relay_stream_end(struct relay_stream *stream)
{
    stream->ending = true;
    if (stream->state == STREAM_RUNNING) {
        begin_close(stream);
    } else if (stream->state == STREAM_DOWN) {
        die(stream);
    }
}

/* ---- opening one -------------------------------------------------------------------------- */

static int start_session(struct relay_stream *stream, struct err *err)
{
    const struct session_consumer consumer = {.consumer = &stream->consumer};
    const struct session_spec spec = {.sources = &stream->source,
                                      .n_sources = 1,
                                      .consumers = &consumer,
                                      .n_consumers = 1,
                                      .block_bytes = CAPTURE_BLOCK_BYTES,
                                      .seal_ms = SESSION_SEAL_AT_ONCE};
    struct session *session = NULL;
    int code = session_start(&spec, &session, err);

    if (code == 0) {
        atomic_store(&stream->session, session);
    }
    return code;
}

static void run_open(void *arg)
{
    struct job *job = arg;
    struct relay_stream *stream = job->stream;
    const struct source_request request = {
        .interface = stream->interface,
        .filter = stream->filter,
        .snaplen = stream->snaplen,
        .promisc = true,
        .buffer_bytes = stream->relay->node->options->buffer_bytes,
        .block_timeout_ms = BLOCK_TIMEOUT_MS,
    };
    char *excluded = NULL;

    job->code =
        node_source_open(stream->relay->node, &request, &stream->source, &excluded, &job->err);
    if (job->code < 0) {
        return;
    }
    if (stream->has_run && stream->source->ifaces[0].link_type != stream->iface.link_type) {
        job->code = err_set(&job->err, ERR_CAPTURE,
                            "interface '%s' came back with another link type", stream->interface);
    } else {
        if (!stream->has_run) { /* else it is told when it is open */
            stream->excluded = excluded;
            excluded = NULL;
        }
        stream->iface = stream->source->ifaces[0];
        atomic_store(&stream->finished, false);
        job->code = start_session(stream, &job->err);
    }
    mem_free(excluded);
    if (job->code < 0) {
        stream->source->ops->close(stream->source);
        stream->source = NULL;
    }
}

static void answer_waiters(struct relay_stream *stream, const struct err *err)
{
    while (stream->waiters != NULL) {
        struct stream_waiter *waiter = stream->waiters;

        stream->waiters = waiter->next;
        waiter->done(waiter->arg, err == NULL ? stream : NULL, err);
        mem_free(waiter);
    }
}

static void on_opened(void *arg, bool cancelled)
{
    struct job *job = arg;
    struct relay_stream *stream = job->stream;

    if (cancelled) {
        job->code = err_set(&job->err, ERR_LIMIT, "the node has too much to do: try again later");
    }
    if (job->code == 0) {
        stream->state = STREAM_RUNNING;
        stream->down = (struct err){0};
        backoff_reset(&stream->backoff);
        if (stream->has_run) {
            log_info("live capture on '%s' goes on", stream->interface);
            relay_stream_event(stream, "interface.up", NULL);
            note(stream, "the interface is back");
        } else {
            stream->started_ns = clock_wall_ns();
        }
        stream->has_run = true;
        relay_stream_check_excluded(stream); /* it may have changed since the open */
        stream->idle_since_ms = relay_now_ms(stream->relay);
        if (stream->ending) {
            err_set(&job->err, ERR_IN_USE, "the node is ending");
        }
        answer_waiters(stream, stream->ending ? &job->err : NULL);
        relay_stream_poke(stream); /* its end may have come before */
        if (stream->ending) {
            begin_close(stream);
        }
    } else if (!stream->has_run || stream->ending) {
        answer_waiters(stream, &job->err);
        die(stream);
    } else {
        stream->down = job->err;
        schedule_retry(stream);
    }
    mem_free(job);
}

static void begin_open(struct relay_stream *stream)
{
    stream->state = STREAM_OPENING;
    if (remote_name_is(stream->interface)) {
        work_run_apart(stream->relay->node, run_open, on_opened, job_new(stream));
    } else {
        run_directly(job_new(stream), run_open, on_opened);
    }
}

static void on_retry(uv_timer_t *timer)
{
    begin_open(timer->data);
}

static void schedule_retry(struct relay_stream *stream)
{
    uint64_t random = 0;

    (void)uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    uint64_t wait_ms = 20 + backoff_next_ns(&stream->backoff, random) / 1000000;
    stream->state = STREAM_DOWN;
    uv_timer_start(&stream->retry, on_retry, wait_ms > RETRY_MAX_MS ? RETRY_MAX_MS : wait_ms, 0);
}

/* ---- rounds ------------------------------------------------------------------------------- */

static void give_out(struct relay_stream *stream);

static void on_pace(uv_timer_t *timer)
{
    struct relay_stream *stream = timer->data;

    stream->is_paced = false;
    give_out(stream);
}

static void pace(struct relay_stream *stream, uint64_t ms)
{
    if (!stream->is_paced && stream->state != STREAM_DEAD) {
        stream->is_paced = true;
        uv_timer_start(&stream->pace, on_pace, ms, 0);
    }
}

void relay_stream_pause(struct relay_stream *stream)
{
    pace(stream, PAUSE_MS);
}

static void give_out(struct relay_stream *stream)
{
    uint64_t began = uv_hrtime();
    uint64_t took = 0;
    bool goes_on = stream->turn != NULL;
    struct viewer *v = goes_on ? stream->turn : stream->viewers;

    while (v != NULL && took < ROUND_NS) {
        stream->turn = v->next;
        viewer_pump(v);
        v = stream->turn;
        took = uv_hrtime() - began;
    }
    if (stream->turn != NULL || goes_on) { /* those before had to wait meanwhile */
        relay_stream_poke(stream);
    }
    uint64_t pause_ms = took * PACE_FACTOR / 1000000;
    if (pause_ms > 0) {
        pace(stream, pause_ms < PACE_MAX_MS ? pause_ms : PACE_MAX_MS);
    }
}

static void on_wake(uv_async_t *handle)
{
    struct relay_stream *stream = handle->data;

    if (stream->state == STREAM_RUNNING && atomic_load(&stream->finished)) {
        begin_close(stream);
    }
    if (!stream->is_paced) {
        give_out(stream);
    }
}

void relay_stream_poke(struct relay_stream *stream)
{
    if (stream->state != STREAM_DEAD) {
        uv_async_send(&stream->wake);
    }
}

/* ---- the beginning, and who looks --------------------------------------------------------- */

static void make_id(char id[RELAY_ID_TEXT])
{
    uint64_t random = 0;

    (void)uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    snprintf(id, RELAY_ID_TEXT, "%016llx", (unsigned long long)random);
}

struct relay_stream *relay_stream_new(struct relay *relay, const struct relay_request *request)
{
    struct relay_stream *stream = x_alloc(sizeof *stream);

    stream->relay = relay;
    make_id(stream->id);
    stream->interface = x_strdup(request->interface);
    stream->filter = x_strdup(request->filter == NULL ? "" : request->filter);
    stream->snaplen = request->snaplen;
    relay_lane_init(stream);
    REQUIRE(uv_async_init(relay->node->loop, &stream->wake, on_wake) == 0);
    REQUIRE(uv_timer_init(relay->node->loop, &stream->retry) == 0);
    REQUIRE(uv_timer_init(relay->node->loop, &stream->pace) == 0);
    stream->wake.data = stream->retry.data = stream->pace.data = stream;
    stream->n_handles = 3;
    begin_open(stream);
    return stream;
}

void relay_stream_wait(struct relay_stream *stream, const struct stream_waiter *waiter)
{
    struct stream_waiter *copy = NULL;

    if (stream->state != STREAM_OPENING || stream->has_run) {
        waiter->done(waiter->arg, stream, NULL);
        return;
    }
    copy = x_alloc(sizeof *copy);
    *copy = *waiter;
    copy->next = stream->waiters;
    stream->waiters = copy;
}

void relay_stream_add_viewer(struct relay_stream *stream, struct viewer *viewer)
{
    viewer->next = stream->viewers;
    stream->viewers = viewer;
    stream->n_viewers++;
}

void relay_stream_remove_viewer(struct relay_stream *stream, struct viewer *viewer)
{
    struct viewer **at = &stream->viewers;

    while (*at != viewer) {
        at = &(*at)->next;
    }
    *at = viewer->next;
    stream->turn = stream->turn == viewer ? viewer->next : stream->turn;
    if (--stream->n_viewers == 0) {
        stream->idle_since_ms = relay_now_ms(stream->relay);
        free_when_alone(stream);
    }
}
