/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/job_call.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/job_table.h"
#include "cli/manage_nodes.h"
#include "cli/output.h"
#include "cli/terminal_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"

#define ASK_ABOVE     5u
#define LOOK_MS       500
#define CLOCK_WARN_NS UINT64_C(1000000)
#define STOP_NS       UINT64_C(15000000000) /* so long a stop may take on all nodes */

bool job_call_is_meant(const struct job_call *call)
{
    bool is_pattern = false;

    for (size_t i = 0; i < call->interfaces->n; i++) {
        is_pattern = is_pattern || strpbrk(call->interfaces->items[i], "*?[") != NULL;
    }
    return call->of_nodes || call->start_at != NULL || call->policy >= 0 || call->late >= 0 ||
           call->quorum > 0 || call->wait || is_pattern;
}

/* ---- words ---- */

/* As a parameter, not an option: the job is for them, and so for those that come back later. */
static int set_nodes(struct command_context *ctx, const struct job_call *call)
{
    json_t *options = NULL;
    int rc = manage_nodes_options(manage_args_of(ctx), &options, &ctx->err);
    json_t *nodes = json_object_get(options, "nodes");

    if (json_is_string(nodes)) {
        json_object_set_new(options, "nodes", json_pack("[O]", nodes));
    }
    json_object_update(call->args, options);
    json_decref(options);
    return rc;
}

static void set_interfaces(const struct job_call *call)
{
    struct buf all = {0};

    for (size_t i = 0; i < call->interfaces->n; i++) {
        buf_put_str(&all, i == 0 ? "" : " ");
        buf_put_str(&all, call->interfaces->items[i]);
    }
    buf_put_u8(&all, 0);
    json_object_del(call->args, "interfaces");
    manage_set_text(call->args, "interface", (const char *)all.data);
    buf_deinit(&all);
}

static int set_start(const struct job_call *call, struct err *err)
{
    uint64_t ns = 0;

    if (call->start_at == NULL) {
        return 0;
    }
    if (call->start_at[0] == '+') {
        int rc = text_parse_duration(call->start_at + 1, &ns, err);
        manage_set_duration(call->args, "start_in", ns == 0 ? 1 : ns);
        return rc < 0 ? err_wrap(err, "--start-at") : 0;
    }
    int rc = text_parse_time(call->start_at, clock_wall_ns(), &ns, err);
    if (rc < 0) {
        return err_wrap(err, "--start-at");
    }
    json_object_set_new(call->args, "start_at", to_json_time(ns));
    return 0;
}

static int set_args(struct command_context *ctx, const struct job_call *call)
{
    struct err *err = &ctx->err;
    static const char *const policies[] = {"best-effort", "quorum", "all"};
    static const char *const lates[] = {"skip", "start"};

    set_interfaces(call);
    if (json_object_get(call->args, "tags") != NULL) {
        return err_set(err, ERR_USAGE,
                       "--tag is for a capture on the node asked: a job's sessions "
                       "have the tag job=ID");
    }
    if (call->quorum > 0 && (call->policy < 0 || strcmp(policies[call->policy], "quorum") != 0)) {
        return err_set(err, ERR_USAGE, "--quorum goes with --policy quorum");
    }
    if (call->policy >= 0) {
        json_object_set_new(call->args, "policy", json_string(policies[call->policy]));
    }
    if (call->late >= 0) {
        json_object_set_new(call->args, "late", json_string(lates[call->late]));
    }
    manage_set_count(call->args, "quorum", call->quorum);
    int rc = set_nodes(ctx, call);
    return rc < 0 ? rc : set_start(call, err);
}

/* ---- whom it is for ---- */

static bool has_tags(const json_t *member, const json_t *select)
{
    const json_t *tags = json_object_get(member, "tags");
    bool good = true;

    for (size_t i = 0; i < json_array_size(select); i++) {
        const char *tag = json_string_value(json_array_get(select, i));
        const char *equals = strchr(tag, '=');
        size_t n = equals == NULL ? strlen(tag) : (size_t)(equals - tag);
        char *key = x_sprintf("%.*s", (int)n, tag);
        const char *value = field_text(tags, key);
        good = good && value != NULL && equals != NULL && strcmp(value, equals + 1) == 0;
        mem_free(key);
    }
    return good;
}

static bool is_named(const json_t *member, const json_t *nodes)
{
    const char *name = field_text(member, "name");
    const char *id = field_text(member, "id");

    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const char *word = json_string_value(json_array_get(nodes, i));
        if (strcmp(word, "all") == 0 || (name != NULL && strcmp(word, name) == 0) ||
            (id != NULL && strlen(word) >= 8 && strncmp(word, id, strlen(word)) == 0)) {
            return true;
        }
    }
    return false;
}

