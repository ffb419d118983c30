/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of a merged download: who is asked for more, what came, what goes out.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/output.h"
#include "cli/pull.h"
#include "shared/base/clock_posix.h"
#include "shared/base/crc32c.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/wire/rpc_client.h"

#define PIECES_BYTES  (64u * 1024u * 1024u) /* a piece of each source, together */
#define PIECE_MAX     (2u * 1024u * 1024u)
#define PIECE_MIN     (64u * 1024u)
#define OUT_BYTES     (4u * 1024u * 1024u)
#define ASKED_MAX     32u /* calls under way at once */
#define BREAKS_MAX    5u  /* in a row, without a byte between them */
#define EMPTY_MAX     100000u
#define PAUSE_NS      200000000ULL /* after the first failure; twice as long after each */
#define SAVE_EVERY_NS 1000000000ULL
#define LOOK_NS       200000000ULL

/* ---- streams ---- */

void pull_end_stream(struct pull *pull, uint32_t i, const char *why)
{
    struct pull_stream *stream = &pull->streams[i];
    struct err err = {0};
    int rc = merge_end(pull->merge, i, &err);

    stream->is_done = true;
    if (why == NULL && rc < 0) {
        why = merge_told(pull->merge, i).why;
    }
    if (why == NULL || stream->why != NULL) {
        return;
    }
    stream->why = x_strdup(why);
    progress_end(&pull->progress);
    struct buf line = {0};
    output_put_name(&line, pull->plan.sources[i].node);
    buf_put_str(&line, ": ");
    output_put_name(&line, why);
    fprintf(stderr, "%.*s\n", (int)line.len, (const char *)line.data);
    buf_deinit(&line);
}

/* What helps nothing to ask for again. */
static bool is_final(int rc)
{
    return rc == ERR_NOT_FOUND || rc == ERR_AMBIGUOUS || rc == ERR_FILTER || rc == ERR_KEY ||
           rc == ERR_PERMISSION || rc == ERR_USAGE || rc == ERR_UNSUPPORTED || rc == ERR_DAMAGED ||
           rc == ERR_NO_MEMORY;
}

static void stream_failed(struct pull *pull, uint32_t i, int rc, const struct err *err)
{
    struct pull_stream *stream = &pull->streams[i];

    if (is_final(rc) || ++stream->breaks > BREAKS_MAX) {
        pull_end_stream(pull, i, err->text);
        return;
    }
    stream->again_ns = clock_monotonic_ns() + (PAUSE_NS << (stream->breaks - 1));
}

/* The range by the clock of that node: what the merge leaves out is not sent. */
static void set_range(const struct pull *pull, const struct pull_source *source, json_t *args)
{
    int64_t least = source->n_clock == 0 ? 0 : INT64_MAX;
    int64_t most = source->n_clock == 0 ? 0 : INT64_MIN;
    uint64_t from_ns = pull->opts->from_ns;
    uint64_t to_ns = pull->opts->to_ns;

    for (uint32_t i = 0; i < source->n_clock; i++) {
        int64_t offset_ns = source->clock[i].offset_ns;
        least = offset_ns < least ? offset_ns : least;
        most = offset_ns > most ? offset_ns : most;
    }
    int64_t shifted;
    if (from_ns > 0) { /* a microsecond for what is rounded */
        bool fits = !__builtin_add_overflow((int64_t)from_ns, least, &shifted) && shifted > 1000;
        from_ns = fits ? (uint64_t)shifted - 1000 : 0;
    }
    if (to_ns < UINT64_MAX) {
        bool fits = !__builtin_add_overflow((int64_t)to_ns, most, &shifted) && shifted > 0;
        to_ns = fits ? (uint64_t)shifted + 1000 : UINT64_MAX;
    }
    manage_set_range(args, from_ns, to_ns);
}

static uint64_t piece_bytes(const struct pull *pull)
{
    uint64_t piece = PIECES_BYTES / pull->plan.n_sources;
    uint64_t share = pull->opts->rate == 0 ? piece : pull->opts->rate / 4;

    piece = share < piece ? share : piece;
    return piece > PIECE_MAX ? PIECE_MAX : piece < PIECE_MIN ? PIECE_MIN : piece;
}

static int ask(struct pull *pull, uint32_t i, struct err *err)
{
    const struct pull_source *source = &pull->plan.sources[i];
    struct pull_stream *stream = &pull->streams[i];
    uint64_t timeout_ns = manage_args_of(pull->ctx)->timeout_ns;
    uint64_t now_ns = clock_monotonic_ns();
    json_t *args = json_object();

    manage_set_text(args, "session_id", source->id);
    manage_set_text(args, "filter", pull->opts->filter);
    set_range(pull, source, args);
    manage_set_text(args, "cursor", stream->next.text);
    manage_set_count(args, "max_bytes", piece_bytes(pull));
    stream->deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    int rc = manage_send_on(pull->manage, source->node_id, "session.read", args,
                            stream->deadline_ns, &stream->call, err);
    if (rc == 0) {
        stream->is_asked = true;
        pull->n_asked++;
    }
    return rc;
}

