/* SPDX-License-Identifier: Apache-2.0
 *
 * One export at work, for those who drive it: export_posix.c to its end into a file,
 * export_stream_posix.c piece by piece. Private to the store.
 */
#pragma once

#include "shared/store/export_writer.h"

struct export_run {
    const struct export_spec *spec; /* borrowed */
    const struct export_writer_ops *ops;
    struct scan *scan;
    struct export_writer *writer;
    struct export_result result;
    bool is_whole; /* goes run by run, not packet by packet */
    char os[512];
    char hardware[128];
};

/* By enum export_format. */
extern const struct export_writer_ops *const export_formats[];

/* Sets e->scan to what e->spec wants. */
int export_run_scan(struct export_run *e, struct store *store, struct err *err);
/* The head of the file; needs e->scan. path: for formats with own_file. */
int export_run_begin(struct export_run *e, struct export_sink *sink, const char *path,
                     struct err *err);
/* One packet; what the format cannot hold is counted. */
int export_run_packet(struct export_run *e, const struct scan_packet *packet, struct err *err);
/* One run of a whole export. 1, 0 at the end, or an error. */
int export_run_step(struct export_run *e, struct err *err);
