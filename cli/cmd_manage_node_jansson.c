/* SPDX-License-Identifier: Apache-2.0
 *
 * The node itself: what it is and does, its interfaces, what is wrong, who changed what.
 */
#include "cli/manage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/interface_table.h"
#include "cli/output.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"

#define S_NS 1000000000ULL

/* What every command of a node has. */
#define OF_NODE .uses_endpoint = true, .uses_api_key = true, .group = &cmd_manage

/* ---- info ---- */

static void say(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(const char *what, const char *fmt, ...)
{
    struct buf line = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&line, fmt, ap);
    va_end(ap);
    buf_put_u8(&line, '\0');
    output_clean((char *)line.data);
    printf("%-10s %s\n", what, (const char *)line.data);
    buf_deinit(&line);
}

/* "-" for what is unknown. */
static const char *or_dash(const char *text)
{
    return text == NULL ? "-" : text;
}

static void say_captures(const json_t *captures)
{
    static const char *const stages[] = {"kernel", "interface", "store", "limit"};
    const json_t *loss = json_object_get(captures, "loss");
    char running[TEXT_NUMBER_MAX];
    char started[TEXT_NUMBER_MAX];
    char failed[TEXT_NUMBER_MAX];
    char packets[TEXT_NUMBER_MAX];
    char bytes[TEXT_NUMBER_MAX];
    struct buf line = {0};

    say("captures", "%s running, %s started since then, %s failed",
        or_dash(field_count_cell(captures, "running", running)),
        or_dash(field_count_cell(captures, "started", started)),
        or_dash(field_count_cell(captures, "failed", failed)));
    say("recorded", "%s packets, %s", or_dash(field_count_cell(captures, "packets", packets)),
        or_dash(field_size_cell(captures, "bytes", bytes)));
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        uint64_t n = field_count(loss, stages[i]);
        buf_printf(&line, "%s%s ", i > 0 ? ", " : "", stages[i]);
        if (n == UINT64_MAX) {
            buf_put_str(&line, "n/a");
        } else {
            buf_printf(&line, "%" PRIu64, n);
        }
    }
    buf_put_u8(&line, '\0');
    say("lost", "%s", (const char *)line.data);
    buf_deinit(&line);
}

static void say_store(const json_t *store)
{
    char sessions[TEXT_NUMBER_MAX];
    char bytes[TEXT_NUMBER_MAX];
    char free_bytes[TEXT_NUMBER_MAX];

    if (!field_is_true(store, "exists")) {
        say("store", "%s, not made yet", or_dash(field_text(store, "database")));
        return;
    }
    say("store", "%s: %s sessions, %s, %s free%s", or_dash(field_text(store, "database")),
        or_dash(field_count_cell(store, "sessions", sessions)),
        or_dash(field_size_cell(store, "bytes", bytes)),
        or_dash(field_size_cell(store, "free_bytes", free_bytes)),
        field_is_true(store, "encrypted") ? ", encrypted" : "");
}

static void print_info(const json_t *info)
{
    uint64_t up = field_count(info, "uptime_seconds");
    char since[TEXT_NUMBER_MAX];

    say("node", "%s", or_dash(field_text(info, "node")));
    say("version", "%s", or_dash(field_text(info, "version")));
    text_format_duration(up > UINT64_MAX / S_NS ? 0 : up * S_NS, since);
    say("up", "%s, since %s", up == UINT64_MAX ? "-" : since, or_dash(field_text(info, "started")));
    say_captures(json_object_get(info, "captures"));
    say_store(json_object_get(info, "store"));
    say("viewers", "%zu live streams", json_array_size(json_object_get(info, "streams")));
}

static int run_info(struct command_context *ctx, void *args)
{
    json_t *info = NULL;
    int rc = manage_ask(ctx, "node.info", NULL, &info);

    (void)args;
    rc = rc < 0 ? rc : manage_check_object(ctx, "node.info", &info);
    if (rc < 0) {
        return rc;
    }
    if (ctx->global.json) {
        return output_json(stdout, info, &ctx->err);
    }
    print_info(info);
    json_decref(info);
    return 0;
}

const struct command cmd_manage_info = {
    .name = "info",
    .summary = "show what the node is and does",
    OF_NODE,
    .description =
        (const char *const[]){
            "Shows name and version of the node, since when it runs, its captures, what they "
            "recorded and lost, and its store. With --json one object with more of it, as GET "
            "/api/v1/stats answers.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage info", "in words"},
            {"manage info --json | jq .captures.loss", "what was lost, for a script"},
            {NULL, NULL},
        },
    .run = run_info,
};

/* ---- list-interfaces ---- */

static int run_interfaces(struct command_context *ctx, void *args)
{
    json_t *list = NULL;
    int rc = manage_ask(ctx, "node.interfaces", NULL, &list);

    (void)args;
    rc = rc < 0 ? rc : manage_check_list(ctx, "node.interfaces", &list);
    if (rc < 0) {
        return rc;
    }
    if (ctx->global.json) {
        return output_json(stdout, list, &ctx->err);
    }
    interface_table_print(list, stdout);
    json_decref(list);
    return 0;
}

