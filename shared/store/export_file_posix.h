/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that appears when it is complete: written as DIR/.NAME.part-PID with mode 0600, made
 * durable, then renamed. Pipes and devices (/dev/null, /dev/fd/3) have no such life and are written
 * straight; so is "-", standard output. Private to the store.
 */
#pragma once

#include <stdbool.h>

#include "shared/store/export_writer.h"

struct export_file {
    struct export_sink sink;
    int fd;           /* -1 = not open */
    const char *path; /* borrowed */
    char *hidden;     /* owned; NULL when written straight */
    bool is_stdout;
    bool force;
};

/* needs_name: something else will open f->hidden; "-" and devices are refused with ERR_USAGE.
 * ERR_EXISTS when there is a file and force is not set; ERR_PERMISSION, ERR_NOT_FOUND, ERR_IO. */
int export_file_open(struct export_file *f, const char *path, bool force, bool needs_name,
                     struct err *err);

/* Durable and under its own name. ERR_EXISTS when a file of that name came up meanwhile and force
 * is not set. On failure it is abandoned. */
int export_file_commit(struct export_file *f, uint64_t *bytes, struct err *err);

/* Nothing of it is left. Safe after commit and on one that was not opened. */
void export_file_abandon(struct export_file *f);
