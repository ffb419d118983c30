/* SPDX-License-Identifier: Apache-2.0
 *
 * What depends on somebody watching: colours, and a progress line on stderr for work that takes
 * longer than a second. Without a terminal, or with --quiet, nothing of it appears.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/command.h"

/* True when colours may be written: a terminal, no --no-color, NO_COLOR unset (no-color.org), TERM
 * not "dumb". */
bool terminal_has_color(const struct command_context *ctx, FILE *out);

/* True when somebody reads `out` on a terminal. */
bool terminal_is_on(FILE *out);

struct progress {
    bool on;
    bool shown; /* a line stands on the terminal */
    uint64_t started_ns;
    uint64_t next_ns;
};

void progress_start(struct progress *progress, const struct command_context *ctx);

/* Shows "WHAT 42% 1.3 GB of 3 GB, 1m5s left" at most five times a second, at first after one
 * second. In bytes; total 0 = unknown. Cheap enough for every block. */
void progress_update(struct progress *progress, const char *what, uint64_t done, uint64_t total);

/* The same with any words, for counts that are not bytes. */
void progress_say(struct progress *progress, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the line away; call before anything else is printed. May be called again. */
void progress_end(struct progress *progress);
