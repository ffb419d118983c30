/* SPDX-License-Identifier: Apache-2.0
 *
 * What `capture` was asked to do, between the parts of the command: the options (cmd_capture.c),
 * the run with its sources, consumers and signals (capture_run_posix.c), and what is reported of it
 * (capture_report.c).
 */
#pragma once

#include "cli/command.h"
#include "cli/option_groups.h"
#include "shared/capture/session_posix.h"
#include "shared/store/store.h"
#include "shared/store/store_writer.h"

struct capture_args {
    struct option_list interfaces;
    const char *filter;
    struct store_args store;
    uint64_t count;
    uint64_t duration_ns;
    uint64_t max_bytes;
    uint64_t snaplen;
    bool promisc;
    uint64_t buffer_bytes;
    int direction; /* enum capture_direction */
    const char *read;
    const char *beside; /* -p */
    const char *write;  /* -w */
    uint64_t rotate_bytes;
    uint64_t rotate_ns;
    uint64_t rotate_files;
    const char *name;
    struct option_pairs tags;
    uint64_t quota_bytes;
    int compression;  /* enum store_compression, -1 = by the source */
    int on_disk_full; /* enum store_full_rule */
};

/* Runs the capture that the arguments describe. The exit code's error is left in ctx->err. */
int capture_run(struct command_context *ctx, const struct capture_args *args);

/* The three lines of tcpdump and our own stages. */
void capture_report_counters(const struct session_counters *counters);

/* stderr: what is captured, from where, with which limits. */
void capture_report_start(const struct command_context *ctx, const struct capture_args *args,
                          struct source *const *sources, uint32_t n_sources);

/* What a session without a store looks like in the JSON of one. ifaces borrowed from the result. */
void capture_describe(struct store_session *out, const struct capture_args *args, const char *id,
                      const struct session_result *result);

/* ERR_USAGE for a name that -s could not find again: not UTF-8, too long, 'last' or 'all'. */
int capture_check_name(const char *name, struct err *err);

/* The tags as the text of a JSON object; owned by the caller (mem_free). ERR_USAGE when they are
 * longer than a store keeps. */
int capture_tags(const struct option_pairs *tags, char **out, struct err *err);
