/* SPDX-License-Identifier: Apache-2.0
 *
 * What runs: captures of a node and jobs of the swarm, listed, shown and ended alike.
 */
#include "cli/manage.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/job_call.h"
#include "cli/job_table.h"
#include "cli/manage_nodes.h"
#include "cli/output.h"
#include "cli/session_table.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define STOPPED_NS UINT64_C(15000000000) /* so long the nodes of a job may take for it */
#define LOOK_MS    100

static const struct command_word id_words[] = {
    {.name = "ID", .help = "Of a job or a capture: its id, a prefix of it, its name, or 'last'."},
};

/* Released. */
static int show_session(struct command_context *ctx, json_t *session)
{
    if (ctx->global.json) {
        return output_json(stdout, session, &ctx->err);
    }
    json_t *array = json_pack("[o]", session);
    session_table_print(array, false, clock_wall_ns(), stdout);
    json_decref(array);
    return 0;
}

/* Captures of several nodes, by themselves and of jobs, as sessions. */
static int show_rows(struct command_context *ctx, struct manage_rows *rows)
{
    if (ctx->global.json) {
        return manage_rows_json(ctx, rows);
    }
    if (json_array_size(rows->list) == 0 && rows->outcome == 0 && !ctx->global.quiet) {
        fputs("no capture runs on the nodes\n", stderr);
    }
    session_table_print(rows->list, true, clock_wall_ns(), stdout);
    return manage_rows_end(rows);
}

/* Of each of the nodes that are named the session that is meant there. */
static int ask_sessions(struct command_context *ctx, const char *method, struct manage_rows *rows)
{
    return manage_ask_objects(ctx, method,
                              json_pack("{s:o}", "session_id", to_json_text(ctx->words[0])), rows);
}

static void print_head(const json_t *job)
{
    struct buf line = {0};

    buf_printf(&line, "job ");
    output_put_name(&line, field_text(job, "id"));
    if (field_text(job, "name") != NULL) {
        buf_printf(&line, " '");
        output_put_name(&line, field_text(job, "name"));
        buf_printf(&line, "'");
    }
    buf_printf(&line, " is ");
    output_put_name(&line, field_text(job, "state"));
    buf_printf(&line, ", from ");
    output_put_name(&line, field_text(job, "start_at"));
    fprintf(stdout, "%.*s\n", (int)line.len, (const char *)line.data);
    buf_deinit(&line);
}

/* Released. */
static int show_job(struct command_context *ctx, json_t *job)
{
    if (ctx->global.json) {
        return output_json(stdout, job, &ctx->err);
    }
    print_head(job);
    job_table_print(job, stdout);
    json_decref(job);
    return 0;
}

/* ---- captures ---- */

static const struct command_word captures_words[] = {
    {.name = "ID",
     .help = "Only this job or capture, also when it has ended; with --json an object.",
     .optional = true},
};

static int show_one(struct command_context *ctx, const char *id)
{
    struct manage *manage = NULL;
    json_t *answer = NULL;
    bool is_job = false;
    int rc = manage_open(ctx, &manage);

    rc = rc < 0 ? rc : job_call_find(manage, id, &answer, &is_job, &ctx->err);
    manage_close(manage);
    if (rc < 0) {
        return rc;
    }
    return is_job ? show_job(ctx, answer) : show_session(ctx, answer);
}

static bool goes_on(const json_t *job)
{
    const char *state = field_text(job, "state");

    return state != NULL && (strcmp(state, "arming") == 0 || strcmp(state, "armed") == 0 ||
                             strcmp(state, "running") == 0);
}

/* Behind the captures of the node. */
static json_t *going_on(const json_t *jobs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(jobs); i++) {
        if (goes_on(json_array_get(jobs, i))) {
            json_array_append(list, json_array_get(jobs, i));
        }
    }
    return list;
}

static int show_lists(struct command_context *ctx, json_t *captures, json_t *jobs)
{
    size_t n = json_array_size(captures) + json_array_size(jobs);
    int rc = 0;

    if (n == 0 && !ctx->global.quiet) {
        fputs("no capture runs on the node\n", stderr);
    }
    if (ctx->global.json) {
        json_array_extend(captures, jobs);
        rc = output_json(stdout, json_incref(captures), &ctx->err);
    } else {
        session_table_print(captures, false, clock_wall_ns(), stdout);
        if (json_array_size(captures) > 0 && json_array_size(jobs) > 0) {
            fputc('\n', stdout);
        }
        job_list_print(jobs, stdout);
    }
    json_decref(captures);
    json_decref(jobs);
    return rc;
}

