/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded reader of msgpack in hostile bytes: one value at a time, each checked, and the first
 * that does not fit or has another type sets `failed` for good and gives zeros, so that a parser
 * checks once at its end. Allocates nothing; what is announced is compared with the bytes left
 * before anything is done with it. Floats and extensions are read over by unpack_skip alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/bytes.h"

#define UNPACK_DEPTH_MAX 16

struct unpack {
    struct bytes_reader in;
};

struct unpack unpack_from(const void *bytes, size_t n);
static inline bool unpack_failed(const struct unpack *u)
{
    return u->in.failed;
}
static inline size_t unpack_left(const struct unpack *u)
{
    return bytes_left(&u->in);
}

/* The number of elements. At most `max`, and at most as many as there are bytes left. */
uint32_t unpack_array(struct unpack *u, uint32_t max);
uint32_t unpack_map(struct unpack *u, uint32_t max_pairs);
/* Any integer that fits; a negative one is none for unpack_u64. */
uint64_t unpack_u64(struct unpack *u);
uint64_t unpack_u64_most(struct unpack *u, uint64_t max);
int64_t unpack_i64(struct unpack *u);
bool unpack_bool(struct unpack *u);
bool unpack_is_nil(struct unpack *u); /* and reads over it */
/* Borrowed from the input; *n at most `max`. */
const uint8_t *unpack_bin(struct unpack *u, size_t max, size_t *n);
const uint8_t *unpack_bin_of(struct unpack *u, size_t n); /* exactly n bytes */
const char *unpack_str(struct unpack *u, size_t max, size_t *n);
/* Copied, with an end, into max + 1 bytes; one that holds an end itself fails. "" when it fails. */
void unpack_string(struct unpack *u, char *out, size_t max);
/* Reads over one value of any type, with at most `depth` (and UNPACK_DEPTH_MAX) arrays and maps
 * that are not empty inside each other; 0: none. */
void unpack_skip(struct unpack *u, unsigned depth);
