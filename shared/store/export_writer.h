/* SPDX-License-Identifier: Apache-2.0
 *
 * What a format of export is: a const record with its name, its suffixes and four functions that
 * export_posix.c drives: open, then packet (or run) as often as there are any, then finish, free
 * always. Writers append to the sink's buffer and call export_sink_settle; they do no I/O of their
 * own (but SQLite). Private to the store.
 */
#pragma once

#include "shared/base/buf.h"
#include "shared/store/export.h"

/* What is gathered before it is written. */
#define EXPORT_GATHER_BYTES (256u * 1024u)
#define EXPORT_SUFFIXES_MAX 4
#define EXPORT_LEFT_OUT     1 /* packet(): not an error, but the format cannot hold it */

struct export_sink {
    struct buf buf;
    int (*write)(struct export_sink *sink, const void *data, size_t n, struct err *err);
    uint64_t written;
};

/* Writes out what is gathered. */
int export_sink_flush(struct export_sink *sink, struct err *err);

/* The same, when it is worth it. */
static inline int export_sink_settle(struct export_sink *sink, struct err *err)
{
    return sink->buf.len < EXPORT_GATHER_BYTES ? 0 : export_sink_flush(sink, err);
}

/* Bytes that are not copied into the buffer first. */
int export_sink_write(struct export_sink *sink, const void *data, size_t n, struct err *err);

struct export_job {
    const struct export_spec *spec;
    struct export_sink *sink;
    const char *path; /* of the file as it is called now; for own_file */
    const char *os;   /* of this machine, for the section header */
    const char *hardware;
    uint64_t now_ns;
};

struct export_writer {
    struct export_job job;
    const char *left_why; /* set by packet() with EXPORT_LEFT_OUT */
};

struct export_writer_ops {
    const char *name;
    const char *suffixes[EXPORT_SUFFIXES_MAX];
    bool own_file; /* opens job->path itself: a file with a name is needed */
    int (*open)(const struct export_job *job, struct export_writer **out, struct err *err);
    int (*packet)(struct export_writer *w, const struct scan_packet *packet, struct err *err);
    /* A run of whole packets of the only session; NULL where a format has no use for it. */
    int (*run)(struct export_writer *w, const uint8_t *raw, size_t n, struct err *err);
    int (*finish)(struct export_writer *w, const struct scan_damage *damage, struct err *err);
    void (*free)(struct export_writer *w); /* takes NULL */
};

extern const struct export_writer_ops export_pcapng;
extern const struct export_writer_ops export_pcap;
extern const struct export_writer_ops export_json;
extern const struct export_writer_ops export_csv;
extern const struct export_writer_ops export_sqlite;
