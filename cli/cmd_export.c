/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "cli/session_choice.h"
#include "cli/signals_posix.h"
#include "cli/terminal_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/store/export.h"
#include "shared/base/to_json.h"

struct export_args {
    struct store_args store;
    struct option_list sessions;
    const char *output;
    int format; /* enum export_format, -1 = by the name */
    const char *filter;
    struct range_args range;
    uint64_t limit;
    bool show_data;
    bool force;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct export_args, store),
    OPTION_SESSIONS(struct export_args, sessions),
    {.name = "output",
     .letter = 'o',
     .kind = OPT_STRING,
     .placeholder = "FILE",
     .help = "Where the packets go; '-' is standard output.",
     .complete = COMPLETE_FILE,
     .required = true,
     .offset = offsetof(struct export_args, output)},
    {.name = "format",
     .kind = OPT_CHOICE,
     .placeholder = "FORMAT",
     .help = "What to write: pcap is the classic one with nanoseconds, json an object a line, "
             "sqlite a row a packet.",
     .note = "by the suffix of FILE, else pcapng",
     .words = export_format_names,
     .offset = offsetof(struct export_args, format)},
    OPTION_FILTER(struct export_args, filter),
    OPTIONS_RANGE(struct export_args, range),
    {.name = "limit",
     .letter = 'l',
     .kind = OPT_COUNT,
     .placeholder = "N",
     .help = "Export at most N packets; 0 means all.",
     .value = "0",
     .offset = offsetof(struct export_args, limit)},
    {.name = "show-data",
     .kind = OPT_FLAG,
     .help = "In json and csv also the bytes of each packet, in hex, as data.",
     .offset = offsetof(struct export_args, show_data)},
    {.name = "force",
     .kind = OPT_FLAG,
     .help = "Replace FILE when it exists.",
     .offset = offsetof(struct export_args, force)},
};

struct watching {
    struct progress progress;
};

static bool on_look(void *arg, uint64_t done, uint64_t total)
{
    struct watching *w = arg;
    int number;

    while ((number = signals_next()) != 0) {
        if (number != SIGUSR1) {
            return false;
        }
    }
    progress_say(&w->progress, "export %u%% %" PRIu64 " of %" PRIu64 " packets",
                 total == 0 ? 100 : (unsigned)((double)done * 100 / (double)total), done, total);
    return true;
}

static json_t *result_json(const struct export_spec *spec, const struct export_result *result)
{
    json_t *sessions = json_array();

    for (size_t i = 0; i < spec->n; i++) {
        json_array_append_new(sessions, json_string(spec->sessions[i].id));
    }
    json_t *object = json_object();
    json_object_set_new(object, "output", to_json_text(spec->path));
    json_object_set_new(object, "format", json_string(export_format_names[spec->format]));
    json_object_set_new(object, "sessions", sessions);
    json_object_set_new(object, "packets", to_json_count(result->packets));
    json_object_set_new(object, "bytes", to_json_count(result->packet_bytes));
    json_object_set_new(object, "file_bytes", to_json_count(result->file_bytes));
    json_object_set_new(object, "left_out", to_json_count(result->left_out));
    json_object_set_new(object, "damaged_packets", to_json_count(result->damage.packets));
    json_object_set_new(object, "deleted_packets", to_json_count(result->damage.gone_packets));
    return object;
}

static void tell_text(const struct export_spec *spec, const struct export_result *result)
{
    char size[TEXT_NUMBER_MAX];
    bool is_stdout = strcmp(spec->path, "-") == 0;

    text_format_size(result->file_bytes, size);
    fprintf(stderr, "%" PRIu64 " packets, %" PRIu64 " bytes (%s) written to %s%s%s as %s\n",
            result->packets, result->file_bytes, size, is_stdout ? "standard output" : "'",
            is_stdout ? "" : spec->path, is_stdout ? "" : "'", export_format_names[spec->format]);
}

