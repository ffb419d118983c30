/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pull.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/output.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"

#define APPLICATION "packetrecorder " PR_VERSION

struct merge *pull_new_merge(const struct pull *pull)
{
    const struct pull_opts *opts = pull->opts;
    const struct merge_opts how = {.application = APPLICATION,
                                   .is_classic = opts->is_classic,
                                   .n_sources = pull->plan.n_sources,
                                   .from_ns = opts->from_ns,
                                   .to_ns = opts->to_ns};
    struct merge *merge = merge_new(&how);

    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        const struct pull_source *source = &pull->plan.sources[i];
        const struct merge_who who = {source->node, source->node_id == NULL ? "" : source->node_id};
        uint32_t number = 0;
        REQUIRE(merge_add(merge, &who, &number, NULL) == 0 && number == i);
        for (uint32_t k = 0; k < source->n_clock; k++) {
            merge_add_clock(merge, i, &source->clock[k]);
        }
    }
    return merge;
}

json_t *pull_what(const struct pull *pull)
{
    json_t *what = json_object();
    json_t *sessions = json_array();

    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        const struct pull_source *source = &pull->plan.sources[i];
        json_array_append_new(
            sessions,
            json_pack("[o, o]", to_json_text(source->node_id == NULL ? "" : source->node_id),
                      to_json_text(source->id)));
    }
    json_object_set_new(what, "merged", sessions);
    manage_set_text(what, "format", pull->opts->is_classic ? "pcap" : "pcapng");
    manage_set_text(what, "filter", pull->opts->filter);
    manage_set_range(what, pull->opts->from_ns, pull->opts->to_ns);
    return what;
}

void pull_forget_streams(struct pull *pull)
{
    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        struct pull_stream *stream = &pull->streams[i];
        for (uint32_t k = 0; k < PULL_CURSORS_KEPT; k++) {
            mem_free(stream->kept[k].text);
        }
        mem_free(stream->next.text);
        mem_free(stream->why);
        *stream = (struct pull_stream){0};
    }
}

/* ---- the end ---- */

static json_t *take_manifest(struct pull *pull, struct err *err, int *rc)
{
    json_t *manifest = pull_manifest(pull);

    *rc = pull->part.path == NULL ? 0 : pull_write_manifest(pull, manifest, err);
    return manifest;
}

static uint32_t count_lacking(const struct pull *pull)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        const struct pull_stream *stream = &pull->streams[i];
        uint64_t left_out = stream->left_out + merge_told(pull->merge, i).left_out;
        n += stream->why != NULL || stream->missing > 0 || left_out > 0;
    }
    for (uint32_t i = 0; i < pull->plan.n_absent; i++) {
        n += !pull->plan.absent[i].is_expected;
    }
    return n;
}

static void tell_sums(const struct pull *pull)
{
    bool is_stdout = strcmp(pull->opts->output, "-") == 0;
    uint64_t late = 0;
    char size[TEXT_NUMBER_MAX];

    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        late += merge_told(pull->merge, i).late;
    }
    text_format_size(pull->part.offset, size);
    fprintf(stderr,
            "%" PRIu64 " packets of %" PRIu32 " sessions, %" PRIu64 " bytes (%s) written to "
            "%s%s%s\n",
            pull->part.shape.packets, pull->plan.n_sources, pull->part.offset, size,
            is_stdout ? "standard output" : "'", is_stdout ? "" : pull->opts->output,
            is_stdout ? "" : "'");
    if (late > 0) {
        fprintf(stderr, "%" PRIu64 " packets came too late for their place in the order of time\n",
                late);
    }
}

static int tell_result(struct pull *pull, json_t *manifest)
{
    struct command_context *ctx = pull->ctx;
    bool is_stdout = strcmp(pull->opts->output, "-") == 0;
    uint32_t n_lacking = count_lacking(pull);

    if (!ctx->global.quiet) {
        tell_sums(pull);
    }
    int rc =
        ctx->global.json && !is_stdout ? output_json(stdout, json_incref(manifest), &ctx->err) : 0;
    if (rc == 0 && n_lacking > 0) {
        rc =
            err_set(&ctx->err, ERR_PARTLY, "of %" PRIu32 " nodes or sessions something lacks%s%s%s",
                    n_lacking, is_stdout ? "" : "; '", is_stdout ? "" : pull->opts->output,
                    is_stdout ? "" : ".json' says what");
    }
    return rc;
}

/* What is there stays. The sentence says how to go on. */
static int tell_part(struct pull *pull, int rc)
{
    struct err *err = &pull->ctx->err;
    bool is_there = pull->part.path != NULL && pull->part.cursor != NULL;
    char why[600];

    snprintf(why, sizeof why, "%.590s", rc == ERR_INTERRUPTED ? "interrupted" : err->text);
    if (!is_there || rc == ERR_EXISTS) {
        return err_set(err, rc, "%s", why);
    }
    return err_set(err, rc, "%s; what came is in '%s', and the same command goes on there", why,
                   pull->part.path);
}

