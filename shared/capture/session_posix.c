/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/session_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/session_internal_posix.h"
#include "shared/packet/filter.h"

/* Breaks a blocking read of the capture thread; its handler does nothing. */
#define NUDGE_SIGNAL     SIGURG
#define SNAPSHOT_WAIT_NS 500000000u
/* Idle blocks that are kept for later; what is queued comes on top for as long as it is. */
#define POOL_KEEP 8

void session_fail(struct session *s, int code, const struct err *err)
{
    if (s->result.code == 0) {
        s->result.code = code;
        s->result.err = *err;
    }
    if (!s->ended) {
        s->ended = true;
        s->result.end = SESSION_END_FAILED;
    }
}

static uint64_t without(uint64_t all, uint64_t before)
{
    return all == LEDGER_UNKNOWN ? LEDGER_UNKNOWN : all > before ? all - before : 0;
}

static uint64_t known(uint64_t count)
{
    return count == LEDGER_UNKNOWN ? 0 : count;
}

/* What was lost before the capture's first instant is no loss of it. */
void session_read_stats(struct session *s)
{
    for (uint32_t i = 0; s->live && i < s->n_sources; i++) {
        struct source *source = s->feeds[i].source;
        struct ledger *ledger = &s->intake.ledgers[s->feeds[i].ids[0]];
        struct source_stats stats;

        source->ops->stats(source, &stats);
        if (s->is_early) {
            s->before[i] = stats;
        }
        ledger->received = without(without(stats.received, s->intake.early[s->feeds[i].ids[0]]),
                                   known(s->before[i].kernel)); /* which it counts, too */
        ledger->kernel = without(stats.kernel, known(s->before[i].kernel));
        ledger->interface = without(stats.interface, known(s->before[i].interface));
    }
}

/* What a file cannot tell is unknown, not 0. */
void session_total(const struct session *s, struct ledger *out)
{
    intake_total(&s->intake, out);
    if (!s->live) {
        out->kernel = LEDGER_UNKNOWN;
        out->interface = LEDGER_UNKNOWN;
    }
}

void session_count(struct session *s, struct session_counters *out)
{
    *out = (struct session_counters){.n_stages = s->n_lanes};
    session_total(s, &out->total);
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        out->stages[i] = (struct session_loss){lane_stage(s->lanes[i]), lane_lost(s->lanes[i])};
        out->total.store += out->stages[i].packets;
        const struct lane_queue queue = lane_queue(s->lanes[i]);
        out->queue_bytes += queue.bytes;
        out->queue_limit += queue.limit;
    }
}

void session_serve_snapshot(struct session *s)
{
    if (!atomic_exchange(&s->snapshot_wanted, false)) {
        return;
    }
    struct session_counters now;
    session_read_stats(s);
    session_count(s, &now);
    pthread_mutex_lock(&s->mutex);
    s->snapshot = now;
    s->snapshot_number++;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->mutex);
}

static void wake(int fd)
{
    int saved = errno; /* called from signal handlers */

    (void)!write(fd, "", 1);
    errno = saved;
}

/* The capture thread may sleep in poll, or in the read of a pipe that is its input. */
static void wake_thread(struct session *s)
{
    wake(s->wake_fds[1]);
    if (!s->live) {
        pthread_kill(s->thread, NUDGE_SIGNAL);
    }
}

void session_request_stop(struct session *s)
{
    atomic_store(&s->stop, true);
    wake_thread(s);
}

void session_request_abort(struct session *s)
{
    atomic_store(&s->abort, true);
    wake_thread(s);
}

static struct timespec after_ns(uint64_t ns)
{
    uint64_t at = clock_monotonic_ns() + ns;

    return (struct timespec){.tv_sec = (time_t)(at / 1000000000u),
                             .tv_nsec = (long)(at % 1000000000u)};
}

uint64_t session_settled_ns(struct session *s)
{
    uint64_t idle_ns = atomic_load(&s->idle_ns); /* first: what came behind it only adds */

    for (uint32_t i = 0; i < s->n_lanes; i++) {
        if (lane_queue(s->lanes[i]).bytes > 0) {
            return 0;
        }
    }
    return idle_ns;
}

