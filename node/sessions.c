/* SPDX-License-Identifier: Apache-2.0 */
#include "node/sessions.h"

#include <string.h>

#include <jansson.h>

#include "node/captures.h"
#include "node/events.h"
#include "node/store_access.h"
#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/session_json.h"

struct sessions_ask {
    struct ask base;
    char *id;        /* owned; NULL: all of them */
    uint64_t limit;  /* of a list; 0 = none */
    json_t *running; /* lists: the captures of this moment; the worker's while it runs */
};

static struct sessions_ask *of(struct ask *base)
{
    return container_of(base, struct sessions_ask, base);
}

static void release(struct ask *base)
{
    struct sessions_ask *ask = of(base);

    json_decref(ask->running);
    mem_free(ask->id);
    mem_free(ask);
}

static void start(struct node *node, const struct asker *asker, const struct sessions_ask *what)
{
    struct sessions_ask *ask = x_alloc(sizeof *ask);

    *ask = *what;
    ask->base.release = release;
    ask_start(&ask->base, node, asker);
}

/* ---- all ---- */

/* The running capture of that id, or NULL. Borrowed. */
static json_t *running_one(const struct sessions_ask *ask, const char *id)
{
    size_t i;
    json_t *one;

    json_array_foreach(ask->running, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "id")), id) == 0) {
            return one;
        }
    }
    return NULL;
}

static int read_list(struct store *store, struct ask *base, struct err *err)
{
    struct store_session *sessions = NULL;
    size_t n = 0;
    int r = store_sessions(store, &sessions, &n, err);

    uint64_t limit = of(base)->limit;
    for (size_t i = limit > 0 && n > limit ? n - (size_t)limit : 0; r == 0 && i < n; i++) {
        json_t *now = running_one(of(base), sessions[i].id);
        json_array_append_new(base->answer.json,
                              now != NULL ? json_incref(now)
                                          : session_json(&sessions[i], store_is_encrypted(store)));
    }
    store_sessions_free(sessions, n);
    return r;
}

static void run_list(struct ask *base)
{
    base->answer.json = json_array();
    ask_read(base, read_list);
    if (base->err.code == ERR_NOT_FOUND) { /* no store yet holds no session */
        base->err = (struct err){0};
    }
}

void sessions_list(struct node *node, uint64_t limit, const struct asker *asker)
{
    start(node, asker,
          &(struct sessions_ask){
              .base.run = run_list, .limit = limit, .running = captures_list(node->captures)});
}

/* ---- one ---- */

static int read_one(struct store *store, struct ask *base, struct err *err)
{
    struct store_session *session = NULL;
    int r = store_session_find(store, of(base)->id, &session, err);

    if (r == 0) {
        base->answer.json = session_json(session, store_is_encrypted(store));
        store_sessions_free(session, 1);
    }
    return r;
}

static void run_one(struct ask *base)
{
    ask_read(base, read_one);
}

/* As it runs, when it is recorded here. */
static void take_live(struct ask *base)
{
    struct captures *captures = base->node->captures;
    const char *id = json_string_value(json_object_get(base->answer.json, "id"));
    json_t *now = captures_has(captures, id) ? captures_find(captures, id, NULL) : NULL;

    if (now != NULL) {
        json_decref(base->answer.json);
        base->answer.json = now;
    }
}

void sessions_find(struct node *node, const char *id, const struct asker *asker)
{
    start(
        node, asker,
        &(struct sessions_ask){.base.run = run_one, .base.settle = take_live, .id = x_strdup(id)});
}

/* ---- deleting ---- */

static int delete_one(struct ask *base, struct store *store, struct err *err)
{
    struct store_session *session = NULL;
    int r = store_session_find(store, of(base)->id, &session, err);

    if (r < 0) {
        return r;
    }
    if (session->state == STORE_RUNNING ||
        (session->state == STORE_DISK_FULL && session->ended_ns == 0)) {
        r = err_set(err, ERR_IN_USE,
                    "session %s is being recorded: DELETE /api/v1/captures/%s, or capture.stop, "
                    "ends it",
                    session->id, session->id);
    }
    r = r < 0 ? r : store_delete_session(store, session, err);
    if (r == 0) {
        base->answer.json = json_pack("{s:s}", "id", session->id);
    }
    store_sessions_free(session, 1);
    return r;
}

/* The store is not made just to find nothing in it. */
static int look_first(struct store *store, struct ask *base, struct err *err)
{
    struct store_session *session = NULL;
    int r = store_session_find(store, of(base)->id, &session, err);

    if (r == 0) {
        store_sessions_free(session, 1);
    }
    return r;
}

static void run_delete(struct ask *base)
{
    struct store *store = NULL;

    ask_read(base, look_first);
    if (base->err.code < 0 || node_store_hold(base->node->store, &store, &base->err) < 0) {
        return;
    }
    (void)delete_one(base, store, &base->err);
    node_store_release(base->node->store, store);
}

static void tell_deleted(struct ask *base)
{
    const char *id = json_string_value(json_object_get(base->answer.json, "id"));

    events_publish(base->node, "session.deleted", json_pack("{s:s}", "session", id));
}

void sessions_delete(struct node *node, const char *id, const struct asker *asker)
{
    start(node, asker,
          &(struct sessions_ask){
              .base.run = run_delete, .base.settle = tell_deleted, .id = x_strdup(id)});
}
