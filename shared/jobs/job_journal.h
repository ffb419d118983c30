/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of jobs as bytes: what a node must know after a restart so that it runs nothing
 * twice, goes on with what ran, and can tell the others what they may have forgotten. The file is
 * replaced whole.
 *
 *    0  "PRJOBS1\n"   8  u64 little-endian: jobs that are older (ms of their ids) and not in it
 *   16  records, each: u32 length, u32 CRC-32C of the bytes that follow, msgpack
 *       [spec bin, flags, state, begun, resumed, session, reason, late, tally, rows]
 *
 * A damaged record ends the reading; what stood before it counts. Pure.
 */
#pragma once

#include "shared/base/buf.h"
#include "shared/jobs/job_status.h"

#define JOB_JOURNAL_HEAD 16

void job_journal_begin(struct buf *out, uint64_t floor_ms);
/* rows: what is known of the others; NULL: nothing. */
void job_journal_put(struct buf *out, const struct job *job, const struct job_rows *rows);

struct job_journal_reader {
    const uint8_t *bytes; /* borrowed */
    size_t n;
    size_t at;
    uint64_t floor_ms; /* a job whose id is older, and which is not in the journal, was lost of it
                        */
};
/* False: no journal of ours. */
bool job_journal_open(const void *bytes, size_t n, struct job_journal_reader *out);
enum job_journal_result { JOB_JOURNAL_END, JOB_JOURNAL_JOB, JOB_JOURNAL_DAMAGED };
/* *job as job_restore takes it; *rows is added to. Both are undefined unless it gives JOB. */
enum job_journal_result job_journal_next(struct job_journal_reader *reader, struct job *job,
                                         struct job_rows *rows);
