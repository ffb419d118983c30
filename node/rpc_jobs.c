/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_jobs.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/job_ask.h"
#include "node/job_targets.h"
#include "node/job_words.h"
#include "node/rpc_ask.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

/* ---- start ---- */

static int take_text(const json_t *args, const char *name, char *out, size_t max, struct err *err)
{
    const char *text = rpc_arg_text(args, name);

    if (text != NULL && strlen(text) > max) {
        return err_set(err, ERR_USAGE, "\"%s\" of a job has at most %zu bytes", name, max);
    }
    snprintf(out, max + 1, "%s", text == NULL ? "" : text);
    return 0;
}

static int word_of(const json_t *args, const char *name, const char *const *words)
{
    const char *word = rpc_arg_text(args, name);

    for (int i = 0; word != NULL && words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0) {
            return i;
        }
    }
    return 0; /* what is meant where nothing is said stands first */
}

static int take_start(const json_t *args, struct node *node, struct job_wish *wish, struct err *err)
{
    uint64_t wall_ns = clock_wall_ns();
    int64_t now_ns = jobs_now_ns(node->jobs);
    uint64_t at_ns = rpc_arg_time_ns(args, "start_at", wall_ns, 0);
    uint64_t in_ns = rpc_arg_duration_ns(args, "start_in", 0);

    if (at_ns != 0 && in_ns != 0) {
        return err_set(err, ERR_USAGE, "\"start_at\" and \"start_in\" exclude each other");
    }
    if (at_ns > wall_ns + JOB_LONGEST_NS || in_ns > (uint64_t)JOB_LONGEST_NS) {
        return err_set(err, ERR_USAGE, "a job begins within 366 days");
    }
    if (at_ns != 0) {
        wish->start_ns = (int64_t)at_ns - jobs_offset_ns(node->jobs);
    } else if (in_ns != 0) {
        wish->start_ns = now_ns + (int64_t)in_ns;
    }
    return 0;
}

static int take_wish(const json_t *args, struct node *node, struct job_wish *wish, struct err *err)
{
    struct job_spec *spec = &wish->spec;
    int rc = take_text(args, "interface", spec->interface, JOB_INTERFACE_MAX, err);

    rc = rc < 0 ? rc : take_text(args, "filter", spec->filter, JOB_FILTER_MAX, err);
    rc = rc < 0 ? rc : take_text(args, "name", spec->name, JOB_NAME_MAX, err);
    rc = rc < 0 ? rc : take_start(args, node, wish, err);
    rc = rc < 0 ? rc
                : job_selector_of(node, rpc_arg(args, "nodes"), rpc_arg(args, "select"),
                                  &spec->selector, err);
    spec->max_packets = rpc_arg_count(args, "max_packets", 0);
    spec->max_bytes = rpc_arg_size(args, "max_bytes", 0);
    spec->snaplen = (uint32_t)rpc_arg_size(args, "snaplen", 0);
    spec->promisc = rpc_arg_bool(args, "promisc", true);
    spec->policy = (enum job_policy)word_of(args, "policy", job_policy_words);
    spec->late = (enum job_late)word_of(args, "late", job_late_words);
    spec->quorum = (uint8_t)rpc_arg_count(args, "quorum", 0);
    wish->duration_ns = rpc_arg_duration_ns(args, "duration", 0);
    return rc;
}

static struct job_caller caller_of(const struct rpc_call *call, char who[RPC_ASK_WHO_MAX])
{
    return (struct job_caller){.rights = rpc_call_rights(call),
                               .who = rpc_ask_who(call, who),
                               .deadline_ns = rpc_call_deadline_ns(call)};
}

/* A call that what time it is matters to, of a node that does not know it yet. */
struct untimed {
    struct jobs_later later;
    struct rpc_call *call;
    struct node *node;
    void (*answer)(struct rpc_call *call, struct node *node);
};