void session_snapshot(struct session *s, struct session_counters *out)
{
    struct timespec until = after_ns(SNAPSHOT_WAIT_NS);

    pthread_mutex_lock(&s->mutex);
    uint64_t number = s->snapshot_number;
    atomic_store(&s->snapshot_wanted, true);
    wake(s->wake_fds[1]);
    while (s->snapshot_number == number && !s->finished &&
           pthread_cond_timedwait(&s->change, &s->mutex, &until) == 0) {
    }
    *out = s->finished ? s->result.counters : s->snapshot;
    pthread_mutex_unlock(&s->mutex);
}

int session_done_fd(const struct session *s)
{
    return s->done_fds[0];
}

bool session_wait(struct session *s, uint32_t timeout_ms)
{
    struct timespec until = after_ns((uint64_t)timeout_ms * 1000000u);

    pthread_mutex_lock(&s->mutex);
    while (!s->finished && pthread_cond_timedwait(&s->change, &s->mutex, &until) == 0) {
    }
    bool finished = s->finished;
    pthread_mutex_unlock(&s->mutex);
    return finished;
}

static void *thread_main(void *arg)
{
    struct session *s = arg;

    session_loop(s);
    pthread_mutex_lock(&s->mutex);
    session_count(s, &s->result.counters);
    s->finished = true;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->mutex);
    wake(s->done_fds[1]);
    return NULL;
}

/* The consumers have finished when the capture thread has. */
static void join_lanes(struct session *s)
{
    for (uint32_t i = 0; i < s->n_lanes; i++) {
        struct err err = {0};
        int code = lane_join(s->lanes[i], &err);

        if (code < 0 && s->result.code == 0) {
            s->result.code = code;
            s->result.err = err;
            if (s->result.end != SESSION_END_ABORTED) {
                s->result.end = SESSION_END_FAILED;
            }
        }
        s->lanes[i] = NULL;
    }
    s->n_lanes = 0;
}

const struct session_result *session_result(struct session *s)
{
    if (!s->joined) {
        pthread_join(s->thread, NULL);
        s->joined = true;
        join_lanes(s);
        s->result.started_ns = s->started_ns;
        s->result.ifaces = s->intake.ifaces;
        s->result.ledgers = s->intake.ledgers;
        s->result.n_ifaces = s->intake.n_ifaces;
    }
    return &s->result;
}

static void close_pair(int fds[2])
{
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

static void release(struct session *s)
{
    for (uint32_t i = 0; i < s->n_sources; i++) {
        intake_feed_deinit(&s->feeds[i]);
    }
    intake_deinit(&s->intake);
    block_pool_free(s->pool);
    close_pair(s->wake_fds);
    close_pair(s->done_fds);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->change);
    mem_free(s);
}

void session_free(struct session *s)
{
    if (s != NULL) {
        (void)session_result(s);
        release(s);
    }
}

static int make_pipe(int fds[2], struct err *err)
{
    int made[2];

    if (pipe2(made, O_CLOEXEC | O_NONBLOCK) < 0) {
        return err_errno(err, errno, "cannot make a pipe");
    }
    fds[0] = made[0];
    fds[1] = made[1];
    return 0;
}

static void on_nudge(int number)
{
    (void)number;
}

static void allow_nudges(void)
{
    struct sigaction action = {.sa_handler = on_nudge}; /* no SA_RESTART: that is the point */

    sigaction(NUDGE_SIGNAL, &action, NULL);
}

