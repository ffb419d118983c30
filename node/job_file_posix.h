/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of the journal of jobs (shared/jobs/job_journal.h) in a directory, which is made when
 * something is written first: replaced whole, a new one beside it, synced, renamed. One that is
 * damaged is put aside as NAME.damaged. Blocks.
 */
#pragma once

#include "shared/base/buf.h"
#include "shared/base/err.h"

#define JOB_FILE     "jobs"
#define JOB_FILE_MAX (64u << 20) /* a longer one is not ours */

/* Empty when there is none. */
int job_file_read(const char *dir, struct buf *out, struct err *err);
/* Durable when it gives 0. */
int job_file_write(const char *dir, const struct buf *bytes, struct err *err);
int job_file_put_aside(const char *dir, struct err *err);
