/* SPDX-License-Identifier: Apache-2.0
 *
 * A session of a node as a capture file here. What the node sends is asked for piece by piece, so
 * that nothing comes faster than it is written, and goes on where it stopped.
 */
#include "cli/manage.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "cli/pull.h"
#include "cli/terminal_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/crc32c.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"

#define PIECE_BYTES (4u * 1024u * 1024u) /* what a node gives at most */
#define PIECE_MIN   (64u * 1024u)
#define BREAKS_MAX  5u      /* in a row, without a byte between them */
#define EMPTY_MAX   100000u /* pieces in a row without a byte */

static const char *const formats[] = {"pcapng", "pcap", NULL};

struct download_args {
    struct option_list sessions;
    const char *capture_id;
    const char *output;
    int format;
    const char *filter;
    struct range_args range;
    uint64_t rate;
    bool force;
};

#define AT(member) .offset = offsetof(struct download_args, member)

/* clang-format off */
static const struct command_option options[] = {
    {.name = "session-id", .aliases = {"session"}, .letter = 's', .kind = OPT_LIST,
     .placeholder = "SESSION",
     .help = "Session of the node: id, a prefix of at least 8 characters, its name, or 'last'. "
             "Several, or those of several nodes (--nodes, --all, --select), become one file.",
     AT(sessions)},
    {.name = "capture-id", .kind = OPT_STRING, .placeholder = "ID",
     .help = "All sessions of a coordinated capture, of all its nodes: its id, a prefix, its name, "
             "or 'last'.", AT(capture_id)},
    {.name = "output", .letter = 'o', .kind = OPT_STRING, .placeholder = "FILE",
     .help = "Where the packets go; '-' is standard output.", .complete = COMPLETE_FILE,
     .required = true, AT(output)},
    {.name = "format", .kind = OPT_CHOICE, .placeholder = "FORMAT",
     .help = "What to write: pcap is the classic one with nanoseconds.",
     .note = "pcap when FILE ends in .pcap, else pcapng", .words = formats, AT(format)},
    OPTION_FILTER(struct download_args, filter),
    OPTIONS_RANGE(struct download_args, range),
    {.name = "limit-rate", .kind = OPT_SIZE, .placeholder = "BYTES",
     .help = "At most so many bytes a second.", AT(rate)},
    {.name = "force", .kind = OPT_FLAG, .help = "Replace FILE when it exists.", AT(force)},
};
/* clang-format on */

struct download {
    struct command_context *ctx;
    const struct download_args *args;
    struct manage *manage;
    enum capture_shape_kind kind;
    char *id; /* the session's whole one */
    struct download_part part;
    struct progress progress;
    uint64_t total; /* bytes of packets of the session; 0 = unknown */
    uint64_t missing;
    uint64_t left_out;
};

static int format_of(const struct download_args *args)
{
    size_t n = strlen(args->output);

    if (args->format >= 0) {
        return args->format;
    }
    return n > 5 && strcmp(args->output + n - 5, ".pcap") == 0 ? CAPTURE_SHAPE_PCAP
                                                               : CAPTURE_SHAPE_PCAPNG;
}

/* What "last" or a name means may change; the id does not. */
static int find_session(struct download *d)
{
    struct command_context *ctx = d->ctx;
    json_t *args = json_object();
    json_t *session = NULL;

    manage_set_text(args, "session_id", d->args->sessions.items[0]);
    int rc = manage_call(d->manage, "capture.stats", args, &session, &ctx->err);
    rc = rc < 0 ? rc : manage_check_object(ctx, "capture.stats", &session);
    if (rc < 0) {
        return rc;
    }
    const char *id = field_text(session, "id");
    uint64_t bytes = field_count(session, "bytes");
    bool all = d->args->filter == NULL && d->args->range.from_ns == 0 &&
               d->args->range.to_ns == UINT64_MAX;
    if (id == NULL) {
        rc = err_set(&ctx->err, ERR_DAMAGED, "the node answered with a session that has no id");
    } else {
        d->id = x_strdup(id);
        d->total = all && bytes != UINT64_MAX ? bytes : 0;
    }
    json_decref(session);
    return rc;
}

