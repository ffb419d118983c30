/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text_clean.h"

static enum log_level lowest = LOG_LEVEL_WARN;

static const char *const words[] = {"debug", "info", "warn", "error"};
static const char *const labels[] = {"debug: ", "info: ", "warning: ", ""};

void log_set_level(enum log_level level)
{
    lowest = level;
}

enum log_level log_level(void)
{
    return lowest;
}

void log_init_from_env(void)
{
    const char *word = getenv("PACKETRECORDER_LOG");

    if (word == NULL || *word == '\0') {
        return;
    }
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            lowest = (enum log_level)i;
            return;
        }
    }
    log_warn("PACKETRECORDER_LOG is '%s': write debug, info, warn or error", word);
}

static void write_line(enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void write_line(enum log_level level, const char *fmt, va_list ap)
{
    char line[1280];

    if (level < lowest) {
        return;
    }
    int n = snprintf(line, sizeof line, "packetrecorder: %s", labels[level]);
    int more = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    if (more < 0) {
        return;
    }
    text_clean(line);
    size_t length = strlen(line);
    line[length] = '\n';
    line[length + 1] = '\0';
    fputs(line, stderr);
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *fmt, ...)                                                                \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        write_line(level, fmt, ap);                                                                \
        va_end(ap);                                                                                \
    }

DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_error, LOG_LEVEL_ERROR)

bool log_allowed(struct log_limit *limit, uint64_t now_ms, uint64_t period_ms, uint64_t *left_out)
{
    if (now_ms < limit->next_ms) {
        limit->suppressed++;
        return false;
    }
    *left_out = limit->suppressed;
    limit->suppressed = 0;
    limit->next_ms = now_ms + period_ms;
    return true;
}
