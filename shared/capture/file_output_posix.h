/* SPDX-License-Identifier: Apache-2.0
 *
 * One capture file that is being written, or standard output. Whatever happens, a regular file ends
 * with a whole packet: when the disk is full in the middle of one, the file is cut back to the end
 * of the last that is whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

/* How many of the first n bytes are whole blocks or records. */
typedef size_t (*file_output_whole_cb)(const uint8_t *data, size_t n);

struct file_output {
    int fd;     /* -1 = not open */
    char *path; /* owned */
    uint64_t bytes;
    bool is_regular;
    bool is_stdout;
    bool is_made;  /* was not there before */
    bool is_begun; /* what was in it is gone */
};

/* "-" is standard output. A file is made with mode 0600. One that was there is emptied with the
 * first write, so that a capture that cannot start takes nothing away; closed before that, one that
 * was not there is removed again. */
int file_output_open(struct file_output *out, const char *path, struct err *err);

/* All bytes, or an error: -EPIPE when nobody reads a pipe any more (not an error to a user), else
 * with the reason and the name. `whole` says where a run may be cut. */
int file_output_write(struct file_output *out, const void *data, size_t n,
                      file_output_whole_cb whole, struct err *err);

/* -EPIPE, as above, when the reader of a pipe is gone; else 0. For the time while nothing is
 * written.
 */
int file_output_check(struct file_output *out, struct err *err);

/* Safe on one that is not open. */
int file_output_close(struct file_output *out, struct err *err);
