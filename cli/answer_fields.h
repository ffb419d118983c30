/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of an answer's objects. The answer is a node's, and a node is hostile input: what is not
 * there, or is of another type, is unknown, and nothing else. Texts are shown by output.h, which
 * lets no terminal be steered.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct json_t; /* jansson's json_t */

/* NULL when unknown or "". Borrowed. */
const char *field_text(const struct json_t *object, const char *name);
/* UINT64_MAX when unknown. */
uint64_t field_count(const struct json_t *object, const char *name);
/* Nanoseconds since 1970 of a time in RFC 3339; 0 when unknown. */
uint64_t field_time_ns(const struct json_t *object, const char *name);
bool field_is_true(const struct json_t *object, const char *name);

/* For a cell of a table: a count, or a size for humans, written into out (TEXT_NUMBER_MAX bytes).
 * Returns it, or NULL when unknown. */
const char *field_count_cell(const struct json_t *object, const char *name, char *out);
const char *field_size_cell(const struct json_t *object, const char *name, char *out);
