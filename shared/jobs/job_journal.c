/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/jobs/job_journal.h"

#include <string.h>

#include "shared/base/bytes.h"
#include "shared/base/crc32c.h"
#include "shared/base/mem.h"
#include "shared/base/pack.h"
#include "shared/base/unpack.h"

#define MAGIC        "PRJOBS1\n"
#define RECORD_HEAD  8
#define ELEMENTS     10
#define ELEMENTS_MAX 64
#define TALLY        6
#define ROW          7
/* Bounds of what is written: all numbers and texts at their longest. */
#define JOB_BYTES (JOB_VALUE_MAX + ID_TEXT_MAX + JOB_REASON_MAX + 160)
#define ROW_BYTES (JOB_NODE_NAME_MAX + ID_TEXT_MAX + JOB_REASON_MAX + 100)

/* ---- writing ---- */

void job_journal_begin(struct buf *out, uint64_t floor_ms)
{
    buf_append(out, MAGIC, sizeof MAGIC - 1);
    buf_put_le64(out, floor_ms);
}

static void put_tally(struct pack *p, const struct job_tally *tally)
{
    pack_array(p, TALLY);
    pack_u64(p, tally->packets);
    pack_u64(p, tally->bytes);
    pack_u64(p, tally->lost_kernel);
    pack_u64(p, tally->lost_interface);
    pack_u64(p, tally->lost_store);
    pack_u64(p, tally->limit);
}

static void put_row(struct pack *p, const struct job_row *row)
{
    pack_array(p, ROW);
    pack_u64(p, row->sid);
    pack_string(p, row->node);
    pack_u64(p, row->state);
    pack_string(p, row->session);
    pack_string(p, row->reason);
    pack_i64(p, row->late_ns);
    put_tally(p, &row->tally);
}

void job_journal_put(struct buf *out, const struct job *job, const struct job_rows *rows)
{
    uint32_t n_rows = rows == NULL ? 0 : rows->n;
    size_t room = RECORD_HEAD + JOB_BYTES + (size_t)n_rows * ROW_BYTES;
    size_t before = out->len;
    uint8_t spec[JOB_VALUE_MAX];
    size_t n_spec = job_spec_write(&job->spec, spec);

    REQUIRE(n_spec > 0); /* what does not fit was never taken */
    uint8_t *at = buf_extend(out, room);
    struct pack p = pack_into(at + RECORD_HEAD, room - RECORD_HEAD);
    pack_array(&p, ELEMENTS);
    pack_bin(&p, spec, n_spec);
    pack_u64(&p, job->flags);
    pack_u64(&p, job->state);
    pack_bool(&p, job->begun);
    pack_bool(&p, job->is_resumed);
    pack_string(&p, job->session);
    pack_string(&p, job->reason);
    pack_i64(&p, job->late_ns);
    put_tally(&p, &job->tally);
    pack_array(&p, n_rows);
    for (uint32_t i = 0; i < n_rows; i++) {
        put_row(&p, &rows->rows[i]);
    }
    REQUIRE(!p.failed);
    size_t n = pack_length(&p);
    put_le32(at, (uint32_t)n);
    put_le32(at + 4, crc32c(0, at + RECORD_HEAD, n));
    out->len = before + RECORD_HEAD + n;
}

/* ---- reading ---- */

static void take_tally(struct unpack *u, struct job_tally *tally)
{
    if (unpack_array(u, TALLY) != TALLY) {
        u->in.failed = true;
    }
    tally->packets = unpack_u64(u);
    tally->bytes = unpack_u64(u);
    tally->lost_kernel = unpack_u64(u);
    tally->lost_interface = unpack_u64(u);
    tally->lost_store = unpack_u64(u);
    tally->limit = unpack_u64(u);
}

static void take_rows(struct unpack *u, struct job_rows *rows)
{
    uint32_t n = unpack_array(u, JOB_ROWS_MAX);

    for (uint32_t i = 0; i < n && !unpack_failed(u); i++) {
        struct job_row row = {0};
        if (unpack_array(u, ROW) != ROW) {
            u->in.failed = true;
        }
        row.sid = unpack_u64(u);
        unpack_string(u, row.node, JOB_NODE_NAME_MAX);
        row.state = (enum job_state)unpack_u64_most(u, JOB_DONE);
        unpack_string(u, row.session, ID_TEXT_MAX - 1);
        unpack_string(u, row.reason, JOB_REASON_MAX);
        row.late_ns = unpack_i64(u);
        take_tally(u, &row.tally);
        if (!unpack_failed(u)) {
            (void)job_rows_take(rows, &row);
        }
    }
}

bool job_journal_open(const void *bytes, size_t n, struct job_journal_reader *out)
{
    if (n < JOB_JOURNAL_HEAD || memcmp(bytes, MAGIC, sizeof MAGIC - 1) != 0) {
        return false;
    }
    *out = (struct job_journal_reader){.bytes = bytes,
                                       .n = n,
                                       .at = JOB_JOURNAL_HEAD,
                                       .floor_ms = get_le64((const uint8_t *)bytes + 8)};
    return true;
}

static bool read_job(struct unpack *u, struct job *job, struct job_rows *rows)
{
    size_t n_spec = 0;
    uint32_t n = unpack_array(u, ELEMENTS_MAX);
    const uint8_t *spec = unpack_bin(u, JOB_VALUE_MAX, &n_spec);

    *job = (struct job){0};
    if (unpack_failed(u) || n < ELEMENTS || !job_spec_read(spec, n_spec, &job->spec)) {
        return false;
    }
    job->flags = (unsigned)unpack_u64_most(u, JOB_STOP | JOB_ABORT);
    job->state = (enum job_state)unpack_u64_most(u, N_JOB_STATES - 1);
    job->begun = unpack_bool(u);
    job->is_resumed = unpack_bool(u);
    unpack_string(u, job->session, ID_TEXT_MAX - 1);
    unpack_string(u, job->reason, JOB_REASON_MAX);
    job->late_ns = unpack_i64(u);
    take_tally(u, &job->tally);
    take_rows(u, rows);
    for (uint32_t i = ELEMENTS; i < n && !unpack_failed(u); i++) {
        unpack_skip(u, 4);
    }
    return !unpack_failed(u) && job->state != JOB_UNREACHED;
}

enum job_journal_result job_journal_next(struct job_journal_reader *r, struct job *job,
                                         struct job_rows *rows)
{
    size_t left = r->n - r->at;

    if (left == 0) {
        return JOB_JOURNAL_END;
    }
    if (left < RECORD_HEAD || get_le32(r->bytes + r->at) > left - RECORD_HEAD) {
        return JOB_JOURNAL_DAMAGED;
    }
    uint32_t n = get_le32(r->bytes + r->at);
    const uint8_t *body = r->bytes + r->at + RECORD_HEAD;
    if (crc32c(0, body, n) != get_le32(r->bytes + r->at + 4)) {
        return JOB_JOURNAL_DAMAGED;
    }
    struct unpack u = unpack_from(body, n);
    if (!read_job(&u, job, rows) || unpack_left(&u) != 0) {
        return JOB_JOURNAL_DAMAGED;
    }
    r->at += RECORD_HEAD + n;
    return JOB_JOURNAL_JOB;
}
