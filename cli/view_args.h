/* SPDX-License-Identifier: Apache-2.0
 *
 * What `view` was asked to do, between the options (cmd_view.c) and the run with its connection,
 * consumer and signals (view_run_posix.c).
 */
#pragma once

#include "cli/command.h"
#include "cli/option_groups.h"

struct view_args {
    struct option_list interfaces;
    const char *filter;
    const char *write; /* -w */
    uint64_t count;
    uint64_t duration_ns;
    uint64_t snaplen;
    uint64_t history_ns;
    bool compress;
    bool show_data;
    bool wait;
    bool reconnect;
    const char *ca_file;
};

/* Follows the node at ctx->words[0]. The exit code's error is left in ctx->err. */
int view_run(struct command_context *ctx, const struct view_args *args);