/* Names with blanks between them; how many. */
static size_t targets_of(const json_t *members, const json_t *args, struct buf *names)
{
    const json_t *nodes = json_object_get(args, "nodes");
    const json_t *select = json_object_get(args, "select");
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        const char *name = field_text(member, "name");
        const char *state = field_text(member, "state");
        bool has_left = state != NULL && strcmp(state, "left") == 0;
        if ((nodes != NULL && is_named(member, nodes) && !has_left) ||
            (select != NULL && has_tags(member, select) && !has_left)) {
            buf_put_str(names, n == 0 ? "" : " ");
            output_put_name(names, name == NULL ? "?" : name);
            n++;
        }
    }
    return n;
}

static bool says_yes(void)
{
    char line[16] = "";

    return fgets(line, sizeof line, stdin) != NULL && strncasecmp(line, "y", 1) == 0;
}

static int agree(struct command_context *ctx, const struct job_call *call, size_t n,
                 const struct buf *names)
{
    if (!ctx->global.quiet) {
        fprintf(stderr, "%zu node%s: %.*s\n", n, n == 1 ? "" : "s", (int)names->len,
                (const char *)names->data);
    }
    if (n <= ASK_ABOVE || call->yes) {
        return 0;
    }
    if (!terminal_is_on(stdin)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "that would be %zu nodes: give --yes where nobody can be asked", n);
    }
    fprintf(stderr, "start on %zu nodes? [y/N] ", n);
    return says_yes() ? 0 : err_set(&ctx->err, ERR_USAGE, "nothing was started");
}

static int show_targets(struct command_context *ctx, struct manage *manage,
                        const struct job_call *call)
{
    json_t *members = NULL;
    struct buf names = {0};

    if (json_object_get(call->args, "nodes") == NULL &&
        json_object_get(call->args, "select") == NULL) {
        return 0; /* the node asked */
    }
    int rc = manage_call(manage, "swarm.members", NULL, &members, &ctx->err);
    rc = rc < 0 ? rc : manage_check_list(ctx, "swarm.members", &members);
    if (rc == 0) {
        size_t n = targets_of(members, call->args, &names);
        rc = n == 0 ? 0 : agree(ctx, call, n, &names); /* the node says what is wrong */
    }
    json_decref(members);
    buf_deinit(&names);
    return rc;
}

/* ---- starting ---- */

static void say_limit(struct command_context *ctx, const json_t *job)
{
    if (!ctx->global.quiet && json_is_false(json_object_get(job, "limit_given"))) {
        fputs("no limit was given: it ends after an hour (--duration)\n", stderr);
    }
}

/* Packets of a LAN that follow from each other are often no further apart. */
static void say_clock(struct command_context *ctx, const json_t *job)
{
    const json_t *worst = json_object_get(job, "least_known_clock");
    const char *node = field_text(worst, "node");
    uint64_t bound_ns = field_count(worst, "bound_ns");

    if (ctx->global.quiet || node == NULL || bound_ns <= CLOCK_WARN_NS) {
        return;
    }
    char *clean = x_strdup(node);
    output_clean(clean);
    if (bound_ns == UINT64_MAX) {
        fprintf(stderr, "the clock of '%s' is not known: its packets may come in the wrong order\n",
                clean);
    } else {
        fprintf(stderr,
                "the clock of '%s' is known to within %.1f ms: packets that are closer may come in "
                "the wrong order\n",
                clean, (double)bound_ns / 1e6);
    }
    mem_free(clean);
}

static int show(struct command_context *ctx, json_t *job)
{
    int rc = 0;

    if (ctx->global.json) {
        rc = output_json(stdout, json_incref(job), &ctx->err);
    } else {
        job_table_print(job, stdout);
    }
    struct err outcome = {0};
    int code = job_outcome(job, &outcome);
    json_decref(job);
    return rc < 0 ? rc : code < 0 ? err_set(&ctx->err, code, "%s", outcome.text) : 0;
}

static int start(struct command_context *ctx, struct manage **manage, const struct job_call *call)
{
    json_t *job = NULL;

    manage_catch_interrupts(*manage); /* the node calls off what nobody waits for */
    int rc = manage_call(*manage, "job.start", json_incref(call->args), &job, &ctx->err);
    rc = rc < 0 ? rc : manage_check_object(ctx, "job.start", &job);
    if (rc < 0) {
        return rc;
    }
    const char *id = field_text(job, "id");
    if (!ctx->global.quiet && id != NULL) {
        fprintf(stderr, "job %s\n", id);
    }
    say_limit(ctx, job);
    say_clock(ctx, job);
    if (call->wait && id != NULL) {
        char *kept = x_strdup(id);
        rc = job_call_wait(ctx, manage, kept, &job);
        mem_free(kept);
    }
    if (rc < 0) {
        json_decref(job);
        return rc;
    }
    return show(ctx, job);
}