static int run_captures(struct command_context *ctx, void *args)
{
    struct manage *manage = NULL;
    json_t *captures = NULL;
    json_t *jobs = NULL;

    (void)args;
    if (manage_nodes_are_named(ctx)) {
        struct manage_rows rows;
        int rc = ctx->n_words > 0 ? ask_sessions(ctx, "capture.stats", &rows)
                                  : manage_ask_rows(ctx, "capture.list", NULL, &rows);
        return rc < 0 ? rc : show_rows(ctx, &rows);
    }
    if (ctx->n_words > 0) {
        return show_one(ctx, ctx->words[0]);
    }
    int rc = manage_open(ctx, &manage);
    rc = rc < 0 ? rc : manage_call(manage, "capture.list", NULL, &captures, &ctx->err);
    rc = rc < 0 ? rc : manage_check_list(ctx, "capture.list", &captures);
    rc = rc < 0 ? rc : manage_call(manage, "job.list", NULL, &jobs, &ctx->err);
    rc = rc < 0 ? rc : manage_check_list(ctx, "job.list", &jobs);
    manage_close(manage);
    if (rc < 0) {
        json_decref(captures);
        return rc;
    }
    json_t *some = going_on(jobs);
    json_decref(jobs);
    return show_lists(ctx, captures, some);
}

const struct command cmd_manage_captures = {
    .name = "captures",
    .summary = "list the captures that run on the node",
    .words = captures_words,
    .n_words = ARRAY_LEN(captures_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Lists the captures that run on the node, oldest first, with what they have recorded "
            "and lost until now, and the jobs of the swarm that are armed or run. With --json an "
            "array of objects like those of 'sessions --json', the jobs, like those of "
            "'capture-status --json', last.",
            "With --nodes, --all or --select the captures of those nodes, those of jobs among "
            "them, each with its node.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage captures", "what is being recorded"},
            {"manage captures dns", "how far the one of that name is"},
            {NULL, NULL},
        },
    .run = run_captures,
};

/* ---- capture-status ---- */

/* A row a node, as of a job: how the capture that is meant is there. */
static int status_of_nodes(struct command_context *ctx)
{
    struct manage_rows rows;
    struct err outcome = {0};
    int rc = ask_sessions(ctx, "capture.stats", &rows);

    if (rc < 0) {
        return rc;
    }
    json_t *nodes = json_array();
    for (size_t i = 0; i < json_array_size(rows.list); i++) {
        json_t *job = job_of_session(json_array_get(rows.list, i));
        json_array_extend(nodes, json_object_get(job, "nodes"));
        json_decref(job);
    }
    json_t *job = json_pack("{s:O}", "nodes", nodes);
    int code = json_array_size(nodes) == 0 ? 0 : job_outcome(job, &outcome);
    if (ctx->global.json) {
        rc = output_json(stdout, json_incref(nodes), rows.outcome < 0 ? NULL : &ctx->err);
    } else {
        job_table_print(job, stdout);
    }
    json_decref(job);
    json_decref(nodes);
    int told = manage_rows_end(&rows);
    if (code < 0 && (told == 0 || code != ERR_PARTLY)) {
        return err_set(&ctx->err, told == 0 ? code : told, "%s", outcome.text);
    }
    return told < 0 ? told : rc;
}

static int run_status(struct command_context *ctx, void *args)
{
    struct manage *manage = NULL;
    json_t *answer = NULL;
    bool is_job = false;

    (void)args;
    if (manage_nodes_are_named(ctx)) {
        return status_of_nodes(ctx);
    }
    int rc = manage_open(ctx, &manage);
    rc = rc < 0 ? rc : job_call_find(manage, ctx->words[0], &answer, &is_job, &ctx->err);
    manage_close(manage);
    if (rc < 0) {
        return rc;
    }
    if (!is_job) {
        json_t *job = job_of_session(answer);
        json_decref(answer);
        answer = job;
    }
    struct err outcome = {0};
    int code = job_outcome(answer, &outcome);
    rc = show_job(ctx, answer);
    return rc < 0 ? rc : code < 0 ? err_set(&ctx->err, code, "%s", outcome.text) : 0;
}