static bool nothing_came(const struct pull *pull)
{
    for (uint32_t i = 0; i < pull->plan.n_sources; i++) {
        if (pull->streams[i].why == NULL || merge_told(pull->merge, i).packets > 0) {
            return false;
        }
    }
    return true;
}

static int finish(struct pull *pull)
{
    struct err *err = &pull->ctx->err;
    int rc = 0;

    if (nothing_came(pull)) {
        return err_set(err, ERR_IO, "no node could be read; the last one: %.300s",
                       pull->streams[pull->plan.n_sources - 1].why);
    }
    merge_write_statistics(pull->merge, &pull->out);
    rc = pull_write_out(pull, err);
    rc = rc < 0 ? rc : download_part_finish(&pull->part, pull->opts->force, err);
    if (rc < 0) {
        return rc;
    }
    json_t *manifest = take_manifest(pull, err, &rc);
    rc = rc < 0 ? rc : tell_result(pull, manifest);
    json_decref(manifest);
    return rc;
}

/* ---- the beginning ---- */

/* Said beforehand: who is not in the file, and whose times are its own. */
static void tell_plan(const struct pull *pull)
{
    const struct pull_plan *plan = &pull->plan;

    for (uint32_t i = 0; i < plan->n_absent; i++) {
        struct buf line = {0};
        if (!plan->absent[i].is_expected || !pull->ctx->global.quiet) {
            output_put_name(&line, plan->absent[i].node);
            buf_put_str(&line, ": ");
            output_put_name(&line, plan->absent[i].why);
            fprintf(stderr, "%.*s\n", (int)line.len, (const char *)line.data);
        }
        buf_deinit(&line);
    }
    for (uint32_t i = 0; i < plan->n_sources && !pull->ctx->global.quiet; i++) {
        struct buf line = {0};
        if (plan->sources[i].n_clock == 0 && plan->sources[i].node_id != NULL) {
            output_put_name(&line, plan->sources[i].node);
            fprintf(stderr, "%.*s: how its clock stood is not known: its packets keep its times\n",
                    (int)line.len, (const char *)line.data);
        }
        buf_deinit(&line);
    }
}

static int open_part(struct pull *pull)
{
    struct command_context *ctx = pull->ctx;
    const struct download_part_opts opts = {.output = pull->opts->output,
                                            .what = pull_what(pull),
                                            .kind = pull->opts->is_classic ? CAPTURE_SHAPE_PCAP
                                                                           : CAPTURE_SHAPE_PCAPNG,
                                            .seen = pull_hash_see,
                                            .arg = pull->hash};
    const char *note = NULL;
    int rc = download_part_open(&pull->part, &opts, &note, &ctx->err);

    if (rc < 0) {
        return rc;
    }
    if (pull->part.offset > 0 && pull_load(pull, &ctx->err) < 0) {
        note = "cannot be gone on with";
        rc = download_part_restart(&pull->part, &ctx->err);
    }
    if (note != NULL && !ctx->global.quiet) {
        fprintf(stderr, "'%s' %s: from the beginning\n", pull->part.path, note);
    }
    if (pull->part.resumed_at > 0 && !ctx->global.quiet) {
        fprintf(stderr, "going on behind %" PRIu64 " bytes in '%s'\n", pull->part.resumed_at,
                pull->part.path);
    }
    return rc;
}

static int run(struct pull *pull)
{
    int rc = open_part(pull);

    if (rc < 0) {
        return rc;
    }
    manage_catch_interrupts(pull->manage);
    progress_start(&pull->progress, pull->ctx);
    rc = pull_streams(pull);
    progress_end(&pull->progress);
    if (rc < 0 && rc != -EPIPE && pull_write_out(pull, NULL) == 0) {
        (void)pull_save(pull, NULL);
    }
    rc = rc < 0 ? rc : finish(pull);
    return rc < 0 && rc != -EPIPE && rc != ERR_PARTLY ? tell_part(pull, rc) : rc;
}

int pull_run(struct command_context *ctx, struct manage *manage, const struct pull_request *request,
             const struct pull_opts *opts)
{
    struct pull pull = {.ctx = ctx, .manage = manage, .opts = opts, .part = {.fd = -1}};
    int rc = pull_plan_find(ctx, manage, request, &pull.plan);

    if (rc == 0) {
        pull.streams = x_alloc(pull.plan.n_sources * sizeof *pull.streams);
        pull.hash = pull_hash_new();
        pull.merge = pull_new_merge(&pull);
        tell_plan(&pull);
        rc = run(&pull);
        download_part_close(&pull.part);
        pull_forget_streams(&pull);
        merge_free(pull.merge);
    }
    mem_free(pull.streams);
    pull_hash_free(pull.hash);
    buf_deinit(&pull.out);
    pull_plan_deinit(&pull.plan);
    return rc;
}