/* When the next piece may be asked for. */
static uint64_t rate_allows_ns(const struct pull *pull)
{
    if (pull->opts->rate == 0) {
        return 0;
    }
    double s = (double)pull->received / (double)pull->opts->rate;
    return pull->started_ns + (s > 1e9 ? UINT64_MAX / 4 : (uint64_t)(s * 1e9));
}

/* Whoever may be asked. *wake_ns: when somebody may be who may not yet. */
static int ask_all(struct pull *pull, uint64_t now_ns, uint64_t *wake_ns, struct err *err)
{
    uint64_t allowed_ns = rate_allows_ns(pull);
    int rc = 0;

    for (uint32_t i = 0; i < pull->plan.n_sources && rc == 0; i++) {
        const struct pull_stream *stream = &pull->streams[i];
        if (stream->is_done || stream->is_asked || pull->n_asked >= ASKED_MAX ||
            !merge_wants(pull->merge, i)) {
            continue;
        }
        uint64_t at_ns = stream->again_ns > allowed_ns ? stream->again_ns : allowed_ns;
        if (at_ns <= now_ns) {
            rc = ask(pull, i, err);
        } else {
            *wake_ns = at_ns < *wake_ns ? at_ns : *wake_ns;
        }
    }
    return rc;
}

/* ---- what came ---- */

static int check_piece(const struct pull_stream *stream, const struct manage_chunk *piece,
                       struct err *err)
{
    if (piece->offset != stream->next.offset) {
        return err_set(err, ERR_DAMAGED,
                       "the node sends byte %" PRIu64 " of the session where byte %" PRIu64
                       " was asked for",
                       piece->offset, stream->next.offset);
    }
    if (crc32c(0, piece->data, piece->n) != piece->checksum) {
        return err_set(err, ERR_DAMAGED, "a piece of the session was altered on its way");
    }
    if (piece->n == 0 && piece->next != NULL &&
        (stream->empty > EMPTY_MAX ||
         (stream->next.text != NULL && strcmp(piece->next, stream->next.text) == 0))) {
        return err_set(err, ERR_DAMAGED, "the node finds nothing and does not end");
    }
    return 0;
}

/* The cursor of this piece is kept as long as a saved merge may want it. */
static void keep_cursor(struct pull_stream *stream)
{
    struct pull_cursor *kept = &stream->kept[stream->n_pieces % PULL_CURSORS_KEPT];

    mem_free(kept->text);
    *kept = stream->next;
    stream->next.text = NULL;
    stream->n_pieces++;
    if (stream->n_pieces - stream->first_piece > PULL_CURSORS_KEPT) {
        stream->first_piece = stream->n_pieces - PULL_CURSORS_KEPT;
    }
}

static int take_piece(struct pull *pull, uint32_t i, struct manage_chunk *piece, struct err *err)
{
    struct pull_stream *stream = &pull->streams[i];
    int rc = check_piece(stream, piece, err);

    if (rc < 0) {
        return rc;
    }
    stream->breaks = 0;
    stream->again_ns = 0;
    stream->empty = piece->n > 0 ? 0 : stream->empty + 1;
    stream->missing = piece->missing;
    stream->left_out = piece->left_out;
    uint64_t offset = stream->next.offset + piece->n;
    keep_cursor(stream);
    stream->next = (struct pull_cursor){.text = piece->next, .offset = offset};
    piece->next = NULL;
    pull->received += piece->n;
    rc = merge_feed(pull->merge, i, piece->data, piece->n, err);
    if (rc < 0) {
        pull_end_stream(pull, i, merge_told(pull->merge, i).why);
    } else if (stream->next.text == NULL) {
        pull_end_stream(pull, i, NULL);
    }
    return 0;
}

static int take_answer(struct pull *pull, const struct rpc_message *message, struct err *err)
{
    struct manage_chunk piece = {0};
    struct rpc_span answer = {0};
    uint32_t i = 0;

    while (i < pull->plan.n_sources &&
           !(pull->streams[i].is_asked && pull->streams[i].call == message->id)) {
        i++;
    }
    if (message->kind != RPC_RESPONSE || i == pull->plan.n_sources) {
        return 0;
    }
    pull->streams[i].is_asked = false;
    pull->n_asked--;
    int rc = rpc_client_answer(manage_client(pull->manage), message, &answer, err);
    if (rc < 0 && manage_is_broken(pull->manage)) {
        return rc;
    }
    rc = rc < 0 ? rc : manage_read_answer(answer, &piece, err);
    rc = rc < 0 ? rc : take_piece(pull, i, &piece, err);
    mem_free(piece.next);
    if (rc < 0) {
        stream_failed(pull, i, rc, err);
    }
    pull->breaks = 0;
    return 0;
}