/* The arguments of session.read but for the cursor; they name the part file's content too. */
static json_t *what_of(const struct download *d)
{
    json_t *what = json_object();

    manage_set_text(what, "session_id", d->id);
    manage_set_text(what, "format", formats[d->kind]);
    manage_set_text(what, "filter", d->args->filter);
    manage_set_range(what, d->args->range.from_ns, d->args->range.to_ns);
    return what;
}

static int check_piece(const struct download *d, const struct manage_chunk *piece)
{
    struct err *err = &d->ctx->err;

    if (piece->offset != d->part.offset) {
        return err_set(err, ERR_DAMAGED,
                       "the node sends byte %" PRIu64 " of the file where byte %" PRIu64
                       " was asked for",
                       piece->offset, d->part.offset);
    }
    if (crc32c(0, piece->data, piece->n) != piece->checksum) {
        return err_set(err, ERR_DAMAGED, "a piece of the file was altered on its way");
    }
    if (piece->n == 0 && piece->next != NULL && d->part.cursor != NULL &&
        strcmp(piece->next, d->part.cursor) == 0) {
        return err_set(err, ERR_DAMAGED, "the node gives the same piece again and again");
    }
    return 0;
}

/* One piece: 1 when more follow. */
static int pull_piece(struct download *d)
{
    struct err *err = &d->ctx->err;
    struct manage_chunk piece = {0};
    json_t *args = json_deep_copy(d->part.what);

    manage_set_text(args, "cursor", d->part.cursor);
    uint64_t share = d->args->rate / 4; /* four a second, where there is a limit */
    manage_set_count(args, "max_bytes",
                     share == 0 || share > PIECE_BYTES ? PIECE_BYTES
                     : share < PIECE_MIN               ? PIECE_MIN
                                                       : share);
    int rc = manage_read(d->manage, args, &piece, err);
    if (rc < 0) {
        return rc;
    }
    rc = check_piece(d, &piece);
    rc = rc < 0 ? rc : download_part_append(&d->part, piece.data, piece.n, piece.next, err);
    d->missing = piece.missing;
    d->left_out = piece.left_out;
    bool more = piece.next != NULL;
    mem_free(piece.next);
    return rc < 0 ? rc : more;
}

/* After the connection broke. */
static int go_on(struct download *d, unsigned breaks)
{
    struct err *err = &d->ctx->err;
    const struct manage_args *args = manage_args_of(d->ctx);
    struct err why = *err;

    if (breaks > BREAKS_MAX) {
        return err->code;
    }
    progress_end(&d->progress);
    if (!d->ctx->global.quiet) {
        fprintf(stderr, "%s: trying to go on\n", why.text);
    }
    uint64_t now_ns = clock_monotonic_ns();
    return manage_open_again(
        d->manage, args->timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + args->timeout_ns,
        err);
}

/* So long that the bytes that came are no more than the rate allows; an interrupt ends it. */
static void keep_to_rate(const struct download *d, uint64_t started_ns)
{
    double came = (double)(d->part.offset - d->part.resumed_at);
    double due_ms = d->args->rate == 0 ? 0 : came / (double)d->args->rate * 1e3;
    double now_ms = (double)(clock_monotonic_ns() - started_ns) / 1e6;

    while (due_ms > now_ms && !manage_was_interrupted()) {
        (void)poll(NULL, 0, due_ms - now_ms > 1000 ? 1000 : (int)(due_ms - now_ms) + 1);
        now_ms = (double)(clock_monotonic_ns() - started_ns) / 1e6;
    }
}

static int pull(struct download *d)
{
    const uint64_t started_ns = clock_monotonic_ns();
    unsigned breaks = 0;
    unsigned empty = 0;
    int rc = d->part.resumed_at > 0 && d->part.cursor == NULL ? 0 : 1;

    while (rc > 0) {
        uint64_t before = d->part.offset;
        rc = manage_was_interrupted() ? ERR_INTERRUPTED : pull_piece(d);
        if (rc < 0 && rc != ERR_INTERRUPTED && manage_is_broken(d->manage)) {
            rc = go_on(d, ++breaks);
            rc = rc < 0 ? rc : 1;
            continue;
        }
        breaks = d->part.offset > before ? 0 : breaks;
        empty = d->part.offset > before ? 0 : empty + 1;
        if (rc > 0 && empty > EMPTY_MAX) {
            return err_set(&d->ctx->err, ERR_LIMIT, "the node finds nothing and does not end");
        }
        keep_to_rate(d, started_ns);
        progress_update(&d->progress, "download", d->part.offset,
                        d->part.offset < d->total ? d->total : 0);
    }
    if (rc == 0 && !capture_shape_is_whole(&d->part.shape)) {
        return err_set(&d->ctx->err, ERR_DAMAGED,
                       "the node ended the file in the middle of a block");
    }
    return rc;
}

