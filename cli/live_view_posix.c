/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live_view_internal_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/ws_client.h"

struct live_view *live_view_new(const struct live_view_spec *spec)
{
    struct live_view *view = x_alloc(sizeof *view);
    pthread_condattr_t attr;

    REQUIRE(spec->n_interfaces > 0 && spec->n_interfaces <= LIVE_VIEW_LINKS_MAX);
    view->spec = *spec;
    view->endpoint = *spec->endpoint;
    view->spec.endpoint = &view->endpoint;
    view->done_fds[0] = view->done_fds[1] = view->stop_fd = -1;
    pthread_mutex_init(&view->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&view->changed, &attr);
    pthread_condattr_destroy(&attr);
    live_view_output_init(&view->output, spec->consumer, spec->is_file);
    if (spec->statistics != NULL) {
        view->output.statistics = spec->statistics;
    }
    if (spec->max_packets != 0) {
        view->output.max_packets = spec->max_packets;
    }
    view->links = x_alloc(spec->n_interfaces * sizeof *view->links);
    for (size_t i = 0; i < spec->n_interfaces; i++) {
        view->links[i].view = view;
        view->links[i].interface = spec->interfaces[i];
        view->links[i].zstd = spec->compress ? viewer_zstd_new() : NULL;
    }
    return view;
}

int live_view_start(struct live_view *view, struct err *err)
{
    if (pipe2(view->done_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        return err_errno(err, errno, "cannot make a pipe");
    }
    view->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (view->stop_fd < 0) {
        return err_errno(err, errno, "cannot make an eventfd");
    }
    for (size_t i = 0; i < view->spec.n_interfaces; i++) {
        struct live_view_link *link = &view->links[i];
        int failed = pthread_create(&link->thread, NULL, live_view_link_main, link);
        if (failed != 0) {
            live_view_stop(view);
            return err_errno(err, failed, "cannot start a thread");
        }
        link->started = true;
    }
    return 0;
}

int live_view_done_fd(const struct live_view *view)
{
    return view->done_fds[0];
}

/* With the lock. */
static void stop_links(struct live_view *view)
{
    const uint64_t one = 1;

    view->stopping = true;
    (void)!write(view->stop_fd, &one, sizeof one); /* who is still connecting */
    for (size_t i = 0; i < view->spec.n_interfaces; i++) {
        if (view->links[i].client != NULL) {
            ws_client_interrupt(view->links[i].client);
        }
    }
    pthread_cond_broadcast(&view->changed);
}

void live_view_end(struct live_view *view, int code, const struct err *err)
{
    if (!view->over) {
        view->over = true;
        view->code = code;
        if (code < 0 && err != NULL) {
            view->err = *err;
        }
        (void)!write(view->done_fds[1], "", 1);
    }
    stop_links(view);
}

/* The lock may be held by a thread that hangs in a write: then it is told by the flag alone. */
void live_view_stop(struct live_view *view)
{
    if (pthread_mutex_trylock(&view->mutex) != 0) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_mutex_clocklock(&view->mutex, CLOCK_MONOTONIC, &until) != 0) {
            return; /* the caller comes again */
        }
    }
    stop_links(view);
    pthread_mutex_unlock(&view->mutex);
}

void live_view_tick(struct live_view *view)
{
    struct err err = {0};

    if (pthread_mutex_trylock(&view->mutex) != 0) {
        return;
    }
    if (view->output.begun && !view->over) {
        int code = consumer_tick(view->spec.consumer, clock_monotonic_ns(), &err);
        if (code < 0) {
            live_view_end(view, code, &err);
        }
    }
    pthread_mutex_unlock(&view->mutex);
}

void live_view_counters(struct live_view *view, struct live_view_counters *out)
{
    *out = (struct live_view_counters){0};
    pthread_mutex_lock(&view->mutex);
    out->packets = view->output.packets;
    out->bytes = view->output.bytes;
    out->gaps = view->gaps;
    out->connected = view->connected;
    live_view_output_sums(&view->output, &out->lost, &out->kernel, &out->interface);
    for (size_t i = 0; i < view->spec.n_interfaces; i++) {
        out->duplicates += view->links[i].resume.duplicates;
        out->from_store += view->links[i].resume.from_store;
    }
    pthread_mutex_unlock(&view->mutex);
}

void live_view_tell(struct live_view *view, const char *fmt, ...)
{
    char text[1200];
    va_list ap;

    if (view->spec.tell == NULL) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    view->spec.tell(view->spec.arg, text);
}

static bool all_ended(const struct live_view *view)
{
    for (size_t i = 0; i < view->spec.n_interfaces; i++) {
        if (view->links[i].started && !view->links[i].ended) {
            return false;
        }
    }
    return true;
}

/* With the lock when true. */
static bool wait_for_links(struct live_view *view, uint64_t grace_ms)
{
    uint64_t until_ns = clock_monotonic_ns() + grace_ms * 1000000;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                                   .tv_nsec = (long)(until_ns % 1000000000)};

    if (pthread_mutex_clocklock(&view->mutex, CLOCK_MONOTONIC, &until) != 0) {
        return false;
    }
    stop_links(view);
    while (!all_ended(view)) {
        if (pthread_cond_timedwait(&view->changed, &view->mutex, &until) == ETIMEDOUT) {
            break;
        }
    }
    return true;
}

int live_view_finish(struct live_view *view, uint64_t grace_ms, bool *abandoned, struct err *err)
{
    *abandoned = false;
    if (!wait_for_links(view, grace_ms)) {
        *abandoned = true;
        return err_set(err, ERR_INTERRUPTED, "what waits for its reader or disk was given up");
    }
    *abandoned = !all_ended(view);
    int code = view->code;
    if (code < 0) {
        *err = view->err;
    }
    int begun = code == 0 ? live_view_output_begin(&view->output, err) : 0;
    int ended = code == -EPIPE ? 0
                               : live_view_output_finish(&view->output, clock_wall_ns(),
                                                         code == 0 && begun == 0 ? err : NULL);
    ended = begun < 0 ? begun : ended;
    /* Whoever still hangs in a connect must find no output when it comes back. */
    view->over = true;
    pthread_mutex_unlock(&view->mutex);
    for (size_t i = 0; i < view->spec.n_interfaces && !*abandoned; i++) {
        if (view->links[i].started) {
            pthread_join(view->links[i].thread, NULL);
            view->links[i].started = false;
        }
    }
    return code == 0 ? ended : code;
}

void live_view_free(struct live_view *view)
{
    if (view == NULL) {
        return;
    }
    for (size_t i = 0; i < view->spec.n_interfaces; i++) {
        REQUIRE(!view->links[i].started);
        stream_reader_deinit(&view->links[i].reader);
        viewer_zstd_free(view->links[i].zstd);
    }
    for (size_t i = 0; i < ARRAY_LEN(view->done_fds); i++) {
        if (view->done_fds[i] >= 0) {
            close(view->done_fds[i]);
        }
    }
    if (view->stop_fd >= 0) {
        close(view->stop_fd);
    }
    live_view_output_deinit(&view->output);
    pthread_cond_destroy(&view->changed);
    pthread_mutex_destroy(&view->mutex);
    mem_free(view->links);
    mem_free(view);
}
