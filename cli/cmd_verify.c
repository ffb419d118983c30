/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "cli/terminal_posix.h"
#include "shared/base/mem.h"
#include "shared/store/store_key.h"
#include "shared/store/verify.h"

struct verify_args {
    struct store_args store;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct verify_args, store),
};

struct watching {
    struct progress progress;
};

static void on_finding(const char *finding, double done, void *arg)
{
    struct watching *w = arg;

    if (finding == NULL) {
        progress_say(&w->progress, "verify %.0f%%", done * 100);
        return;
    }
    progress_end(&w->progress);
    fprintf(stderr, "%s\n", finding);
}

static bool can_be_salvaged(int code)
{
    return code == ERR_DAMAGED || code == ERR_NOT_A_STORE;
}

/* A catalogue or descriptor that does not open is made anew from the segments. */
static int salvage(const struct store_args *args, struct store **store, bool *salvaged,
                   struct err *err)
{
    struct store_key *key = NULL;
    int r = database_key(args, &key, err);

    if (r < 0) {
        return r;
    }
    const struct store_options o = {.path = args->database, .mode = STORE_WRITE, .key = key};
    r = store_salvage(&o, store, err);
    store_key_free(key);
    *salvaged = r == 0;
    return r;
}

static int open_or_salvage(const struct store_args *args, struct store **store, bool *salvaged,
                           struct err *err)
{
    struct err first = {0};
    int r = database_open(args, STORE_WRITE, store, &first);

    if (r == 0 || !can_be_salvaged(r)) {
        return r == 0 ? 0 : err_set(err, r, "%s", first.text);
    }
    fprintf(stderr, "%s\n", first.text);
    struct err second = {0};
    return salvage(args, store, salvaged, &second) == 0
               ? 0
               : err_set(err, second.code, "%s", second.text);
}

static json_t *report_json(const struct verify_report *r, bool salvaged)
{
    return json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "clean",
        r->damaged_frames + r->missing_segments == 0, "sessions", (json_int_t)r->sessions,
        "segments", (json_int_t)r->segments, "frames", (json_int_t)r->frames, "packets",
        (json_int_t)r->packets, "damaged_frames", (json_int_t)r->damaged_frames, "damaged_packets",
        (json_int_t)r->damaged_packets, "missing_segments", (json_int_t)r->missing_segments,
        "repaired_frames", (json_int_t)r->repaired_frames, "repaired_segments",
        (json_int_t)r->repaired_segments, "catalogue_rebuilt", salvaged);
}

static void report_text(const struct verify_report *r, bool salvaged)
{
    printf("%" PRIu64 " sessions, %" PRIu64 " segments, %" PRIu64 " frames, %" PRIu64
           " packets intact\n",
           r->sessions, r->segments, r->frames - r->damaged_frames, r->packets);
    if (salvaged) {
        printf("the catalogue was made anew from the segments\n");
    }
    if (r->repaired_frames > 0) {
        printf("%" PRIu64 " frames were entered in the catalogue again\n", r->repaired_frames);
    }
    if (r->damaged_frames + r->missing_segments > 0) {
        printf("%" PRIu64 " frames are damaged, %" PRIu64 " segments are missing: %" PRIu64
               " packets are lost, the rest is readable\n",
               r->damaged_frames, r->missing_segments, r->damaged_packets);
    } else {
        printf("clean\n");
    }
}

static int verify(struct command_context *ctx, const struct store_args *args,
                  struct verify_report *report, bool *salvaged)
{
    struct watching w;
    struct store *store = NULL;
    int r = open_or_salvage(args, &store, salvaged, &ctx->err);

    if (r < 0) {
        return r;
    }
    progress_start(&w.progress, ctx);
    r = store_verify(store, on_finding, &w, report, &ctx->err);
    if (r == ERR_DAMAGED && !*salvaged) {
        progress_end(&w.progress);
        fprintf(stderr, "%s\n", ctx->err.text);
        store_close(store);
        store = NULL;
        r = salvage(args, &store, salvaged, &ctx->err);
        r = r < 0 ? r : store_verify(store, on_finding, &w, report, &ctx->err);
    }
    progress_end(&w.progress);
    store_close(store);
    return r;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct verify_args *args = args_;
    struct verify_report report = {0};
    bool salvaged = false;
    int r = verify(ctx, &args->store, &report, &salvaged);

    if (r < 0) {
        return r;
    }
    if (ctx->global.json) {
        r = output_json(stdout, report_json(&report, salvaged), &ctx->err);
    } else {
        report_text(&report, salvaged);
    }
    if (r == 0 && report.damaged_frames + report.missing_segments > 0) {
        r = err_set(&ctx->err, ERR_PARTLY,
                    "the store '%s' is damaged: %" PRIu64
                    " packets are lost; query and export give "
                    "what is left",
                    args->store.database, report.damaged_packets);
    }
    return r;
}

const struct command cmd_verify = {
    .name = "verify",
    .summary = "check every frame of a store and repair its catalogue",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct verify_args),
    .description =
        (const char *const[]){
            "Reads every frame: checksum, authentication tag, decompression, every packet; and "
            "compares with the catalogue. What is damaged is named with its session and its number "
            "of packets and stays where it is; everything else stays readable.",
            "Frames that the catalogue does not know are entered again. A catalogue or store "
            "description that is damaged or missing is put aside with the suffix .damaged-TIME and "
            "made anew from the segments.",
            "Ends with 0 when nothing is damaged (any more), with 3 when packets are lost.",
            NULL,
        },
    .examples = (const struct command_example[]){{"verify -d packets.db", "check a whole store"},
                                                 {NULL, NULL}},
    .run = run,
};
