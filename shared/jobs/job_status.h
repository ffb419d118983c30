/* SPDX-License-Identifier: Apache-2.0
 *
 * A job as the swarm sees it: a row for each node that it is for. Rows come from the nodes
 * themselves, from what the coordinator was told when it armed them, and from the journal; of two
 * about one node the one that knows more stays. Merging is commutative, associative and idempotent,
 * so whoever asks whom in which order ends with the same rows. Pure.
 */
#pragma once

#include "shared/jobs/job.h"

#define JOB_NODE_NAME_MAX 41 /* NAME@ID8 */
#define JOB_ROWS_MAX      16384

struct job_row {
    uint64_t sid;
    char node[JOB_NODE_NAME_MAX + 1];
    enum job_state state; /* JOB_UNREACHED: reason says why nothing is known */
    bool is_unheard;      /* it does not answer now: the rest is what was heard last; not merged */
    char session[ID_TEXT_MAX];
    char reason[JOB_REASON_MAX + 1];
    int64_t late_ns;
    struct job_tally tally;
};

struct job_rows {
    struct job_row *rows; /* owned, in the order of sids */
    uint32_t n;
};
void job_rows_deinit(struct job_rows *rows);

/* The row of this very node. */
void job_row_of(const struct job *job, uint64_t sid, const char *node, struct job_row *out);

/* > 0: a knows more, < 0: b does, 0: they are the same. */
int job_row_precedence(const struct job_row *a, const struct job_row *b);
/* True: the rows are other ones now. More than JOB_ROWS_MAX are not taken. */
bool job_rows_take(struct job_rows *rows, const struct job_row *row);
/* NULL: none. */
struct job_row *job_rows_find(const struct job_rows *rows, uint64_t sid);

/* In one word: running while one runs, armed while one is to; then done when one has done it, else
 * what became of most: failed, aborted, missed, unreached. */
enum job_state job_rows_state(const struct job_rows *rows);

/* May it begin? armed: nodes that said so, of n. */
bool job_policy_goes(enum job_policy policy, uint8_t quorum, uint32_t armed, uint32_t n);
