/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/doctor.h"
#include "cli/output.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/to_json.h"
#include "shared/options/node_config.h"

static const char *const state_names[] = {"ok", "note", "problem"};

/* The configuration is what the other checks look with: without it they would look elsewhere. */
static int load(struct command_context *ctx, struct doctor_report *report)
{
    const struct node_options *options = ctx->args;
    int rc = node_config_load(ctx, getenv, clock_wall_ns());

    report->check = "configuration";
    if (rc < 0) {
        char *mend = options->config == NULL
                         ? x_strdup("packetrecorder config show")
                         : x_sprintf("packetrecorder config check %s", options->config);
        doctor_say(report, DOCTOR_PROBLEM, mend, "%s", ctx->err.text);
        mem_free(mend);
        ctx->err = (struct err){0};
    } else if (options->config != NULL) {
        doctor_say(report, DOCTOR_OK, NULL, "'%s' is good", options->config);
    } else {
        doctor_say(report, DOCTOR_OK, NULL, "no configuration file: flags and defaults");
    }
    return rc;
}

static int print_json(const struct doctor_report *report, struct err *err)
{
    json_t *array = json_array();

    for (size_t i = 0; i < report->n; i++) {
        const struct doctor_finding *finding = &report->items[i];
        json_t *one = json_object();
        json_object_set_new(one, "check", json_string(finding->check));
        json_object_set_new(one, "state", json_string(state_names[finding->state]));
        json_object_set_new(one, "text", to_json_text(finding->text));
        json_object_set_new(one, "mend", to_json_text(finding->mend));
        json_array_append_new(array, one);
    }
    return output_json(stdout, array, err);
}

static void print_line(const char *state, const char *check, const char *text)
{
    struct buf line = {0};

    output_put_name(&line, text);
    printf("%-8s %-13s %.*s\n", state, check, (int)line.len, (const char *)line.data);
    buf_deinit(&line);
}

static void print_text(const struct doctor_report *report, bool quiet)
{
    for (size_t i = 0; i < report->n; i++) {
        const struct doctor_finding *finding = &report->items[i];
        if (quiet && finding->state != DOCTOR_PROBLEM) {
            continue;
        }
        print_line(state_names[finding->state], finding->check, finding->text);
        if (finding->mend != NULL) {
            print_line("", "", finding->mend);
        }
    }
}

static int run(struct command_context *ctx, void *args)
{
    struct doctor_report report = {0};
    struct doctor_host *host = x_alloc(sizeof *host);
    const struct doctor doctor = {.options = args, .host = host};

    if (load(ctx, &report) == 0) {
        doctor_look(args, host);
        doctor_run(doctor_checks, &doctor, &report);
        doctor_run(doctor_tries, &doctor, &report);
        doctor_host_deinit(host);
    }
    int rc = 0;
    if (ctx->global.json) {
        rc = print_json(&report, &ctx->err);
    } else {
        print_text(&report, ctx->global.quiet);
    }
    if (rc == 0 && report.n_problems > 0) {
        rc = err_set(&ctx->err, ERR_DAMAGED, "%zu problem%s found", report.n_problems,
                     report.n_problems == 1 ? "" : "s");
    }
    doctor_report_deinit(&report);
    mem_free(host);
    return rc;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "find what is wrong on this host, and what mends it",
    .options = node_option_table,
    .n_options = N_NODE_OPTIONS,
    .args_size = sizeof(struct node_options),
    .description =
        (const char *const[]){
            "Looks at this host as a node with these options (and this environment and "
            "configuration file) would use it: rights, capture buffers, kernel settings, "
            "offloads, clock, disk and store, keys, ports, what a swarm needs, Wireshark. Nothing "
            "is changed. How the node itself is, and its swarm, says 'manage doctor'.",
            "Each finding is a line: ok, note or problem, and below it the command that mends it. "
            "Ends with 1 when there is a problem. With --json one array of check, state, text and "
            "mend; --quiet leaves out what is no problem.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"doctor --config /etc/packetrecorder/packetrecorder.conf --user packetrecorder",
             "before the service is started"},
            {"doctor --json | jq -r '.[] | select(.state == \"problem\") | .mend'",
             "the commands that mend it"},
            {NULL, NULL},
        },
    .run = run,
};
