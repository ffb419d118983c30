/* SPDX-License-Identifier: Apache-2.0
 *
 * Words of humans to numbers and back: sizes, counts, durations and times as contract.md fixes
 * them, and the nearest word to a misspelt one. Everything that a user types and every number that
 * is shown goes through here, so that a unit means the same everywhere. Pure: "now" is an argument.
 * It does not do JSON (jansson) and knows no locale.
 *
 * Every parser takes a whole terminated string, leaves *out untouched on failure and returns
 * ERR_USAGE with a sentence that quotes the text and names the way out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

/* Bytes: "1500", "10k", "1.5M", "2G", "1T" (also kB, MB, GB, TB) by 1000; "64KiB", "1MiB", "2GiB",
 * "1TiB" by 1024. A fraction needs a unit and is rounded to the nearest byte. */
int text_parse_size(const char *text, uint64_t *bytes, struct err *err);

/* A count: "1000", "50k", "1.5M", "2G", by 1000. A fraction must come out whole. */
int text_parse_count(const char *text, uint64_t *count, struct err *err);

/* Nanoseconds out of seconds ("90", "0.5") or numbers with ns, us, ms, s, m, h, d ("1m30s"). */
int text_parse_duration(const char *text, uint64_t *ns, struct err *err);

/* A decimal number that is not negative, such as a speed: "2", "0.25". */
int text_parse_decimal(const char *text, double *number, struct err *err);

/* Nanoseconds since 1970: RFC 3339 ("2026-01-02T03:04:05.5+01:00", UTC where no offset stands), a
 * date alone (midnight UTC), "@SECONDS[.FRACTION]", "now", or "-10m" before now_ns. From 1970 to
 * 2554-07-21, where 64 bits end. */
int text_parse_time(const char *text, uint64_t now_ns, uint64_t *ns, struct err *err);

/* Room for each of the formats below, with the terminator. */
#define TEXT_NUMBER_MAX 32

/* "2026-01-02T03:04:05.123456789Z": always nine digits, always UTC. */
void text_format_time(uint64_t ns, char out[TEXT_NUMBER_MAX]);

/* For messages: "0 bytes", "32 MiB" when the number is whole in a 1024 unit, else "10 MB",
 * "1.54 GB" (three digits, cut). */
void text_format_size(uint64_t bytes, char out[TEXT_NUMBER_MAX]);

/* For messages: "0s", "250ns", "1.5ms", "2s", "1m30s", "2h5m", "3d"; at most two units, cut. */
void text_format_duration(uint64_t ns, char out[TEXT_NUMBER_MAX]);

/* Seconds without needless zeros: 1500000000 gives "1.5". Exact. */
void text_format_seconds(uint64_t ns, char out[TEXT_NUMBER_MAX]);

/* Insertions, deletions, changes and swaps of neighbours between two words (optimal string
 * alignment). Words longer than 63 bytes are compared by their first 63. */
unsigned text_distance(const char *a, const char *b);

/* The candidate nearest to `word`, or NULL when none is near enough to be meant: at most a third of
 * its letters differ, or `word` (three letters or more) begins it. The first of equals wins. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);
