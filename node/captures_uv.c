/* SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: a request becomes a capture, whose recording is started on a worker; then the
 * loop watches the descriptor that says that the session has ended (a limit, a stop, an error), and
 * a worker flushes it. Whoever waits for the end is told with the session as it is stored.
 */
#include "node/captures_internal_uv.h"

#include <string.h>

#include <jansson.h>

#include "node/events.h"
#include "node/node.h"
#include "node/relay.h"
#include "node/remote_name.h"
#include "node/uplinks.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define TICK_MS 1000

/* ---- events ---- */

static json_t *event_of(const struct capture *capture)
{
    const struct recording *rec = capture->rec;
    json_t *interfaces = json_array();

    for (size_t i = 0; i < rec->n_interfaces; i++) {
        json_array_append_new(interfaces, json_string(rec->interfaces[i]));
    }
    json_t *data = json_pack("{s:s, s:o}", "session", rec->described.id, "interfaces", interfaces);
    if (rec->name != NULL) {
        json_object_set_new(data, "name", json_string(rec->name));
    }
    return data;
}

static const char *end_name(enum session_end end)
{
    static const char *const names[] = {
        [SESSION_END_INPUT] = "input",     [SESSION_END_LIMIT] = "limit",
        [SESSION_END_STOPPED] = "stopped", [SESSION_END_ABORTED] = "aborted",
        [SESSION_END_FAILED] = "failed",
    };

    return names[end];
}

static void publish_end(const struct capture *capture)
{
    const struct recording *rec = capture->rec;
    json_t *data = event_of(capture);

    json_object_set_new(data, "reason", json_string(end_name(rec->end)));
    json_object_set(data, "packets", json_object_get(rec->result, "packets"));
    json_object_set(data, "loss", json_object_get(rec->result, "loss"));
    if (rec->failure.code < 0) {
        json_object_set_new(data, "error", json_string(rec->failure.text));
    }
    events_publish(capture->captures->node, "capture.ended", data);
}

/* ---- the list ---- */

static void on_tick(uv_timer_t *timer);

void capture_unref(struct capture *capture)
{
    if (--capture->refs == 0) {
        recording_free(capture->rec);
        mem_free(capture);
    }
}

static void append(struct captures *c, struct capture *capture)
{
    if (TAILQ_EMPTY(&c->all)) {
        uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
    }
    TAILQ_INSERT_TAIL(&c->all, capture, next);
    c->node->n_recordings += capture->is_counted ? 1 : 0;
    if (c->node->uplinks != NULL) {
        uplinks_wake(c->node->uplinks);
    }
}

void captures_maybe_drained(struct captures *c)
{
    if (c->is_draining && TAILQ_EMPTY(&c->all) && TAILQ_EMPTY(&c->refused) && !c->is_sampling &&
        c->drained != NULL) {
        void (*done)(struct node * node) = c->drained;
        c->drained = NULL;
        uv_timer_stop(&c->deadline);
        done(c->node);
    }
}

static void take_out(struct capture *capture)
{
    struct captures *c = capture->captures;

    TAILQ_REMOVE(&c->all, capture, next);
    c->node->n_recordings -= capture->is_counted ? 1 : 0;
    capture_unref(capture);
}

/* ---- the end ---- */

