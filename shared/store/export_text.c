/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/mem.h"
#include "shared/store/export_writer.h"
#include "shared/store/packet_row.h"

struct text_writer {
    struct export_writer base;
    struct packet_row row;
};

static int open_json(const struct export_job *job, struct export_writer **out, struct err *err)
{
    struct text_writer *w = x_alloc(sizeof *w);

    (void)err;
    w->base.job = *job;
    *out = &w->base;
    return 0;
}

static int open_csv(const struct export_job *job, struct export_writer **out, struct err *err)
{
    packet_row_csv_header(&job->sink->buf, job->spec->with_data);
    return open_json(job, out, err);
}

static int packet_json(struct export_writer *w, const struct scan_packet *packet, struct err *err)
{
    struct packet_row *row = &container_of(w, struct text_writer, base)->row;

    packet_row_make(row, packet);
    packet_row_json(&w->job.sink->buf, row, w->job.spec->with_data);
    return export_sink_settle(w->job.sink, err);
}

static int packet_csv(struct export_writer *w, const struct scan_packet *packet, struct err *err)
{
    struct packet_row *row = &container_of(w, struct text_writer, base)->row;

    packet_row_make(row, packet);
    packet_row_csv(&w->job.sink->buf, row, w->job.spec->with_data);
    return export_sink_settle(w->job.sink, err);
}

static int finish_text(struct export_writer *w, const struct scan_damage *damage, struct err *err)
{
    (void)damage;
    return export_sink_flush(w->job.sink, err);
}

static void free_text(struct export_writer *w)
{
    mem_free(w == NULL ? NULL : container_of(w, struct text_writer, base));
}

const struct export_writer_ops export_json = {
    .name = "json",
    .suffixes = {"json", "ndjson", "jsonl"},
    .open = open_json,
    .packet = packet_json,
    .finish = finish_text,
    .free = free_text,
};

const struct export_writer_ops export_csv = {
    .name = "csv",
    .suffixes = {"csv"},
    .open = open_csv,
    .packet = packet_csv,
    .finish = finish_text,
    .free = free_text,
};