static int add_sources(struct session *s, const struct session_spec *spec, struct err *err)
{
    const struct intake_filtering filtering = {spec->filters, filter_set_for, filter_matches};

    for (uint32_t i = 0; i < spec->n_sources; i++) {
        struct source *source = spec->sources[i];

        REQUIRE((source->ops->fd(source) >= 0) == s->live);
        s->n_sources = i + 1;
        int code = intake_feed_init(&s->feeds[i], &s->intake, source, s->live ? NULL : &filtering,
                                    s->live ? 0 : spec->snaplen, err);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static int start_lanes(struct session *s, const struct session_spec *spec, struct err *err)
{
    for (uint32_t i = 0; i < spec->n_consumers; i++) {
        const struct session_consumer *one = &spec->consumers[i];
        const struct lane_opts opts = {
            .consumer = one->consumer,
            .queue_bytes = one->queue_bytes == 0 ? SESSION_QUEUE_BYTES : one->queue_bytes,
            .may_wait = !s->live,
            .ifaces = s->intake.ifaces,
            .n_ifaces = s->intake.n_ifaces,
        };
        int code = lane_start(&opts, &s->lanes[i], err);
        if (code < 0) {
            return code;
        }
        s->n_lanes = i + 1;
    }
    return 0;
}

static void undo_lanes(struct session *s)
{
    const struct lane_end end = {
        .ledgers = s->intake.ledgers, .n_ledgers = s->intake.n_ifaces, .ended_ns = clock_wall_ns()};

    for (uint32_t i = 0; i < s->n_lanes; i++) {
        lane_end(s->lanes[i], &end);
    }
    join_lanes(s);
}

static void on_unmatched(const struct iface *iface, const char *why, void *arg)
{
    struct session *s = arg;

    if (s->unmatched != NULL) {
        s->unmatched(iface, why, s->unmatched_arg);
    }
}

static void init(struct session *s, const struct session_spec *spec)
{
    pthread_condattr_t attr;

    s->wake_fds[0] = s->wake_fds[1] = s->done_fds[0] = s->done_fds[1] = -1;
    s->live = spec->sources[0]->ops->fd(spec->sources[0]) >= 0;
    s->seal_ns = spec->seal_ms == SESSION_SEAL_AT_ONCE
                     ? 0
                     : (spec->seal_ms == 0 ? SESSION_SEAL_MS : spec->seal_ms) * UINT64_C(1000000);
    s->unmatched = spec->unmatched;
    s->unmatched_arg = spec->arg;
    const struct intake_opts opts = {
        .max_ifaces = s->live ? spec->n_sources : IFACES_MAX,
        .limits = limits_make(spec->max_packets, spec->max_bytes, s->live ? 0 : spec->duration_ns),
        .from_ns = s->live ? spec->from_ns : 0,
        .until_ns = s->live ? spec->until_ns : 0,
        .exchange = session_exchange,
        .unmatched = on_unmatched,
        .arg = s,
    };
    intake_init(&s->intake, &opts);
    s->pool =
        block_pool_new(spec->block_bytes == 0 ? BLOCK_BYTES_DEFAULT : spec->block_bytes, POOL_KEEP);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->change, &attr);
    pthread_condattr_destroy(&attr);
}

/* The wall clock says when, the monotonic one wakes: a step of the clock moves the cut between
 * packets, and neither the end of the session nor that it ends. */
static void set_span(struct session *s, const struct session_spec *spec)
{
    uint64_t now = s->started_ns;

    if (!s->live) {
        return;
    }
    s->is_early = spec->from_ns > now;
    s->from_mono_ns = s->is_early ? s->stats_at_ns + (spec->from_ns - now) : 0;
    if (s->is_early) {
        s->started_ns = spec->from_ns;
        if (s->deadline_ns != UINT64_MAX) {
            s->deadline_ns += spec->from_ns - now;
        }
    }
    if (spec->until_ns != 0) {
        uint64_t until = s->stats_at_ns + (spec->until_ns > now ? spec->until_ns - now : 0);
        s->deadline_ns = until < s->deadline_ns ? until : s->deadline_ns;
    }
}

int session_start(const struct session_spec *spec, struct session **out, struct err *err)
{
    REQUIRE(spec->n_sources > 0 && spec->n_sources <= SESSION_MAX_SOURCES);
    REQUIRE(spec->n_consumers <= SESSION_MAX_CONSUMERS);
    struct session *s = x_alloc(sizeof *s);

    init(s, spec);
    int code = make_pipe(s->wake_fds, err);
    code = code == 0 ? make_pipe(s->done_fds, err) : code;
    code = code == 0 ? add_sources(s, spec, err) : code;
    code = code == 0 ? start_lanes(s, spec, err) : code;
    if (!s->live) {
        allow_nudges();
    }
    if (code == 0) {
        s->started_ns = clock_wall_ns();
        s->stats_at_ns = clock_monotonic_ns();
        s->deadline_ns = UINT64_MAX;
        if (s->live && spec->duration_ns != 0 && spec->duration_ns < UINT64_MAX - s->stats_at_ns) {
            s->deadline_ns = s->stats_at_ns + spec->duration_ns;
        }
        set_span(s, spec);
        int errnum = pthread_create(&s->thread, NULL, thread_main, s);
        code = errnum == 0 ? 0 : err_errno(err, errnum, "cannot start a thread");
    }
    if (code < 0) {
        undo_lanes(s);
        release(s);
        return code;
    }
    *out = s;
    return 0;
}
