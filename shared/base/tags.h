/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator writes on a node to choose nodes by: KEY=VALUE. A key has letters, digits and
 * "_.-/"; a value is printable ASCII without commas and may be empty. Kept in the order of their
 * bytes, so that the same tags are the same text wherever they are written. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

#define TAGS_MAX       32
#define TAG_MAX        64   /* bytes of KEY=VALUE */
#define TAGS_BYTES_MAX 1000 /* of all, one separator each */

struct tags {
    uint8_t n;
    char items[TAGS_MAX][TAG_MAX + 1];
};

/* Is it KEY=VALUE as above? ERR_USAGE says what is wrong with it. */
int tag_check(const char *text, struct err *err);
/* ERR_USAGE: also a key that is there already; ERR_LIMIT: too many, or too long together. */
int tags_add(struct tags *tags, const char *text, struct err *err);
bool tags_have(const struct tags *tags, const char *text);
/* All of n texts. */
bool tags_have_all(const struct tags *tags, const char *const *texts, size_t n);

/* One line each, ended by '\n'; the bytes written. */
size_t tags_write(const struct tags *tags, char out[TAGS_BYTES_MAX]);
/* False: no such text, byte by byte as tags_write writes it; *tags is empty then. */
bool tags_read(const void *bytes, size_t n, struct tags *tags);