const struct command cmd_manage_capture_status = {
    .name = "capture-status",
    .summary = "show a capture on all its nodes",
    .words = id_words,
    .n_words = ARRAY_LEN(id_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Asks all nodes of a job how far they are: armed, running, done, failed, missed, "
            "aborted, or unreached, with the session, the packets, the loss, and why. What an "
            "unreached node said last is kept. Any node of the swarm may be asked. A capture of "
            "the node alone is shown in the same form.",
            "With --nodes, --all or --select it is the session of that id or name on each of those "
            "nodes, whatever job it is of.",
            "Exit: 0 all nodes are well, 3 some, 1 none.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage capture-status last", "the newest"},
            {"manage capture-status dns --json | jq '.nodes[] | select(.state != \"done\")'",
             "nodes that have not ended well"},
            {NULL, NULL},
        },
    .run = run_status,
};

/* ---- stop-capture ---- */

static int ask_job(struct command_context *ctx, struct manage *manage, const char *method,
                   const char *id, json_t **job)
{
    json_decref(*job);
    *job = NULL;
    int rc = manage_call(manage, method, json_pack("{s:s}", "job_id", id), job, &ctx->err);
    return rc < 0 ? rc : manage_check_object(ctx, method, job);
}

/* Who was reached has ended, or 15 s are over. */
static bool has_stopped(const json_t *job)
{
    const json_t *nodes = json_object_get(job, "nodes");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        if (goes_on(json_array_get(nodes, i))) {
            return false;
        }
    }
    return true;
}

static int stop_job(struct command_context *ctx, struct manage *manage, json_t *job)
{
    uint64_t until_ns = clock_monotonic_ns() + STOPPED_NS;
    char *id = x_strdup(field_text(job, "id") == NULL ? "?" : field_text(job, "id"));
    int rc = ask_job(ctx, manage, "job.stop", id, &job);

    while (rc == 0 && !has_stopped(job) && clock_monotonic_ns() < until_ns) {
        (void)poll(NULL, 0, LOOK_MS);
        rc = ask_job(ctx, manage, "job.status", id, &job);
    }
    mem_free(id);
    return rc < 0 ? rc : show_job(ctx, job);
}

static int stop_session(struct command_context *ctx, struct manage *manage, const char *id)
{
    json_t *session = NULL;
    int rc = manage_call(manage, "capture.stop", json_pack("{s:s}", "session_id", id), &session,
                         &ctx->err);

    rc = rc < 0 ? rc : manage_check_object(ctx, "capture.stop", &session);
    return rc < 0 ? rc : show_session(ctx, session);
}

/* Of its name, whatever job it may be of: only these nodes end it. */
static int stop_on_nodes(struct command_context *ctx)
{
    struct manage_rows rows;
    int rc = ask_sessions(ctx, "capture.stop", &rows);

    return rc < 0 ? rc : show_rows(ctx, &rows);
}

static int run_stop(struct command_context *ctx, void *args)
{
    if (manage_nodes_are_named(ctx)) {
        return stop_on_nodes(ctx);
    }
    struct manage *manage = NULL;
    json_t *answer = NULL;
    bool is_job = false;
    int rc = manage_open(ctx, &manage);

    (void)args;
    rc = rc < 0 ? rc : job_call_find(manage, ctx->words[0], &answer, &is_job, &ctx->err);
    if (rc == 0 && is_job) {
        rc = stop_job(ctx, manage, answer);
    } else if (rc == 0) {
        json_decref(answer);
        rc = stop_session(ctx, manage, ctx->words[0]);
    }
    manage_close(manage);
    return rc;
}

const struct command cmd_manage_stop_capture = {
    .name = "stop-capture",
    .summary = "end a capture, on all its nodes",
    .words = id_words,
    .n_words = ARRAY_LEN(id_words),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Ends a capture, waits until every packet is stored, and shows the session as it is "
            "then; with --json as an object. A job is ended on all its nodes, whichever node is "
            "asked; those that cannot be reached end it when they hear of it, or by its own "
            "limits. With --nodes, --all or --select only those nodes end what they have of that "
            "id or name. Needs a key of the role capture.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage stop-capture dns", "the end of the one of that name"},
            {NULL, NULL},
        },
    .run = run_stop,
};
