/* SPDX-License-Identifier: Apache-2.0
 *
 * Captures: start, list, stop; on the node asked at once, or planned on many (job_call.h).
 */
#include "cli/manage.h"

#include <stdio.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/job_call.h"
#include "cli/job_table.h"
#include "cli/manage_nodes.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "cli/session_table.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define SNAPLEN_MAX 262144
#define HOUR_NS     UINT64_C(3600000000000)

/* Array or single object, released. */
static int show(struct command_context *ctx, json_t *answer)
{
    if (ctx->global.json) {
        return output_json(stdout, answer, &ctx->err);
    }
    if (json_is_object(answer)) {
        json_t *array = json_array();
        json_array_append_new(array, answer);
        answer = array;
    }
    session_table_print(answer, false, clock_wall_ns(), stdout);
    json_decref(answer);
    return 0;
}

/* ---- start-capture ---- */

struct start_args {
    struct option_list interfaces;
    const char *filter;
    uint64_t max_packets;
    uint64_t max_bytes;
    uint64_t duration_ns;
    uint64_t snaplen;
    bool promisc;
    const char *name;
    struct option_pairs tags;
    const char *start_at;
    int policy;
    uint64_t quorum;
    int late;
    bool wait;
    bool yes;
};

static const char *const policy_words[] = {"best-effort", "quorum", "all", NULL};
static const char *const late_words[] = {"skip", "start", NULL};

#define AT(member) .offset = offsetof(struct start_args, member)

/* clang-format off */
static const struct command_option start_options[] = {
    {.name = "interface", .letter = 'i', .kind = OPT_LIST, .placeholder = "IFACE",
     .help = "Capture on this interface of the node, or NAME:IFACE of an uplink; may be repeated, "
             "all are one session. A pattern such as 'eth*' means all that fit it and are up.",
     .required = true, AT(interfaces)},
    OPTION_FILTER(struct start_args, filter),
    {.name = "max-packets", .letter = 'c', .kind = OPT_COUNT, .placeholder = "N",
     .help = "End after exactly so many packets.", .note = "unlimited", AT(max_packets)},
    {.name = "max-bytes", .kind = OPT_SIZE, .placeholder = "SIZE",
     .help = "End before more packet bytes than this are captured.", .note = "unlimited",
     AT(max_bytes)},
    {.name = "duration", .letter = 't', .kind = OPT_DURATION, .placeholder = "TIME",
     .help = "End after so long.", .note = "an hour where no limit is given", AT(duration_ns)},
    {.name = "snaplen", .letter = 's', .kind = OPT_SIZE, .placeholder = "BYTES",
     .help = "Capture at most so much of each packet.", .note = "all of it", .min = 1,
     .max = SNAPLEN_MAX, AT(snaplen)},
    {.name = "promisc", .kind = OPT_NEGATABLE,
     .help = "Also packets that are not for the node's host (promiscuous mode).", .value = "yes",
     AT(promisc)},
    {.name = "name", .kind = OPT_STRING, .placeholder = "TEXT",
     .help = "A name for the session.", AT(name)},
    {.name = "tag", .kind = OPT_PAIRS, .placeholder = "K=V",
     .help = "A tag for the session; may be repeated.", AT(tags)},
    {.name = "start-at", .kind = OPT_STRING, .placeholder = "TIME",
     .help = "Begin then: a time, or +T from now. Packets are cut by their time stamps.",
     .note = "+3s with --nodes, --all or --select, else at once", AT(start_at)},
    {.name = "policy", .kind = OPT_CHOICE, .placeholder = "POLICY", .words = policy_words,
     .help = "Who must be ready for it to begin: any node, --quorum percent of them, or all; else "
             "it is called off.", .note = "best-effort", AT(policy)},
    {.name = "quorum", .kind = OPT_COUNT, .placeholder = "PERCENT", .max = 100,
     .help = "With --policy quorum.", .note = "more than half", AT(quorum)},
    {.name = "late", .kind = OPT_CHOICE, .placeholder = "WHAT", .words = late_words,
     .help = "What a node does that hears of it behind the start: 'skip' it, or 'start'.",
     .note = "skip", AT(late)},
    {.name = "wait", .kind = OPT_FLAG,
     .help = "Wait for the end; an interrupt stops the capture on all nodes.", AT(wait)},
    {.name = "yes", .letter = 'y', .kind = OPT_FLAG,
     .help = "Do not ask, also for more than five nodes.", AT(yes)},
};
/* clang-format on */

