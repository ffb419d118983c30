/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/jobs/job_status.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

void job_rows_deinit(struct job_rows *rows)
{
    mem_free(rows->rows);
    *rows = (struct job_rows){0};
}

void job_row_of(const struct job *job, uint64_t sid, const char *node, struct job_row *out)
{
    *out = (struct job_row){
        .sid = sid, .state = job_shown(job), .late_ns = job->late_ns, .tally = job->tally};
    snprintf(out->node, sizeof out->node, "%.*s", JOB_NODE_NAME_MAX, node);
    if (job->state != JOB_ABORTED) { /* whose capture may be ending yet, and leaves nothing */
        memcpy(out->session, job->session, sizeof out->session);
    }
    snprintf(out->reason, sizeof out->reason, "%s",
             job->reason[0] == '\0' && job->is_resumed ? "resumed after the node was down"
                                                       : job->reason);
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* A total order: the state, then how far it is, then the bytes, so that ties end alike
 * everywhere. */
int job_row_precedence(const struct job_row *a, const struct job_row *b)
{
    int order = compare_u64(a->state, b->state);

    order = order != 0 ? order : compare_u64(a->tally.packets, b->tally.packets);
    order = order != 0 ? order : compare_u64(a->tally.bytes, b->tally.bytes);
    order = order != 0 ? order : strcmp(a->session, b->session);
    order = order != 0 ? order : strcmp(a->reason, b->reason);
    order = order != 0 ? order : compare_u64((uint64_t)a->late_ns, (uint64_t)b->late_ns);
    order = order != 0 ? order : compare_u64(a->tally.limit, b->tally.limit);
    order = order != 0 ? order : compare_u64(a->tally.lost_kernel, b->tally.lost_kernel);
    order = order != 0 ? order : compare_u64(a->tally.lost_interface, b->tally.lost_interface);
    order = order != 0 ? order : compare_u64(a->tally.lost_store, b->tally.lost_store);
    return order != 0 ? order : strcmp(a->node, b->node);
}

static uint32_t place(const struct job_rows *rows, uint64_t sid)
{
    uint32_t lo = 0, hi = rows->n;

    while (lo < hi) {
        uint32_t middle = lo + (hi - lo) / 2;
        if (rows->rows[middle].sid < sid) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

struct job_row *job_rows_find(const struct job_rows *rows, uint64_t sid)
{
    uint32_t at = place(rows, sid);

    return at < rows->n && rows->rows[at].sid == sid ? &rows->rows[at] : NULL;
}

bool job_rows_take(struct job_rows *rows, const struct job_row *row)
{
    uint32_t at = place(rows, row->sid);

    if (row->state == JOB_NOT_MINE) {
        return false;
    }
    if (at < rows->n && rows->rows[at].sid == row->sid) {
        bool more = job_row_precedence(row, &rows->rows[at]) > 0;
        if (more) {
            rows->rows[at] = *row;
        }
        return more;
    }
    if (rows->n == JOB_ROWS_MAX) {
        return false;
    }
    if ((rows->n & (rows->n - 1)) == 0) { /* at powers of two there is room for as many again */
        rows->rows =
            x_realloc(rows->rows, (rows->n == 0 ? 1 : 2 * (size_t)rows->n) * sizeof *rows->rows);
    }
    memmove(rows->rows + at + 1, rows->rows + at, (rows->n - at) * sizeof *rows->rows);
    rows->rows[at] = *row;
    rows->n++;
    return true;
}

enum job_state job_rows_state(const struct job_rows *rows)
{
    static const enum job_state order[] = {JOB_RUNNING, JOB_ARMED,   JOB_ARMING, JOB_DONE,
                                           JOB_FAILED,  JOB_ABORTED, JOB_MISSED, JOB_UNREACHED};
    uint32_t n[N_JOB_STATES] = {0};
    enum job_state most = JOB_UNREACHED;

    for (uint32_t i = 0; i < rows->n; i++) {
        n[rows->rows[i].state]++;
    }
    for (size_t i = 0; i < 4; i++) {
        if (n[order[i]] > 0) {
            return order[i];
        }
    }
    for (size_t i = ARRAY_LEN(order); i > 4; i--) { /* of as many, the first in the order */
        enum job_state one = order[i - 1];
        most = n[one] > 0 && n[one] >= n[most] ? one : most;
    }
    return most;
}

bool job_policy_goes(enum job_policy policy, uint8_t quorum, uint32_t armed, uint32_t n)
{
    switch (policy) {
    case JOB_ALL:
        return armed == n;
    case JOB_QUORUM:
        return (uint64_t)armed * 100 >= (uint64_t)(quorum == 0 ? 51 : quorum) * n && armed > 0;
    default:
        return armed > 0;
    }
}
