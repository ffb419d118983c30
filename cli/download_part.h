/* SPDX-License-Identifier: Apache-2.0
 *
 * A capture file on its way from a node: FILE.part has the bytes, FILE.part.state says of what they
 * are, how many are good, their sum, and the node's cursor for what comes next. Both outlive an
 * interrupt, a crash and a broken network; the same download goes on there. At the end FILE.part
 * becomes FILE at once. What is in the part file is believed only when its sum is the one that the
 * state tells, and every byte must be of a capture file (capture_shape.h). Standard output
 * ("-"), a device and a pipe have neither, and are written to as they are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/capture_shape.h"

struct json_t; /* jansson's json_t */

/* All bytes of the file, in their order, those that were there already too; NULL: from the
 * beginning again. */
typedef void (*download_seen_cb)(void *arg, const uint8_t *bytes, size_t n);

struct download_part_opts {
    const char *output;
    struct json_t *what; /* an object that says of which packets the file is; moved */
    enum capture_shape_kind kind;
    download_seen_cb seen; /* or NULL */
    void *arg;
};

struct download_part {
    char *output;
    char *path;       /* FILE.part; NULL = none: standard output, a device, a pipe */
    char *state_path; /* FILE.part.state */
    int fd;
    struct json_t *what;
    uint64_t offset; /* bytes that are there */
    uint64_t resumed_at;
    uint32_t sum;
    char *cursor; /* of what comes next; NULL = from the beginning */
    uint64_t saved_ns;
    struct capture_shape shape;
    download_seen_cb seen;
    void *seen_arg;
};

/* With a part of the same that is whole it goes on behind it (resumed_at > 0); else from the
 * beginning. *note: why a part that is there was not taken, or NULL; static. ERR_IN_USE: another
 * download writes there. Release with download_part_close, also after a failure. */
int download_part_open(struct download_part *part, const struct download_part_opts *opts,
                       const char **note, struct err *err);
/* What is there is of no use: from the beginning. */
int download_part_restart(struct download_part *part, struct err *err);
/* The next bytes; next: the cursor behind them, copied, NULL at the end. Saves the state about once
 * a second. */
int download_part_append(struct download_part *part, const uint8_t *bytes, size_t n,
                         const char *next, struct err *err);
/* The next bytes alone: the state stays that of the last download_part_mark. */
int download_part_write(struct download_part *part, const uint8_t *bytes, size_t n,
                        struct err *err);
/* Behind what was written so far it goes on with that cursor: saves the state. */
int download_part_mark(struct download_part *part, const char *next, struct err *err);
/* So that the same download can go on here. */
int download_part_save(struct download_part *part, struct err *err);
/* All is there: durable, and under its own name. ERR_EXISTS without replace. */
int download_part_finish(struct download_part *part, bool replace, struct err *err);
void download_part_close(struct download_part *part);
