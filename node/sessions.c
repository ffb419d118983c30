/* SPDX-License-Identifier: Apache-2.0 */
#include "node/sessions.h"

#include <string.h>

#include <jansson.h>

#include "node/captures.h"
#include "node/events.h"
#include "node/store_access.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/store/retention.h"
#include "shared/store/session_json.h"

struct sessions_ask {
    struct ask base;
    char *id;       /* owned; NULL: all of them */
    uint64_t limit; /* of a list; 0 = none */
    struct sessions_prune prune;
    json_t *keep_tags; /* prune's */
    json_t *gone;      /* ids of what was pruned */
    json_t *running;   /* lists: the captures of this moment; the worker's while it runs */
};

static struct sessions_ask *of(struct ask *base)
{
    return container_of(base, struct sessions_ask, base);
}

/* Also of a prune that failed then. */
static void tell_gone(const struct sessions_ask *ask)
{
    for (size_t i = 0; i < json_array_size(ask->gone); i++) {
        events_publish(ask->base.node, "session.deleted",
                       json_pack("{s:O}", "session", json_array_get(ask->gone, i)));
    }
}

static void release(struct ask *base)
{
    struct sessions_ask *ask = of(base);

    tell_gone(ask);
    json_decref(ask->running);
    json_decref(ask->keep_tags);
    json_decref(ask->gone);
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
                    "session %s is being recorded: 'manage stop-capture %s' ends it, or DELETE "
                    "/api/v1/captures/%s, or capture.stop",
                    session->id, session->id, session->id);
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

/* ---- pruning ---- */

static void note_gone(const struct store_session *session, void *arg)
{
    json_array_append_new(arg, json_string(session->id));
}

static int prune(struct sessions_ask *ask, struct store *store, struct store_pruned *out,
                 struct err *err)
{
    size_t n = json_array_size(ask->keep_tags);
    const char **keep = n == 0 ? NULL : x_alloc(n * sizeof *keep);
    uint64_t now_ns = clock_wall_ns();
    uint64_t age_ns = ask->prune.max_age_ns;

    for (size_t i = 0; i < n; i++) {
        keep[i] = json_string_value(json_array_get(ask->keep_tags, i));
    }
    const struct store_prune rule = {
        .max_bytes = ask->prune.max_bytes,
        .before_ns = age_ns == 0 || age_ns >= now_ns ? 0 : now_ns - age_ns,
        .keep_tags = keep,
        .n_keep_tags = n,
    };
    int r = store_prune(store, &rule, note_gone, ask->gone, out, err);
    mem_free(keep);
    return r;
}

static int nothing(struct store *store, struct ask *base, struct err *err)
{
    (void)store;
    (void)base;
    (void)err;
    return 0;
}

static void run_prune(struct ask *base)
{
    struct sessions_ask *ask = of(base);
    struct store_pruned pruned = {0};
    struct store *store = NULL;
    uint64_t left = 0;

    ask_read(base, nothing); /* no store is made just to find nothing in it */
    if (base->err.code == ERR_NOT_FOUND) {
        base->err = (struct err){0};
    } else if (base->err.code < 0 || node_store_hold(base->node->store, &store, &base->err) < 0) {
        return;
    } else {
        (void)prune(ask, store, &pruned, &base->err);
        left = store_disk_bytes(store);
        node_store_release(base->node->store, store);
    }
    base->answer.json =
        json_pack("{s:o, s:o, s:o, s:o}", "sessions", to_json_count(pruned.sessions), "packets",
                  to_json_count(pruned.packets), "stored_bytes", to_json_count(pruned.bytes),
                  "disk_bytes", to_json_count(left));
}

void sessions_prune(struct node *node, const struct sessions_prune *what, const struct asker *asker)
{
    start(node, asker,
          &(struct sessions_ask){
              .base.run = run_prune,
              .prune = {.max_bytes = what->max_bytes, .max_age_ns = what->max_age_ns},
              .keep_tags = what->keep_tags == NULL ? NULL : json_deep_copy(what->keep_tags),
              .gone = json_array()});
}