/* What is there, and then what is missing: exit 3. */
static int tell_result(struct command_context *ctx, const struct export_spec *spec,
                       const struct export_result *result)
{
    int r = 0;

    if (!ctx->global.quiet) {
        tell_text(spec, result);
    }
    if (ctx->global.json && strcmp(spec->path, "-") != 0) {
        r = output_json(stdout, result_json(spec, result), &ctx->err);
    }
    if (r == 0 && result->left_out > 0) {
        r = err_set(&ctx->err, ERR_PARTLY, "%" PRIu64 " packets were left out: %s",
                    result->left_out, result->left_why);
    }
    int damage = session_choice_damage(&result->damage, r == 0 ? &ctx->err : NULL);
    return r < 0 ? r : damage;
}

static int export(struct command_context *ctx, const struct export_args *args, struct store *store,
                  const struct session_choice *choice)
{
    struct watching watching;
    struct export_result result;
    const struct export_spec spec = {
        .sessions = choice->sessions,
        .n = choice->n,
        .from_ns = args->range.from_ns,
        .to_ns = args->range.to_ns,
        .filter = args->filter,
        .limit = args->limit,
        .with_data = args->show_data,
        .format =
            args->format >= 0 ? (enum export_format)args->format : export_format_of(args->output),
        .path = args->output,
        .force = args->force,
        .application = "packetrecorder " PR_VERSION,
        .go_on = on_look,
        .go_on_arg = &watching,
    };
    bool is_text = spec.format == EXPORT_JSON || spec.format == EXPORT_CSV;
    if (strcmp(args->output, "-") == 0 && !is_text && terminal_is_on(stdout)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "packets are not for a terminal; send standard output to a file or a "
                       "program, or choose --format json or csv");
    }
    /* A pipe may block for ever: there an interrupt just ends the program. */
    int r = export_makes_file(args->output) ? signals_catch(&ctx->err) : 0;

    if (r < 0) {
        return r;
    }
    session_choice_check_filter(choice, args->filter);
    signal(SIGPIPE, SIG_IGN);
    progress_start(&watching.progress, ctx);
    r = export_run(store, &spec, &result, &ctx->err);
    progress_end(&watching.progress);
    signals_release();
    if (r == -EPIPE) { /* as tcpdump: whoever read has seen enough */
        ctx->err = (struct err){0};
        return 0;
    }
    return r < 0 ? r : tell_result(ctx, &spec, &result);
}

static int run(struct command_context *ctx, void *args_)
{
    const struct export_args *args = args_;
    struct session_choice choice = {0};
    struct store *store = NULL;

    if (args->range.from_ns > args->range.to_ns) {
        return err_set(&ctx->err, ERR_USAGE, "--from is later than --to");
    }
    int r = database_open(&args->store, STORE_READ, &store, &ctx->err);
    r = r < 0 ? r : session_choice_make(store, &args->sessions, &choice, &ctx->err);
    r = r < 0 ? r : export(ctx, args, store, &choice);
    session_choice_deinit(&choice);
    store_close(store);
    return r;
}

const struct command cmd_export = {
    .name = "export",
    .summary = "write packets of a store to a file",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct export_args),
    .description =
        (const char *const[]){
            "Writes packets where other programs can read them. The format follows the suffix of "
            "FILE: .pcap classic pcap, .json .ndjson .jsonl an object a line, .csv a table (RFC "
            "4180), .sqlite .sqlite3 .db an unencrypted SQLite file with the tables packets and "
            "sessions, everything else pcapng.",
            "-s is not needed when the store holds one session. One session keeps the order it was "
            "recorded in; several are merged in the order of their times. A pcapng file names "
            "session and node of each interface and ends with the counters of what was lost.",
            "FILE appears when it is complete, readable by its owner alone; until then it has a "
            "hidden name in the same directory, and nothing is left of it after a failure or an "
            "interrupt. A classic pcap file holds one link type; packets of several are refused.",
            "Ends with 3 when some packets could not be read or do not fit the format; the others "
            "are in FILE.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"export -d packets.db -s last -o last.pcapng", "the newest session for Wireshark"},
            {"export -s all -o - -- port 53 | tcpdump -nr -", "DNS of all sessions, merged"},
            {"export -s last -o packets.sqlite", "a row a packet, for any SQL tool"},
            {NULL, NULL},
        },
    .run = run,
};