/* ---- the end ---- */

static json_t *result_json(const struct download *d)
{
    json_t *object = json_object();
    json_t *sessions = json_array();

    json_array_append_new(sessions, to_json_text(d->id));
    json_object_set_new(object, "output", to_json_text(d->args->output));
    json_object_set_new(object, "format", json_string(formats[d->kind]));
    json_object_set_new(object, "sessions", sessions);
    json_object_set_new(object, "packets", to_json_count(d->part.shape.packets));
    json_object_set_new(object, "file_bytes", to_json_count(d->part.offset));
    json_object_set_new(object, "resumed_at", to_json_count(d->part.resumed_at));
    json_object_set_new(object, "missing", to_json_count(d->missing));
    json_object_set_new(object, "left_out", to_json_count(d->left_out));
    return object;
}

static int tell_result(struct download *d)
{
    struct command_context *ctx = d->ctx;
    bool is_stdout = strcmp(d->args->output, "-") == 0;
    char size[TEXT_NUMBER_MAX];

    text_format_size(d->part.offset, size);
    if (!ctx->global.quiet) {
        fprintf(stderr, "%" PRIu64 " packets, %" PRIu64 " bytes (%s) written to %s%s%s as %s\n",
                d->part.shape.packets, d->part.offset, size, is_stdout ? "standard output" : "'",
                is_stdout ? "" : d->args->output, is_stdout ? "" : "'", formats[d->kind]);
    }
    int rc = ctx->global.json && !is_stdout ? output_json(stdout, result_json(d), &ctx->err) : 0;
    if (rc == 0 && (d->missing > 0 || d->left_out > 0)) {
        rc =
            err_set(&ctx->err, ERR_PARTLY,
                    "%" PRIu64 " packets could not be read (damaged or deleted meanwhile), %" PRIu64
                    " cannot stand in a file of this format",
                    d->missing, d->left_out);
    }
    return rc;
}

/* What is there stays. The sentence says how to go on. */
static int tell_part(struct download *d, int rc)
{
    struct err *err = &d->ctx->err;
    bool saved =
        d->part.path != NULL && d->part.offset > 0 && download_part_save(&d->part, NULL) == 0;
    char why[600];

    snprintf(why, sizeof why, "%.590s", rc == ERR_INTERRUPTED ? "interrupted" : err->text);
    if (!saved || rc == ERR_EXISTS) {
        return rc == ERR_INTERRUPTED ? err_set(err, rc, "interrupted") : rc;
    }
    return err_set(err, rc, "%s; %" PRIu64 " bytes are in '%s', and the same command goes on there",
                   why, d->part.offset, d->part.path);
}

static int check(struct command_context *ctx, const struct download_args *args)
{
    if ((args->sessions.n > 0) == (args->capture_id != NULL)) {
        return err_set(
            &ctx->err, ERR_USAGE,
            args->capture_id != NULL
                ? "--session-id and --capture-id exclude each other: a capture is all its "
                  "sessions"
                : "name what to download: --session-id or --capture-id");
    }
    if (args->range.from_ns > args->range.to_ns) {
        return err_set(&ctx->err, ERR_USAGE, "--from is later than --to");
    }
    if (strcmp(args->output, "-") == 0) {
        return terminal_is_on(stdout)
                   ? err_set(&ctx->err, ERR_USAGE,
                             "packets do not belong on a terminal: name a FILE with -o, or pipe "
                             "them into a program")
                   : 0;
    }
    struct stat st;
    if (!args->force && stat(args->output, &st) == 0 && S_ISREG(st.st_mode)) {
        return err_set(&ctx->err, ERR_EXISTS, "'%s' exists: --force replaces it", args->output);
    }
    return 0;
}