static bool is_recorded(const struct captures *c, const char *interface)
{
    const struct capture *one;

    TAILQ_FOREACH (one, &c->all, next) {
        for (size_t i = 0; one->state == CAPTURE_RUNNING && i < one->rec->n_interfaces; i++) {
            if (strcmp(one->rec->interfaces[i], interface) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* An uplink that goes is told as such, and recorded again by itself when it comes back. And who
 * started anew may have been quicker. */
static void note_failure(const struct capture *capture)
{
    struct captures *c = capture->captures;

    if (capture->is_counted && !is_recorded(c, capture->rec->interfaces[0])) {
        capture_failures_note(&c->failures, capture->rec->interfaces[0], capture->rec->failure.text,
                              uv_now(c->node->loop));
    }
}

static void run_finish(void *arg)
{
    struct capture *capture = arg;

    recording_finish(capture->rec);
}

static void tell_waiters(struct capture *capture)
{
    struct stop_waiter *waiter = capture->waiters;

    capture->waiters = NULL;
    while (waiter != NULL) {
        struct stop_waiter *next = waiter->next;
        waiter->done(waiter->arg, json_deep_copy(capture->rec->result));
        mem_free(waiter);
        waiter = next;
    }
}

static void on_finished(void *arg, bool cancelled)
{
    struct capture *capture = arg;
    struct captures *c = capture->captures;
    struct recording *rec = capture->rec;

    if (cancelled) { /* the flush must not be left out: packets wait in it */
        recording_finish(rec);
    }
    captures_add(&c->past, &rec->last);
    c->past.ended++;
    if (rec->failure.code < 0) {
        c->past.failed++;
        note_failure(capture);
        log_warn("capture %s ended: %s", rec->described.id, rec->failure.text);
    } else {
        log_info("capture %s ended (%s), %llu packets", rec->described.id, end_name(rec->end),
                 (unsigned long long)rec->last.stats.packets);
    }
    publish_end(capture);
    tell_waiters(capture);
    if (capture->ended != NULL) {
        capture->ended(capture->ended_arg, rec->is_void ? NULL : rec->result,
                       rec->failure.code < 0 ? &rec->failure : NULL);
    }
    take_out(capture);
    captures_maybe_drained(c);
}

/* Tried again at the next tick when too much waits. */
static void finish(struct capture *capture)
{
    capture->finish_due = !work_run(capture->captures->node, run_finish, on_finished, capture);
}

static void on_poll_closed(uv_handle_t *handle)
{
    finish(container_of(handle, struct capture, poll));
}

static void on_end(uv_poll_t *poll, int status, int events)
{
    struct capture *capture = container_of(poll, struct capture, poll);

    (void)status;
    (void)events;
    if (session_wait(capture->rec->session, 0)) {
        capture->state = CAPTURE_FINISHING;
        uv_poll_stop(poll);
        uv_close((uv_handle_t *)poll, on_poll_closed);
    }
}

static void watch_end(struct capture *capture)
{
    struct captures *c = capture->captures;

    REQUIRE(uv_poll_init(c->node->loop, &capture->poll, session_done_fd(capture->rec->session)) ==
            0);
    REQUIRE(uv_poll_start(&capture->poll, UV_READABLE, on_end) == 0);
}

/* ---- the start ---- */

static void run_start(void *arg)
{
    struct capture *capture = arg;

    (void)recording_start(capture->rec, &capture->failed);
}

static void fail_start(struct capture *capture, bool listed)
{
    struct captures *c = capture->captures;

    capture->started(capture->started_arg, NULL, &capture->failed);
    if (listed) {
        take_out(capture);
    } else {
        capture_unref(capture);
    }
    captures_maybe_drained(c);
}

static void on_started(void *arg, bool cancelled)
{
    struct capture *capture = arg;
    struct captures *c = capture->captures;

    if (cancelled) {
        err_set(&capture->failed, ERR_LIMIT, "the node is ending");
    }
    if (capture->failed.code < 0) {
        fail_start(capture, true);
        return;
    }
    capture->state = CAPTURE_RUNNING;
    c->past.started++;
    for (size_t i = 0; i < capture->rec->n_interfaces; i++) {
        capture_failures_mended(&c->failures, capture->rec->interfaces[i]);
    }
    log_info("capture %s started on '%s'", capture->rec->described.id, capture->rec->interfaces[0]);
    events_publish(c->node, "capture.started", event_of(capture));
    watch_end(capture);
    if (capture->stop_wanted) {
        session_request_stop(capture->rec->session);
    }
    capture->started(capture->started_arg, capture->rec->described.id, NULL);
}

static int check(struct captures *c, const struct capture_request *request, struct err *err)
{
    if (c->is_draining || c->node->stopping) {
        return err_set(err, ERR_LIMIT, "the node is ending");
    }
    if (request->n_interfaces == 0 || request->n_interfaces > SESSION_MAX_SOURCES) {
        return err_set(err, ERR_USAGE, "a capture has 1 to %d interfaces", SESSION_MAX_SOURCES);
    }
    if (request->name != NULL && strlen(request->name) >= STORE_NAME_MAX) {
        return err_set(err, ERR_USAGE, "a name has at most %d bytes", STORE_NAME_MAX - 1);
    }
    if (request->tags != NULL && strlen(request->tags) >= STORE_TAGS_MAX) {
        return err_set(err, ERR_USAGE, "tags have at most %d bytes", STORE_TAGS_MAX - 1);
    }
    if (request->filter != NULL && strlen(request->filter) >= IFACE_FILTER_MAX) {
        return err_set(err, ERR_USAGE, "a filter has at most %d bytes", IFACE_FILTER_MAX - 1);
    }
    /* Last: it may end a stream for it. */
    return request->of_uplink ? 0 : relay_make_room(c->node, err);
}

static void refuse(struct captures *c, struct capture *capture)
{
    TAILQ_INSERT_TAIL(&c->refused, capture, next);
    uv_async_send(&c->wake);
}

static bool has_far(const struct recording *rec)
{
    bool has = false;

    for (size_t i = 0; i < rec->n_interfaces; i++) {
        has = has || remote_name_is(rec->interfaces[i]);
    }
    return has;
}

void captures_start(struct captures *c, const struct capture_request *request,
                    void (*done)(void *arg, const char *id, const struct err *err), void *arg)
{
    struct capture *capture = x_alloc(sizeof *capture);

    *capture = (struct capture){.captures = c,
                                .refs = 1,
                                .is_counted = !request->of_uplink,
                                .started = done,
                                .started_arg = arg,
                                .ended = request->ended,
                                .ended_arg = request->ended_arg};
    capture->rec = recording_new(c->node, request);
    if (check(c, request, &capture->failed) < 0) {
        refuse(c, capture);
        return;
    }
    append(c, capture);
    if (has_far(capture->rec)) {
        work_run_apart(c->node, run_start, on_started, capture);
    } else if (!work_run(c->node, run_start, on_started, capture)) {
        capture->refs++;
        take_out(capture);
        err_set(&capture->failed, ERR_LIMIT, "the node has too much to do: try again later");
        refuse(c, capture);
    }
}

int captures_stop(struct captures *c, const char *id,
                  void (*done)(void *arg, struct json_t *session), void *arg, struct err *err)
{
    struct capture *capture = NULL;
    int r = capture_find(c, id, &capture, err);

    if (r < 0) {
        return r;
    }
    struct stop_waiter *waiter = x_alloc(sizeof *waiter);
    *waiter = (struct stop_waiter){.next = capture->waiters, .done = done, .arg = arg};
    capture->waiters = waiter;
    if (capture->state == CAPTURE_RUNNING) {
        session_request_stop(capture->rec->session);
    }
    return 0;
}

/* ---- time, draining, closing ---- */

static void on_wake(uv_async_t *wake)
{
    struct captures *c = container_of(wake, struct captures, wake);
    struct capture_list refused = TAILQ_HEAD_INITIALIZER(refused);
    struct capture *capture;

    TAILQ_CONCAT(&refused, &c->refused, next); /* what comes meanwhile has its own turn */
    while ((capture = TAILQ_FIRST(&refused)) != NULL) {
        TAILQ_REMOVE(&refused, capture, next);
        fail_start(capture, false);
    }
    captures_maybe_drained(c);
}

static void look_at_disk(struct capture *capture)
{
    bool full = capture->sample.stats.state == STORE_DISK_FULL;

    if (full != capture->was_full) {
        capture->was_full = full;
        json_t *data = event_of(capture);
        json_object_set_new(data, "database",
                            json_string(capture->captures->node->options->database));
        events_publish(capture->captures->node, full ? "store.full" : "store.ok", data);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct captures *c = container_of(timer, struct captures, tick);
    struct capture *capture;

    TAILQ_FOREACH (capture, &c->all, next) {
        if (capture->finish_due) {
            finish(capture);
        }
        look_at_disk(capture);
    }
    if (TAILQ_EMPTY(&c->all)) {
        uv_timer_stop(timer);
    } else {
        captures_sample(c);
    }
}

int captures_open(struct node *node, struct err *err)
{
    struct captures *c = x_alloc(sizeof *c);

    (void)err;
    c->node = node;
    TAILQ_INIT(&c->all);
    TAILQ_INIT(&c->refused);
    c->past.ledger = (struct ledger){
        .received = LEDGER_UNKNOWN, .kernel = LEDGER_UNKNOWN, .interface = LEDGER_UNKNOWN};
    REQUIRE(uv_timer_init(node->loop, &c->tick) == 0);
    REQUIRE(uv_timer_init(node->loop, &c->deadline) == 0);
    REQUIRE(uv_async_init(node->loop, &c->wake, on_wake) == 0);
    c->open_handles = 3;
    node->captures = c;
    return 0;
}

static void on_deadline(uv_timer_t *timer)
{
    struct captures *c = container_of(timer, struct captures, deadline);
    struct capture *capture;

    TAILQ_FOREACH (capture, &c->all, next) {
        if (capture->state == CAPTURE_RUNNING) {
            session_request_abort(capture->rec->session);
        }
    }
}

void captures_stop_all(struct captures *c, uint64_t deadline_ns, void (*done)(struct node *node))
{
    uint64_t now = clock_monotonic_ns();
    struct capture *capture;

    c->is_draining = true;
    c->drained = done;
    TAILQ_FOREACH (capture, &c->all, next) {
        if (capture->state == CAPTURE_RUNNING) {
            session_request_stop(capture->rec->session);
        } else if (capture->state == CAPTURE_STARTING) {
            capture->stop_wanted = true;
        }
    }
    uint64_t left_ms = deadline_ns > now ? (deadline_ns - now) / 1000000u : 0;
    uv_timer_start(&c->deadline, on_deadline, left_ms, 0);
    uv_async_send(&c->wake);
}

static void on_closed(uv_handle_t *handle)
{
    struct captures *c = handle->data;

    if (--c->open_handles == 0) {
        struct node *node = c->node;
        void (*closed)(struct node * node) = c->closed;
        mem_free(c);
        node->captures = NULL;
        closed(node);
    }
}

void captures_close(struct captures *c, void (*closed)(struct node *node))
{
    REQUIRE(TAILQ_EMPTY(&c->all) && !c->is_sampling);
    c->is_closing = true;
    c->closed = closed;
    uv_handle_t *handles[] = {(uv_handle_t *)&c->tick, (uv_handle_t *)&c->deadline,
                              (uv_handle_t *)&c->wake};
    for (size_t i = 0; i < ARRAY_LEN(handles); i++) {
        handles[i]->data = c;
        uv_close(handles[i], on_closed);
    }
}