static json_t *start_call(const struct start_args *args)
{
    json_t *call = json_object();

    manage_set_list(call, "interfaces", &args->interfaces);
    manage_set_text(call, "filter", args->filter);
    manage_set_count(call, "max_packets", args->max_packets);
    manage_set_count(call, "max_bytes", args->max_bytes);
    manage_set_duration(call, "duration", args->duration_ns);
    manage_set_count(call, "snaplen", args->snaplen);
    manage_set_text(call, "name", args->name);
    json_object_set_new(call, "promisc", json_boolean(args->promisc));
    if (args->tags.n > 0) {
        json_t *tags = json_object();
        for (size_t i = 0; i < args->tags.n; i++) {
            json_object_set_new(tags, args->tags.items[i].key,
                                to_json_text(args->tags.items[i].value));
        }
        json_object_set_new(call, "tags", tags);
    }
    return call;
}

/* Nothing is left running for ever because somebody forgot it. */
static void limit(struct command_context *ctx, const struct start_args *args, json_t *call)
{
    if (args->max_packets == 0 && args->max_bytes == 0 && args->duration_ns == 0) {
        manage_set_duration(call, "duration", HOUR_NS);
        if (!ctx->global.quiet) {
            fputs("no limit was given: it ends after an hour (--duration)\n", stderr);
        }
    }
}

static int run_start(struct command_context *ctx, void *arg)
{
    const struct start_args *args = arg;
    const struct job_call job = {.interfaces = &args->interfaces,
                                 .of_nodes = manage_nodes_are_named(ctx),
                                 .start_at = args->start_at,
                                 .policy = args->policy,
                                 .late = args->late,
                                 .quorum = args->quorum,
                                 .wait = args->wait,
                                 .yes = args->yes,
                                 .args = start_call(args)};
    json_t *session = NULL;

    if (job_call_is_meant(&job)) {
        return job_call_start(ctx, &job);
    }
    limit(ctx, args, job.args);
    int rc = manage_ask(ctx, "capture.start", job.args, &session);

    rc = rc < 0 ? rc : manage_check_object(ctx, "capture.start", &session);
    return rc < 0 ? rc : show(ctx, session);
}

const struct command cmd_manage_start_capture = {
    .name = "start-capture",
    .summary = "start a capture on the node",
    .options = start_options,
    .n_options = ARRAY_LEN(start_options),
    .args_size = sizeof(struct start_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Starts a capture into the store of the node and shows the session that it becomes; "
            "with --json as an object. The capture goes on by itself until a limit is reached or "
            "'manage stop-capture' ends it. Needs a key of the role capture.",
            "With --nodes, --all or --select it is one job on many nodes: each makes ready "
            "(filter, "
            "interface, disk, rights), then all begin at the same instant, without another "
            "message. "
            "It prints one row a node: ready, or why not. Each capture ends by its own limits, "
            "even "
            "if nobody is left to stop it; nodes that come back go on with it, nodes that come too "
            "late say so. Any node of the swarm shows ('capture-status') and ends ('stop-capture') "
            "the job. Exit: 0 all nodes, 3 some, 1 none.",
            "The node leaves out its own traffic, so that a download of the session is not "
            "recorded into it.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage start-capture -i eth0 -t 10m --name dns -- udp port 53",
             "ten minutes of DNS on the node"},
            {"manage start-capture -i eth0 -c 1000 --json | jq -r .id", "and its id for a script"},
            {"manage start-capture -i 'eth*' --nodes n1,n2,n3 -t 60s --wait -- port 53",
             "a minute of DNS on three nodes at once"},
            {NULL, NULL},
        },
    .run = run_start,
};
