/* SPDX-License-Identifier: Apache-2.0
 *
 * What `manage watch` was asked to do, between its options (cmd_manage_watch_jansson.c) and the run
 * with its connection, its merge and its output (watch_run_posix.c).
 */
#pragma once

#include "cli/manage.h"

struct watch_args {
    const char *interface; /* a pattern */
    const char *filter;
    const char *write;
    uint64_t snaplen;
    uint64_t duration_ns; /* 0 = no end */
    uint64_t max_packets; /* 0 = no limit */
    uint64_t hold_ns;
};

/* Ends with 0, ERR_PARTLY when some nodes were not followed from their beginning to the end, or an
 * error; it is in ctx->err. */
int watch_run(struct command_context *ctx, const struct watch_args *args);
