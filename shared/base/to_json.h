/* SPDX-License-Identifier: Apache-2.0
 *
 * Values that both programs show, as JSON by contract.md: unknown is null, and what jansson cannot
 * hold (invalid UTF-8, numbers above 2^63) is mended here, so that no value is ever lost on the
 * way. Pure.
 */
#pragma once

#include <stdint.h>

struct json_t; /* jansson's json_t */

/* A string, or null for NULL and "". Bytes that are not UTF-8 become U+FFFD. New reference. */
struct json_t *to_json_text(const char *text);

/* A number, or null for UINT64_MAX (unknown). Above 2^63-1 a real number. New reference. */
struct json_t *to_json_count(uint64_t count);

/* A time in RFC 3339 with nine digits, or null for UINT64_MAX. New reference. */
struct json_t *to_json_time(uint64_t ns);