/* Calls that nobody answers in time. */
static int end_late_calls(struct pull *pull, uint64_t now_ns, struct err *err)
{
    int rc = 0;

    for (uint32_t i = 0; i < pull->plan.n_sources && rc == 0; i++) {
        struct pull_stream *stream = &pull->streams[i];
        if (stream->is_asked && stream->deadline_ns <= now_ns) {
            struct err why = {0};
            stream->is_asked = false;
            pull->n_asked--;
            rc =
                rpc_client_cancel(manage_client(pull->manage), stream->call, now_ns + LOOK_NS, err);
            err_set(&why, -ETIMEDOUT, "no answer in time");
            stream_failed(pull, i, -ETIMEDOUT, &why);
        }
    }
    return rc;
}

/* Until something comes, or until_ns; nothing to wait for but time: that. */
static int receive(struct pull *pull, uint64_t until_ns, struct err *err)
{
    struct rpc_message message;

    for (;;) {
        int rc = rpc_client_receive(manage_client(pull->manage), until_ns, &message, err);
        if (rc == -ETIMEDOUT) {
            return 0;
        }
        rc = rc < 0 ? rc : take_answer(pull, &message, err);
        if (rc < 0) {
            return rc;
        }
        until_ns = 0; /* and what has come too */
    }
}

/* ---- what goes out ---- */

int pull_write_out(struct pull *pull, struct err *err)
{
    if (pull->out.len == 0) {
        return 0;
    }
    int rc = download_part_write(&pull->part, pull->out.data, pull->out.len, err);
    pull->out.len = 0;
    return rc;
}

/* Much at a time; little after a while, and that it is there is noted. */
static int write_some(struct pull *pull, uint64_t now_ns, struct err *err)
{
    bool is_due = now_ns - pull->saved_ns >= SAVE_EVERY_NS;

    if (pull->out.len < OUT_BYTES && !is_due) {
        return 0;
    }
    int rc = pull_write_out(pull, err);
    if (rc == 0 && is_due) {
        rc = pull_save(pull, err);
        pull->saved_ns = clock_monotonic_ns();
    }
    return rc;
}

static void tell_progress(struct pull *pull)
{
    struct buf line = {0};
    uint64_t sum = 0;

    if (!pull->progress.on || clock_monotonic_ns() < pull->progress.next_ns) {
        return;
    }
    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        const struct pull_stream *stream = &pull->streams[i];
        const char *node = pull->plan.sources[i].node;
        bool is_first = i == 0 || strcmp(node, pull->plan.sources[i - 1].node) != 0;
        char size[TEXT_NUMBER_MAX];
        sum = (is_first ? 0 : sum) + stream->next.offset;
        bool is_last =
            i + 1 == pull->plan.n_sources || strcmp(node, pull->plan.sources[i + 1].node) != 0;
        if (is_last && line.len < 200) {
            text_format_size(sum, size);
            buf_put_str(&line, line.len > 0 ? ", " : "");
            output_put_name(&line, node);
            buf_printf(&line, " %s%s", size,
                       stream->why != NULL ? " (failed)"
                       : stream->is_done   ? " (all)"
                                           : "");
        }
    }
    progress_say(&pull->progress, "%.*s", (int)line.len, (const char *)line.data);
    buf_deinit(&line);
}

/* One round: 1 when there is more to do. */
static int go_round(struct pull *pull, struct err *err)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t wake_ns = now_ns + LOOK_NS;
    uint32_t waits_for;
    int rc = end_late_calls(pull, now_ns, err);

    rc = rc < 0 ? rc : ask_all(pull, now_ns, &wake_ns, err);
    if (rc < 0) {
        return rc;
    }
    enum merge_state state = merge_step(pull->merge, &pull->out, OUT_BYTES, &waits_for);
    tell_progress(pull);
    if (state == MERGE_DONE) {
        return 0;
    }
    rc = write_some(pull, now_ns, err);
    if (rc < 0) {
        return rc;
    }
    rc = receive(pull, state == MERGE_WAITS ? wake_ns : now_ns, err);
    return rc < 0 ? rc : 1;
}

/* After the connection to the node asked broke: what was under way is asked for again. */
static int go_on(struct pull *pull, struct err *err)
{
    uint64_t timeout_ns = manage_args_of(pull->ctx)->timeout_ns;
    uint64_t now_ns = clock_monotonic_ns();

    if (++pull->breaks > BREAKS_MAX) {
        return err->code;
    }
    progress_end(&pull->progress);
    if (!pull->ctx->global.quiet) {
        fprintf(stderr, "%s: trying to go on\n", err->text);
    }
    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        pull->streams[i].is_asked = false;
    }
    pull->n_asked = 0;
    return manage_open_again(
        pull->manage, timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns, err);
}

int pull_streams(struct pull *pull)
{
    struct err *err = &pull->ctx->err;
    int rc = 1;

    pull->started_ns = pull->saved_ns = clock_monotonic_ns();
    while (rc > 0) {
        if (manage_was_interrupted()) {
            return ERR_INTERRUPTED;
        }
        rc = go_round(pull, err);
        if (rc < 0 && rc != ERR_INTERRUPTED && manage_is_broken(pull->manage)) {
            rc = go_on(pull, err);
            rc = rc < 0 ? rc : 1;
        }
    }
    return rc;
}