const struct command cmd_manage_list_interfaces = {
    .name = "list-interfaces",
    .summary = "list the interfaces of the node",
    OF_NODE,
    .description =
        (const char *const[]){
            "Lists what the node can capture from: the interfaces of its host, and those of "
            "uplinks as NAME:IFACE. The table and the JSON are those of 'packetrecorder "
            "list-interfaces', with the node's name in each object.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage --endpoint 10.0.0.7:50051 list-interfaces", "those of another host"},
            {NULL, NULL},
        },
    .run = run_interfaces,
};

/* ---- doctor ---- */

/* The checks as `doctor --json` has them. */
static json_t *findings_of(const json_t *answer, size_t *n_problems)
{
    const json_t *checks = json_object_get(answer, "checks");
    json_t *findings = json_array();

    for (size_t i = 0; i < json_array_size(checks); i++) {
        const json_t *check = json_array_get(checks, i);
        bool is_ok = field_is_true(check, "ok");
        json_t *one = json_object();
        json_object_set_new(one, "check", to_json_text(field_text(check, "name")));
        json_object_set_new(one, "state", json_string(is_ok ? "ok" : "problem"));
        json_object_set_new(one, "text", to_json_text(field_text(check, "detail")));
        json_object_set_new(one, "mend", to_json_text(field_text(check, "mend")));
        json_array_append_new(findings, one);
        *n_problems += !is_ok;
    }
    return findings;
}

static void print_findings(const json_t *findings, bool quiet)
{
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *one = json_array_get(findings, i);
        const char *mend = field_text(one, "mend");
        if (quiet && strcmp(or_dash(field_text(one, "state")), "ok") == 0) {
            continue;
        }
        say(or_dash(field_text(one, "state")), "%-13s %s", or_dash(field_text(one, "check")),
            or_dash(field_text(one, "text")));
        if (mend != NULL) {
            say("", "%-13s %s", "", mend);
        }
    }
}

static int run_doctor(struct command_context *ctx, void *args)
{
    json_t *answer = NULL;
    size_t n_problems = 0;
    int rc = manage_ask(ctx, "node.doctor", NULL, &answer);

    (void)args;
    rc = rc < 0 ? rc : manage_check_object(ctx, "node.doctor", &answer);
    if (rc < 0) {
        return rc;
    }
    json_t *findings = findings_of(answer, &n_problems);
    bool is_ok = field_is_true(answer, "ok");
    json_decref(answer);
    if (ctx->global.json) {
        rc = output_json(stdout, findings, &ctx->err);
    } else {
        print_findings(findings, ctx->global.quiet);
        json_decref(findings);
    }
    if (rc == 0 && (n_problems > 0 || !is_ok)) {
        rc = err_set(&ctx->err, ERR_IO, "%zu problem%s found", n_problems,
                     n_problems == 1 ? "" : "s");
    }
    return rc;
}

const struct command cmd_manage_doctor = {
    .name = "doctor",
    .summary = "find what keeps the node from its work",
    OF_NODE,
    .description =
        (const char *const[]){
            "Asks the node what is wrong with it: store, disk, captures, certificate, rights, "
            "keys, "
            "descriptors, and its swarm: members, lost datagrams, cluster key, clock, room for "
            "neighbours. Each check is a line. Ends with 1 when there is a problem. With --json an "
            "array of check, state, "
            "text and mend, as that of 'packetrecorder doctor', which looks at the host itself; "
            "--quiet leaves out what is no problem.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage doctor --quiet", "only what is wrong"},
            {NULL, NULL},
        },
    .run = run_doctor,
};

/* ---- audit ---- */

struct audit_args {
    uint64_t limit;
};

static const struct command_option audit_options[] = {
    {.name = "limit",
     .letter = 'l',
     .kind = OPT_COUNT,
     .placeholder = "N",
     .help = "The newest N.",
     .value = "100",
     .min = 1,
     .max = 10000,
     .offset = offsetof(struct audit_args, limit)},
};

static void print_audit(const json_t *list)
{
    static const struct output_column columns[] = {
        {"TIME", 0}, {"WHO", 0}, {"FROM", 0}, {"METHOD", 0}, {"TARGET", 0}, {"OUTCOME", 0},
    };
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *cells[] = {
            field_text(one, "time"),   field_text(one, "who"),    field_text(one, "peer"),
            field_text(one, "method"), field_text(one, "target"), field_text(one, "outcome"),
        };
        output_table_add(table, cells);
    }
    output_table_print(table, stdout);
    output_table_free(table);
}

static int run_audit(struct command_context *ctx, void *args_)
{
    const struct audit_args *args = args_;
    json_t *call = json_object();
    json_t *list = NULL;

    manage_set_count(call, "limit", args->limit);
    int rc = manage_ask(ctx, "node.audit", call, &list);
    rc = rc < 0 ? rc : manage_check_list(ctx, "node.audit", &list);
    if (rc < 0) {
        return rc;
    }
    if (ctx->global.json) {
        return output_json(stdout, list, &ctx->err);
    }
    print_audit(list);
    json_decref(list);
    return 0;
}

const struct command cmd_manage_audit = {
    .name = "audit",
    .summary = "show who changed what on the node",
    .options = audit_options,
    .n_options = ARRAY_LEN(audit_options),
    .args_size = sizeof(struct audit_args),
    OF_NODE,
    .description =
        (const char *const[]){
            "Lists the calls that changed something, oldest first: when, who (key or user), from "
            "where, method, target, outcome. The node keeps the newest. Needs a key of the role "
            "admin.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage audit -l 20", "the newest twenty"},
            {NULL, NULL},
        },
    .run = run_audit,
};
