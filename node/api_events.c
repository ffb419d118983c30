/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/events as Server-Sent Events (WHATWG HTML §9.2). A follower is a place in the ring of
 * node/events; it writes while its connection has room and goes on from its place when that is
 * drained, so a slow one holds no memory and is told what it lost.
 */
#include "node/api_events.h"

#include <stdlib.h>
#include <string.h>

#include "node/auth.h"
#include "node/events.h"
#include "node/exchange.h"
#include "shared/base/buf.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"
#include "shared/wire/http.h"

#define WRITE_BYTES (32u * 1024u)
/* A comment after so many beats without anything else. */
#define QUIET_BEATS 15

struct follower {
    struct events_watcher watcher;
    struct exchange *ex; /* a reference */
    uint64_t after;
    unsigned quiet; /* beats since something was written */
    bool has_room;
    bool is_gone;
    bool is_writing;
};

static struct follower *follower_of(struct events_watcher *watcher)
{
    return container_of(watcher, struct follower, watcher);
}

static void follower_free(struct follower *f)
{
    events_unwatch(exchange_node(f->ex)->events, &f->watcher);
    exchange_unref(f->ex);
    mem_free(f);
}

static void write_text(struct follower *f, const void *data, size_t n)
{
    f->quiet = 0;
    f->is_writing = true;
    f->has_room = exchange_write(f->ex, data, n);
    f->is_writing = false;
}

static void write_on(struct follower *f)
{
    struct buf out = {0};
    bool more = true;

    while (more && f->has_room && !f->is_gone) {
        buf_reset(&out);
        more = events_put(exchange_node(f->ex)->events, &f->after, &out, WRITE_BYTES);
        if (out.len > 0) {
            write_text(f, out.data, out.len);
        }
    }
    buf_deinit(&out);
    if (f->is_gone) {
        follower_free(f);
    }
}

static void on_woken(struct events_watcher *watcher)
{
    write_on(follower_of(watcher));
}

/* Is the key still good? And now and then a comment, so that whatever stands between does not take
 * the silence for an end. */
static void on_beat(struct events_watcher *watcher)
{
    struct follower *f = follower_of(watcher);
    struct node *node = exchange_node(f->ex);
    const char *key = exchange_key_id(f->ex);

    if (key[0] != '\0' && !auth_key_is_good(node->auth, key, clock_wall_ns())) {
        exchange_abort(f->ex);
        follower_free(f);
        return;
    }
    if (++f->quiet >= QUIET_BEATS && f->has_room) {
        write_text(f, ": \n\n", 4);
    }
    if (f->is_gone) {
        follower_free(f);
    }
}

static void on_ending(struct events_watcher *watcher)
{
    struct follower *f = follower_of(watcher);
    struct buf out = {0};

    f->is_writing = true;
    while (events_put(exchange_node(f->ex)->events, &f->after, &out, SIZE_MAX)) {
    }
    if (f->has_room) {
        exchange_write(f->ex, out.data, out.len);
    }
    exchange_end(f->ex);
    buf_deinit(&out);
    follower_free(f);
}

static void on_drained(struct exchange *ex, void *arg)
{
    struct follower *f = arg;

    (void)ex;
    if (!f->has_room && !f->is_writing) {
        f->has_room = true;
        write_on(f);
    }
}

static void on_gone(struct exchange *ex, void *arg)
{
    struct follower *f = arg;

    (void)ex;
    f->is_gone = true;
    if (!f->is_writing) {
        follower_free(f);
    }
}

static const struct exchange_stream_ops stream_ops = {.drained = on_drained, .gone = on_gone};

/* The header of a browser that reconnects, or the parameter of whoever cannot set it. */
static bool last_event_id(struct exchange *ex, uint64_t *out)
{
    const char *text = exchange_query(ex, "last_event_id");
    uint64_t n = 0;

    if (text == NULL) {
        text = exchange_header(ex, "last-event-id");
    }
    if (text == NULL || text[0] == '\0') { /* empty is none, as in the HTML standard */
        *out = events_newest(exchange_node(ex)->events);
        return true;
    }
    if (strlen(text) > 19 || strspn(text, "0123456789") != strlen(text)) {
        exchange_problem(ex, 400, "Last-Event-ID is the number of an event, not '%.64s'", text);
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *out = n;
    return true;
}

static void get_events(struct exchange *ex, struct node *node)
{
    static const char hello[] = "retry: 2000\n\n";
    uint64_t after;

    if (!last_event_id(ex, &after)) {
        return;
    }
    struct follower *f = x_alloc(sizeof *f);
    *f = (struct follower){.watcher = {.woken = on_woken, .beat = on_beat, .ending = on_ending},
                           .ex = exchange_ref(ex),
                           .after = after,
                           .has_room = true,
                           .is_writing = true};
    events_watch(node->events, &f->watcher);
    exchange_begin(ex, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &stream_ops, f);
    if (strcmp(exchange_head(ex)->method, "HEAD") == 0) {
        exchange_end(ex);
        follower_free(f);
        return;
    }
    write_text(f, hello, sizeof hello - 1);
    write_on(f);
}

static const struct route_param params[] = {
    {"last_event_id", "string",
     "As the header Last-Event-ID: what came after it is sent first; 0: all that is kept."},
    {0},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/events",
     .right = RIGHT_VIEW,
     .params = params,
     .summary = "Server-Sent Events: what happens on this node, with ids. After Last-Event-ID "
                "nothing is missing; where events are gone already, an event 'lost' says how many.",
     .answer = "text/event-stream",
     .handle = get_events},
};

const struct route_group api_events_routes = {routes, ARRAY_LEN(routes)};