static int download(struct download *d)
{
    struct command_context *ctx = d->ctx;
    const char *note = NULL;
    int rc = find_session(d);

    if (rc < 0) {
        return rc;
    }
    rc = download_part_open(&d->part,
                            &(struct download_part_opts){
                                .output = d->args->output, .what = what_of(d), .kind = d->kind},
                            &note, &ctx->err);
    if (rc < 0) {
        return rc;
    }
    if (note != NULL && !ctx->global.quiet) {
        fprintf(stderr, "'%s' %s: from the beginning\n", d->part.path, note);
    }
    if (d->part.resumed_at > 0 && !ctx->global.quiet) {
        fprintf(stderr, "going on behind %" PRIu64 " bytes in '%s'\n", d->part.resumed_at,
                d->part.path);
    }
    manage_catch_interrupts(d->manage);
    progress_start(&d->progress, ctx);
    rc = pull(d);
    progress_end(&d->progress);
    rc = rc < 0 ? rc : download_part_finish(&d->part, d->args->force, &ctx->err);
    if (rc == -EPIPE) {
        return rc;
    }
    return rc < 0 ? tell_part(d, rc) : tell_result(d);
}

static int merged(struct download *d, const struct pull_request *request)
{
    const struct pull_opts opts = {.output = d->args->output,
                                   .is_classic = d->kind == CAPTURE_SHAPE_PCAP,
                                   .filter = d->args->filter,
                                   .from_ns = d->args->range.from_ns,
                                   .to_ns = d->args->range.to_ns,
                                   .rate = d->args->rate,
                                   .force = d->args->force};
    int rc = manage_open_for_nodes(d->ctx, &d->manage);

    rc = rc < 0 ? rc : pull_run(d->ctx, d->manage, request, &opts);
    manage_close(d->manage);
    return rc;
}

static int run(struct command_context *ctx, void *args_)
{
    struct download d = {.ctx = ctx, .args = args_, .part = {.fd = -1}};
    int rc = check(ctx, d.args);

    if (rc < 0) {
        return rc;
    }
    d.kind = (enum capture_shape_kind)format_of(d.args);
    const struct pull_request request = {&d.args->sessions, d.args->capture_id};
    if (!pull_is_of_one(ctx, &request)) {
        return merged(&d, &request);
    }
    rc = manage_open(ctx, &d.manage);
    rc = rc < 0 ? rc : download(&d);
    download_part_close(&d.part);
    manage_close(d.manage);
    mem_free(d.id);
    return rc;
}

const struct command cmd_manage_download_pcap = {
    .name = "download-pcap",
    .summary = "download sessions of one node or many as a capture file",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct download_args),
    .uses_endpoint = true,
    .uses_api_key = true,
    .group = &cmd_manage,
    .description =
        (const char *const[]){
            "Writes the packets of a session to FILE, or to standard output; the bytes are those "
            "that 'packetrecorder export' on the node writes. Every piece is checked, and FILE "
            "appears when all of it is there.",
            "Until then the bytes are in FILE.part, with FILE.part.state beside it. When the "
            "download is interrupted or the connection breaks for longer than --timeout, they "
            "stay, and the same command goes on there. Needs a key of the role capture.",
            "Sessions of several nodes, and those of a coordinated capture, are merged in the "
            "order "
            "of time while they come in, their times corrected by what is known of each node's "
            "clock; all pass through the node asked. FILE.json then says what is in FILE, from "
            "whom, what each node lost and how its clock stood (docs/merged-files.md). A node that "
            "fails is tried again for a few seconds; FILE is then written from the others.",
            "With --json an object at the end, for a merged one that of FILE.json, else: output, "
            "format, sessions, packets, file_bytes, "
            "resumed_at, missing, left_out. Ends with 3 when packets or nodes are missing.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage download-pcap -s dns -o dns.pcapng", "a whole session"},
            {"manage download-pcap --capture-id web -o web.pcapng",
             "what a coordinated capture recorded on all its nodes"},
            {"manage download-pcap -s last -o - -- tcp port 443 | tshark -r -",
             "some packets of the newest, into a program"},
            {NULL, NULL},
        },
    .run = run,
};
