/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: lines on stderr for what goes on beside the answer. The one piece of global state in
 * shared/. The place that ends an error logs it, nobody below does. Lines are lower case, names in
 * quotes, no trailing dot, and never hold a secret. Whatever a packet can trigger goes through
 * log_allowed().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
};

/* Lines below the level are dropped; warn until it is set. Set before threads start. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/* From PACKETRECORDER_LOG (debug, info, warn, error); another word is named in a warning. */
void log_init_from_env(void);

/* One line "packetrecorder: [debug: |info: |warning: ]TEXT", written in one piece; control bytes
 * in it become '?'. Thread safe. */
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A rate limit for one place in the code, zero-initialised by its owner and used by one thread. */
struct log_limit {
    uint64_t next_ms;
    uint64_t suppressed; /* lines left out since the last one that was let through */
};

/* True when a line may be written now: once every period_ms (monotonic). *left_out gets the number
 * of lines suppressed since the last time. */
bool log_allowed(struct log_limit *limit, uint64_t now_ms, uint64_t period_ms, uint64_t *left_out);
