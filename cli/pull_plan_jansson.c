/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pull_plan.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/job_call.h"
#include "cli/manage_nodes.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define LAST       "last"
#define PREFIX_MIN 8u

bool pull_is_of_one(const struct command_context *ctx, const struct pull_request *request)
{
    char *node = NULL;
    struct err err;
    bool is_one = request->capture_id == NULL && request->sessions->n == 1 &&
                  manage_nodes_one(manage_args_of(ctx), &node, &err) == 0;

    mem_free(node);
    return is_one;
}

void pull_plan_deinit(struct pull_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_sources; i++) {
        struct pull_source *s = &plan->sources[i];
        mem_free(s->node);
        mem_free(s->node_id);
        mem_free(s->id);
        mem_free(s->clock);
        json_decref(s->session);
    }
    for (uint32_t i = 0; i < plan->n_absent; i++) {
        mem_free(plan->absent[i].node);
        mem_free(plan->absent[i].node_id);
        mem_free(plan->absent[i].why);
    }
    mem_free(plan->sources);
    mem_free(plan->absent);
    mem_free(plan->capture_id);
    mem_free(plan->reference);
    *plan = (struct pull_plan){0};
}

static void add_absent(struct pull_plan *plan, const json_t *node, const char *why,
                       bool is_expected)
{
    const char *name = field_text(node, "node");
    const char *id = field_text(node, "id");

    plan->absent = x_realloc(plan->absent, (plan->n_absent + 1) * sizeof *plan->absent);
    plan->absent[plan->n_absent++] =
        (struct pull_absent){.node = x_strdup(name == NULL ? "?" : name),
                             .node_id = id == NULL ? NULL : x_strdup(id),
                             .why = x_strdup(why == NULL ? "it did not say why" : why),
                             .is_expected = is_expected};
}

static bool has_source(const struct pull_plan *plan, const char *node_id, const char *id)
{
    for (uint32_t i = 0; i < plan->n_sources; i++) {
        const struct pull_source *s = &plan->sources[i];
        bool same_node = node_id == NULL ? s->node_id == NULL
                                         : s->node_id != NULL && strcmp(s->node_id, node_id) == 0;
        if (same_node && strcmp(s->id, id) == 0) {
            return true;
        }
    }
    return false;
}

static int add_source(struct pull_plan *plan, const char *node, const char *node_id,
                      json_t *session, struct err *err)
{
    const char *id = field_text(session, "id");

    if (id == NULL || has_source(plan, node_id, id)) {
        return 0;
    }
    if (plan->n_sources == PULL_SOURCES_MAX) {
        return err_set(err, ERR_LIMIT, "more than %u sessions; name fewer nodes", PULL_SOURCES_MAX);
    }
    plan->sources = x_realloc(plan->sources, (plan->n_sources + 1) * sizeof *plan->sources);
    plan->sources[plan->n_sources++] =
        (struct pull_source){.node = x_strdup(node == NULL ? "?" : node),
                             .node_id = node_id == NULL ? NULL : x_strdup(node_id),
                             .id = x_strdup(id),
                             .session = json_incref(session)};
    return 0;
}

/* ---- which sessions ---- */

static bool is_called(const json_t *session, const char *text)
{
    const char *id = field_text(session, "id");
    const char *name = field_text(session, "name");
    size_t n = strlen(text);

    return (id != NULL && (strcmp(id, text) == 0 ||
                           (n >= PREFIX_MIN && n < strlen(id) && strncmp(id, text, n) == 0))) ||
           (name != NULL && strcmp(name, text) == 0);
}

/* The newest one that is meant; NULL: none. */
static json_t *find_named(const json_t *sessions, const char *text)
{
    for (size_t i = json_array_size(sessions); i > 0; i--) {
        json_t *session = json_array_get(sessions, i - 1);
        if (strcmp(text, LAST) == 0 || is_called(session, text)) {
            return session;
        }
    }
    return NULL;
}

static bool is_of_job(const json_t *session, const char *id)
{
    const char *job = field_text(json_object_get(session, "tags"), "job");

    return job != NULL && strcmp(job, id) == 0;
}

/* Of what one node has. found: one flag for each name of the request; NULL: it is a job. */
static int take_sessions(struct pull_plan *plan, const struct pull_request *request,
                         const json_t *node, const json_t *sessions, bool *found, struct err *err)
{
    const char *name = field_text(node, "node");
    const char *id = field_text(node, "id");
    uint32_t before = plan->n_sources;
    int rc = 0;

    for (size_t i = 0; plan->capture_id != NULL && i < json_array_size(sessions) && rc == 0; i++) {
        json_t *session = json_array_get(sessions, i);
        if (is_of_job(session, plan->capture_id)) {
            rc = add_source(plan, name, id, session, err);
        }
    }
    for (size_t i = 0; found != NULL && i < request->sessions->n && rc == 0; i++) {
        json_t *session = find_named(sessions, request->sessions->items[i]);
        if (session != NULL) {
            found[i] = true;
            rc = add_source(plan, name == NULL ? field_text(session, "node") : name, id, session,
                            err);
        }
    }
    if (rc == 0 && name != NULL && plan->n_sources == before) {
        add_absent(plan, node, "it has no such session", true);
    }
    return rc;
}