int job_call_start(struct command_context *ctx, const struct job_call *call)
{
    struct manage *manage = NULL;
    int rc = set_args(ctx, call);

    if (rc == 0 && call->start_at == NULL && json_object_get(call->args, "nodes") == NULL &&
        json_object_get(call->args, "select") == NULL) {
        /* The node itself, now: nobody else has to be told. */
        json_object_set_new(call->args, "start_in", json_string("0.2"));
        if (call->late < 0) {
            json_object_set_new(call->args, "late", json_string("start"));
        }
    }
    rc = rc < 0 ? rc : manage_open_for_nodes(ctx, &manage);
    rc = rc < 0 ? rc : show_targets(ctx, manage, call);
    rc = rc < 0 ? rc : start(ctx, &manage, call);
    manage_close(manage);
    json_decref(call->args);
    return rc;
}

/* ---- waiting ---- */

static int ask_job(struct manage *manage, const char *method, const char *id, json_t **job,
                   struct err *err)
{
    json_t *fresh = NULL;
    int rc = manage_call(manage, method, json_pack("{s:s}", "job_id", id), &fresh, err);

    if (rc == 0 && !json_is_object(fresh)) {
        rc = err_set(err, ERR_DAMAGED, "the node answered %s with what is no job", method);
    }
    if (rc < 0) {
        json_decref(fresh);
        return rc;
    }
    json_decref(*job);
    *job = fresh;
    return 0;
}

/* The interrupt has ended the connection's waiting; a second one ends the program. */
static int stop_all(struct command_context *ctx, struct manage **manage, const char *id,
                    json_t **job)
{
    uint64_t until_ns = clock_monotonic_ns() + STOP_NS;

    if (!ctx->global.quiet) {
        fputs("stopping the job on all nodes\n", stderr);
    }
    manage_close(*manage);
    *manage = NULL;
    int rc = manage_open_for_nodes(ctx, manage);
    rc = rc < 0 ? rc : ask_job(*manage, "job.stop", id, job, &ctx->err);
    while (rc == 0 && !job_has_ended(*job, clock_wall_ns()) && clock_monotonic_ns() < until_ns) {
        (void)poll(NULL, 0, LOOK_MS / 5);
        rc = ask_job(*manage, "job.status", id, job, &ctx->err);
    }
    return rc;
}

int job_call_wait(struct command_context *ctx, struct manage **manage, const char *id, json_t **job)
{
    struct progress progress;
    int rc = 0;

    progress_start(&progress, ctx);
    while (rc == 0 && !manage_was_interrupted() && !job_has_ended(*job, clock_wall_ns())) {
        const char *state = field_text(*job, "state");
        progress_say(&progress, "job %s: %s", id, state == NULL ? "?" : state);
        (void)poll(NULL, 0, LOOK_MS); /* an interrupt ends it */
        if (!manage_was_interrupted()) {
            rc = ask_job(*manage, "job.status", id, job, &ctx->err);
        }
    }
    progress_end(&progress);
    return manage_was_interrupted() ? stop_all(ctx, manage, id, job) : rc;
}

/* ---- jobs and captures alike ---- */

static int ask_session(struct manage *manage, const char *id, json_t **answer, struct err *err)
{
    int rc =
        manage_call(manage, "capture.stats", json_pack("{s:s}", "session_id", id), answer, err);

    if (rc == 0 && !json_is_object(*answer)) {
        json_decref(*answer);
        *answer = NULL;
        rc = err_set(err, ERR_DAMAGED, "the node answered capture.stats with what is no session");
    }
    return rc;
}

/* Of "last" the newer one; a session of the job is the job's. */
static bool job_is_newer(const json_t *job, const json_t *session)
{
    const char *job_id = field_text(job, "id");
    const char *session_id = field_text(session, "id");
    const char *of = field_text(json_object_get(session, "tags"), "job");

    return job_id != NULL && (session_id == NULL || (of != NULL && strcmp(of, job_id) == 0) ||
                              strcmp(job_id, session_id) > 0);
}

int job_call_find(struct manage *manage, const char *id, json_t **answer, bool *is_job,
                  struct err *err)
{
    struct err why = {0};
    json_t *job = NULL;
    json_t *session = NULL;
    int rc = ask_job(manage, "job.status", id, &job, &why);

    *is_job = rc == 0;
    if (rc == 0 && strcmp(id, "last") != 0) {
        *answer = job;
        return 0;
    }
    if (rc < 0 && rc != ERR_NOT_FOUND) {
        return err_set(err, rc, "%s", why.text);
    }
    rc = ask_session(manage, id, &session, err);
    if (rc < 0 || (job != NULL && job_is_newer(job, session))) {
        json_decref(session);
        *answer = job;
        return job != NULL ? 0 : rc;
    }
    json_decref(job);
    *is_job = false;
    *answer = session;
    return 0;
}
