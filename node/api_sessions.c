/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store holds: /api/v1/sessions and one of them. A session that is recorded here at the
 * moment is shown with its live counters, which the catalogue gets only at its end.
 */
#include "node/api_sessions.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "node/api_job.h"
#include "node/captures.h"
#include "node/events.h"
#include "node/route.h"
#include "node/store_access.h"
#include "shared/base/mem.h"
#include "shared/store/retention.h"
#include "shared/store/session_json.h"
#include "shared/wire/api_key.h"

struct sessions_job {
    struct api_job base;
    const char *id; /* of the path; borrowed from the exchange */
    json_t *answer;
    json_t *running; /* lists: the captures of this moment; the worker's while it runs */
    char *text;      /* lists: the answer, made by the worker: thousands of objects take time */
    char deleted[STORE_ID_TEXT];
};

static struct sessions_job *job_of(struct api_job *base)
{
    return container_of(base, struct sessions_job, base);
}

static void release(struct api_job *base)
{
    struct sessions_job *job = job_of(base);

    json_decref(job->answer);
    json_decref(job->running);
    free(job->text);
    mem_free(job);
}

/* As it runs, when it is recorded here. */
static json_t *live(struct node *node, json_t *session)
{
    const char *id = json_string_value(json_object_get(session, "id"));
    json_t *now = captures_has(node->captures, id) ? captures_find(node->captures, id, NULL) : NULL;

    return now != NULL ? now : json_incref(session);
}

static void reply_list(struct api_job *base)
{
    const char *text = job_of(base)->text;

    exchange_reply(base->ex, 200, "application/json", text, strlen(text));
}

/* The running capture of that id, or NULL. Borrowed. */
static json_t *running_one(const struct sessions_job *job, const char *id)
{
    size_t i;
    json_t *one;

    json_array_foreach(job->running, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "id")), id) == 0) {
            return one;
        }
    }
    return NULL;
}

static int read_list(struct store *store, struct api_job *base, struct err *err)
{
    struct sessions_job *job = job_of(base);
    struct store_session *sessions = NULL;
    size_t n = 0;
    int r = store_sessions(store, &sessions, &n, err);

    for (size_t i = 0; r == 0 && i < n; i++) {
        json_t *now = running_one(job, sessions[i].id);
        json_array_append_new(job->answer,
                              now != NULL ? json_incref(now)
                                          : session_json(&sessions[i], store_is_encrypted(store)));
    }
    store_sessions_free(sessions, n);
    return r;
}

static void run_list(struct api_job *base)
{
    struct sessions_job *job = job_of(base);

    job->answer = json_array();
    api_job_read(base, read_list);
    if (base->err.code == ERR_NOT_FOUND) { /* no store yet holds no session */
        base->err = (struct err){0};
    }
    job->text = json_dumps(job->answer, JSON_COMPACT);
    REQUIRE(job->text != NULL);
}

static void get_sessions(struct exchange *ex, struct node *node)
{
    struct sessions_job *job = x_alloc(sizeof *job);

    job->running = captures_list(node->captures);
    job->base.run = run_list;
    job->base.reply = reply_list;
    job->base.release = release;
    api_job_start(&job->base, ex, node);
}

static int read_one(struct store *store, struct api_job *base, struct err *err)
{
    struct sessions_job *job = job_of(base);
    struct store_session *session = NULL;
    int r = store_session_find(store, job->id, &session, err);

    if (r == 0) {
        job->answer = session_json(session, store_is_encrypted(store));
        store_sessions_free(session, 1);
    }
    return r;
}

/* Answers a request whose path has the id of one session. */
static void start_for_one(struct exchange *ex, struct node *node, void (*run)(struct api_job *base),
                          void (*reply)(struct api_job *base))
{
    struct sessions_job *job = x_alloc(sizeof *job);

    job->id = exchange_path(ex, "id");
    job->base.run = run;
    job->base.reply = reply;
    job->base.release = release;
    api_job_start(&job->base, ex, node);
}

static void run_one(struct api_job *base)
{
    api_job_read(base, read_one);
}

static void reply_one(struct api_job *base)
{
    exchange_reply_json(base->ex, 200, live(base->node, job_of(base)->answer));
}

void api_session_reply(struct exchange *ex, struct node *node)
{
    start_for_one(ex, node, run_one, reply_one);
}

/* ---- deleting ---- */

static int delete_one(struct sessions_job *job, struct store *store, struct err *err)
{
    struct store_session *session = NULL;
    int r = store_session_find(store, job->id, &session, err);

    if (r < 0) {
        return r;
    }
    if (session->state == STORE_RUNNING ||
        (session->state == STORE_DISK_FULL && session->ended_ns == 0)) {
        r = err_set(err, ERR_IN_USE,
                    "session %s is being recorded: DELETE /api/v1/captures/%s ends it", session->id,
                    session->id);
    }
    r = r < 0 ? r : store_delete_session(store, session, err);
    if (r == 0) {
        memcpy(job->deleted, session->id, sizeof job->deleted);
    }
    store_sessions_free(session, 1);
    return r;
}

/* The store is not made just to find nothing in it. */
static int look_first(struct store *store, struct api_job *base, struct err *err)
{
    struct store_session *session = NULL;
    int r = store_session_find(store, job_of(base)->id, &session, err);

    if (r == 0) {
        store_sessions_free(session, 1);
    }
    return r;
}

static void run_delete(struct api_job *base)
{
    struct store *store = NULL;

    api_job_read(base, look_first);
    if (base->err.code < 0 || node_store_hold(base->node->store, &store, &base->err) < 0) {
        return;
    }
    (void)delete_one(job_of(base), store, &base->err);
    node_store_release(base->node->store, store);
}

static void reply_delete(struct api_job *base)
{
    events_publish(base->node, "session.deleted",
                   json_pack("{s:s}", "session", job_of(base)->deleted));
    exchange_reply(base->ex, 204, NULL, NULL, 0);
}

static void delete_session(struct exchange *ex, struct node *node)
{
    start_for_one(ex, node, run_delete, reply_delete);
}

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/sessions",
     .right = RIGHT_VIEW,
     .summary = "What the store holds, oldest first, as `packetrecorder sessions --json`; [] while "
                "there is no store.",
     .answer = "application/json",
     .handle = get_sessions},
    {.method = "GET",
     .path = "/api/v1/sessions/{id}",
     .right = RIGHT_VIEW,
     .summary =
         "One session: by its id, a unique prefix of at least 8 characters, its unique name, "
         "or 'last'.",
     .answer = "application/json",
     .handle = api_session_reply},
    {.method = "DELETE",
     .path = "/api/v1/sessions/{id}",
     .right = RIGHT_ADMIN,
     .summary = "Deletes a session and its packets from the disk; 409 while it is recorded.",
     .handle = delete_session},
};

const struct route_group api_sessions_routes = {routes, ARRAY_LEN(routes)};