static int take_answers(struct pull_plan *plan, const struct pull_request *request,
                        const json_t *answers, bool *found, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < json_array_size(answers) && rc == 0; i++) {
        const json_t *one = json_array_get(answers, i);
        const json_t *sessions = json_object_get(one, "result");
        if (json_is_array(sessions)) {
            rc = take_sessions(plan, request, one, sessions, found, err);
        } else {
            add_absent(plan, one, field_text(json_object_get(one, "error"), "message"), false);
        }
    }
    return rc;
}

static int check_found(const struct pull_plan *plan, const struct pull_request *request,
                       const bool *found, struct err *err)
{
    if (plan->capture_id != NULL && plan->n_sources == 0) {
        return err_set(err, ERR_NOT_FOUND,
                       "no node that answers has a session of '%s'; 'packetrecorder manage "
                       "capture-status %s' says why",
                       plan->capture_id, plan->capture_id);
    }
    for (size_t i = 0; found != NULL && i < request->sessions->n; i++) {
        if (!found[i]) {
            return err_set(err, ERR_NOT_FOUND,
                           "no node that answers has a session '%s'; 'packetrecorder manage "
                           "sessions --all' shows them",
                           request->sessions->items[i]);
        }
    }
    return 0;
}

/* ---- asking ---- */

/* Members of a job that began nothing: their own words. The others are asked for their sessions. */
static json_t *nodes_of_job(struct pull_plan *plan, const json_t *job)
{
    const json_t *rows = json_object_get(job, "nodes");
    json_t *ids = json_array();

    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *state = field_text(row, "state");
        const char *reason = field_text(row, "reason");
        const char *id = field_text(row, "id");
        bool is_missed = state != NULL && strcmp(state, "missed") == 0;
        if (id == NULL || (is_missed && field_text(row, "session") == NULL)) {
            add_absent(plan, row, reason == NULL ? state : reason, is_missed);
        } else {
            json_array_append_new(ids, to_json_text(id));
        }
    }
    return ids;
}

static int ask_job(struct command_context *ctx, struct manage *manage,
                   const struct pull_request *request, const json_t *job, struct pull_plan *plan)
{
    json_t *ids = nodes_of_job(plan, job);
    json_t *answers = NULL;
    int rc = 0;

    if (json_array_size(ids) > 0) {
        json_t *options = json_pack("{s:O}", "nodes", ids);
        rc = manage_call_nodes(ctx, manage, options, "session.list", NULL, &answers);
        json_decref(options);
    }
    rc = rc < 0 ? rc : take_answers(plan, request, answers, NULL, &ctx->err);
    json_decref(answers);
    json_decref(ids);
    return rc;
}

static int ask_nodes(struct command_context *ctx, struct manage *manage,
                     const struct pull_request *request, struct pull_plan *plan)
{
    bool *found = x_alloc((request->sessions->n + 1) * sizeof *found);
    json_t *answers = NULL;
    int rc;

    if (manage_nodes_are_named(ctx)) {
        rc = manage_call_nodes(ctx, manage, NULL, "session.list", NULL, &answers);
        rc = rc < 0 ? rc : take_answers(plan, request, answers, found, &ctx->err);
    } else {
        rc = manage_call(manage, "session.list", NULL, &answers, &ctx->err);
        rc = rc < 0 ? rc : manage_check_list(ctx, "session.list", &answers);
        rc = rc < 0 ? rc : take_sessions(plan, request, NULL, answers, found, &ctx->err);
    }
    rc = rc < 0 ? rc : check_found(plan, request, found, &ctx->err);
    json_decref(answers);
    mem_free(found);
    return rc;
}

static int by_node(const void *a, const void *b)
{
    const struct pull_source *x = a;
    const struct pull_source *y = b;
    int order = strcmp(x->node, y->node);

    if (order == 0 && x->node_id != NULL && y->node_id != NULL) {
        order = strcmp(x->node_id, y->node_id);
    }
    return order != 0 ? order : strcmp(x->id, y->id); /* ids of sessions go by time */
}

int pull_plan_find(struct command_context *ctx, struct manage *manage,
                   const struct pull_request *request, struct pull_plan *plan)
{
    json_t *answer = NULL;
    bool is_job = true;
    int rc;

    *plan = (struct pull_plan){0};
    if (request->capture_id == NULL) {
        rc = ask_nodes(ctx, manage, request, plan);
    } else {
        rc = job_call_find(manage, request->capture_id, &answer, &is_job, &ctx->err);
        const char *id = rc < 0 ? NULL : field_text(answer, "id");
        if (rc == 0 && id == NULL) {
            rc = err_set(&ctx->err, ERR_DAMAGED, "the node answered with a capture without an id");
        } else if (rc == 0 && !is_job) {
            rc = add_source(plan, field_text(answer, "node"), NULL, answer, &ctx->err);
        } else if (rc == 0) {
            plan->capture_id = x_strdup(id);
            rc = ask_job(ctx, manage, request, answer, plan);
            rc = rc < 0 ? rc : check_found(plan, request, NULL, &ctx->err);
        }
    }
    json_decref(answer);
    if (rc == 0) {
        qsort(plan->sources, plan->n_sources, sizeof *plan->sources, by_node);
        pull_plan_set_clocks(plan);
    }
    return rc;
}