/* It was answered, or nobody hears the answer: the call is no more. */
static void on_untimed_gone(void *arg)
{
    struct untimed *u = arg;

    jobs_wait_no_more(u->node->jobs, &u->later);
    mem_free(u);
}

static void on_time_known(struct jobs_later *later)
{
    struct untimed *u = container_of(later, struct untimed, later);

    rpc_call_on_gone(u->call, NULL, NULL);
    u->answer(u->call, u->node);
    mem_free(u);
}

static void when_time_is_known(struct rpc_call *call, struct node *node, bool settled,
                               void (*answer)(struct rpc_call *call, struct node *node))
{
    struct untimed *u = x_alloc(sizeof *u);

    *u = (struct untimed){
        .later = {.wants_settled = settled, .go_on = on_time_known},
        .call = call,
        .node = node,
        .answer = answer,
    };
    if (jobs_wait_for_time(node->jobs, &u->later)) {
        rpc_call_on_gone(call, on_untimed_gone, u);
    } else {
        mem_free(u);
        answer(call, node);
    }
}

static void on_gone(void *arg)
{
    job_asking_gone(arg);
}

static void start_now(struct rpc_call *call, struct node *node)
{
    struct job_wish wish = {0};
    struct err err = {0};
    char who[RPC_ASK_WHO_MAX];

    const struct job_caller caller = caller_of(call, who);
    if (take_wish(rpc_call_args(call), node, &wish, &err) < 0) {
        rpc_call_fail_err(call, &err);
        return;
    }
    struct asker asker = rpc_asker(call);
    struct job_asking *asking = job_ask_start(node, &wish, &caller, &asker);
    if (asking != NULL) {
        rpc_call_on_gone(call, on_gone, asking);
    }
}

static void start(struct rpc_call *call, struct node *node)
{
    when_time_is_known(call, node, true, start_now);
}

/* ---- the others ---- */

static void arm_now(struct rpc_call *call, struct node *node)
{
    const char *text = rpc_arg_text(rpc_call_args(call), "spec");
    struct job_spec spec;
    char id[ID_TEXT_MAX];

    if (!job_spec_of_text(text, &spec)) {
        rpc_call_fail(call, err_name(ERR_USAGE), "\"spec\" is no record of a job");
        return;
    }
    id_format(&spec.id, id);
    rpc_call_set_target(call, id);
    struct asker asker = rpc_asker(call);
    job_ask_arm(node, &spec, &asker);
}

static void arm(struct rpc_call *call, struct node *node)
{
    when_time_is_known(call, node, false, arm_now);
}

static void stop(struct rpc_call *call, struct node *node)
{
    const json_t *args = rpc_call_args(call);
    const char *id = rpc_arg_text(args, "job_id");
    char who[RPC_ASK_WHO_MAX];
    const struct job_caller caller = caller_of(call, who);
    struct asker asker = rpc_asker(call);

    rpc_call_set_target(call, id);
    job_ask_stop(node, id, rpc_arg_bool(args, "call_off", false) ? JOB_ABORT : JOB_STOP,
                 rpc_arg_bool(args, "only_here", false), &caller, &asker);
}

static void status(struct rpc_call *call, struct node *node)
{
    const json_t *args = rpc_call_args(call);
    char who[RPC_ASK_WHO_MAX];
    const struct job_caller caller = caller_of(call, who);
    struct asker asker = rpc_asker(call);

    job_ask_status(node, rpc_arg_text(args, "job_id"), rpc_arg_bool(args, "only_here", false),
                   &caller, &asker);
}

static void list(struct rpc_call *call, struct node *node)
{
    struct asker asker = rpc_asker(call);

    job_ask_list(node, &asker);
}

static const struct rpc_handler handlers[] = {
    {"job.start", start},   {"job.arm", arm},   {"job.stop", stop},
    {"job.status", status}, {"job.list", list},
};

const struct rpc_handler_group rpc_jobs_handlers = {handlers, ARRAY_LEN(handlers)};
