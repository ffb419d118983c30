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
#include "cli/manage_nodes.h"
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

static const char *up_of(const json_t *info, char out[TEXT_NUMBER_MAX])
{
    uint64_t up = field_count(info, "uptime_seconds");

    text_format_duration(up > UINT64_MAX / S_NS ? 0 : up * S_NS, out);
    return up == UINT64_MAX ? "-" : out;
}

/* What is known to be lost, at all stages but for limits. */
static const char *lost_of(const json_t *captures, char out[TEXT_NUMBER_MAX])
{
    static const char *const stages[] = {"kernel", "interface", "store"};
    const json_t *loss = json_object_get(captures, "loss");
    uint64_t sum = 0;
    bool is_known = false;

    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        uint64_t n = field_count(loss, stages[i]);
        is_known = is_known || n != UINT64_MAX;
        sum += n == UINT64_MAX ? 0 : n;
    }
    snprintf(out, TEXT_NUMBER_MAX, "%" PRIu64, sum);
    return is_known ? out : NULL;
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
    char since[TEXT_NUMBER_MAX];

    say("node", "%s", or_dash(field_text(info, "node")));
    say("version", "%s", or_dash(field_text(info, "version")));
    say("up", "%s, since %s", up_of(info, since), or_dash(field_text(info, "started")));
    say_captures(json_object_get(info, "captures"));
    say_store(json_object_get(info, "store"));
    say("viewers", "%zu live streams", json_array_size(json_object_get(info, "streams")));
}

/* Of several nodes a line each. */
static void print_infos(const json_t *list)
{
    static const struct output_column columns[] = {
        {"NODE", 0},  {"VERSION", 0}, {"UP", 1},       {"CAPTURES", 1}, {"PACKETS", 1},
        {"BYTES", 1}, {"LOST", 1},    {"SESSIONS", 1}, {"STORED", 1},   {"FREE", 1},
    };
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *info = json_array_get(list, i);
        const json_t *captures = json_object_get(info, "captures");
        const json_t *store = json_object_get(info, "store");
        char up[TEXT_NUMBER_MAX], running[TEXT_NUMBER_MAX], packets[TEXT_NUMBER_MAX];
        char bytes[TEXT_NUMBER_MAX], sessions[TEXT_NUMBER_MAX], stored[TEXT_NUMBER_MAX];
        char free_bytes[TEXT_NUMBER_MAX], lost[TEXT_NUMBER_MAX];
        const char *cells[] = {
            field_text(info, "node"),
            field_text(info, "version"),
            up_of(info, up),
            field_count_cell(captures, "running", running),
            field_count_cell(captures, "packets", packets),
            field_size_cell(captures, "bytes", bytes),
            lost_of(captures, lost),
            field_count_cell(store, "sessions", sessions),
            field_size_cell(store, "bytes", stored),
            field_size_cell(store, "free_bytes", free_bytes),
        };
        output_table_add(table, cells);
    }
    output_table_print(table, stdout);
    output_table_free(table);
}

static int run_info(struct command_context *ctx, void *args)
{
    struct manage_rows rows;
    int rc = manage_ask_objects(ctx, "node.info", NULL, &rows);

    (void)args;
    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    if (rows.of_nodes) {
        print_infos(rows.list);
    } else {
        print_info(json_array_get(rows.list, 0));
    }
    return manage_rows_end(&rows);
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
    struct manage_rows rows;
    int rc = manage_ask_rows(ctx, "node.interfaces", NULL, &rows);

    (void)args;
    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    interface_table_print(rows.list, rows.of_nodes, stdout);
    return manage_rows_end(&rows);
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

/* The checks as `doctor --json` has them; of several nodes each with its node. */
static void add_findings(const json_t *answer, json_t *findings)
{
    const json_t *checks = json_object_get(answer, "checks");
    json_t *node = json_object_get(answer, "node");

    for (size_t i = 0; i < json_array_size(checks); i++) {
        const json_t *check = json_array_get(checks, i);
        json_t *one = json_object();
        if (node != NULL) {
            json_object_set(one, "node", node);
        }
        json_object_set_new(one, "check", to_json_text(field_text(check, "name")));
        json_object_set_new(one, "state",
                            json_string(field_is_true(check, "ok") ? "ok" : "problem"));
        json_object_set_new(one, "text", to_json_text(field_text(check, "detail")));
        json_object_set_new(one, "mend", to_json_text(field_text(check, "mend")));
        json_array_append_new(findings, one);
    }
}

static bool is_problem(const json_t *finding)
{
    return strcmp(or_dash(field_text(finding, "state")), "ok") != 0;
}

/* A node's name stands above its findings. */
static void print_findings(const json_t *findings, bool quiet)
{
    const char *last = NULL;

    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *one = json_array_get(findings, i);
        const char *mend = field_text(one, "mend");
        const char *node = field_text(one, "node");
        if (quiet && !is_problem(one)) {
            continue;
        }
        if (node != NULL && (last == NULL || strcmp(last, node) != 0)) {
            say("node", "%s", node);
            last = node;
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
    struct manage_rows rows;
    json_t *findings;
    size_t n = 0;
    bool is_ok = true;
    int rc = manage_ask_objects(ctx, "node.doctor", NULL, &rows);

    (void)args;
    if (rc < 0) {
        return rc;
    }
    findings = json_array();
    for (size_t i = 0; i < json_array_size(rows.list); i++) {
        add_findings(json_array_get(rows.list, i), findings);
        is_ok = is_ok && field_is_true(json_array_get(rows.list, i), "ok");
    }
    for (size_t i = 0; i < json_array_size(findings); i++) {
        n += is_problem(json_array_get(findings, i));
    }
    if (ctx->global.json) {
        rc = output_json(stdout, findings, rows.outcome < 0 ? NULL : &ctx->err);
    } else {
        print_findings(findings, ctx->global.quiet);
        json_decref(findings);
    }
    int outcome = manage_rows_end(&rows);
    if (n > 0 || !is_ok) { /* worse than a node that is not there */
        return err_set(&ctx->err, ERR_IO, "%zu problem%s found", n, n == 1 ? "" : "s");
    }
    return outcome < 0 ? outcome : rc;
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

static void print_audit(const struct manage_rows *rows)
{
    static const struct output_column columns[] = {
        {"NODE", 0},   {"TIME", 0},   {"WHO", 0},     {"FROM", 0},
        {"METHOD", 0}, {"TARGET", 0}, {"OUTCOME", 0},
    };
    size_t first = !rows->of_nodes;
    struct output_table *table = output_table_new(columns + first, ARRAY_LEN(columns) - first);

    for (size_t i = 0; i < json_array_size(rows->list); i++) {
        const json_t *one = json_array_get(rows->list, i);
        const char *cells[] = {
            field_text(one, "node"),    field_text(one, "time"),   field_text(one, "who"),
            field_text(one, "peer"),    field_text(one, "method"), field_text(one, "target"),
            field_text(one, "outcome"),
        };
        output_table_add(table, cells + first);
    }
    output_table_print(table, stdout);
    output_table_free(table);
}

static int run_audit(struct command_context *ctx, void *args_)
{
    const struct audit_args *args = args_;
    json_t *call = json_object();
    struct manage_rows rows;

    manage_set_count(call, "limit", args->limit);
    int rc = manage_ask_rows(ctx, "node.audit", call, &rows);
    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    print_audit(&rows);
    return manage_rows_end(&rows);
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
