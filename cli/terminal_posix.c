/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal_posix.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock_posix.h"
#include "shared/base/text.h"

#define SECOND_NS 1000000000ULL
#define PERIOD_NS (SECOND_NS / 5)
#define ERASE     "\r\033[K"

bool terminal_has_color(const struct command_context *ctx, FILE *out)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return !ctx->global.no_color && (no_color == NULL || *no_color == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0 && isatty(fileno(out)) == 1;
}

bool terminal_is_on(FILE *out)
{
    return isatty(fileno(out)) == 1;
}

void progress_start(struct progress *progress, const struct command_context *ctx)
{
    const char *term = getenv("TERM");

    *progress = (struct progress){0};
    progress->on = !ctx->global.quiet && isatty(STDERR_FILENO) == 1 && term != NULL &&
                   strcmp(term, "dumb") != 0;
    progress->started_ns = clock_monotonic_ns();
    progress->next_ns = progress->started_ns + SECOND_NS;
}

static bool is_due(struct progress *progress, uint64_t *now_ns)
{
    if (!progress->on) {
        return false;
    }
    *now_ns = clock_monotonic_ns();
    if (*now_ns < progress->next_ns) {
        return false;
    }
    progress->next_ns = *now_ns + PERIOD_NS;
    progress->shown = true;
    return true;
}

void progress_update(struct progress *progress, const char *what, uint64_t done, uint64_t total)
{
    char done_text[TEXT_NUMBER_MAX];
    char total_text[TEXT_NUMBER_MAX];
    char left_text[TEXT_NUMBER_MAX];
    uint64_t now_ns;

    if (!is_due(progress, &now_ns)) {
        return;
    }
    text_format_size(done, done_text);
    if (total == 0 || done == 0 || done > total) {
        fprintf(stderr, ERASE "%s %s", what, done_text);
        return;
    }
    double spent_ns = (double)(now_ns - progress->started_ns);
    double left_ns = spent_ns * (double)(total - done) / (double)done;
    /* Whole seconds; a century stands for what cannot be said. */
    uint64_t left_s = left_ns < 3.2e18 ? (uint64_t)(left_ns / 1e9) : 3200000000;
    text_format_size(total, total_text);
    text_format_duration(left_s * SECOND_NS, left_text);
    fprintf(stderr, ERASE "%s %u%% %s of %s, %s left", what,
            (unsigned)((double)done * 100 / (double)total), done_text, total_text, left_text);
}

void progress_say(struct progress *progress, const char *fmt, ...)
{
    uint64_t now_ns;
    va_list ap;

    if (!is_due(progress, &now_ns)) {
        return;
    }
    fputs(ERASE, stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}

void progress_end(struct progress *progress)
{
    if (progress->shown) {
        fputs(ERASE, stderr);
        progress->shown = false;
    }
}
