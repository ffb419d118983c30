/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids of sessions, captures and requests: UUID version 7 (RFC 9562 section 5.7). They sort by the
 * millisecond they were made in, as bytes and as text. Pure: time and randomness are arguments.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |                   unix_ms, big-endian, 48 bits                |
 *   |          unix_ms              |  ver  |       random          |
 *   |var|                        random                             |
 *   |                            random                             |
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ID_BYTES        16
#define ID_TEXT_MAX     37 /* 36 characters and the terminator */
#define ID_RANDOM_BYTES 10
#define ID_PREFIX_MIN   8 /* characters that users have to give at least */

struct id {
    uint8_t bytes[ID_BYTES];
};

/* From the low 48 bits of unix_ms; six of the 80 random bits make way for version and variant. */
struct id id_make(uint64_t unix_ms, const uint8_t random[ID_RANDOM_BYTES]);

/* "019b76da-a800-7b3f-8a21-0123456789ab" */
void id_format(const struct id *id, char out[ID_TEXT_MAX]);

/* The 36-character form in either case, of any UUID version. *out is untouched on false. */
bool id_parse(const char *text, struct id *out);

/* True when `text` has at least ID_PREFIX_MIN characters and begins the text of `id`, in either
 * case; the whole id counts as its own prefix. */
bool id_has_prefix(const struct id *id, const char *text);

/* The millisecond it was made in. */
uint64_t id_unix_ms(const struct id *id);

int id_compare(const struct id *a, const struct id *b);
