/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions of several nodes as one file in order of time, as they stream in (docs/merged-files.md).
 * All nodes are read at once through the one that is asked, piece by piece, each no further ahead
 * than the merge takes. A node that fails is tried again for a while; then the file is written from
 * the others. What an interrupt leaves behind is gone on with by the same command: the state of the
 * merge and the place in each session lie beside the part of the file (cli/download_part.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/download_part.h"
#include "cli/pull_plan.h"
#include "cli/terminal_posix.h"
#include "shared/merge/merge.h"

#define PULL_HASH_BYTES   32 /* BLAKE2b */
#define PULL_CURSORS_KEPT 256u

struct pull_opts {
    const char *output; /* FILE, or "-" */
    bool is_classic;
    const char *filter;
    uint64_t from_ns; /* of the common time */
    uint64_t to_ns;
    uint64_t rate; /* bytes a second; 0 = no limit */
    bool force;
};

/* Where a piece began: what a merge that goes on asks for again. */
struct pull_cursor {
    char *text; /* NULL: from the beginning */
    uint64_t offset;
};

struct pull_stream {
    struct pull_cursor next;
    struct pull_cursor kept[PULL_CURSORS_KEPT]; /* of piece n at n % PULL_CURSORS_KEPT */
    uint64_t n_pieces;                          /* fed */
    uint64_t first_piece;                       /* whose cursor is kept */
    bool is_asked;
    uint32_t call;
    uint64_t deadline_ns;
    uint64_t again_ns; /* not before, after a failure */
    unsigned breaks;   /* in a row */
    unsigned empty;    /* pieces in a row without a byte */
    bool is_done;
    char *why; /* it failed; NULL: it did not */
    uint64_t missing;
    uint64_t left_out;
};

struct pull {
    struct command_context *ctx;
    struct manage *manage;
    const struct pull_opts *opts;
    struct pull_plan plan;
    struct pull_stream *streams; /* one each source */
    struct merge *merge;
    struct buf out;
    struct download_part part;
    void *hash; /* BLAKE2b of the file so far */
    struct progress progress;
    uint32_t n_asked;
    uint64_t received; /* bytes, since started_ns */
    uint64_t started_ns;
    uint64_t saved_ns;
    uint64_t breaks; /* of the connection to the node asked, in a row */
};

/* All of it: finds the sessions, pulls, writes the manifest, tells. ERR_PARTLY: something lacks. */
int pull_run(struct command_context *ctx, struct manage *manage, const struct pull_request *request,
             const struct pull_opts *opts);

/* ---- its parts ---- */

/* The merge of the plan, from the beginning. */
struct merge *pull_new_merge(const struct pull *pull);
/* Of which packets the file is: a new object. */
struct json_t *pull_what(const struct pull *pull);
/* Notes where the output so far goes on. Where that cannot be said, the last note stays. */
int pull_save(struct pull *pull, struct err *err);
/* Goes on with part.cursor. ERR_DAMAGED: it is of no use, and the pull is as new. */
int pull_load(struct pull *pull, struct err *err);
void pull_forget_streams(struct pull *pull);

/* BLAKE2b of the file: made with the pull; a download_seen_cb; as text in hex. */
void *pull_hash_new(void);
void pull_hash_free(void *hash);
void pull_hash_see(void *hash, const uint8_t *bytes, size_t n);
void pull_hash_text(const void *hash, char text[2 * PULL_HASH_BYTES + 1]);

/* One source has ended, or has failed for good (why). */
void pull_end_stream(struct pull *pull, uint32_t i, const char *why);
/* What the merge gave goes into the file. */
int pull_write_out(struct pull *pull, struct err *err);
/* Asks, merges and writes until all streams are done; the last of the output is in pull->out. */
int pull_streams(struct pull *pull);

/* The manifest: a new object. */
struct json_t *pull_manifest(struct pull *pull);
/* FILE.json, at once. */
int pull_write_manifest(const struct pull *pull, struct json_t *manifest, struct err *err);
